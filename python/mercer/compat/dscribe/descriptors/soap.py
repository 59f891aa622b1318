"""DScribe's SOAP."""

import math
from dataclasses import dataclass

import numpy as np

from mercer._validation import check_choice, check_count, check_positive
from mercer.basis import get_radial_basis
from mercer.compat.dscribe.descriptors._base import (
    DScribeDescriptor,
    check_method,
    differences,
    per_system,
    select_atoms,
)
from mercer.compat.dscribe.descriptors._centers import Centers
from mercer.descriptors import SOAP as PowerSpectrum
from mercer.errors import ConfigError
from mercer.structures import species_numbers

#: Keys of the weighting functions; `threshold` only serves to find r_cut.
WEIGHTINGS = {"poly": ("r0", "c", "m"), "pow": ("r0", "c", "d", "m"), "exp": ("r0", "c", "d")}
MODES = ("off", "mu2", "mu1nu1", "crossover")


class SOAP(DScribeDescriptor):
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
        sigma = check_positive(sigma, "sigma")
        weighting = _Weighting.of(weighting)
        r_cut = weighting.r_cut() if r_cut is None else check_positive(r_cut, "r_cut")
        if check_choice(rbf, ("gto", "polynomial"), "rbf") == "gto" and r_cut <= 1:
            raise ConfigError(f"r_cut={r_cut}: rbf='gto' expects more than 1 Angstrom.")
        if check_count(l_max, "l_max", minimum=0) > 20:
            raise ConfigError(f"l_max={l_max}: expected at most 20.")
        self.average = check_choice(average, ("off", "inner", "outer"), "average")
        mode, weights = _compression(compression, self._numbers)
        channels = {"mu2": weights[:, None], "mu1nu1": np.column_stack([np.diag(weights), weights])}.get(mode)
        self.power_spectrum = PowerSpectrum(
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
        self._blocks = _Blocks(self.power_spectrum, mode, weights if channels is None else None, weighting.amplitude())
        self._n_features = self._blocks.n_features

    def create(self, system, centers=None, n_jobs=1, only_physical_cores=False, verbose=False):
        """Feature vectors.

        Parameters
        ----------
        system : ase.Atoms or list of ase.Atoms
        centers : list, optional
            Indices of atoms and Cartesian points (Angstrom), for a list of systems a list of such lists; by default all
            atoms.
        n_jobs : int, default 1
            Number of threads; -1 for all.
        only_physical_cores, verbose
            Taken, without effect.

        Returns
        -------
        ndarray of shape (n_centers, n_features), averaged (n_features,)
            For a list of systems a stack of them, or a list where they have different numbers of centres.

        Raises
        ------
        DataError
            For elements that are not among `species`, wrong centres, and structures that are not valid.
        """
        single, frames = self._frames(system)
        listed = self._centers(frames, per_system(centers, len(frames), single, "centers"))
        with self._threads(n_jobs):
            return self._pack(self._rows(listed), single)

    def derivatives(
        self,
        system,
        centers=None,
        include=None,
        exclude=None,
        method="auto",
        return_descriptor=True,
        attach=False,
        n_jobs=1,
        only_physical_cores=False,
        verbose=False,
    ):
        """Derivatives of feature vectors with respect to positions of atoms, per Angstrom.

        Parameters
        ----------
        system, centers, n_jobs, only_physical_cores, verbose
            As for `create`.
        include, exclude : list of int, optional
            Atoms to differentiate by, or not; for a list of systems a list of such lists.
        method : str, default "auto"
            "analytical" for every combination of parameters but average="inner", "numerical" (central differences), or
            "auto", which is analytical where that is possible.
        return_descriptor : bool, default True
            Whether to return the feature vectors too.
        attach : bool, default False
            Whether centres that are atoms move with them, as forces need. Otherwise they stay where they are.

        Returns
        -------
        derivatives : ndarray of shape (n_centers, n_atoms, 3, n_features)
            One centre, if averaged. For a list of systems as in `create`.
        descriptor : ndarray
            With `return_descriptor`, what `create` gives.
        """
        single, frames = self._frames(system)
        n = len(frames)
        listed = self._centers(frames, per_system(centers, n, single, "centers"))
        chosen = zip(per_system(include, n, single, "include"), per_system(exclude, n, single, "exclude"), strict=True)
        indices = [select_atoms(len(atoms), *pair) for atoms, pair in zip(frames, chosen, strict=True)]
        if check_method(method) == "analytical" and self.average == "inner":
            raise ConfigError("method='analytical' with average='inner' is not there; use method='numerical'.")
        numerical = method == "numerical" or self.average == "inner"
        with self._threads(n_jobs):
            one = self._numerical if numerical else self._analytical
            values = [one(c, chosen, bool(attach)) for c, chosen in zip(listed, indices, strict=True)]
            derivatives = self._pack(values, single)
            return (derivatives, self._pack(self._rows(listed), single)) if return_descriptor else derivatives

    def get_location(self, species):
        """The columns of a pair of elements, as a slice.

        Examples
        --------
        >>> SOAP(r_cut=4.0, n_max=2, l_max=1, species=["H", "O"]).get_location(("O", "H"))
        slice(6, 14, None)
        """
        numbers = [species_numbers([element])[0] for element in species]
        if len(numbers) != 2 or not np.isin(numbers, self._numbers).all():
            raise ConfigError(f"species={species!r}: expected two of {', '.join(self.species)}.")
        return self._blocks.location(tuple(sorted(int(np.searchsorted(self._numbers, z)) for z in numbers)), species)

    def _centers(self, frames, centers):
        self._check_species(frames)
        return [Centers.of(atoms, chosen) for atoms, chosen in zip(frames, centers, strict=True)]

    def _rows(self, listed):
        """What `create` gives for each of the systems."""
        if not listed:
            return []
        frames = [c.atoms for c in listed]
        starts = np.cumsum([0, *map(len, frames)])
        if self.average == "inner":
            c = self.power_spectrum.coefficients(frames)
            means = [c[s + k.rows].mean(axis=0) for s, k in zip(starts[:-1], listed, strict=True)]
            return [self._blocks.take(self._blocks.products(mean, mean)) for mean in means]
        X = self.power_spectrum.transform(frames)
        rows = [self._blocks.take(X[s + k.rows]) for s, k in zip(starts[:-1], listed, strict=True)]
        return rows if self.average == "off" else [r.mean(axis=0) for r in rows]

    def _analytical(self, centers, indices, attach):
        gradients = self.power_spectrum.gradients(centers.atoms)
        n_atoms = len(centers.atoms)
        place = np.full(n_atoms, -1)
        place[indices] = np.arange(len(indices))
        offsets = np.searchsorted(gradients.centers, np.arange(n_atoms + 1))
        out = np.zeros((len(centers.rows), len(indices), 3, self._n_features))
        staying = ~centers.moves | (not attach)
        own = self._own(centers, centers.rows[staying]) if staying.any() else {}
        for k, row in enumerate(centers.rows):
            entries = slice(offsets[row], offsets[row + 1])
            to = place[gradients.neighbors[entries]]
            out[k, to[to >= 0]] = self._blocks.take(gradients.values[entries][to >= 0])
            if staying[k] and place[row] >= 0:
                out[k, place[row]] = self._blocks.take(own[row])
        return out if self.average == "off" else out.mean(axis=0, keepdims=True)

    def _own(self, centers, rows):
        """Derivatives (3, columns of the power spectrum) of rows by the position of the atom at a centre that stays."""
        soap = self.power_spectrum
        raw = soap.raw_gradients(centers.atoms)
        rows = rows[rows < centers.n_atoms]
        derivatives = {row: np.zeros((3, soap.n_features)) for row in rows}
        for e in np.flatnonzero((raw.centers == raw.neighbors) & np.isin(raw.centers, rows)):  # its images
            columns, values = raw.pair(e)
            derivatives[raw.centers[e]][:, columns] += values
        if soap.l_max == 0 or soap.central_weight == 0:
            return derivatives
        # Its own Gaussian at a small vector v from the centre: c_n1m = w I'_n1(0) |v| Y_1m(v), in the order y, z, x.
        options = {"name": soap.radial_basis, **dict(soap.radial_options)}
        slopes = get_radial_basis(options).integrals([0.0], soap.n_max, 1, soap.r_cut, soap.sigma, cutoff=soap.cutoff)[
            1
        ][0, 1]
        slopes = soap.central_weight * math.sqrt(3 / (4 * math.pi)) * slopes
        c = soap.coefficients(centers.atoms)
        for row, derivative in derivatives.items():
            species = soap.species.index(centers.atoms.numbers[row])
            channels = np.eye(soap.n_channels)[species] if soap.channels is None else np.array(soap.channels[species])
            for axis, m in enumerate((3, 1, 2)):
                change = np.zeros_like(c[row])
                change[:, m] = channels[:, None] * slopes
                derivative[axis] += self._blocks.products(c[row], change) + self._blocks.products(change, c[row])
        return derivatives

    def _numerical(self, centers, indices, attach):
        moving = np.zeros(len(centers.rows), dtype=bool) if not attach else centers.moves
        system = centers.atoms[: centers.n_atoms]
        places = centers.atoms.positions[centers.rows]

        def evaluate(frames):
            chosen = [
                Centers.of(atoms, [int(r) if m else p for r, m, p in zip(centers.rows, moving, places, strict=True)])
                for atoms in frames
            ]
            return self._rows(chosen)

        values = differences(evaluate, system, indices)
        return np.moveaxis(values, 2, 0) if self.average == "off" else values[None]


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
        options = dict(weighting)
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
    options = dict(compression or {})
    for key in options:
        check_choice(key, ("mode", "species_weighting"), "a key of compression")
    mode = check_choice(options.get("mode", "off"), MODES, "compression mode")
    given = options.get("species_weighting")
    if given is None:
        return mode, np.ones(len(numbers))
    weights = {species_numbers([element])[0]: weight for element, weight in dict(given).items()}
    if sorted(weights) != numbers.tolist():
        raise ConfigError(f"species_weighting={given!r}: expected a weight for each of the species.")
    weights = np.array([weights[number] for number in numbers.tolist()], dtype=float)
    if not np.isfinite(weights).all():
        raise ConfigError(f"species_weighting={given!r}: expected finite numbers.")
    return mode, weights


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

    def products(self, c, d):
        """mercer's columns as a bilinear form of coefficients (n_channels, n_lm, n_max), not symmetrised."""
        upper = np.triu_indices(self.n_max)
        blocks = []
        for a in range(len(c)):
            for b in range(a, len(c)):
                for angular in range(self.n_l):
                    m = slice(angular**2, (angular + 1) ** 2)
                    block = c[a, m].T @ d[b, m] / math.sqrt(2 * angular + 1)
                    blocks.append(block[upper] / self.triangle if a == b else block.ravel() * math.sqrt(2))
        return np.concatenate(blocks)
