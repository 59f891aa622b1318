"""DScribe's SOAP."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mercer._validation import (
    check_choice,
    check_count,
    check_items,
    check_length,
    check_mapping,
    check_number,
    check_positive,
)
from mercer.basis import get_radial_basis
from mercer.compat.dscribe.descriptors._per_center import PerCenter
from mercer.descriptors import SOAP as PowerSpectrum
from mercer.errors import ConfigError
from mercer.structures import species_numbers

#: Keys of the weighting functions; `threshold` only serves to find r_cut.
WEIGHTINGS = {"poly": ("r0", "c", "m"), "pow": ("r0", "c", "d", "m"), "exp": ("r0", "c", "d")}
MODES = ("off", "mu2", "mu1nu1", "crossover")


class SOAP(PerCenter):
    r"""DScribe's SOAP: :math:`p_{nn'l} = \pi \sqrt{8 / (2l + 1)} \sum_m c_{nlm} c_{n'lm}`, not normalised.

    Himanen et al., Comput. Phys. Commun. 247 (2020) 106949.

    Parameters
    ----------
    r_cut : float, optional
        Range of the radial functions, Angstrom; above 1 for "gto". Atoms count up to r_cut + 3.717 sigma, where their
        Gaussians have fallen to 1/1000. May be left out where `weighting` has a function, then that gives it.
    n_max, l_max : int
        Number of radial functions; largest angular momentum, 0 .. 20.
    sigma : float, default 1.0
        Width of the Gaussians, Angstrom.
    rbf : str, default "gto"
        "gto" or "polynomial".
    weighting : dict, optional
        ``{"function": "poly", "r0", "c", "m"}``, ``{"function": "pow", "r0", "c", "d", "m"}``,
        ``{"function": "exp", "r0", "c", "d"}``, each with an optional "w0", the weight of the atom at the centre, which
        may stand alone, and "threshold" (default 0.01), the weight at the r_cut that is found where it is not given.
    average : str, default "off"
        "inner" averages c over the centres, "outer" p; one row then.
    compression : dict, default {"mode": "off", "species_weighting": None}
        "mu2" (all elements in one density), "mu1nu1" (each element with all), "crossover" (each element with itself).
        "species_weighting": a dict of factors of the densities of elements.
    species : list of str or int
        Elements that may occur.
    periodic : bool, default False
        Whether the periodic boundary conditions of systems count.
    sparse : bool, default False
        Results as `sparse.COO`; needs the package sparse.
    dtype : str, default "float64"
        Of results; "float32" rounds them.

    Raises
    ------
    ConfigError
        For a parameter outside its range and for unknown keys, naming them.

    Examples
    --------
    >>> from ase.build import molecule
    >>> soap = SOAP(r_cut=4.0, n_max=4, l_max=3, species=["H", "O"])
    >>> soap.create(molecule("H2O"), centers=[0, [0.0, 0.5, 0.5]]).shape
    (2, 144)
    """

    def __init__(
        self,
        r_cut=None,
        n_max=None,
        l_max=None,
        sigma=1.0,
        rbf="gto",
        weighting=None,
        average="off",
        compression=None,
        species=None,
        periodic=False,
        sparse=False,
        dtype="float64",
    ):
        super().__init__(periodic, sparse, dtype)
        self._set_species(species)
        sigma = check_length(sigma, "sigma")
        weighting = _Weighting.of(weighting)
        r_cut = weighting.r_cut() if r_cut is None else check_length(r_cut, "r_cut")
        if check_choice(rbf, ("gto", "polynomial"), "rbf") == "gto" and r_cut <= 1:
            raise ConfigError(f"r_cut={r_cut}: rbf='gto' expects more than 1 Angstrom.")
        if check_count(l_max, "l_max", minimum=0) > 20:
            raise ConfigError(f"l_max={l_max}: expected at most 20.")
        self.average = check_choice(average, ("off", "inner", "outer"), "average")
        mode, weights = _compression(compression, self._numbers)
        channels = {"mu2": weights[:, None], "mu1nu1": np.column_stack([np.diag(weights), weights])}.get(mode)
        self._inner = PowerSpectrum(
            self._numbers.tolist(),
            r_cut + sigma * math.sqrt(2 * math.log(1000)),
            check_count(n_max, "n_max"),
            l_max,
            sigma,
            radial_basis=f"dscribe_{rbf}",
            radial_options={"radius": r_cut},
            cutoff="none",
            radial_scaling=weighting.scaling(),
            central_weight=weighting.central(),
            channels=channels,
            normalize=False,
            ignore_unknown=True,
        )
        self._blocks = _Blocks(self._inner, mode, weights if channels is None else None, weighting.amplitude())
        self._n_features = self._blocks.n_features

    def get_location(self, species):
        """The columns of a pair of elements, as a slice.

        Examples
        --------
        >>> SOAP(r_cut=4.0, n_max=2, l_max=1, species=["H", "O"]).get_location(("O", "H"))
        slice(6, 14, None)
        """
        numbers = [species_numbers([element])[0] for element in check_items(species, "species", "two elements")]
        if len(numbers) != 2 or not np.isin(numbers, self._numbers).all():
            raise ConfigError(f"species={species!r}: expected two of {', '.join(self.species)}.")
        return self._blocks.location(tuple(sorted(int(np.searchsorted(self._numbers, z)) for z in numbers)), species)

    def _rows(self, listed):
        """What `create` gives for each of the systems."""
        if not listed:
            return []
        frames = [c.atoms for c in listed]
        starts = np.cumsum([0, *map(len, frames)])
        if self.average == "inner":
            c = self._inner.coefficients(frames)
            means = [c[s + k.rows].mean(axis=0) for s, k in zip(starts[:-1], listed, strict=True)]
            return [self._blocks.take(self._blocks.products(mean)) for mean in means]
        X = self._inner.transform(frames)
        rows = [self._blocks.take(X[s + k.rows]) for s, k in zip(starts[:-1], listed, strict=True)]
        return rows if self.average == "off" else [r.mean(axis=0) for r in rows]

    def _take(self, gradients):
        return self._blocks.take(gradients)

    @cached_property
    def _central_slopes(self):
        """The Gaussian of a centre, at a small vector v from it, has c_n1m = w I'_n1(0) |v| Y_1m(v): w I'_n1(0) times
        that over v_m, (n_max,)."""
        soap = self._inner
        basis = get_radial_basis({"name": soap.radial_basis, **dict(soap.radial_options)})
        _, slopes = basis.integrals([0.0], soap.n_max, 1, soap.r_cut, soap.sigma, cutoff=soap.cutoff)
        return soap.central_weight * math.sqrt(3 / (4 * math.pi)) * slopes[0, 1]

    def _own(self, centers, rows):
        soap = self._inner
        derivatives = {row: np.zeros((3, soap.n_features)) for row in rows}
        if centers.atoms.pbc.any():  # its images
            raw = soap.raw_gradients(centers.atoms)
            for e in np.flatnonzero((raw.centers == raw.neighbors) & np.isin(raw.centers, rows)):
                columns, values = raw.pair(e)
                derivatives[raw.centers[e]][:, columns] += values
        if soap.l_max == 0 or soap.central_weight == 0:
            return derivatives
        channels = np.eye(soap.n_channels) if soap.channels is None else np.array(soap.channels)
        c = soap.coefficients(centers.atoms)
        for row, derivative in derivatives.items():
            change = np.outer(channels[soap.species.index(centers.atoms.numbers[row])], self._central_slopes)
            derivative += self._blocks.moved(c[row], change)
        return derivatives


@dataclass(frozen=True)
class _Weighting:
    """DScribe's weighting: amplitude times u(r), and the weight of the centre."""

    function: str | None = None
    r0: float = 1.0
    c: float = 1.0
    d: float = 0.0
    m: float = 0.0
    threshold: float = 0.01
    w0: float | None = None

    @classmethod
    def of(cls, weighting):
        if weighting is None:
            return cls()
        options = dict(check_mapping(weighting, "weighting"))
        function = options.get("function")
        if function is None and "w0" not in options:
            raise ConfigError(f"weighting={weighting!r}: expected a 'function' ({', '.join(WEIGHTINGS)}) or 'w0'.")
        needed = () if function is None else WEIGHTINGS[check_choice(function, WEIGHTINGS, "weighting function")]
        for key in options:
            check_choice(key, ("function", "w0", "threshold", *needed), "a key of weighting")
        for key in needed:
            if key not in options:
                raise ConfigError(f"weighting={weighting!r}: {key} is missing; {function!r} needs {', '.join(needed)}.")
        for key in set(options) - {"function"}:
            options[key] = check_positive(options[key], f"weighting[{key!r}]", allow_zero=key not in ("r0", "c"))
        return cls(**options)

    def scaling(self):
        """mercer's radial scaling u(r)."""
        if self.function == "poly":
            return {"name": "polynomial", "scale": self.r0, "exponent": self.m}
        if self.function == "pow":
            return {"rate": self.d, "scale": self.r0, "exponent": self.m} if self.m else None
        return {"name": "exponential", "rate": self.d, "scale": self.r0} if self.function == "exp" else None

    def amplitude(self):
        """What u(r) lacks as a factor."""
        if self.function == "pow" and self.m == 0:
            return self.c / (self.d + 1)
        return self.c / self.d if self.function in ("pow", "exp") and self.d else self.c

    def central(self):
        """Weight of the centre over the amplitude."""
        if self.w0 is not None:
            return self.w0 / self.amplitude()
        if self.function == "pow" and self.m > 0 and self.d == 0:
            raise ConfigError("weighting 'pow' with d = 0 diverges at the centre; give w0, or d > 0.")
        return self.d / (self.d + 1) if self.function == "exp" and self.d else 1.0

    def r_cut(self):
        """Where the weight has fallen to the threshold."""
        share = self.c / self.threshold if self.threshold else math.inf
        found = None
        if self.function == "poly":
            found = self.r0
        elif self.function == "pow" and self.m > 0 and share > self.d:
            found = self.r0 * (share - self.d) ** (1 / self.m)
        elif self.function == "exp" and share > self.d:
            found = self.r0 * math.log(share - self.d)
        if found is None or not 0 < found < math.inf:
            raise ConfigError("r_cut=None: the weighting does not give one; give r_cut (Angstrom).")
        return found


def _compression(compression, numbers):
    """Mode, and the weights of the species in ascending order."""
    options = dict(check_mapping({} if compression is None else compression, "compression"))
    for key in options:
        check_choice(key, ("mode", "species_weighting"), "a key of compression")
    mode = check_choice(options.get("mode", "off"), MODES, "compression mode")
    given = options.get("species_weighting")
    if given is None:
        return mode, np.ones(len(numbers))
    name = "compression: species_weighting"
    weights = {
        species_numbers([element], name)[0]: check_number(weight, f"{name} of {element}", smallest=-1e20, largest=1e20)
        for element, weight in check_mapping(given, name).items()
    }
    if sorted(weights) != numbers.tolist():
        raise ConfigError(f"{name}={given!r}: expected a weight for each of the species.")
    return mode, np.array([weights[number] for number in numbers.tolist()])


class _Blocks:
    """Which blocks of mercer's power spectrum DScribe's vector holds, and by what factors.

    mercer: blocks of channels a <= b, (2l + 1)^(-1/2), sqrt(2) for what stands for two elements of the full spectrum.
    DScribe: pi (8 / (2l + 1))^(1/2) and no sqrt(2), in the same order.
    """

    def __init__(self, soap, mode, weights, amplitude):
        n_species, n_channels = len(soap.species), soap.n_channels
        if mode == "mu1nu1":
            self.pairs = [(z, n_species) for z in range(n_species)]
        elif mode == "crossover":
            self.pairs = [(z, z) for z in range(n_species)]
        else:
            self.pairs = [(a, b) for a in range(n_channels) for b in range(a, n_channels)]
        self.mode, self.n_max, self.n_l = mode, soap.n_max, soap.l_max + 1
        self.sizes = [
            self.n_l * (soap.n_max * (soap.n_max + 1) // 2 if a == b else soap.n_max**2) for a, b in self.pairs
        ]
        self.offsets = np.cumsum([0, *self.sizes])
        self.n_features = int(self.offsets[-1])
        weights = np.ones(n_channels) if weights is None else weights
        everything = np.zeros(soap.n_features, dtype=bool)
        rows, columns = np.triu_indices(soap.n_max)
        self.triangle = np.where(rows == columns, 1.0, math.sqrt(0.5))
        factors = []
        for a, b in self.pairs:
            channels = (a, b) if soap.channels is not None else [soap.species[a], soap.species[b]]
            everything[soap.block(channels)] = True
            one = np.tile(self.triangle, self.n_l) if a == b else np.full(self.n_l * soap.n_max**2, math.sqrt(0.5))
            factors.append(weights[a] * weights[b] * one)
        self.columns = None if everything.all() else np.flatnonzero(everything)
        self.factors = math.pi * math.sqrt(8) * amplitude**2 * np.concatenate(factors)

    def take(self, X):
        """DScribe's columns out of mercer's, along the last axis."""
        return (X if self.columns is None else X[..., self.columns]) * self.factors

    def location(self, pair, species):
        a, b = pair
        if self.mode == "mu2":
            return slice(0, self.n_features)
        if self.mode in ("mu1nu1", "crossover"):
            if a != b:
                raise ConfigError(
                    f"species={species!r}: with compression {self.mode!r} only pairs of one element exist."
                )
            pair = self.pairs[a]
        k = self.pairs.index(pair)
        return slice(int(self.offsets[k]), int(self.offsets[k + 1]))

    def products(self, c):
        """mercer's columns of coefficients (n_channels, n_lm, n_max)."""
        upper = np.triu_indices(self.n_max)
        blocks = []
        for a in range(len(c)):
            for b in range(a, len(c)):
                for angular in range(self.n_l):
                    m = slice(angular**2, (angular + 1) ** 2)
                    block = c[a, m].T @ c[b, m] / math.sqrt(2 * angular + 1)
                    blocks.append(block[upper] / self.triangle if a == b else block.ravel() * math.sqrt(2))
        return np.concatenate(blocks)

    def moved(self, c, change):
        """How mercer's columns change (3, n), where the coefficients of l = 1 along x, or y, or z change by `change`
        (n_channels, n_max)."""
        upper = np.triu_indices(self.n_max)
        blocks = []
        for a in range(len(c)):
            for b in range(a, len(c)):
                x, y = c[a, [3, 1, 2]], c[b, [3, 1, 2]]  # of m = 1, -1, 0: along x, y, z
                part = (change[a][:, None] * y[:, None, :] + x[:, :, None] * change[b]) / math.sqrt(3)
                part = part[:, upper[0], upper[1]] / self.triangle if a == b else part.reshape(3, -1) * math.sqrt(2)
                block = np.zeros((3, self.n_l, part.shape[1]))
                block[:, 1] = part
                blocks.append(block.reshape(3, -1))
        return np.concatenate(blocks, axis=1)
