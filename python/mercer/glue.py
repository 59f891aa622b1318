"""Tabulated potentials of the embedded-atom kind, which some published GAP potentials are added to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.interpolate import CubicSpline

from mercer.baselines import Baseline
from mercer.errors import ConfigError
from mercer.neighbors import build_pairs
from mercer.structures import as_frames


@dataclass(frozen=True)
class Table:
    """A function given at knots: a cubic spline, straight lines beyond its ends.

    Parameters
    ----------
    x, y : sequence of float
        Knots, ascending, and values.
    slopes : pair of float or None
        At the first and the last knot; None: the second derivative is zero there.
    spline : bool
        False: p (x_last - x)^3 with the p of least squares, zero beyond the last knot.
    """

    x: tuple
    y: tuple
    slopes: tuple = (None, None)
    spline: bool = True

    def __post_init__(self):
        for name in ("x", "y"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        object.__setattr__(self, "slopes", tuple(None if s is None else float(s) for s in self.slopes))
        if len(self.x) < 2 or len(self.x) != len(self.y) or np.any(np.diff(self.x) <= 0) or len(self.slopes) != 2:
            raise ConfigError(f"glue: a table of {len(self.x)} knots and {len(self.y)} values; expected rising knots")

    @property
    def end(self):
        return self.x[-1]

    @cached_property
    def _spline(self):
        ends = [(2, 0.0) if slope is None else (1, slope) for slope in self.slopes]
        return CubicSpline(self.x, self.y, bc_type=tuple(ends))

    def __call__(self, x):
        """Values and derivatives: two arrays like `x`."""
        if not self.spline:
            distance = self.end - np.array(self.x)
            p = np.dot(self.y, distance**3) / np.sum(distance**6)
            rest = np.maximum(self.end - x, 0.0)
            return p * rest**3, -3 * p * rest**2
        inside = np.clip(x, self.x[0], self.end)
        slope = self._spline(inside, 1)
        return self._spline(inside) + slope * (x - inside), slope


@dataclass(frozen=True)
class Glue(Baseline):
    """E = sum_i [U_i(rho_i) + 1/2 sum_j V_ij(r_ij)], rho_i = sum_j rho_j(r_ij), with tabulated functions.

    Densities and pair potentials end at their last knots. Atoms of elements without tables are ignored.

    Parameters
    ----------
    density, embedding : sequence of (atomic number, Table)
        rho_j by the element of the neighbour, and U_i.
    pair : sequence of (atomic number, atomic number, Table)
        V, in any order of the elements; zero for pairs that are missing.

    References
    ----------
    F. Ercolessi, M. Parrinello and E. Tosatti, Philos. Mag. A 58, 213 (1988); the format is that of QUIP's IP Glue.
    """

    density: tuple
    embedding: tuple
    pair: tuple

    name: ClassVar[str] = "glue"

    @property
    def r_cut(self):
        return max(table.end for *_, table in (*self.density, *self.pair))

    def to_dict(self):
        def plain(entry):
            *species, table = entry
            first, last = table.slopes
            ends = {"slope_first": first, "slope_last": last, "spline": table.spline}
            return {"species": species, "x": list(table.x), "y": list(table.y), **ends}

        parts = {key: [plain(entry) for entry in getattr(self, key)] for key in ("density", "embedding", "pair")}
        return {"type": self.name, **parts}

    @classmethod
    def from_dict(cls, parameters):
        def entry(part):
            table = dict(part)
            slopes = table.pop("slope_first"), table.pop("slope_last")
            return (*map(int, table.pop("species")), Table(slopes=slopes, **table))

        return cls(**{key: tuple(entry(part) for part in parts) for key, parts in parameters.items()})

    def evaluate(self, frames, forces=True):
        frames = as_frames(frames)
        n_atoms = [len(atoms) for atoms in frames]
        numbers = np.concatenate([np.zeros(0, int), *(atoms.numbers for atoms in frames)])
        pairs = build_pairs(frames, self.r_cut)
        i = np.repeat(np.arange(len(numbers)), np.diff(pairs.offsets))
        j, r = np.array(pairs.neighbors), np.array(pairs.distances)
        known = np.isin(numbers, [z for z, _ in self.density])
        rho, rho_slope = np.zeros(len(r)), np.zeros(len(r))
        for z, table in self.density:
            chosen = known[i] & (numbers[j] == z) & (r < table.end)
            rho[chosen], rho_slope[chosen] = table(r[chosen])
        bond, slope = np.zeros(len(r)), np.zeros(len(r))
        for z1, z2, table in self.pair:
            one, other = (numbers[i] == z1) & (numbers[j] == z2), (numbers[i] == z2) & (numbers[j] == z1)
            chosen = (one | other) & (r < table.end)
            bond[chosen], slope[chosen] = table(r[chosen])
        density = np.bincount(i, rho, len(numbers))
        energies, dU = 0.5 * np.bincount(i, bond, len(numbers)), np.zeros(len(numbers))
        for z, table in self.embedding:
            chosen = numbers == z
            embedding, dU[chosen] = table(density[chosen])
            energies[chosen] += embedding
        if not forces:
            return energies, None, None
        vectors = np.array(pairs.vectors).reshape(-1, 3)
        gradient = ((0.5 * slope + dU[i] * rho_slope) / r)[:, None] * vectors  # of the energy of i, by r_j
        force = np.stack(
            [np.bincount(i, g, len(numbers)) - np.bincount(j, g, len(numbers)) for g in gradient.T], axis=1
        )
        frame = np.repeat(np.arange(len(frames)), n_atoms)[i]
        products = -(vectors[:, :, None] * gradient[:, None, :]).reshape(-1, 9)
        virial = np.stack([np.bincount(frame, column, len(frames)) for column in products.T], axis=1)
        return energies, force, virial.reshape(-1, 3, 3)
