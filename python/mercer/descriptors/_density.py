"""The parameters that descriptors of the neighbour density share."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated

import numpy as np

from mercer._core import core
from mercer._parameters import Flag, Length, choice, count
from mercer._validation import as_numbers, check_choice, check_out, check_positive, show
from mercer.descriptors._base import CutoffName, Descriptor, Gradients, check_width
from mercer.errors import ConfigError, DataError

#: Beyond these the density is made of noise, and tables take minutes.
RadialCount = count(maximum=500)
AngularMomentum = count(minimum=0, maximum=100)
#: A row of more takes a gigabyte.
MAX_FEATURES = 10**8


@dataclass(frozen=True, eq=False)
class RawGradients:
    r"""Derivatives of rows before normalisation, pair by pair, in the columns that the neighbour touches.

    With p the row of an atom before normalisation and x = p / |p|, the derivative with respect to the vector v to a
    neighbour is :math:`dx / dv = (dp / dv - x (x \cdot dp / dv)) / |p|`. The first term is zero outside of the blocks
    of columns that have the species of the neighbour; the second fills all columns, but has rank one. So `values` holds
    the first, and `dots`, `rows` and `norms` are the factors of the second. Where rows are not normalised, `norms` are
    1 and `dots` 0, so the formula holds as well.

    Pairs come in the order of the neighbour list: ascending centres, periodic images apart, and without the part of the
    atom at the centre itself, which is minus the sum over its pairs.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
        dp / dv, per Angstrom: ``values[value_offsets[e]:value_offsets[e + 1]].reshape(3, -1)`` for pair e (`pair`).
    value_offsets : ndarray of shape (n_pairs + 1,)
    block_offsets : ndarray of shape (n_pairs + 1,)
        Pair e touches ``blocks[block_offsets[e]:block_offsets[e + 1]]``; none, if it lies beyond the cutoff.
    blocks : ndarray of int32
        SOAP: pairs of channels in the order of the columns, counted from 0. RadialSpectrum: channels.
    columns : ndarray of shape (n_blocks + 1,)
        Block b has the columns columns[b] .. columns[b + 1] - 1 of a row.
    centers, neighbors : ndarray of shape (n_pairs,)
        Row, and atom at the other end of the vector, counted over all frames.
    rows : ndarray of shape (n_atoms, n_features)
        x, as `transform` gives it.
    norms : ndarray of shape (n_atoms,)
        \|p\|; 0 for an atom without any density.
    dots : ndarray of shape (n_pairs, 3)
        x . dp / dv.
    """

    values: np.ndarray
    value_offsets: np.ndarray
    block_offsets: np.ndarray
    blocks: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    norms: np.ndarray
    dots: np.ndarray
    centers: np.ndarray
    neighbors: np.ndarray

    def pair(self, e):
        """Columns (n,) that pair e touches, and dp / dv (3, n) there, a view of `values`."""
        blocks = self.blocks[self.block_offsets[e] : self.block_offsets[e + 1]]
        columns = [np.arange(self.columns[b], self.columns[b + 1]) for b in blocks]
        values = self.values[self.value_offsets[e] : self.value_offsets[e + 1]]
        n = len(values) // 3
        return np.concatenate(columns) if columns else np.arange(0), values.reshape(3, n)

    def project(self):
        """The derivatives of the rows themselves, with all columns, as `Descriptor.gradients` gives them.

        Written to be read, not for speed: a loop over pairs in Python.

        Returns
        -------
        Gradients
        """
        n_atoms, n_features = self.rows.shape
        keys = np.concatenate([np.arange(n_atoms) * (n_atoms + 1), self.centers * n_atoms + self.neighbors])
        keys, slots = np.unique(keys, return_inverse=True)
        values = np.zeros((len(keys), 3, n_features))
        for e, center in enumerate(self.centers):
            if self.norms[center] > 0:
                derivative = -self.dots[e][:, None] * self.rows[center]
                columns, raw = self.pair(e)
                derivative[:, columns] += raw
                derivative /= self.norms[center]
                values[slots[n_atoms + e]] += derivative
                values[slots[center]] -= derivative
        return Gradients(values, *np.divmod(keys, max(1, n_atoms)))


@dataclass(frozen=True)
class DensityDescriptor(Descriptor):
    """Keywords of descriptors of the neighbour density; subclasses add species, r_cut, n_max, sigma."""

    _: KW_ONLY
    radial_basis: choice(core.radial_basis_parameters) = "gto"
    radial_options: Mapping | None = None
    cutoff: CutoffName = "shifted_cosine"
    cutoff_width: Length = 0.5
    radial_scaling: Mapping | None = None
    central_weight: Annotated[float, partial(check_positive, allow_zero=True, largest=1000)] = 1.0
    central_in_all_species: Flag = False
    channels: tuple | None = None
    normalize: Flag = True
    ignore_unknown: Flag = False

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""
        super().__post_init__()
        check_width(self)
        known = core.radial_basis_parameters()[self.radial_basis]
        object.__setattr__(self, "radial_options", _options(self.radial_options, "radial_options", known))
        object.__setattr__(self, "radial_scaling", _scaling(self.radial_scaling))
        object.__setattr__(self, "channels", _channels(self.channels, len(self.species)))
        if self.n_features > MAX_FEATURES:
            raise ConfigError(
                f"{type(self).__name__}: n_max={self.n_max} with {self.n_channels} species or channels makes "
                f"{self.n_features} features; take fewer, or combine species by channels."
            )
        try:
            core.RadialScaling(**dict(self.radial_scaling or ()))
        except ValueError as error:
            raise ConfigError(f"radial_scaling={dict(self.radial_scaling)}: {error}") from None

    def _parameters(self, l_max):
        return core.DensityParameters(
            species=list(self.species),
            n_max=self.n_max,
            l_max=l_max,
            r_cut=self.r_cut,
            sigma=self.sigma,
            radial_basis=self.radial_basis,
            radial_options=dict(self.radial_options or ()),
            cutoff=self.cutoff,
            width=self.cutoff_width,
            scaling=core.RadialScaling(**dict(self.radial_scaling or ())),
            central_weight=self.central_weight,
            central_in_all_species=self.central_in_all_species,
            channels=[] if self.channels is None else [weight for row in self.channels for weight in row],
            ignore_unknown=self.ignore_unknown,
        )

    @property
    def n_channels(self):
        """Number of channels of the density: the species, or the columns of `channels`."""
        return len(self.species) if self.channels is None else len(self.channels[0])

    def coefficients(self, frames):
        r"""The expansion :math:`c^a_{nlm}` of the density of every atom, of which the features are made.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        ndarray of shape (n_atoms, n_channels, (l_max + 1)^2, n_max)
            Index l^2 + l + m of the third axis is (l, m), m = -l .. l, of real spherical harmonics in the order
            y, z, x for l = 1.

        Raises
        ------
        DataError
            As `transform`.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from mercer import SOAP
        >>> soap = SOAP(["H", "O"], 4.0, 4, 3, 0.5, normalize=False)
        >>> c = soap.coefficients(molecule("H2O"))
        >>> c.shape
        (3, 2, 16, 4)
        >>> p = np.einsum("mn,mk->nk", c[0, 0, 4:9], c[0, 1, 4:9]) * np.sqrt(2 / 5)
        >>> features = soap.transform(molecule("H2O"))[0, soap.block("HO")]
        >>> bool(np.allclose(features.reshape(4, 4, 4)[2], p))
        True
        """
        environments = self._environments(frames)
        return self._core.coefficients(environments.structures, environments.pairs)

    def raw_gradients(self, frames, out=None):
        """Derivatives of rows before normalisation, only in the columns that a neighbour touches.

        Several times faster and smaller than `gradients` where there are several species. For energies and forces of a
        model `vjp` is faster still.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        out : ndarray of shape (n,), optional
            Its beginning takes the values; float64. Reused from call to call it saves most of the time.

        Returns
        -------
        RawGradients

        Raises
        ------
        DataError
            As `transform`, and for an `out` that is too small.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from mercer import SOAP
        >>> soap = SOAP(["H", "O"], 4.0, 4, 3, 0.5)
        >>> raw = soap.raw_gradients(molecule("H2O"))
        >>> columns, values = raw.pair(0)
        >>> bool(np.allclose(raw.project().values, soap.gradients(molecule("H2O")).values))
        True
        """
        environments = self._environments(frames)
        if out is not None:
            out = check_out(out, (np.size(out),))
        pairs = environments.pairs
        try:
            arrays = self._core.raw_gradients(environments.structures, pairs, out)
        except ValueError as error:  # how many values there are is known only now
            raise DataError(str(error)) from None
        centers = np.repeat(np.arange(pairs.n_atoms), np.diff(pairs.offsets))
        return RawGradients(*arrays, centers, pairs.neighbors)

    def to_dict(self):
        """The parameters as plain numbers, strings, lists and dicts, with the class under ``"type"``."""
        parameters = super().to_dict()
        for name in ("radial_options", "radial_scaling"):
            if parameters[name] is not None:
                parameters[name] = dict(getattr(self, name))
        return parameters


def _options(options, name, known):
    """A mapping of names to numbers as a sorted tuple of pairs, which can be hashed."""
    if options is None:
        return None
    try:
        if isinstance(options, str | bytes):
            raise TypeError
        options = dict(options)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}={show(options)}: expected a dict.") from None
    for key in options:
        check_choice(key, known, f"a key of {name}")
    return tuple(
        sorted((key, check_positive(value, f"{name}[{key!r}]", allow_zero=True)) for key, value in options.items())
    )


def _scaling(options):
    """Name and parameters of a radial scaling, in the same form; the name is left out where it is "willatt"."""
    if not isinstance(options, Mapping):
        return _options(options, "radial_scaling", ())
    numbers = dict(options)
    name = check_choice(numbers.pop("name", "willatt"), core.radial_scaling_parameters(), "radial_scaling")
    known = core.radial_scaling_parameters()[name]
    missing = [key for key in known if key not in numbers] if name != "willatt" else []
    numbers = _options(numbers, "radial_scaling", known)
    if missing:
        raise ConfigError(
            f"radial_scaling={dict(options)}: {missing[0]} is missing; {name!r} takes {', '.join(known)}."
        )
    return numbers if name == "willatt" else tuple(sorted((*numbers, ("name", name))))


def _channels(channels, n_species):
    if channels is None:
        return None
    try:
        matrix = as_numbers(channels, "channels")
    except DataError as error:
        raise ConfigError(str(error)) from None
    if matrix.ndim != 2 or len(matrix) != n_species or matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise ConfigError(
            f"channels has shape {matrix.shape}; expected ({n_species}, n_channels), finite: a row for each species "
            "in order of atomic number."
        )
    return tuple(tuple(row) for row in matrix.tolist())
