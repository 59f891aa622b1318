"""Energies of free atoms and sigmas of labels."""

from itertools import pairwise

import numpy as np
import pytest
from mercer import targets
from mercer.errors import ConfigError, DataError

SPECIES = np.array([1, 6, 8])
E0 = np.array([-13.6, -1029.0, -2041.5])


def compositions(n, seed=0):
    counts = np.random.default_rng(seed).integers(0, 6, (n, 3)).astype(float)
    return counts[counts.sum(axis=1) > 0]


@pytest.mark.parametrize("name", ["IsolatedAtom", "isolated_atom", "ISOLATED ATOM", "isolated-atom"])
def test_isolated_config_types(name):
    assert targets.is_isolated_config(name)
    assert not targets.is_isolated_config(name + "s")


def test_count_species_and_sum_over_frames_with_empty_frames():
    offsets = np.array([0, 3, 3, 5, 5])
    numbers = np.array([8, 1, 1, 6, 8])
    assert targets.count_species(numbers, offsets, SPECIES).tolist() == [[2, 0, 1], [0, 0, 0], [0, 1, 1], [0, 0, 0]]
    values = np.arange(10.0).reshape(5, 2)
    expected = [values[a:b].sum(axis=0).tolist() for a, b in pairwise(offsets)]
    assert targets.sum_over_frames(values, offsets).tolist() == expected


@pytest.mark.parametrize("scaling", targets.SIGMA_SCALINGS)
def test_least_squares_recovers_e0(scaling):
    counts = compositions(20)
    e0 = targets.resolve_e0("auto", SPECIES, counts, counts @ E0, scaling=scaling)
    assert np.abs(e0.energies - E0).max() <= 1e-9
    assert e0.sources == ("least squares",) * 3
    assert e0.undetermined.shape == (0, 3)
    numbers, offsets = np.array([1, 1, 8, 6]), np.array([0, 3, 4])
    assert np.abs(e0.per_frame(numbers, offsets) - [2 * E0[0] + E0[2], E0[1]]).max() <= 1e-9
    assert np.abs(e0.per_atom(numbers) - E0[[0, 0, 2, 1]]).max() <= 1e-9


def test_least_squares_weights_follow_the_scaling():
    """Minimises sum (residual / f(n))^2: a doubled frame counts as two with "sqrt", as one with "per_atom"."""
    counts = np.array([[1.0], [2.0], [5.0]])
    energies = np.array([-1.0, -2.3, -4.7])
    for scaling, copies in (("sqrt", 2), ("per_atom", 1)):
        doubled = targets.resolve_e0(
            "lstsq", SPECIES[:1], counts[[0, 1, 2]] * [[1], [1], [2]], energies * [1, 1, 2], scaling=scaling
        )
        listed = [0, 1] + [2] * copies
        repeated = targets.resolve_e0("lstsq", SPECIES[:1], counts[listed], energies[listed], scaling=scaling)
        assert np.abs(doubled.energies - repeated.energies).max() <= 1e-13


def test_dependent_compositions_share_the_energy_and_are_reported():
    counts = np.array([[2.0, 0.0, 1.0], [4.0, 0.0, 2.0], [2.0, 1.0, 1.0]])
    energies = counts @ E0
    e0 = targets.resolve_e0("auto", SPECIES, counts, energies)
    assert np.abs(counts @ e0.energies - energies).max() <= 1e-9
    water, hydroxyl = np.array([1, 1, 8]), np.array([1, 8])
    outside = e0.outside_span(np.concatenate([water, hydroxyl]), [0, 3, 5])
    assert outside.tolist() == [False, True]
    # fewer frames than elements
    one = targets.resolve_e0("auto", SPECIES, counts[:1], energies[:1])
    assert abs(counts[0] @ one.energies - energies[0]) <= 1e-9
    assert one.undetermined.shape == (2, 3)


def test_sums_that_are_determined_are_split_sensibly():
    """One composition, of which least squares of minimum norm would give hydrogen -616 eV."""
    free = np.array([-13.6, -1028.5, -2041.5])  # with all electrons
    ethanol = np.array([[6.0, 2.0, 1.0]] * 3)
    e0 = targets.resolve_e0("auto", SPECIES, ethanol, ethanol @ free - 33.0)
    assert abs(ethanol[0] @ e0.energies - (ethanol[0] @ free - 33.0)) <= 1e-8
    assert np.abs(e0.energies - free).max() <= 30.0
    assert e0.undetermined_species().tolist() == SPECIES.tolist()
    assert targets.describe_undetermined(["H", "C"])[0].startswith("E0 of H, C: ")
    # energies of pseudopotentials, where nothing is known but the mean
    e0 = targets.resolve_e0("auto", SPECIES, ethanol, np.full(3, -90.0))
    assert np.abs(e0.energies + 10.0).max() <= 1e-9
    # what is determined stays determined
    water = np.array([[2.0, 0.0, 1.0]] * 2 + [[2.0, 0.0, 2.0]])
    e0 = targets.resolve_e0("auto", np.array([1, 6, 8]), water, water @ [-1.0, 0.0, -5.0])
    assert abs(e0.energies[0] + 1.0) <= 1e-9 and abs(e0.energies[2] + 5.0) <= 1e-9
    assert e0.undetermined_species().tolist() == [6]
    assert len(targets.describe_undetermined([])) == 0


