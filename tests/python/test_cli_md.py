"""``mercer md``: the trajectory, what is reported, and what is left when a run ends early."""

import re
import signal
import subprocess
import sys
import time

import ase.io
import mercer
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from mercer.cli import main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("md")
    frames = []
    for seed in range(10):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.calc = None
        frames.append(atoms)
    term = mercer.Term(mercer.SOAP(["Cu"], 4.2, 4, 3, 0.6), mercer.kernels.Polynomial(zeta=2), n_sparse=12)
    mercer.Potential(term, e0=0.0).fit(frames).save(folder / "model")
    ase.io.write(folder / "start.extxyz", frames[:2])
    return folder / "model", folder / "start.extxyz"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    mercer.set_num_threads(0)


def md(files, *options):
    return main(["md", *map(str, files), "-o", "out.extxyz", "-j", "1", *map(str, options)])


def test_constant_energy(files, capsys):
    assert md(files, "--steps", 25, "--timestep", 2, "--temperature", 300) == 0
    out = capsys.readouterr().out
    for part in ("holds 2 structures: the first", "25 steps of 2 fs with 4 atoms", "us per atom and step", "drift of"):
        assert part in out
    frames = ase.io.read("out.extxyz", ":")
    assert len(frames) == 4  # steps 0, 10, 20, 25
    total = [atoms.get_potential_energy() + atoms.get_kinetic_energy() for atoms in frames]
    assert np.ptp(total) <= 2e-2 and abs(frames[0].get_temperature() - 300) <= 1e-3
    assert frames[-1].get_forces().shape == (4, 3) and frames[-1].get_stress().shape == (6,)
    assert not any("REF" in key for atoms in frames for key in (*atoms.info, *atoms.arrays))


@pytest.mark.filterwarnings("default")
def test_an_unknown_composition_is_said_once(files, tmp_path, capsys):
    frames = [bulk("NaCl", "rocksalt", a=5.6 + 0.05 * k, cubic=True) for k in range(6)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
        atoms.info["REF_energy"] = 0.1 * k
    term = mercer.Term(mercer.SOAP(["Na", "Cl"], 4.0, 3, 2, 0.6), mercer.kernels.Polynomial(zeta=2), n_sparse=6)
    mercer.Potential(term, e0="lstsq").fit(frames).save(tmp_path / "model")
    del frames[0][0]
    frames[0].info.clear()
    frames[0].write("start.extxyz")
    assert md((tmp_path / "model", "start.extxyz"), "--steps", 3, "--temperature", 300) == 0
    written = capsys.readouterr()
    text = " ".join((written.out + written.err).split())
    assert text.count("no combination of those") == 1 and "start.extxyz" in text


def test_velocities_go_on_where_a_file_has_them(files, capsys):
    assert md(files, "--steps", 10, "--temperature", 300, "-q") == 0
    first = ase.io.read("out.extxyz", -1)
    first.write("again.extxyz")
    assert md((files[0], "again.extxyz"), "--steps", 0, "--temperature", 900) == 0
    assert "--temperature 900 is not used" in capsys.readouterr().out
    assert np.abs(ase.io.read("out.extxyz").get_momenta() - first.get_momenta()).max() <= 1e-6


def test_thermostat_is_seeded(files, capsys):
    ends = []
    for seed in (1, 1, 2):
        assert md(files, "--nvt", "--temperature", 500, "--steps", 10, "--seed", seed) == 0
        ends.append(ase.io.read("out.extxyz", -1).positions)
    assert np.abs(ends[0] - ends[1]).max() <= 1e-9 < np.abs(ends[0] - ends[2]).max()
    out = capsys.readouterr().out
    assert "drift" not in out and "temperature in the second half" in out


def test_atoms_at_rest(files, capsys):
    assert md(files, "--steps", 1) == 0
    assert "warning: the atoms start at rest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nvt"], "--nvt needs --temperature"),
        (["--timestep", "0"], "timestep"),
        (["--temperature", "-5"], "temperature"),
        (["--skin", "-1"], "skin"),
        (["--warn-above", "0"], "warn_above"),
    ],
)
def test_mistakes(files, options, message, capsys, tmp_path):
    assert md(files, "--steps", 5, *options) in (1, 2)
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_explosion_leaves_the_trajectory(files, capsys):
    assert md(files, "--steps", 50, "--temperature", 3e7) == 1
    err = capsys.readouterr().err
    assert "moved by" in err and "The trajectory so far is in out.extxyz" in err
    assert len(ase.io.read("out.extxyz", ":")) == 1


def test_an_unknown_element_leaves_what_was_there(files, tmp_path, capsys):
    bulk("Au").write("gold.extxyz")
    (tmp_path / "out.extxyz").write_text("earlier")
    assert md((files[0], "gold.extxyz"), "--steps", 5) == 1
    assert "gold.extxyz, frame 0, atom 0: the potential does not know the element Au" in capsys.readouterr().err
    assert (tmp_path / "out.extxyz").read_text() == "earlier"


def test_interrupted(files, tmp_path):
    command = [sys.executable, "-m", "mercer", "md", *map(str, files), "-o", "out.extxyz", "-j", "1"]
    command += ["--steps", "1000000", "--interval", "1", "--temperature", "300"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and sum(f.stat().st_size for f in tmp_path.glob(".unfinished-*")) < 3000:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "drift" in out and re.fullmatch(r"error: interrupted after \d+ of 1000000 steps; .* in out.extxyz\n", err)
    assert len(ase.io.read("out.extxyz", ":")) >= 3
    assert not list(tmp_path.glob(".unfinished-*"))
