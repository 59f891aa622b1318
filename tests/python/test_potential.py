"""Potentials against dense formulas on tiny problems, and what they promise about data, files and reproducibility."""

import json
from itertools import pairwise
from pathlib import Path

import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from mercer import kernels
from mercer.descriptors import RadialSpectrum
from mercer.errors import ConfigError, DataError, ModelFileError
from mercer.io import read_model, write_model
from mercer.models import Potential, SparsePoints, Term
from mercer.models import memory as memory_module
from mercer.models import potential as potential_module
from mercer.models import sparse_points as sparse_points_module
from mercer.models.frame_data import FrameData
from mercer.selection import SELECTIONS, select
from mercer.structures import read_frames, read_labels
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from toy import PairHistogram

DESCRIPTOR = RadialSpectrum([6, 8], 3.0, 4, 0.5)
OTHER = RadialSpectrum([6, 8], 2.0, 2, 0.5)
TERM = Term(DESCRIPTOR, kernels.Polynomial(zeta=2), delta=0.7, n_sparse=12)
SIGMA = {"energy": 0.05, "energies": 0.1}
E0 = {6: -10.0, 8: -20.0}


def local_energies(atoms):
    """A smooth function of environments that none of the kernels holds exactly."""
    X = PairHistogram((6, 8), n_max=6, width=0.4).transform(atoms)
    return np.array([E0[z] for z in atoms.numbers]) + np.sin(X @ np.linspace(0, 1.5, X.shape[1]))


def make_frames(n, seed=0, labels=("energy", "energies"), size=(2, 7)):
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        n_atoms = int(rng.integers(*size))
        atoms = Atoms(rng.choice([6, 8], n_atoms), rng.uniform(0, 4.5, (n_atoms, 3)), cell=[5.0] * 3, pbc=k % 2 == 0)
        frames.append(label(atoms, labels))
    return frames


def label(atoms, labels=("energy",)):
    values = local_energies(atoms)
    if "energy" in labels:
        atoms.info["REF_energy"] = float(values.sum())
    if "energies" in labels:
        atoms.arrays["REF_energies"] = values
    return atoms


def energies(frames):
    return np.array([atoms.info["REF_energy"] for atoms in frames])


def some_points(frames, terms, n):
    """Sparse points far from each other for every term, so that the dense formulas are well conditioned."""
    numbers, points = np.concatenate([atoms.numbers for atoms in frames]), []
    for term in terms:
        X = term.descriptor.transform(frames)
        chosen = select(X, n, "fps", groups=numbers)
        points.append(SparsePoints(X[chosen], numbers[chosen], np.full((n, 2), -1)))
    return points


class Dense:
    """The textbook formulas with every matrix held, for terms on given sparse points and E0 known."""

    def __init__(self, terms, points, frames, sigma):
        self.terms, self.points = terms, points
        rows, y, noise = [], [], []
        for atoms in frames:
            local, e0 = self.local_rows(atoms), np.array([E0[z] for z in atoms.numbers])
            if "REF_energy" in atoms.info:
                rows.append(local.sum(axis=0)[None])
                y.append([atoms.info["REF_energy"] - e0.sum()])
                noise.append([sigma["energy"] * np.sqrt(len(atoms))])
            if "REF_energies" in atoms.arrays:
                rows.append(local)
                y.append(atoms.arrays["REF_energies"] - e0)
                noise.append(np.full(len(atoms), sigma["energies"]))
        K, y, noise = np.concatenate(rows), np.concatenate(y), np.concatenate(noise)
        blocks = [self.block(t, p.features, p.species, p) for t, p in zip(terms, points, strict=True)]
        size = sum(map(len, blocks))
        self.K_MM, start = np.zeros((size, size)), 0
        for block in blocks:
            self.K_MM[start : start + len(block), start : start + len(block)] = block
            start += len(block)
        weighted = K / noise[:, None] ** 2
        self.c = np.linalg.solve(self.K_MM + K.T @ weighted, weighted.T @ y)
        self.sigma_c = np.linalg.inv(self.K_MM + K.T @ weighted)
        C = K @ np.linalg.solve(self.K_MM, K.T) + np.diag(noise**2)
        self.lml = -0.5 * (y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1] + len(y) * np.log(2 * np.pi))

    def block(self, term, X, species, points):
        K = term.delta**2 * term.kernel(X, points.features)
        return K * (species[:, None] == points.species) if term.match_species else K

    def local_rows(self, atoms):
        parts = zip(self.terms, self.points, strict=True)
        return np.concatenate(
            [self.block(t, t.descriptor.transform(atoms), atoms.numbers, p) for t, p in parts], axis=1
        )

    def prior(self, atoms):
        total = np.zeros((len(atoms), len(atoms)))
        for term in self.terms:
            X = term.descriptor.transform(atoms)
            here = SparsePoints(X, atoms.numbers, np.zeros((len(X), 2)))
            total += self.block(term, X, atoms.numbers, here)
        return total

    def predict(self, atoms):
        k, prior = self.local_rows(atoms), self.prior(atoms)
        local = np.array([E0[z] for z in atoms.numbers]) + k @ self.c
        covariance = prior - k @ np.linalg.solve(self.K_MM, k.T) + k @ self.sigma_c @ k.T
        return {
            "energy": local.sum(),
            "energies": local,
            "energy_std": np.sqrt(covariance.sum()),
            "energies_std": np.sqrt(covariance.diagonal()),
        }


