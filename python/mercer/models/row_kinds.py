"""Kinds of labels that a potential learns, and the rows of K that each of them needs.

A label is a linear functional of the local energies; its row of K_LM is the same functional of the basis functions
delta^2 k(., x_m). A kind is one class here and one line in `ROW_KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Targets:
    """All labels of one kind minus E0, with their standard deviations; NaN where there is nothing to train on."""

    kind: type
    values: np.ndarray
    sigma: np.ndarray

    @property
    def used(self):
        """(n,) bool."""
        return ~(np.isnan(self.values) | np.isnan(self.sigma))


class EnergyRows:
    """Total energy of a frame, sum_i k(x_i, x_m) over its atoms: one row per frame."""

    name = "energy"

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
    def rows(terms, features, chunk, wanted):
        numbers, offsets = chunk.numbers, chunk.offsets
        if not wanted.all():  # only the atoms of the frames that have this label
            keep = np.repeat(wanted, np.diff(offsets))
            features, numbers = [X[keep] for X in features], numbers[keep]
            offsets = np.concatenate([[0], np.cumsum(np.diff(offsets)[wanted])])
        return stack([t.frame_rows(X, numbers, offsets) for t, X in zip(terms, features, strict=True)])


class LocalEnergyRows:
    """Energy of an atom, k(x_i, x_m): one row per atom."""

    name = "energies"

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
    def rows(terms, features, chunk, wanted):
        numbers = chunk.numbers
        if not wanted.all():
            features, numbers = [X[wanted] for X in features], numbers[wanted]
        return stack([t.atom_rows(X, numbers) for t, X in zip(terms, features, strict=True)])


#: The kinds that `Potential` trains on, in the order of their rows within a chunk of frames.
ROW_KINDS = {kind.name: kind for kind in (EnergyRows, LocalEnergyRows)}


def stack(blocks):
    """Blocks of terms side by side; a single one is not copied."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
