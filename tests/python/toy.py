"""A descriptor in a few lines of NumPy, for tests that need features of atoms but no particular ones."""

from dataclasses import dataclass

import numpy as np
from mercer import neighbor_list


@dataclass(frozen=True)
class PairHistogram:
    """Gaussians of the distances to the neighbours, per species of the neighbour, plus a constant; smooth at r_cut."""

    species: tuple
    r_cut: float = 3.0
    n_max: int = 4
    width: float = 0.5

    @property
    def n_features(self):
        return len(self.species) * self.n_max + 1

    def transform(self, frames, out=None):
        frames = [frames] if hasattr(frames, "numbers") else frames
        X = np.concatenate([np.zeros((0, self.n_features)), *(self._rows(atoms) for atoms in frames)])
        return X / np.linalg.norm(X, axis=1, keepdims=True)

    def _rows(self, atoms):
        i, j, d = neighbor_list("ijd", atoms, self.r_cut)
        smooth = 0.5 * (1 + np.cos(np.pi * d / self.r_cut))
        centres = np.linspace(0.8, self.r_cut, self.n_max)
        values = smooth[:, None] * np.exp(-((d[:, None] - centres) ** 2) / (2 * self.width**2))
        X = np.zeros((len(atoms), self.n_features))
        X[:, 0] = 1.0
        for s, z in enumerate(self.species):
            of_z = atoms.numbers[j] == z
            np.add.at(X[:, 1 + s * self.n_max :][:, : self.n_max], i[of_z], values[of_z])
        return X