def partial(frames):
    """Frames with total energies, local energies, both, in turn."""
    for k, atoms in enumerate(frames):
        label(atoms, [("energy",), ("energies",), ("energy", "energies")][k % 3])
    return frames


LABELLED = {
    "totals": lambda: make_frames(25, labels=("energy",)),
    "local": lambda: make_frames(10, labels=("energies",)),
    "both": lambda: make_frames(10),
    "partial": lambda: partial(make_frames(20, labels=())),
}


@pytest.mark.filterwarnings("ignore:standard deviations of")
@pytest.mark.parametrize("labelled", LABELLED)
@pytest.mark.parametrize("n_terms", [1, 2])
@pytest.mark.parametrize("match_species", [True, False])
def test_dense_formulas(labelled, n_terms, match_species):
    frames, test = LABELLED[labelled](), make_frames(6, seed=9)
    terms = [
        Term(DESCRIPTOR, kernels.Gaussian(length_scale=0.5), delta=0.7, match_species=match_species),
        Term(OTHER, kernels.Polynomial(zeta=2), delta=0.3, match_species=match_species),
    ][:n_terms]
    points = some_points(frames, terms, 6)
    potential = Potential(terms, sigma=SIGMA, e0={"C": E0[6], "O": E0[8]}, cross_validation=0)
    potential.fit(frames, sparse_points=points)
    dense = Dense(terms, points, frames, SIGMA)
    assert abs(potential.log_marginal_likelihood_ - dense.lml) <= 1e-7 * abs(dense.lml)
    predicted = potential.predict(test, std=True)
    expected = [dense.predict(atoms) for atoms in test]
    for key in ("energy", "energies", "energy_std", "energies_std"):
        reference = np.concatenate([np.atleast_1d(e[key]) for e in expected])
        assert predicted[key].shape == reference.shape
        assert np.abs(predicted[key] - reference).max() <= 1e-7, key


@pytest.mark.parametrize("kernel", [cls() for cls in kernels.KERNELS.values()], ids=list(kernels.KERNELS))
def test_every_kernel_learns(kernel):
    frames, test = make_frames(40, size=(4, 7)), make_frames(20, seed=5, size=(4, 7))
    potential = Potential(Term(DESCRIPTOR, kernel, n_sparse=60), sigma=SIGMA).fit(frames)
    spread = np.std(energies(test) - [sum(E0[z] for z in atoms.numbers) for atoms in test])
    errors = potential.predict(test)["energy"] - energies(test)
    assert np.sqrt(np.mean(errors**2)) <= 0.7 * spread
    assert potential.fit_report_["residuals"]["energies"]["rmse"] <= 0.5


@pytest.mark.filterwarnings("ignore:standard deviations of")
def test_all_environments_as_sparse_points_give_the_full_gaussian_process():
    frames, test = make_frames(8, labels=("energies",), size=(5, 8)), make_frames(4, seed=2)
    term = Term(DESCRIPTOR, kernels.Matern(nu=1.5, length_scale=0.5), delta=1.3, n_sparse=sum(map(len, frames)))
    potential = Potential(term, sigma=SIGMA, e0=E0, cross_validation=0).fit(frames)
    assert len(potential.weights_) == sum(map(len, frames))

    def kernel(a, b):
        X, Y = DESCRIPTOR.transform(a), DESCRIPTOR.transform(b)
        species = [np.concatenate([atoms.numbers for atoms in group]) for group in (a, b)]
        return term.delta**2 * term.kernel(X, Y) * (species[0][:, None] == species[1])

    y = np.concatenate([a.arrays["REF_energies"] - [E0[z] for z in a.numbers] for a in frames])
    C = kernel(frames, frames) + SIGMA["energies"] ** 2 * np.eye(len(y))
    k = kernel(test, frames)
    mean = np.concatenate([[E0[z] for z in a.numbers] for a in test]) + k @ np.linalg.solve(C, y)
    std = np.sqrt(term.delta**2 - np.einsum("ij,ji->i", k, np.linalg.solve(C, k.T)))
    predicted = potential.predict(test, std="energies")
    assert np.abs(predicted["energies"] - mean).max() <= 1e-8
    assert np.abs(predicted["energies_std"] - std).max() <= 1e-7


def test_energy_is_the_sum_of_energies_and_std_is_returned_on_request_only():
    frames = make_frames(12)
    potential = Potential(TERM).fit(frames)
    keys = ["energy", "energies", "forces", "virial", "stress"]
    assert list(potential.predict(frames)) == keys
    assert list(potential.predict(frames, std=["energy"])) == [*keys, "energy_std"]
    assert list(potential.predict(frames, forces=False)) == keys[:2]
    predicted = potential.predict(frames, std=True)
    splits = np.cumsum([len(atoms) for atoms in frames])[:-1]
    sums = [part.sum() for part in np.split(predicted["energies"], splits)]
    assert np.abs(predicted["energy"] - sums).max() <= 1e-12
    one = potential.predict(frames[3])
    assert one["energy"].shape == (1,)
    assert abs(one["energy"][0] - predicted["energy"][3]) <= 1e-12
    nothing = potential.predict([], std=True)
    assert {key: value.shape for key, value in nothing.items()} == {k: (0, *v.shape[1:]) for k, v in predicted.items()}


