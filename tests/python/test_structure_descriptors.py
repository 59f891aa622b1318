"""Descriptors of whole structures: the checks of descriptor_conformance for every one of the registry."""

import descriptor_conformance as conformance
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from descriptor_conformance import STRUCTURES, random_atoms
from mercer.descriptors import CoulombMatrix, Environments
from mercer.errors import DataError

NAMES = pytest.mark.parametrize("name", STRUCTURES)
EVERY = [(name, pbc) for name, example in STRUCTURES.items() for pbc in example.periodicities]
DIFFERENTIABLE = [
    (name, pbc) for name, pbc in EVERY if STRUCTURES[name].make(["H"], 3.0).differentiable
]  # fmt: skip


def structures(example, sizes=(1, 3, 5, 4), species=("H", "C", "O")):
    """Frames in the periodicities of an example, with a frame of one atom."""
    some = example.periodicities[:: max(1, len(example.periodicities) // 3)]
    return [random_atoms(s, n=n, species=species, pbc=some[s % len(some)]) for s, n in enumerate(sizes)]


@pytest.mark.parametrize(("name", "pbc"), EVERY)
def test_invariance(name, pbc):
    conformance.check_structure_invariance(STRUCTURES[name], random_atoms(3, n=4, pbc=pbc))


@NAMES
def test_batches_and_rows(name):
    example = STRUCTURES[name]
    descriptor, frames = example.make(["H", "C", "O"], 3.5), structures(example)
    assert not descriptor.per_atom
    assert not descriptor.has_factor
    conformance.check_batches(descriptor, frames)
    conformance.check_rows(descriptor, frames)
    assert descriptor.rows(frames).offsets.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(
        descriptor.share(frames, [3.0, 3.0, 0.0, 0.0]), np.repeat([3.0, 1.0, 0.0, 0.0], [1, 3, 5, 4])
    )


@NAMES
def test_empty(name):
    conformance.check_empty(STRUCTURES[name].make(["H", "C"], 3.5))


@NAMES
def test_is_a_value(name):
    example = STRUCTURES[name]
    others = [other.make(["O", "H", "C"], 3.6) for word, other in STRUCTURES.items() if word != name]
    conformance.check_value(example.make(["O", "H", "C"], 3.5), others[0], example.periodicities[-1])


@pytest.mark.parametrize(("name", "pbc"), DIFFERENTIABLE)
def test_vjp(name, pbc):
    atoms = random_atoms(4, n=4, species=["H", "C"], pbc=pbc, length=3.2)
    conformance.check_vjp(STRUCTURES[name].make(["H", "C"], 3.0), atoms)


@pytest.mark.parametrize(("name", "pbc"), DIFFERENTIABLE)
def test_gradients(name, pbc):
    descriptor = STRUCTURES[name].make(["H", "C", "O"], 3.0)
    frames = [random_atoms(s, n=n, species=["H", "C"], pbc=pbc, length=2.6) for s, n in ((1, 1), (2, 4), (3, 5))]
    conformance.check_gradients(descriptor, frames)
    conformance.check_structure_gradients(descriptor, frames)
    conformance.check_gradients(descriptor, [])


@pytest.mark.parametrize("name", [n for n in STRUCTURES if not STRUCTURES[n].make(["H"], 3.0).differentiable])
def test_no_derivatives(name):
    atoms = random_atoms(0, n=3, pbc=STRUCTURES[name].periodicities[0])
    conformance.check_structure_refusals(STRUCTURES[name].make(["H", "C", "O"], 3.0), atoms)


def test_all_pairs():
    """An infinite cutoff: every pair of a frame, in order, as a cutoff longer than the frame gives them."""
    frames = [molecule("CH3CH2OH"), Atoms(), molecule("H2O"), Atoms("H")]
    found, expected = (Environments.of(frames, r_cut).pairs for r_cut in (np.inf, 100.0))
    assert found.n_pairs == 9 * 8 + 3 * 2
    for name in ("offsets", "neighbors", "shifts", "vectors", "distances"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert Environments.of(frames, 0.0).pairs.n_pairs == 0
    with pytest.raises(DataError, match=r"frame 1: is periodic.*r_cut"):
        Environments.of([molecule("H2O"), bulk("Si")], np.inf)
    with pytest.raises(DataError, match=r"frame 1: atoms 0 and 1 coincide"):
        Environments.of([molecule("H2O"), Atoms("H2")], np.inf)


def test_room():
    with pytest.raises(DataError, match=r"frame 1: has 5 atoms.*CoulombMatrix has room for 3.*n_atoms_max"):
        CoulombMatrix(3).transform([molecule("H2O"), molecule("CH4")])
    with pytest.raises(DataError, match=r"frame 0: has 5 atoms.*n_atoms_max"):
        CoulombMatrix(3, permutation="none").gradients(molecule("CH4"))
