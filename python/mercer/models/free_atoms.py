"""Free atoms in a fit: what the terms of a potential must give for an atom without neighbours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from mercer.descriptors import Environments
from mercer.models.frame_data import symbol
from mercer.models.row_kinds import stack
from mercer.models.sparse_points import SparsePoints
from mercer.structures import free_atoms

#: Standard deviation of the energy of a free atom, eV, where nobody gave one: this, or that of energies if smaller.
SIGMA = 1e-4
#: Variance of the energy of a free atom, in units of delta^2, below which a term gives nothing for it by its form.
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class FreeAtoms:
    """Energies of free atoms that a fit learns, one per element.

    Attributes
    ----------
    numbers : (n,) int32 array
        Atomic numbers.
    labels, targets, sigma : (n,) float array
        Energies, energies less E0 and baseline, and their standard deviations, eV.
    frames : (n,) int64 array
        Where they stand in the training set.
    """

    numbers: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    sigma: np.ndarray
    frames: np.ndarray

    @classmethod
    def of(cls, entries):
        """Of (atomic number, label, target, sigma, frame) each; the first of an element counts."""
        first = {}
        for entry in entries:
            first.setdefault(int(entry[0]), entry)
        table = np.array([first[z] for z in sorted(first)], float).reshape(-1, 5)
        return cls(table[:, 0].astype(np.int32), table[:, 1], table[:, 2], table[:, 3], table[:, 4].astype(np.int64))

    def __len__(self):
        return len(self.numbers)

    def points(self, term):
        """Their environments as sparse points of a term, where it gives anything for them; None without any."""
        descriptor = term.descriptor
        if not len(self) or not descriptor.per_atom:
            return None
        X = descriptor.transform(self._environments(descriptor.r_cut))
        kept = np.asarray(term.kernel.diag(X)) > _NOTHING
        origin = np.stack([self.frames, np.zeros_like(self.frames)], axis=1)
        return SparsePoints(X[kept], self.numbers[kept], origin[kept])

    def rows(self, terms, r_cut):
        """Rows of K of the energies: (n, M)."""
        environments = self._environments(r_cut)
        return stack([term.rows(environments, ("energies",))["energies"] for term in terms])

    def _environments(self, r_cut):
        return Environments.of(free_atoms(self.numbers), r_cut)


def report(potential, free):
    """What a fitted potential gives for free atoms, beside what it learnt of them.

    Returns
    -------
    dict
        {element: {"energy", "std", "label", "error"}}, eV; label and error are None where there was no isolated atom.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of compositions that least squares did not determine
        predicted = potential.predict(free_atoms(potential.species_), forces=False, std="energies")
    potential._silent_about = None  # the warning is for whoever asks
    labels = dict(zip(free.numbers.tolist(), free.labels.tolist(), strict=True))
    found = {}
    for z, energy, std in zip(potential.species_, predicted["energies"], predicted["energies_std"], strict=True):
        label = labels.get(int(z))
        error = None if label is None else float(energy) - label
        found[symbol(z)] = {"energy": float(energy), "std": float(std), "label": label, "error": error}
    return found


def describe(found):
    """Lines of a log about what `report` gave."""
    known, unknown = [], []
    for element, entry in found.items():
        if entry["label"] is None:
            unknown.append(f"{element} {entry['energy']:.6g} eV")
        else:
            error, std = 1000 * abs(entry["error"]), 1000 * entry["std"]
            known.append(f"{element} {entry['label']:.6g} eV, model error {error:.2g} meV, error bar {std:.2g} meV")
    lines = ["free atoms: " + "; ".join(known)] if known else []
    if unknown:
        lines.append(
            f"free atoms without data: {', '.join(unknown)} by the model, which is an extrapolation; add frames of one "
            "atom with config_type=IsolatedAtom for molecules that are pulled apart"
        )
    return lines