def test_out():
    frames = make_frames(5)
    potential = Potential(TERM).fit(frames)
    out = {"energy": np.empty(5), "energies_std": np.empty(sum(map(len, frames)))}
    predicted = potential.predict(frames, std=["energies"], out=out)
    assert predicted["energy"] is out["energy"]
    assert predicted["energies_std"] is out["energies_std"]
    with pytest.raises(DataError, match=r"out\['energy'\]"):
        potential.predict(frames, out={"energy": np.empty(4)})
    with pytest.raises(ConfigError, match=r"'enrgy' is unknown.*Did you mean 'energy'"):
        potential.predict(frames, out={"enrgy": np.empty(5)})
    with pytest.raises(ConfigError, match="'energy_std' is unknown"):  # not asked for
        potential.predict(frames, out={"energy_std": np.empty(5)})


# --------------------------------------------------------------------------------------------- E0 and isolated atoms


def test_e0_is_recovered_by_least_squares():
    frames = make_frames(20, labels=())
    for atoms in frames:
        atoms.info["REF_energy"] = float(sum(E0[z] for z in atoms.numbers))
    potential = Potential(TERM).fit(frames)
    assert abs(potential.e0_["C"] - E0[6]) <= 1e-9
    assert abs(potential.e0_["O"] - E0[8]) <= 1e-9
    assert np.abs(potential.predict(frames)["energy"] - energies(frames)).max() <= 1e-8
    assert potential.fit_report_["e0_sources"] == {"C": "least squares", "O": "least squares"}


def test_e0_from_local_energies_alone():
    frames = make_frames(20, labels=("energies",))
    for atoms in frames:
        atoms.arrays["REF_energies"] = np.array([E0[z] for z in atoms.numbers])
    potential = Potential(TERM).fit(frames)
    assert abs(potential.e0_["C"] - E0[6]) <= 1e-9


def test_e0_of_an_element_that_has_local_energies_alone():
    frames = make_frames(20, labels=())
    for atoms in frames[:10]:
        atoms.numbers[:] = 6
        atoms.info["REF_energy"] = E0[6] * len(atoms)
    for atoms in frames[10:]:
        atoms.numbers[:] = 8
        atoms.arrays["REF_energies"] = np.full(len(atoms), E0[8])
    potential = Potential(TERM).fit(frames)
    assert abs(potential.e0_["C"] - E0[6]) <= 1e-9
    assert abs(potential.e0_["O"] - E0[8]) <= 1e-9


def isolated(z, energy, config_type=None, **options):
    info = {"REF_energy": energy} | ({"config_type": config_type} if config_type else {})
    return Atoms([z], info=info, **options)


def test_isolated_atoms_give_e0_and_are_no_training_frames():
    frames = make_frames(10, labels=("energy",))
    atoms = [isolated(6, -9.5, "isolated_atom"), isolated(8, -19.0, cell=[9.0] * 3, pbc=True)]
    crystal = isolated(6, -9.9, cell=[2.0] * 3, pbc=True)  # its own images are neighbours
    potential = Potential(TERM).fit([atoms[0], *frames, crystal, atoms[1]])
    assert potential.e0_ == {"C": -9.5, "O": -19.0}
    assert potential.fit_report_["n_training_frames"] == 11
    assert potential.fit_report_["n_isolated_atoms"] == 2
    assert potential.isolated_atoms([*atoms, crystal, *frames]).tolist() == [True, True, *[False] * 11]
    # frames are numbered as they were given; the free atoms come after the sparse points that were chosen
    origin = potential.sparse_points_[0].origin
    assert origin[:-2, 0].min() >= 1
    assert origin[-2:].tolist() == [[0, 0], [12, 0]]
    assert set(potential.fit_report_["e0_sources"].values()) == {"isolated atom"}


def test_isolated_atoms_with_local_energies_give_e0():
    lone = Atoms("C")
    lone.arrays["REF_energies"] = np.array([-9.5])
    potential = Potential(TERM).fit([*make_frames(10, labels=("energies",)), lone])
    assert potential.e0_["C"] == -9.5
    assert potential.fit_report_["e0_sources"] == {"C": "isolated atom", "O": "least squares"}


def test_frames_without_atoms_teach_nothing():
    frames = make_frames(8)
    potential = Potential(TERM).fit([*frames, Atoms(info={"REF_energy": 0.0})])
    assert potential.fit_report_["n_training_frames"] == 8
    np.testing.assert_array_equal(potential.weights_, Potential(TERM).fit(frames).weights_)


def test_an_isolated_atom_of_several_atoms_is_an_error():
    frames = make_frames(3)
    frames[1].info["config_type"] = "IsolatedAtom"
    with pytest.raises(DataError, match=r"frame 1: config_type 'IsolatedAtom', but \d atoms"):
        Potential(TERM).fit(frames)


def test_the_energy_of_an_isolated_atom_is_e0_plus_the_kernels_value():
    frames = make_frames(30)
    potential = Potential(TERM, sigma=SIGMA, e0=E0).fit(frames)
    lone = Atoms("C")
    points = potential.sparse_points_[0]
    k = TERM.delta**2 * TERM.kernel(DESCRIPTOR.transform(lone), points.features) * (points.species == 6)
    expected = E0[6] + float((k @ potential.weights_)[0])
    assert abs(potential.predict(lone)["energy"][0] - expected) <= 1e-12


