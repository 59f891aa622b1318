"""The demo: its structures, and the whole of it on few of them."""

import shlex
from pathlib import Path

import ase.io
import mercer
import numpy as np
import pytest
from ase.calculators.emt import EMT
from mercer.cli import main
from mercer.cli._demo import next_commands
from mercer.demo import KINDS, LATTICE, make_frames


def test_structures():
    frames = make_frames(10, seed=3)
    assert [atoms.info["config_type"] for atoms in frames[: len(LATTICE)]] == ["IsolatedAtom"] * len(LATTICE)
    assert {atoms.info["config_type"] for atoms in frames[len(LATTICE) :]} == set(KINDS)
    for atoms in frames:
        again = atoms.copy()
        again.calc = EMT()
        assert abs(again.get_potential_energy() - atoms.info["REF_energy"]) <= 1e-9
        np.testing.assert_allclose(again.get_forces(), atoms.arrays["REF_forces"], atol=1e-9)
        assert atoms.calc is None
    assert {str(atoms.pbc) for atoms in frames} == {"[ True  True  True]", "[ True  True False]", "[False False False]"}


def test_structures_follow_the_seed():
    first, again, other = (make_frames(3, seed=s)[-1].info["REF_energy"] for s in (1, 1, 2))
    assert first == again != other


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A folder in which a small demo has run."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["demo", "--n-frames", "40", "--threads", "1", "--quiet"]) == 0
    mercer.set_num_threads(0)
    return folder / "mercer-demo"


def test_files(shown):
    names = {path.relative_to(shown).as_posix() for path in shown.rglob("*") if path.is_file()}
    fit = {"fit/model.mercer", "fit/config.yaml", "fit/fit.log", "fit/metrics.json"}
    fit |= {"fit/parity.png", "fit/parity_forces.png"}
    assert names == {"train.extxyz", "test.extxyz", "learning_curve.png"} | fit
    assert len(ase.io.read(shown / "test.extxyz", ":")) == 8


def test_the_model_has_learnt(shown):
    frames = ase.io.read(shown / "test.extxyz", ":")
    energies = np.array([atoms.info["REF_energy"] / len(atoms) for atoms in frames])
    predicted = mercer.load(shown / "fit" / "model.mercer").predict(frames)
    errors = predicted["energy"] / list(map(len, frames)) - energies
    assert np.sqrt(np.mean(errors**2)) <= 0.1 * energies.std()
    forces = np.concatenate([atoms.arrays["REF_forces"] for atoms in frames])
    assert np.sqrt(np.mean((predicted["forces"] - forces) ** 2)) <= 0.2 * forces.std()


@pytest.mark.parametrize("number", range(4))
def test_next_commands_work_as_printed(shown, monkeypatch, number):
    monkeypatch.chdir(shown.parent)
    words = shlex.split(next_commands(Path(shown.name))[number])
    assert words[0] == "mercer"
    if "--n-sparse" in words:
        words[words.index("--n-sparse") + 1] = "50"
    assert main(words[1:]) == 0


def test_python_example_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    exec(readme.split("```python\n", 1)[1].split("```", 1)[0], {})
    assert (tmp_path / "cuau.mercer").exists()
