"""Kinds of labels that a potential learns, and the rows of K that each of them needs.

A label is a linear functional of the local energies; its row of K_LM is the same functional of the basis functions
delta^2 k(., x_m). A kind is one class here and one line in `ROW_KINDS`: which arrays hold its labels and sigmas, row by
row, and how many rows a frame has. The rows of K of all kinds of a chunk of frames come from `SparseTerm.rows`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mercer.structures import atom_numbers, info_numbers
from mercer.targets import sum_over_frames

#: Places of xx, yy, zz, yz, xz, xy in a row-major 3 x 3 matrix: the rows that a symmetric virial needs.
_VOIGT = [0, 4, 8, 5, 2, 1]


@dataclass(frozen=True, eq=False)
class Targets:
    """All labels of one kind minus what is known beforehand, with their standard deviations, row by row; NaN where
    there is nothing to train on."""

    kind: type
    values: np.ndarray
    sigma: np.ndarray

    @property
    def used(self):
        """(n_rows,) bool."""
        return ~(np.isnan(self.values) | np.isnan(self.sigma))

    def in_frames(self, data):
        """Which frames have anything to train on: (n_frames,) bool."""
        rows = np.concatenate([[0], np.cumsum(self.kind.n_rows(data.n_atoms))])
        used = np.concatenate([[0], np.cumsum(self.used)])
        return used[rows[1:]] > used[rows[:-1]]


class EnergyRows:
    """Total energy of a frame, sum_i k(x_i, x_m) over its atoms: one row per frame."""

    name, gradient = "energy", False
    sigma_keys = ("energy_sigma",)

    @staticmethod
    def n_rows(n_atoms):
        return np.ones(np.shape(n_atoms), int)

    @staticmethod
    def values(data, e0):
        return data.labels.energy - e0.per_frame(data.numbers, data.offsets)

    @staticmethod
    def per_row(sigma, data):
        return sigma

    @staticmethod
    def span(chunk):
        return chunk.span

    @staticmethod
    def predicted(chunk, energies, positions, strain):
        return sum_over_frames(energies, chunk.offsets)


class LocalEnergyRows:
    """Energy of an atom, k(x_i, x_m): one row per atom."""

    name, gradient = "energies", False
    sigma_keys = ("energies_sigma",)

    @staticmethod
    def n_rows(n_atoms):
        return np.asarray(n_atoms)

    @staticmethod
    def values(data, e0):
        return data.labels.energies - e0.per_atom(data.numbers)

    @staticmethod
    def per_row(sigma, data):
        return np.repeat(sigma, data.n_atoms)

    @staticmethod
    def span(chunk):
        return chunk.atoms

    @staticmethod
    def predicted(chunk, energies, positions, strain):
        return energies


class ForceRows:
    """Force on an atom, -d/dr_p sum_i k(x_i, x_m): three rows per atom.

    Atoms whose ``force_mask`` (an array of the frame) is true are left out; ``force_atom_sigma`` (per atom) and
    ``force_component_sigma`` (per component) are standard deviations of these forces alone: names and meaning are those
    of gap_fit.
    """

    name, gradient = "forces", True
    sigma_keys = ("force_sigma", "forces_sigma")

    @staticmethod
    def n_rows(n_atoms):
        return 3 * np.asarray(n_atoms)

    @staticmethod
    def values(data, e0):
        return data.labels.forces.reshape(-1)

    @staticmethod
    def per_row(sigma, data):
        sigma = np.repeat(sigma, 3 * data.n_atoms).reshape(-1, 3)
        for key, columns in (("force_atom_sigma", 1), ("force_component_sigma", 3)):
            given = atom_numbers(data.frames, key, columns, positive=True)
            sigma = np.where(np.isnan(given), sigma, given)
        masked = atom_numbers(data.frames, "force_mask", 1)
        return np.where(np.nan_to_num(masked) != 0, np.nan, sigma).reshape(-1)

    @staticmethod
    def span(chunk):
        return slice(3 * chunk.atoms.start, 3 * chunk.atoms.stop)

    @staticmethod
    def predicted(chunk, energies, positions, strain):
        return -positions.reshape(-1)


class VirialRows:
    """Virial of a frame, -d/de sum_i k(x_i, x_m) with strain e: nine rows per frame, of which six are learnt."""

    name, gradient = "virial", True
    sigma_keys = ("virial_sigma",)

    @staticmethod
    def n_rows(n_atoms):
        return np.full(np.shape(n_atoms), 9)

    @staticmethod
    def values(data, e0):
        values = np.full((len(data), 9), np.nan)
        values[:, _VOIGT] = data.labels.virial.reshape(-1, 9)[:, _VOIGT]
        return values.reshape(-1)

    @staticmethod
    def per_row(sigma, data):
        return np.repeat(sigma, 9)

    @staticmethod
    def span(chunk):
        return slice(9 * chunk.span.start, 9 * chunk.span.stop)

    @staticmethod
    def predicted(chunk, energies, positions, strain):
        return -strain.reshape(-1)


#: The kinds that `Potential` trains on, in the order of their rows within a chunk of frames.
ROW_KINDS = {kind.name: kind for kind in (EnergyRows, LocalEnergyRows, ForceRows, VirialRows)}


def given_sigma(kind, frames):
    """Standard deviations that frames give for their labels of this kind: (n_frames,), NaN where there is none."""
    found = np.full(len(frames), np.nan)
    for key in kind.sigma_keys:
        numbers = info_numbers(frames, key, positive=True)
        found = np.where(np.isnan(found), numbers, found)
    return found


def stack(blocks):
    """Blocks of terms side by side; a single one is not copied."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