def test_compositions_outside_the_span_warn():
    frames = make_frames(20, labels=())
    for atoms in frames:
        atoms.numbers[:] = 6
        if len(atoms) % 2 == 0:
            atoms.numbers[::2] = 8
    frames = [label(atoms) for atoms in frames if len(atoms) % 2 == 0]
    potential = Potential(TERM).fit(frames)
    potential.predict(frames)
    with pytest.warns(UserWarning, match=r"frame 1: its composition .* unknown offset \(1 of 2 frames\)"):
        potential.predict([frames[0], Atoms("CO2", positions=np.eye(3))])
    given = Potential(TERM, e0=E0).fit(frames)
    given.predict(Atoms("CO2", positions=np.eye(3)))


# ------------------------------------------------------------------------------------------------------------ sigmas


def crystals(n=6):
    frames = []
    for seed in range(n):
        atoms = bulk("C", "fcc", a=3.0 + 0.1 * seed, cubic=True)
        atoms.numbers[1] = 8
        atoms.rattle(0.1, seed=seed)
        frames.append(label(atoms))
    return frames


@pytest.mark.filterwarnings("ignore:standard deviations of")
@pytest.mark.parametrize(("scaling", "copies"), [("sqrt", 2), ("per_atom", 1), ("total", 0.5)])
def test_supercells(scaling, copies):
    """A doubled cell counts as two frames with "sqrt", as one with "per_atom"; with "total" as one of doubled sigma."""
    frames = crystals()
    doubled = [atoms.repeat((2, 1, 1)) for atoms in frames]
    for atoms, big in zip(frames, doubled, strict=True):
        big.info["REF_energy"] = 2 * atoms.info["REF_energy"]
    points = some_points(frames, [TERM], 8)
    options = {"sigma_scaling": scaling, "e0": E0, "cross_validation": 0}
    fit = Potential(TERM, sigma={"energy": 0.01}, **options).fit(doubled, sparse_points=points)
    sigma, listed = 0.01, frames * int(max(copies, 1))
    if scaling == "total":
        sigma /= 2
    reference = Potential(TERM, sigma={"energy": sigma}, **options)
    reference.fit(listed, sparse_points=points)
    test = crystals(9)
    assert np.abs(fit.predict(test)["energy"] - reference.predict(test)["energy"]).max() <= 1e-8
    assert (
        np.abs(fit.predict(test, std=True)["energy_std"] - reference.predict(test, std=True)["energy_std"]).max()
        <= 1e-8
    )


def test_sigma_of_config_types_and_frames():
    """Three ways to say the same: sigma = 0.02 sqrt(n) eV for the frames of one config_type."""
    frames, test = make_frames(12, labels=("energy",)), make_frames(5, seed=3)
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "liquid" if k % 3 == 0 else "bulk"
    points = some_points(frames, [TERM], 8)
    given = Potential(TERM, sigma={"energy": 0.5}, config_type_sigma={"liquid": {"energy": 0.02}}, e0=E0)
    expected = given.fit(frames, sparse_points=points).predict(test)["energy"]
    other = Potential(TERM, sigma={"energy": 0.5}, e0=E0).fit(frames, sparse_points=points).predict(test)["energy"]
    assert np.abs(other - expected).max() > 1e-3
    for atoms in frames:
        if atoms.info["config_type"] == "liquid":
            atoms.info["energy_sigma"] = 0.02 * np.sqrt(len(atoms))
    absolute = Potential(TERM, sigma={"energy": 0.5}, e0=E0).fit(frames, sparse_points=points)
    assert np.abs(absolute.predict(test)["energy"] - expected).max() <= 1e-10
    kept = [atoms for atoms in frames if atoms.info["config_type"] == "bulk"]
    left_out = Potential(TERM, sigma={"energy": 0.5}, config_type_sigma={"liquid": {"energy": None}}, e0=E0)
    for atoms in frames:
        atoms.info.pop("energy_sigma", None)
    left_out.fit(frames, sparse_points=points)
    reference = Potential(TERM, sigma={"energy": 0.5}, e0=E0).fit(kept, sparse_points=points)
    assert left_out.fit_report_["labels"]["energy"]["rows"] == len(kept)
    assert np.abs(left_out.predict(test)["energy"] - reference.predict(test)["energy"]).max() <= 1e-10


def test_a_kind_without_sigma_is_not_trained_on():
    frames, test = make_frames(12), make_frames(5, seed=3)
    points = some_points(frames, [TERM], 8)
    both = Potential(TERM, sigma={"energy": 0.1, "energies": None}, e0=E0).fit(frames, sparse_points=points)
    for atoms in frames:
        del atoms.arrays["REF_energies"]
    totals = Potential(TERM, sigma={"energy": 0.1}, e0=E0).fit(frames, sparse_points=points)
    assert np.array_equal(both.predict(test)["energies"], totals.predict(test)["energies"])
    assert both.fit_report_["labels"]["energies"] == {"key": "REF_energies", "frames": 12, "rows": 0}


