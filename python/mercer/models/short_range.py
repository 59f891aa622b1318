"""Energies at short distances, where there are no data: followed after a fit, and mended where they fall.

A baseline of nuclear repulsion acts below the shortest distances in the data; what the kernels add there is an
extrapolation that may be attractive by several eV/Angstrom. A potential is therefore followed along paths that lead out
of the data: dimers of every pair of elements down to `SHORTEST`, and crystals of the training set down to `SMALLEST` of
their volume. Where the energy of a dimer does not rise inside its minimum, or the pressure of a crystal does not rise,
the weights are conditioned on slopes that do, as on any other label. The posterior covariance of the fit decides what
this changes: the labels that were trained on hold the weights where they are needed. Environments on the paths are
sparse points, so that there is something to change.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mercer import baselines
from mercer.models.frame_data import FrameData, symbol
from mercer.models.row_kinds import stack
from mercer.models.sparse_points import SparsePoints
from mercer.structures import compressed, dimers

_log = logging.getLogger("mercer")

#: Dimers are followed from at least `_WIDEST` to `SHORTEST` (Angstrom).
_WIDEST, SHORTEST, _STEP = 3.2, 0.4, 0.05
#: Crystals are followed to this part of their volume, in so many steps.
SMALLEST, _N_VOLUMES = 0.28, 45
#: The minimum of a dimer is looked for down to this part of the distance at which the repulsion begins.
_INSIDE = 0.85
#: Part of the slope of the repulsion that the kernels may cancel; least slope of a dimer towards short distances
#: (eV/Angstrom).
_CANCEL, _LEAST_SLOPE = 0.5, 0.2
#: Least bulk modulus of a compressed crystal, as a part of that of the uncompressed one.
_LEAST_STIFFNESS = 0.5
#: The bulk modulus that a crystal is taken to have at least, eV/Angstrom^3.
_SOFTEST = 1e-3
#: Part of the wanted rise with which a path is left as it is.
_ENOUGH = 0.4
#: Crystals that are followed, at most; atoms of each, and of all.
_MOST_CRYSTALS, _MOST_ATOMS, _MOST_IN_ALL = 12, 150, 800
#: Rounds of mending; standard deviation of a mended rise, as a part of the wanted one.
_ROUNDS, _SIGMA = 12, 0.3
#: Sparse points: distances of each dimer and volumes of each crystal, but for many of them fewer, to so many in all.
_DISTANCES, _VOLUMES, _MOST_POINTS = 14, 12, 200


@dataclass(frozen=True)
class Path:
    """Frames that lead out of the data, and the energy of their baseline.

    Attributes
    ----------
    name : str
    coordinate : (n,) array
        Distance (Angstrom) or volume (Angstrom^3), falling.
    base : (n,) array
        Energy that weights do not change, eV.
    K : (n, M) array
        Rows of the energies.
    n_atoms : int
    """

    name: str
    coordinate: np.ndarray
    base: np.ndarray
    K: np.ndarray
    n_atoms: int

    def energies(self, weights):
        return self.base + self.K @ weights

    def wrong(self, weights):
        """Steps whose rise is too small: indices, rises and wanted rises of all steps."""
        rises, least = self.rises(self.energies(weights))
        return np.flatnonzero(rises < _ENOUGH * least), rises, least


@dataclass(frozen=True)
class Dimer(Path):
    """Two atoms that approach each other: the energy must rise from its minimum on.

    `nearest` (Angstrom) is where the repulsion begins.
    """

    nearest: float

    def rises(self, energies):
        start = int(np.argmin(np.where(self.coordinate >= _INSIDE * self.nearest, energies, np.inf)))
        least = np.maximum(_CANCEL * np.diff(self.base), -_LEAST_SLOPE * np.diff(self.coordinate))
        rises = np.diff(energies)
        rises[:start] = np.inf
        return rises, least

    def rise_rows(self, steps):
        return self.K[steps + 1] - self.K[steps]

    def place(self, step):
        return float(self.coordinate[step])


class Crystal(Path):
    """A periodic frame that is compressed: the pressure must rise."""

    def rises(self, energies):
        V = self.coordinate
        rises = np.diff(-np.diff(energies) / np.diff(V))
        strain = -np.diff(np.log(0.5 * (V[1:] + V[:-1])))
        stiffness = np.max((rises / strain)[: len(V) // 4])
        return rises, _LEAST_STIFFNESS * max(stiffness, _SOFTEST) * strain

    def rise_rows(self, steps):
        V, K = self.coordinate, self.K
        first = (K[steps + 1] - K[steps]) / (V[steps + 1] - V[steps])[:, None]
        second = (K[steps + 2] - K[steps + 1]) / (V[steps + 2] - V[steps + 1])[:, None]
        return first - second

    def place(self, step):
        return float(self.coordinate[step] / self.coordinate[0])


class Probes:
    """Frames on the paths out of the data.

    Parameters
    ----------
    training : FrameData
        With labels less the baseline.
    e0 : FreeAtomEnergies
    zbl : mercer.baselines.ZBL
        Which says where the repulsion of a pair of elements begins.
    """

    def __init__(self, training, e0, zbl):
        self.dimers = []
        for a, z1 in enumerate(e0.species):
            for z2 in e0.species[a:]:
                nearest = zbl.range_of(z1, z2)[1]
                r = np.arange(max(_WIDEST, 1.3 * nearest), SHORTEST - 1e-9, -_STEP)
                self.dimers.append((f"dimer {symbol(z1)}-{symbol(z2)}", dimers(z1, z2, r), r, nearest))
        volumes = np.linspace(1.0, np.cbrt(SMALLEST), _N_VOLUMES) ** 3
        self.crystals = []
        for f in _lowest(training, e0):
            atoms = training.frames[f]
            name = f"crystal {atoms.get_chemical_formula()} of {training.where(f)}"
            self.crystals.append((name, compressed(atoms, volumes), volumes * atoms.get_volume()))

    def points(self, term):
        """Environments of the paths as further sparse points of a term; None for terms of clusters."""
        if not term.descriptor.per_atom:
            return None
        sets = (self.dimers, _DISTANCES), (self.crystals, _VOLUMES)
        frames = [self._pick(entry[1], min(most, max(2, _MOST_POINTS // len(s)))) for s, most in sets for entry in s]
        features, species = [], []
        for part in frames:
            numbers = part[0].numbers
            _, first = np.unique(numbers, return_index=True)  # one atom of each element
            rows = (len(numbers) * np.arange(len(part))[:, None] + first).ravel()
            with _off_the_grid():
                features.append(term.descriptor.transform(part)[rows])
            species.append(np.tile(numbers[first], len(part)))
        species = np.concatenate(species)
        return SparsePoints(np.concatenate(features), species, np.full((len(species), 2), -1))

    @staticmethod
    def _pick(frames, n):
        return frames.take(np.unique(np.linspace(0, len(frames) - 1, n).astype(int)))

    def paths(self, potential):
        for name, frames, r, nearest in self.dimers:
            yield Dimer(name, r, *_known(potential, FrameData.read(frames)), 2, nearest)
        for name, frames, volumes in self.crystals:
            yield Crystal(name, volumes, *_known(potential, FrameData.read(frames)), len(frames[0]))


def _lowest(training, e0):
    """Of every set of elements the frames of lowest energy that are periodic in three directions."""
    usable = np.array([atoms.pbc.all() for atoms in training.frames], bool) & (training.n_atoms <= _MOST_ATOMS)
    energy = training.labels.energy - e0.per_frame(training.numbers, training.offsets)
    energy = np.where(usable, energy / np.maximum(training.n_atoms, 1), np.nan)
    found = {}
    for f in np.argsort(energy, kind="stable")[: int(np.isfinite(energy).sum())]:
        found.setdefault(tuple(np.unique(training.frames[f].numbers)), []).append(f)
    ranked = [frames[k] for k in range(2) for frames in found.values() if k < len(frames)][:_MOST_CRYSTALS]
    atoms_so_far = np.cumsum(training.n_atoms[np.array(ranked, int)])
    return [f for f, n in zip(ranked, atoms_so_far, strict=True) if n <= _MOST_IN_ALL]


def mend(potential, probes):
    """Condition the weights of a fitted potential on energies that rise towards short distances.

    Parameters
    ----------
    potential : Potential
        Its weights are changed.
    probes : Probes

    Returns
    -------
    dict
        {name of a path: {"from": distance (Angstrom) or volume (part of that of the frame) at which it began to be
        wrong, "changed": most that an energy of the path was changed by (eV per atom), "rises": whether it does now}},
        of the paths that were wrong.
    """
    paths, weights = list(probes.paths(potential)), potential.weights_
    before, report = weights, {}
    mended = {}  # steps that were wrong in any round, which later rounds must not spoil
    for turn in range(_ROUNDS):
        rows, missing, sigmas, done = [], [], [], True
        for path in paths:
            wrong, rises, least = path.wrong(weights)
            if len(wrong):
                report.setdefault(path.name, {"from": path.place(wrong[0])})
                done = False
            steps = mended[path.name] = np.union1d(mended.get(path.name, []), wrong).astype(int)
            steps = steps[np.isfinite(rises[steps])]
            rows.append(path.rise_rows(steps))
            missing.append(np.maximum(least[steps] - rises[steps], 0.0))
            sigmas.append(_SIGMA * least[steps] / 2**turn)
        if done:
            break
        weights = weights + potential.covariance_.condition(*map(np.concatenate, (rows, missing, sigmas)))
    for path in paths:
        if path.name in report:
            changed = np.abs(path.K @ (weights - before)).max() / path.n_atoms
            report[path.name] |= {"changed": float(changed), "rises": not len(path.wrong(weights)[0])}
    potential.weights_ = weights
    for name, entry in report.items():
        after = "mended" if entry["rises"] else "still wrong"
        _log.info("short range: %s did not rise below %.3g: %s", name, entry["from"], after)
    return report


def _known(potential, data):
    """Energies that weights do not change, and rows of K of the rest."""
    base = baselines.evaluate(potential.baselines_, data.frames, False)[0]
    base = np.add.reduceat(base, data.offsets[:-1]) + potential.free_atoms_.per_frame(data.numbers, data.offsets)
    blocks = []
    for chunk in data.chunks(512):
        environments = chunk.environments(potential.r_cut)
        with _off_the_grid():
            blocks.append(stack([term.rows(environments, ("energy",))["energy"] for term in potential.terms_]))
    return base, np.concatenate(blocks)


@contextmanager
def _off_the_grid():
    """No warnings of descriptors on grids, which end where the data do: what lies beyond is left to the repulsion."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def describe(found):
    """Lines of a log about what `mend` did."""
    lines = []
    for rises, what in ((True, "mended"), (False, "still not right everywhere")):
        names = [name for name, entry in found.items() if entry["rises"] == rises]
        if names:
            changed = max(found[name]["changed"] for name in names)
            listing = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
            lines.append(
                f"short range: energies did not rise along {len(names)} paths out of the data, which are {what} (by up "
                f"to {changed:.2g} eV/atom): {listing}"
            )
    return lines