def test_energies_of_free_atoms_with_all_electrons():
    """Against Hartree-Fock: H -13.6, C -1025.6, O -2035.7, Si -7859 eV."""
    expected = np.array([-13.6, -1025.6, -2035.7, -7859.0])
    assert np.abs(targets.atom_energy([1, 6, 8, 14]) / expected - 1).max() <= 0.08


def test_isolated_atoms_come_first_and_least_squares_fills_in():
    counts = compositions(10)
    shifted = counts @ E0 + 0.5 * counts[:, 0]
    e0 = targets.resolve_e0("auto", SPECIES, counts, shifted, {1: [E0[0]], 8: [E0[2], E0[2]]})
    assert e0.sources == ("isolated atom", "least squares", "isolated atom")
    assert e0.energies[0] == E0[0]
    assert e0.energies[2] == E0[2]
    ignored = targets.resolve_e0("lstsq", SPECIES, counts, counts @ E0, {1: [5.0]})
    assert np.abs(ignored.energies - E0).max() <= 1e-9


@pytest.mark.parametrize(
    ("e0", "expected", "source"),
    [
        ({1: 1.0, 6: 2.0, 8: 3.0, 79: 9.0}, [1.0, 2.0, 3.0], "given"),
        (-2.0, [-2.0] * 3, "given"),
        ("none", [0.0] * 3, "none"),
        (None, [0.0] * 3, "none"),
        (0, [0.0] * 3, "none"),
        ("average", [4.0] * 3, "average"),
    ],
)
def test_given_energies(e0, expected, source):
    result = targets.resolve_e0(e0, SPECIES, [[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]], [6.0, 10.0])
    assert result.energies.tolist() == expected
    assert set(result.sources) == {source}


@pytest.mark.parametrize(
    ("e0", "error", "match"),
    [
        ({1: 0.0}, DataError, "no energy for 6, 8"),
        ("isolated", DataError, "no isolated atom with an energy for 6, 8"),
        ("best", ConfigError, "unknown method 'best'"),
        ({1: 0.0, 6: np.nan, 8: 0.0}, ConfigError, "finite number"),
        (float("inf"), ConfigError, "finite number"),
    ],
)
def test_e0_errors(e0, error, match):
    with pytest.raises(error, match=match):
        targets.resolve_e0(e0, SPECIES, compositions(5), np.zeros(len(compositions(5))), {1: [0.0]})


def test_contradicting_isolated_atoms_and_no_energies():
    with pytest.raises(DataError, match=r"isolated atoms of 1 have energies from -13.6 to -13.5 eV"):
        targets.resolve_e0("auto", SPECIES, compositions(5), np.zeros(5), {1: [-13.6, -13.5]})
    with pytest.raises(DataError, match="no energies"):
        targets.resolve_e0("lstsq", SPECIES, np.zeros((0, 3)), np.zeros(0))
    nothing = targets.resolve_e0("auto", SPECIES, np.zeros((0, 3)), np.zeros(0), {1: [-13.6]})
    assert nothing.energies.tolist() == [-13.6, 0.0, 0.0]
    assert nothing.sources == ("isolated atom", "none", "none")


@pytest.mark.parametrize(("scaling", "factor"), [("sqrt", [2, 3]), ("per_atom", [4, 9]), ("total", [1, 1])])
@pytest.mark.parametrize("kind", targets.DEFAULT_SIGMA)
def test_sigma_scaling(kind, scaling, factor):
    expected = 0.1 * np.array(factor if kind in ("energy", "virial") else [1, 1])
    sigma = targets.label_sigma(kind, [4, 9], ["", "bulk"], {kind: 0.1}, scaling=scaling)
    assert np.abs(sigma - expected).max() <= 1e-15


def test_sigma_overrides():
    arguments = ("energy", [4, 4, 4, 4], ["bulk", "liquid", "gas", "liquid"], {"energy": 0.1})
    sigma = targets.label_sigma(
        *arguments,
        config_type_sigma={"liquid": {"energy": 1.0}, "gas": {"energy": None}},
        absolute=[np.nan] * 3 + [0.5],
    )
    assert np.array_equal(sigma, [0.2, 2.0, np.nan, 0.5], equal_nan=True)
    with pytest.raises(DataError, match=r"frame 1: energy_sigma is 0\.0"):
        targets.label_sigma(*arguments, absolute=[np.nan, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "wrong", [{"energies ": 1.0}, {"energy": 0.0}, {"energy": -1}, {"forces": np.inf}, {"virial": "a"}]
)
def test_sigma_errors(wrong):
    with pytest.raises(ConfigError, match="sigma"):
        targets.check_sigma(wrong)


def test_sigma_is_copied():
    given = {"energy": 1, "forces": None}
    checked = targets.check_sigma(given)
    assert checked == {"energy": 1.0, "forces": None}
    assert checked is not given