def test_labels_without_a_sigma_are_found_and_reported_but_not_used(caplog):
    frames = make_frames(4)
    for atoms in frames:
        atoms.arrays["REF_forces"] = np.ones((len(atoms), 3))
    with caplog.at_level("INFO", logger="mercer"):
        report = Potential(TERM, sigma=SIGMA).fit(frames).fit_report_
    assert report["labels"]["forces"] == {"key": "REF_forces", "frames": 4, "rows": 0}
    assert "labels found but not used: forces (REF_forces) in 4 frames: no sigma" in caplog.text


# ---------------------------------------------------------------------------------------------- sums of terms


def test_a_sum_of_two_terms_is_recovered():
    """A target that is a sum of two models, each in the span of one term, is learnt from totals of the sum alone."""
    terms = [
        Term(OTHER, kernels.Polynomial(zeta=2), n_sparse=10, match_species=False),
        Term(RadialSpectrum([6, 8], 4.0, 4, 0.5), kernels.Gaussian(length_scale=1.0), delta=0.5, n_sparse=12),
    ]
    frames, test = make_frames(150, labels=()), make_frames(20, seed=7, labels=())
    points = some_points(frames, terms, 10)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=len(p)) for p in points]

    def target(atoms):
        total = 0.0
        for term, p, w in zip(terms, points, weights, strict=True):
            K = term.kernel(term.descriptor.transform(atoms), p.features)
            if term.match_species:
                K = K * (atoms.numbers[:, None] == p.species)
            total += float(K.sum(axis=0) @ w)
        return total

    for atoms in frames + test:
        atoms.info["REF_energy"] = target(atoms)
    spread = np.std(energies(test))
    sum_of_terms = Potential(terms, sigma={"energy": 1e-5}, e0=None).fit(frames, sparse_points=points)
    assert np.abs(sum_of_terms.predict(test)["energy"] - energies(test)).max() <= 1e-3 * spread
    for term, p in zip(terms, points, strict=True):
        alone = Potential(term, sigma={"energy": 1e-5}, e0=None).fit(frames, sparse_points=[p])
        assert np.abs(alone.predict(test)["energy"] - energies(test)).max() >= 1e-1 * spread


# ---------------------------------------------------------------------------------------------- sparse points


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("match_species", [True, False])
def test_sparse_points_are_environments_of_the_data(selection, match_species, monkeypatch):
    monkeypatch.setattr(sparse_points_module, "_CHUNK_ATOMS", 9)
    frames = make_frames(15)
    term = Term(DESCRIPTOR, kernels.Gaussian(length_scale=0.5), n_sparse=10, selection=selection)
    potential = Potential(Term(**{**vars(term), "match_species": match_species})).fit(frames)
    (points,) = potential.sparse_points_
    assert len(points) == 10
    assert len(set(map(tuple, points.origin))) == 10
    for x, z, (frame, atom) in zip(points.features, points.species, points.origin, strict=True):
        assert frames[frame].numbers[atom] == z
        assert np.array_equal(DESCRIPTOR.transform(frames[frame])[atom], x)


def test_n_sparse_per_element():
    frames = make_frames(15)
    term = Term(DESCRIPTOR, TERM.kernel, n_sparse={"O": 3, 6: 5})
    assert Potential(term).fit(frames).fit_report_["n_sparse"] == [{"C": 5, "O": 3}]
    with pytest.raises(ConfigError, match="n_sparse: no number for O"):
        Potential(Term(DESCRIPTOR, TERM.kernel, n_sparse={"C": 3})).fit(frames)
    with pytest.raises(
        DataError, match=r"n_sparse=3000 for O is larger than the data: \d+ environments \(C: \d+, O: \d+\)"
    ):
        Potential(Term(DESCRIPTOR, TERM.kernel, n_sparse={"C": 3, "O": 3000})).fit(frames)
    with pytest.raises(ConfigError, match="needs match_species=True"):
        Term(DESCRIPTOR, TERM.kernel, n_sparse={"C": 3}, match_species=False)


def test_max_selection_bounds_the_features_held(monkeypatch):
    frames, sizes = make_frames(40), []
    original = sparse_points_module.select

    def watched(X, *arguments, **options):
        sizes.append(len(X))
        return original(X, *arguments, **options)

    monkeypatch.setattr(sparse_points_module, "select", watched)
    a, b = (Potential(TERM, max_selection=30, seed=seed).fit(frames) for seed in (0, 1))
    assert all(28 <= size <= 30 for size in sizes)
    assert not np.array_equal(a.sparse_points_[0].origin, b.sparse_points_[0].origin)


# ------------------------------------------------------------------------------------------------- robustness


def test_frame_data_takes_and_chunks():
    frames = make_frames(12)
    data = FrameData.read_labelled(frames).take([7, 2, 9, 4]).take([3, 0, 2])
    assert data.origin.tolist() == [4, 7, 9]
    assert data.numbers.tolist() == np.concatenate([frames[k].numbers for k in (4, 7, 9)]).tolist()
    assert data.labels.energy.tolist() == [frames[k].info["REF_energy"] for k in (4, 7, 9)]
    data = FrameData.read(frames)
    for most in (1, 6, 12, 1000):
        chunks = list(data.chunks(most))
        assert [k for chunk in chunks for k in range(chunk.span.start, chunk.span.stop)] == list(range(12))
        assert np.concatenate([chunk.numbers for chunk in chunks]).tolist() == data.numbers.tolist()
        for chunk in chunks:
            assert np.diff(chunk.offsets).tolist() == [len(atoms) for atoms in chunk.frames]
            assert len(chunk.numbers) <= most or len(chunk.frames) == 1
        for one, following in pairwise(chunks):  # no chunk could have taken another frame
            assert len(one.numbers) + len(following.frames[0]) > most


