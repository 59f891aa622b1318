"""Settings chosen from the elements and the data."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from mercer.cli._fit import build_potential
from mercer.config import TERM_PRESETS, load_options, term_preset
from mercer.defaults import FORCE_PART, VIRIAL_PART, choose, nearest_distances, residual_spread
from mercer.errors import ConfigError
from mercer.structures import Frames, read_labels


def crystals(n=6, symbol="Si"):
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n):
        atoms = bulk(symbol, cubic=True)
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        frames.append(atoms)
    return Frames(frames)


def labelled(frames, energies):
    """Labels of these energies alone."""
    frames = Frames([atoms.copy() for atoms in frames])
    for atoms, energy in zip(frames, energies, strict=True):
        atoms.info["REF_energy"] = float(energy)
    return read_labels(frames)


def test_nearest_distances():
    frames = Frames([Atoms("H2", [[0, 0, 0], [0, 0, 0.8]]), Atoms("H", [[0, 0, 0]])])
    np.testing.assert_allclose(nearest_distances(frames), [0.8, 0.8, np.inf])


def test_spread_beyond_composition():
    frames = Frames([molecule("H2O"), molecule("H2O2"), molecule("H2"), molecule("O2")])
    n = np.array([[2, 1], [2, 2], [2, 0], [0, 2]])
    assert residual_spread(frames, n @ [1.5, -3.0]) <= 1e-12
    assert residual_spread(frames, np.full(4, np.nan)) is None
    frames = Frames([molecule("H2")] * 4)
    assert abs(residual_spread(frames, [2.0, 4.0, np.nan, np.nan]) - 0.5) <= 1e-12


@pytest.mark.parametrize("frames", [crystals(), crystals(symbol="Cu"), Frames([molecule("CH3OH")] * 3)])
def test_everything_is_chosen_and_explained(frames):
    options, notes = choose(load_options(), frames, labelled(frames, np.linspace(-1.0, 1.0, len(frames))))
    term = options.terms[0]
    for name in ("species", "r_cut", "n_max", "l_max", "sigma", "radial_scaling"):
        assert getattr(term.descriptor, name) is not None
        assert notes[f"terms.0.descriptor.{name}"]
    assert term.delta > 0 and term.n_sparse >= 1 and options.sigma.energy > 0
    assert {"terms.0.delta", "terms.0.n_sparse", "terms.0.kernel.zeta", "sigma.energy"} <= set(notes)
    assert set(term.descriptor.species) == set(frames[0].symbols)
    assert build_potential(options).terms[0].descriptor.n_features > 0


def test_what_is_given_stays():
    given = [
        ("", ("terms", 0, "descriptor", "r_cut"), 3.3),
        ("", ("terms", 0, "kernel", "zeta"), 3),
        ("", ("terms", 0, "n_sparse"), 5),
        ("", ("terms", 0, "delta"), 0.25),
        ("", ("sigma", "energy"), 0.5),
    ]
    frames = crystals()
    options, notes = choose(load_options(None, given), frames, labelled(frames, np.arange(6.0)))
    term = options.terms[0]
    assert (term.descriptor.r_cut, term.kernel.zeta, term.n_sparse, term.delta) == (3.3, 3, 5, 0.25)
    assert options.sigma.energy == 0.5
    assert not {"terms.0.descriptor.r_cut", "terms.0.kernel.zeta", "terms.0.n_sparse", "sigma.energy"} & set(notes)


GIVEN = [
    ("soap", {"type": "polynomial", "offset": 0.5}, {"zeta": 4}),
    ("pair_distance", {"type": "gaussian", "offset": 0.25}, {"length_scale": 1.0}),
    ("pair_distance", {"type": "matern", "nu": 1.5}, {"length_scale": 1.0}),
    ("pair_distance", {"type": "rational_quadratic", "alpha": 3.0}, {"length_scale": 1.0}),
]


@pytest.mark.parametrize(("descriptor", "kernel", "chosen"), GIVEN)
def test_kernel_parameters_that_are_given_stay_beside_the_chosen_one(descriptor, kernel, chosen):
    given = [("", ("terms", 0), {"descriptor": descriptor, "kernel": kernel})]
    frames = crystals()
    options, _ = choose(load_options(None, given), frames, labelled(frames, np.arange(6.0)))
    assert options.terms[0].kernel.model_dump() == kernel | chosen
    made = build_potential(options).terms[0].kernel
    assert {name: getattr(made, name) for name in kernel.keys() | chosen.keys() if name != "type"} == {
        name: value for name, value in (kernel | chosen).items() if name != "type"
    }


@pytest.mark.parametrize("kernel", [{"type": "matern", "nu": 7.7}, {"type": "rational_quadratic", "alpha": -1.0}])
def test_kernel_parameters_out_of_range_are_errors(kernel):
    given = [("", ("terms", 0), {"descriptor": "pair_distance", "kernel": kernel})]
    frames = crystals()
    with pytest.raises(ConfigError, match=r"nu|alpha"):
        build_potential(choose(load_options(None, given), frames, labelled(frames, np.arange(6.0)))[0])


def test_terms_share_the_spread():
    given = [("", ("terms", 0, "delta"), None), ("", ("terms", 1, "descriptor", "type"), "radial_spectrum")]
    frames = crystals()
    one, _ = choose(load_options(), frames, labelled(frames, np.arange(6.0)))
    two, _ = choose(load_options(None, given), frames, labelled(frames, np.arange(6.0)))
    np.testing.assert_allclose([t.delta for t in two.terms], one.terms[0].delta / np.sqrt(2), rtol=0.05)


def test_sparse_points_never_exceed_the_data():
    options, _ = choose(load_options(), crystals(1), labelled(crystals(1), np.zeros(1)))
    assert options.terms[0].n_sparse == 4


def test_sigmas_are_parts_of_the_spread_of_the_labels():
    frames = crystals()
    rng = np.random.default_rng(1)
    for k, atoms in enumerate(frames):
        atoms.info["REF_energy"] = 0.01 * k
        if k < 3:
            atoms.arrays["REF_forces"] = rng.normal(0, 1.0, (8, 3))
            atoms.info["REF_virial"] = 8 * 0.4 * np.eye(3)
    options, notes = choose(load_options(), frames, read_labels(frames))
    assert abs(options.sigma.forces / FORCE_PART - 1.0) <= 0.2
    assert abs(options.sigma.virial / VIRIAL_PART - 0.4 / np.sqrt(3)) <= 0.02
    assert options.sigma.energies is None and "sigma.energies" not in notes
    for kind in ("energy", "forces", "virial"):
        assert notes[f"sigma.{kind}"]
    options, _ = choose(load_options(None, [("", ("sigma", "forces"), "none")]), frames, read_labels(frames))
    assert options.sigma.forces == "none" and options.sigma.values()["forces"] is None


@pytest.mark.parametrize(("step", "sigma", "words"), [(1e-6, 1e-5, "at least 1e-05"), (50.0, 1e-2, "at most 0.01")])
def test_limits_of_a_sigma_are_said(step, sigma, words):
    frames = crystals()
    options, notes = choose(load_options(), frames, labelled(frames, step * np.arange(6.0)))
    assert options.sigma.energy == sigma
    assert notes["sigma.energy"].startswith(words)


@pytest.mark.parametrize("name", TERM_PRESETS)
@pytest.mark.parametrize("frames", [crystals(), Frames([molecule("CH3OH")] * 3)])
def test_sums_of_terms_by_name(name, frames):
    given = [("--terms", ("terms",), term_preset(name))]
    options, notes = choose(load_options(None, given), frames, labelled(frames, np.arange(len(frames))))
    terms = build_potential(options).terms
    assert len(terms) == len(TERM_PRESETS[name])
    for t, term in enumerate(terms):
        assert term.descriptor.r_cut > 2 and notes[f"terms.{t}.descriptor.r_cut"] and notes[f"terms.{t}.delta"]
    assert TERM_PRESETS["double-soap"][0] == TERM_PRESETS["double-soap"][1]  # untouched


def test_repulsion_stays_below_the_data():
    frames = crystals()
    given = [("--baseline", ("baseline",), "zbl")]
    options, notes = choose(load_options(None, given), frames, labelled(frames, np.arange(6.0)))
    nearest = nearest_distances(frames).min()
    assert 0 < options.baseline["r_inner"] < options.baseline["r_outer"] <= 0.91 * nearest
    assert "shortest distance" in notes["baseline.r_outer"]