def test_chunks_do_not_matter(monkeypatch):
    frames, test = make_frames(15), make_frames(30, seed=4)
    points = some_points(frames, [TERM], 10)
    expected = Potential(TERM, sigma=SIGMA).fit(frames, sparse_points=points).predict(test, std=True)
    monkeypatch.setattr(potential_module, "block_rows", lambda columns: 20)
    monkeypatch.setattr(memory_module, "BLOCK_BYTES", 1)
    predicted = Potential(TERM, sigma=SIGMA).fit(frames, sparse_points=points).predict(test, std=True)
    for key, values in expected.items():
        assert np.array_equal(np.isnan(predicted[key]), np.isnan(values)), key
        assert np.nanmax(np.abs(predicted[key] - values)) <= 1e-9, key


def test_residuals_are_those_of_predictions():
    frames = make_frames(12)
    potential = Potential(TERM, sigma=SIGMA).fit(frames)
    predicted = potential.predict(frames)
    r = predicted["energy"] - energies(frames)
    reported = potential.fit_report_["residuals"]["energy"]
    sigma = SIGMA["energy"] * np.sqrt([len(atoms) for atoms in frames])
    assert reported["n"] == 12
    assert abs(reported["mae"] - np.abs(r).mean()) <= 1e-10
    assert abs(reported["rmse"] - np.sqrt(np.mean(r**2))) <= 1e-10
    assert abs(reported["rms_over_sigma"] - np.sqrt(np.mean((r / sigma) ** 2))) <= 1e-8
    local = predicted["energies"] - np.concatenate([atoms.arrays["REF_energies"] for atoms in frames])
    assert abs(potential.fit_report_["residuals"]["energies"]["mae"] - np.abs(local).mean()) <= 1e-10


def test_the_order_of_frames_does_not_matter():
    frames, test = make_frames(15), make_frames(5, seed=4)
    points = some_points(frames, [TERM], 10)
    a = Potential(TERM, sigma=SIGMA).fit(frames, sparse_points=points).predict(test)["energies"]
    b = Potential(TERM, sigma=SIGMA).fit(frames[::-1], sparse_points=points).predict(test)["energies"]
    assert np.abs(a - b).max() <= 1e-9
    order = np.random.default_rng(0).permutation(15)
    potential = Potential(TERM).fit(frames)
    shuffled = potential.predict([frames[k] for k in order])["energy"]
    assert np.abs(shuffled - potential.predict(frames)["energy"][order]).max() <= 1e-12


def test_the_same_seed_gives_the_same_model_and_threads_do_not_matter(tmp_path):
    frames, test = silicon(10), silicon(4, seed=50)
    for name, threads in (("a", 1), ("b", 1), ("c", 2)):
        with mercer.threads(threads):
            Potential(soap_term()).fit(frames).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    one, two = (mercer.load(tmp_path / name).predict(test, std=True) for name in "ac")
    for key, values in one.items():
        assert np.abs(two[key] - values).max() <= 1e-10, key


def test_progress_and_report():
    calls = []
    frames = make_frames(9)
    potential = Potential(TERM).fit(frames, progress=lambda *call: calls.append(call))
    assert {stage for stage, _, _ in calls} == {"select", "rows", "cross-validation", "solve"}
    assert all(0 <= done <= total for _, done, total in calls)
    assert ("rows", 9, 9) in calls
    report = json.loads(json.dumps(potential.fit_report_, allow_nan=False))
    assert report["n_training_frames"] == 9
    assert {"read", "selection", "rows", "cross-validation", "solver", "residuals"} <= set(report["seconds"])
    calls.clear()
    potential.predict(frames, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("predict", 9, 9)


def test_labels_in_other_units():
    frames = make_frames(8, labels=("energy",))
    for atoms in frames:
        atoms.info["e"] = atoms.info.pop("REF_energy") / 0.0433641153
    labels = read_labels(frames, {"energy": "e"}, {"energy": "kcal/mol"})
    assert abs(Potential(TERM).fit(frames, labels).e0_["C"] + 10) <= 2.0
    with pytest.raises(DataError, match="labels of 8 frames do not belong to these 7"):
        Potential(TERM).fit(frames[:7], labels)


# ------------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"terms": []}, ConfigError, "at least one"),
        ({"terms": [1]}, ConfigError, "at least one"),
        ({"baseline": "zbll"}, ConfigError, "baseline 'zbll' is unknown"),
        ({"baseline": 1}, ConfigError, "baseline=1"),
        ({"max_memory": "much"}, ConfigError, "max_memory='much'"),
        ({"sigma": {"energy": -1.0}}, ConfigError, r"sigma\[.energy.\]=-1.0: expected a finite number > 0"),
        ({"sigma": {"force": 1.0}}, ConfigError, "unknown kind of label 'force'"),
        ({"sigma_scaling": "root"}, ConfigError, "sigma_scaling='root'"),
        ({"config_type_sigma": {"a": {"e": 1}}}, ConfigError, r"config_type_sigma\['a'\]"),
        ({"solver": "magic"}, ConfigError, "solver='magic'"),
        ({"seed": -1}, ConfigError, "seed"),
        ({"max_selection": 0}, ConfigError, "max_selection"),
        ({"e0": {"Xx": 1.0}}, ConfigError, "'Xx'"),
        ({"e0": "best"}, ConfigError, "e0"),
        ({"e0": {"C": 1.0}}, DataError, "no energy for O"),
        ({"e0": "isolated"}, DataError, "no isolated atom with an energy for C, O"),
        ({"sigma": {"forces": 0.1}}, DataError, r"no labels to train on .* energy in 3"),
    ],
)
def test_wrong_parameters(change, error, match):
    with pytest.raises(error, match=match):
        Potential(**{"terms": TERM, **change}).fit(make_frames(3))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"descriptor": "soap"}, "descriptor='soap'; expected a descriptor"),
        ({"kernel": "polynomal"}, "Did you mean 'polynomial'"),
        ({"kernel": None}, "kernel=None"),
        ({"delta": 0}, "delta"),
        ({"delta": np.nan}, "delta"),
        ({"n_sparse": 0}, "n_sparse"),
        ({"n_sparse": 2.5}, "n_sparse"),
        ({"n_sparse": {"C": 0}}, "n_sparse of C"),
        ({"selection": "crr"}, "cur"),
        ({"descriptor": mercer.SOAP(["Si"], 4.0, 3, 2, 0.5, cutoff="none")}, "cutoff function is 'none'"),
        ({"descriptor": mercer.SOAP(["Si"], 4.0, 3, 2, 0.5, central_weight=0.0)}, "central_weight=0"),
    ],
)
def test_wrong_terms(change, match):
    with pytest.raises(ConfigError, match=match):
        Term(**{**vars(TERM), **change})


def test_rows_without_central_weight_are_fine_where_they_are_not_normalised():
    Term(mercer.SOAP(["Si"], 4.0, 3, 2, 0.5, central_weight=0.0, normalize=False), kernels.Gaussian())


def test_data_that_cannot_be_used():
    frames = make_frames(4)
    with pytest.raises(DataError, match=r"n_sparse=1000 is larger than the data: \d+ environments \(C: \d+, O: \d+\)"):
        Potential(Term(DESCRIPTOR, TERM.kernel)).fit(frames)
    with pytest.raises(DataError, match="n_sparse=1 is smaller than the number"):
        Potential(Term(DESCRIPTOR, TERM.kernel, n_sparse=1)).fit(frames)
    with pytest.raises(DataError, match="frame 1, atom 0: the descriptor RadialSpectrum does not know the element N"):
        Potential(TERM).fit([frames[0], Atoms("N", info={"REF_energy": 0.0})])
    for atoms in frames:
        atoms.info.clear()
        del atoms.arrays["REF_energies"]
    with pytest.raises(DataError, match="no labels found"):
        Potential(TERM).fit(frames)
    frames[2].info["REF_energy"] = np.nan
    with pytest.raises(DataError, match=r"frame 2.*REF_energy.*NaN"):
        Potential(TERM).fit(frames)


def test_elements_that_were_not_in_the_training_data():
    frames = make_frames(8)
    for atoms in frames:
        atoms.numbers[:] = 6
    potential = Potential(TERM).fit([label(atoms) for atoms in frames])
    with pytest.raises(DataError, match="frame 1, atom 1: the potential does not know the element O; it knows C"):
        potential.predict([frames[0], Atoms("CO", positions=[[0, 0, 0], [0, 0, 1]])])


def test_not_fitted(tmp_path):
    for call in (lambda p: p.predict([]), lambda p: p.save(tmp_path / "model")):
        with pytest.raises(NotFittedError, match="call fit"):
            call(Potential(TERM))


def test_scikit_learn_parameters():
    potential = Potential([TERM], e0="none", seed=3)
    copy = clone(potential)
    assert copy.get_params() == potential.get_params()
    assert copy.set_params(seed=4).seed == 4
    assert not hasattr(clone(potential.fit(make_frames(5))), "weights_")


# ---------------------------------------------------------------------------------------------------------- files


def silicon(n, seed=0):
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=k % 2 == 0)
        atoms.rattle(0.1, seed=seed + k)
        atoms.info["REF_energy"] = float(-4.0 * len(atoms) + np.sum(np.sin(atoms.get_all_distances(mic=True))))
        frames.append(atoms)
    return frames


def soap_term(**options):
    soap = mercer.SOAP(["Si"], r_cut=4.0, n_max=4, l_max=3, sigma=0.5)
    return Term(soap, kernels.Polynomial(zeta=4), **{"n_sparse": 12, **options})


POTENTIALS = {
    "soap": lambda: Potential(soap_term(), e0={"Si": -4.0}, config_type_sigma={"a": {"energy": 0.1}}),
    "sum": lambda: Potential(
        [
            soap_term(n_sparse={"Si": 7}, delta=0.3),
            Term(
                mercer.RadialSpectrum(["Si"], r_cut=5.0, n_max=4, sigma=0.5),
                kernels.Matern(nu=2.5, length_scale=0.7),
                n_sparse=6,
                selection="fps",
                match_species=False,
            ),
        ],
        sigma={"energy": 0.01, "energies": None},
        seed=5,
    ),
}


@pytest.mark.parametrize("kind", POTENTIALS)
def test_a_loaded_potential_predicts_bit_for_bit_the_same(kind, tmp_path):
    frames, test = silicon(8), silicon(5, seed=50)
    potential = POTENTIALS[kind]().fit(frames)
    path = tmp_path / "model"
    potential.save(path)
    loaded = mercer.load(path)
    before, after = potential.predict(test, std=True), loaded.predict(test, std=True)
    for key, values in before.items():
        assert values.tobytes() == after[key].tobytes(), key
    assert loaded.e0_ == potential.e0_
    assert loaded.log_marginal_likelihood_ == potential.log_marginal_likelihood_
    for name, value in potential.get_params(deep=False).items():
        assert name in ("terms", "sigma", "e0", "config_type_sigma") or getattr(loaded, name) == value
    assert [t.to_dict() for t in loaded._terms()] == [t.to_dict() for t in potential._terms()]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    # a loaded potential can be fitted again, with the same result
    assert np.array_equal(loaded.fit(frames).weights_, potential.weights_)


def test_the_covariance_is_optional(tmp_path):
    frames = silicon(8)
    potential = Potential(soap_term()).fit(frames)
    potential.save(tmp_path / "with")
    potential.save(tmp_path / "without", variance=False)
    loaded = mercer.load(tmp_path / "without")
    assert (tmp_path / "without").stat().st_size < (tmp_path / "with").stat().st_size
    assert np.array_equal(loaded.predict(frames)["energy"], potential.predict(frames)["energy"])
    with pytest.raises(ModelFileError, match="saved without its covariance"):
        loaded.predict(frames, std=True)
    loaded.save(tmp_path / "again")
    assert mercer.load(tmp_path / "again").covariance_ is None


def test_the_header_is_enough_to_evaluate_the_model(tmp_path):
    """By the formula that the format states, from the file alone."""
    frames, test = silicon(8), silicon(3, seed=50)
    potential = POTENTIALS["sum"]().fit(frames)
    potential.save(tmp_path / "model")
    header, arrays, _ = read_model(tmp_path / "model")
    assert header["units"] == {"energy": "eV", "length": "Angstrom"}
    for atoms in test:
        energy = len(atoms) * header["e0"]["energies"][header["species"].index(14)]
        for t, term in enumerate(header["terms"]):
            X = mercer.descriptors.Descriptor.from_dict(term["descriptor"]).transform(atoms)
            K = kernels.get_kernel(term["kernel"])(X, arrays[f"terms.{t}.features"])
            energy += term["delta"] ** 2 * float((K @ arrays[f"terms.{t}.weights"]).sum())
        assert abs(energy - potential.predict(atoms)["energy"][0]) <= 1e-10


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda h, a: h["terms"][0]["descriptor"].update(type="Mystery"), "Mystery"),
        (lambda h, a: h["terms"][0]["descriptor"].update(mystery=1), "mystery"),
        (lambda h, a: h["terms"][0]["kernel"].update(name="mystery"), "mystery"),
        (lambda h, a: h["terms"][0].update(mystery=1), "mystery"),
        (lambda h, a: h["terms"][0].update(n_points=5), "terms.0.features has shape"),
        (lambda h, a: h["terms"][0]["descriptor"].update(n_max=5), "makes .* features"),
        (lambda h, a: h["parameters"].update(mystery=1), "mystery"),
        (lambda h, a: h.pop("species"), "species"),
        (lambda h, a: a.pop("terms.0.weights"), "terms.0.weights"),
        (lambda h, a: a.update({"terms.0.weights": np.zeros(3)}), "weights"),
        (lambda h, a: h.update(kind="mystery"), "mystery"),
    ],
)
def test_files_with_unknown_or_missing_parts(damage, match, tmp_path):
    path = tmp_path / "model"
    Potential(soap_term()).fit(silicon(6)).save(path)
    header, arrays, _ = read_model(path)
    damage(header, arrays)
    write_model(path, header, arrays)
    with pytest.raises(ModelFileError, match=match) as error:
        mercer.load(path)
    assert str(path) in str(error.value)
    assert mercer.__version__ in str(error.value)


def test_load_dispatches_by_content(tmp_path):
    path = tmp_path / "gap.xml"
    path.write_text("<?xml version='1.0'?>\n<GAP_2023/>")
    with pytest.raises(ModelFileError, match=r"gap\.xml"):
        mercer.load(path)
    with pytest.raises(ModelFileError, match="no such model file"):
        mercer.load(tmp_path / "none")


@pytest.mark.filterwarnings("ignore:standard deviations of")
def test_files_of_the_first_format_are_read_for_ever():
    """tests/reference/potential_v1.safetensors, written once by the script beside it, and the numbers it gave then."""
    folder = Path(__file__).parents[1] / "reference"
    potential = mercer.load(folder / "potential_v1.safetensors")
    expected = json.loads((folder / "potential_v1.json").read_text())
    frames = read_frames(folder / "potential_v1.extxyz")
    predicted = potential.predict(frames, std=True)
    assert set(expected) <= set(predicted)
    for key, values in expected.items():
        assert np.abs(predicted[key] - values).max() <= 1e-8, key
