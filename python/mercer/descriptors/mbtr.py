"""The many-body tensor representation."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import NamedTuple

import numpy as np

from mercer._core import core
from mercer._validation import check_choice, check_count, check_out, check_positive, nearest
from mercer.descriptors._base import register
from mercer.descriptors._structure import StructureDescriptor
from mercer.errors import ConfigError
from mercer.structures import naming_frames, species_numbers, symbols

#: A larger share of the weight of tuples beside the grid is worth a warning.
OUTSIDE = 0.01

#: Short forms of weights.
WEIGHTS = {
    "inverse_distance": {"function": "inverse", "power": 1},
    "inverse_square": {"function": "inverse", "power": 2},
    "1/count": {"function": "inverse", "power": 1},
}

NORMALIZATIONS = ("none", "l2", "n_atoms", "valle_oganov")


class Label(NamedTuple):
    """What a column of an MBTR is: k, the chemical symbols of the tuple along the chain of its atoms, and the grid."""

    k: int
    elements: tuple
    x: float


@dataclass(frozen=True)
class MBTRPart:
    r"""One tensor of an MBTR: :math:`f_k(x, z) = \sum_{tuples} w_k D(x, g_k)`.

    Parameters
    ----------
    geometry : str
        g_k. k = 1: "count" (of atoms of the element in the frame), "atomic_number"; k = 2: "distance",
        "inverse_distance", "inverse_square"; k = 3, the atom in the middle being the vertex: "angle", "cosine"; k = 4:
        "dihedral" (in (-pi, pi], its axis is periodic; the sign tells mirror images apart), "cosine_dihedral". Angstrom
        and radians.
    grid : (first, last, n)
        n equidistant points x from `first` to `last`, both included.
    sigma : float
        Standard deviation of the broadening, in the unit of g_k.
    weight : str, dict, or sequence of them, default "unity"
        Factors of w_k; each is a function of distances d in the tuple: "unity"; {"function": "inverse", "power": p},
        d^-p (also "inverse_distance", "inverse_square", and for k = 1 "1/count"); {"function": "exponential", "scale":
        s}, exp(-s d); {"function": "gaussian", "scale": s}, exp(-s d^2); {"function": "step", "r_cut": r};
        {"function": "shifted_cosine" or "polynomial", "r_cut": r, "width": w}; {"function": "sharpness", "r_cut": r,
        "sharpness": y}, 1 + y x^(y + 1) - (y + 1) x^y with x = d / r. It is multiplied over all distances of the
        tuple, or with "edges": "legs" over those along the chain of its atoms; the default is "legs" for the functions
        with r_cut and "all" for others: with k = 3, "exponential" is exp(-s (d12 + d23 + d13)), and "inverse_square"
        is 1 / (d12 d23 d13)^2.
    threshold : float, default 0.0
        Tuples of a smaller weight are left out: a sharp end, at which the tensor jumps by that much.
    r_cut : float, optional
        Tuples count only if all their legs are shorter, Angstrom.
    cutoff : str, default "shifted_cosine"
        How the weight goes to zero at `r_cut`: "shifted_cosine", "polynomial", or "none", a step.
    cutoff_width : float, default 0.5
        Angstrom over which it does.
    broadening : str, default "normal"
        "normal", "uniform" or "laplace".
    values : str, default "integral"
        Of the broadened line: its "integral" over each bin of the grid, the "average", which is that divided by the
        step, or the value at each "point". Point values of the uniform line jump as atoms move: no gradients.
    centered : bool, default True
        Bins are centred on the points of the grid; else they begin there.
    normalized : bool, default True
        Lines have unit area; else unit height.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.
    """

    geometry: str
    grid: tuple
    sigma: float
    weight: tuple = ()
    threshold: float = 0.0
    r_cut: float | None = None
    cutoff: str = "shifted_cosine"
    cutoff_width: float = 0.5
    broadening: str = "normal"
    values: str = "integral"
    centered: bool = True
    normalized: bool = True

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""

        def put(name, value):
            object.__setattr__(self, name, value)

        check_choice(self.geometry, [name for name, _ in core.mbtr_geometries()], "geometry")
        put("grid", _grid(self.grid))
        put("sigma", check_positive(self.sigma, "sigma"))
        put("weight", _weight(self.weight))
        put("threshold", check_positive(self.threshold, "threshold", allow_zero=True))
        if self.threshold >= 1:
            raise ConfigError(f"threshold={self.threshold}: expected a number below 1.")
        check_choice(self.cutoff, ("shifted_cosine", "polynomial", "none"), "cutoff")
        put("cutoff_width", check_positive(self.cutoff_width, "cutoff_width"))
        if self.r_cut is not None:
            put("r_cut", check_positive(self.r_cut, "r_cut"))
            if self.cutoff != "none" and self.cutoff_width > self.r_cut:
                raise ConfigError(f"cutoff_width={self.cutoff_width}: expected at most r_cut={self.r_cut}.")
        check_choice(self.broadening, core.mbtr_broadenings(), "broadening")
        check_choice(self.values, ("integral", "average", "point"), "values")
        put("centered", bool(self.centered))
        put("normalized", bool(self.normalized))

    @property
    def k(self):
        """Number of atoms of a tuple."""
        return dict(core.mbtr_geometries())[self.geometry]

    @property
    def x(self):
        """Points of the grid, (n,)."""
        first, last, n = self.grid
        return np.linspace(first, last, n)

    @classmethod
    def of(cls, part, name="part"):
        """`part` as an MBTRPart: itself, or made of a mapping of its parameters.

        Raises
        ------
        ConfigError
            For unknown and missing parameters, and those outside their ranges.
        """
        if isinstance(part, cls):
            return part
        if not isinstance(part, Mapping):
            raise ConfigError(f"{name}={part!r}: expected a mapping with geometry, grid and sigma, or an MBTRPart.")
        known = [field.name for field in fields(cls)]
        for key in part:
            if key not in known:
                raise ConfigError(
                    f"{name}: unknown parameter {key!r}; expected {', '.join(known)}.{nearest(key, known)}"
                )
        missing = [key for key in ("geometry", "grid", "sigma") if key not in part]
        if missing:
            raise ConfigError(f"{name}: {missing[0]} is missing.")
        try:
            return cls(**part)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None

    def to_dict(self):
        """The parameters as plain numbers, strings, lists and dicts."""
        weight = [dict(parameters) for parameters in self.weight]
        return asdict(self) | {"grid": list(self.grid), "weight": weight}

    def _make(self):
        first, last, n = self.grid
        weights = [_factor(parameters) for parameters in self.weight]
        if self.r_cut is not None and self.k > 1:
            width = {} if self.cutoff == "none" else {"width": self.cutoff_width}
            weights.append(("step" if self.cutoff == "none" else self.cutoff, {"r_cut": self.r_cut} | width, True))
        names = ("geometry", "sigma", "broadening", "values", "centered", "normalized", "threshold")
        same = {name: getattr(self, name) for name in names}
        return core.MbtrPart(order=self.k, first=first, last=last, n=n, weights=weights, **same)


def _grid(grid):
    try:
        first, last, n = grid
        first, last = float(first), float(last)
    except (TypeError, ValueError):
        raise ConfigError(f"grid={grid!r}: expected (first, last, n).") from None
    n = check_count(n, "grid: n", minimum=2)
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise ConfigError(f"grid={grid!r}: expected first < last, both finite.")
    return first, last, n


def _weight(weight):
    """A tuple of factors, each a sorted tuple of its parameters with the function and the edges."""
    if isinstance(weight, str | Mapping):
        weight = [weight]
    functions = dict(core.mbtr_weights())
    out = []
    for factor in weight:
        factor = dict(WEIGHTS.get(factor, {"function": factor}) if isinstance(factor, str) else factor)
        function = factor.pop("function", None)
        check_choice(function, functions, "weight")
        known = functions[function]
        edges = check_choice(factor.pop("edges", "legs" if "r_cut" in known else "all"), ("legs", "all"), "edges")
        for key in [*factor, *known]:
            if key not in known or key not in factor:
                raise ConfigError(f"weight {function!r}: {key!r} is {'unknown' if key in factor else 'missing'}; "
                                  f"expected {', '.join(known) or 'no parameters'}, and perhaps edges.")  # fmt: skip
        numbers = {key: check_positive(value, f"weight {function!r}: {key}") for key, value in factor.items()}
        if function != "unity":
            out.append(tuple(sorted({"function": function, "edges": edges, **numbers}.items())))
    return tuple(out)


def _factor(parameters):
    parameters = dict(parameters)
    return parameters.pop("function"), parameters, parameters.pop("edges") == "legs"


@register
@dataclass(frozen=True)
class MBTR(StructureDescriptor):
    r"""Many-body tensor representation: distributions of distances, angles, ... of a structure, a row for every frame.

    For k = 1, 2, 3, 4 atoms, :math:`f_k(x, z) = \sum_{i} w_k(i) D(x, g_k(i)) \prod_t C_{z_t, Z_{i_t}}`, the sum over
    tuples i of different atoms, z a tuple of elements (Huo and Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), eq.
    4). Every tuple counts once, not in both of its directions; of periodic frames all tuples in the crystal count, once
    for all their translations, so that rows are extensive and do not depend on the choice of the cell. That needs
    weights that end: `r_cut`, or a threshold with a weight that decays.

    Columns are those of k1, then k2, k3 and k4; in each the tuples of elements are slowest, then the grid. With the
    elements a, b, ... in ascending order, k = 2 has the pairs (a, b), a <= b; k = 3 the triples (a, b, c), a <= c, with
    the vertex b slowest; k = 4 the chains (a, b, c, d), b <= c, with the bond (b, c) slowest, and a <= d where b = c.

    Parameters
    ----------
    species : str, int, or sequence of them
        Elements that may occur, as symbols or atomic numbers; sorted by atomic number.
    k1, k2, k3, k4 : MBTRPart, or dict of its parameters, optional
        The tensors; at least one.
    correlation : array_like of shape (n_elements, n_species), optional
        C: every atom counts as each of the elements z, by the factor C[z, Z]; with fewer rows than species the tensor
        becomes smaller. Default: the unit matrix.
    normalization : str, default "none"
        "none"; "l2", rows of unit length (zero rows stay zero); "n_atoms", divided by the number of atoms;
        "valle_oganov", of crystals: multiplied by V / (4 pi N_a N_b), twice that for a = b, for k = 2, and by
        V / (N_a N_b N_c) for k = 3 (Valle and Oganov, Acta Cryst. A 66, 507 (2010)).
    ignore_unknown : bool, default False
        Atoms of other elements than `species` are left out, instead of being an error.
    max_tuples : float, default 1e8
        More tuples than this in a part and a frame are an error.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> inverse = {"geometry": "inverse_distance", "grid": (0, 1.5, 100), "sigma": 0.05, "weight": "inverse_square"}
    >>> angles = {"geometry": "cosine", "grid": (-1, 1, 100), "sigma": 0.05}
    >>> mbtr = MBTR(["H", "O"], k2=inverse, k3=angles | {"weight": {"function": "exponential", "scale": 0.5}})
    >>> mbtr.transform(molecule("H2O")).shape
    (1, 900)
    >>> list(mbtr.channels(molecule("H2O")))
    [(2, ('H', 'H')), (2, ('H', 'O')), (3, ('H', 'H', 'O')), (3, ('H', 'O', 'H'))]
    """

    species: tuple
    _: KW_ONLY
    k1: MBTRPart | None = None
    k2: MBTRPart | None = None
    k3: MBTRPart | None = None
    k4: MBTRPart | None = None
    correlation: tuple | None = None
    normalization: str = "none"
    ignore_unknown: bool = False
    max_tuples: float = 1e8

    #: The least k.
    _orders = (1, 2, 3, 4)

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""

        def put(name, value):
            object.__setattr__(self, name, value)

        given = self.species
        numbers = {species_numbers([s])[0] for s in ([given] if isinstance(given, str | int | np.integer) else given)}
        if not numbers:
            raise ConfigError(f"{type(self).__name__}: species is empty; give the elements that occur.")
        put("species", tuple(int(number) for number in sorted(numbers)))
        for k in self._orders:
            name = f"k{k}"
            if getattr(self, name) is not None:
                put(name, MBTRPart.of(getattr(self, name), name))
                if getattr(self, name).k != k:
                    known = ", ".join(n for n, order in core.mbtr_geometries() if order == k)
                    geometry = getattr(self, name).geometry
                    raise ConfigError(f"{name}: geometry={geometry!r} is no function of {k} atoms; expected {known}.")
        if not self.parts:
            raise ConfigError(f"{type(self).__name__}: no parts are given; give at least one of "
                              f"{', '.join(f'k{k}' for k in self._orders)}.")  # fmt: skip
        if self.correlation is not None:
            put("correlation", _correlation(self.correlation, len(self.species)))
        check_choice(self.normalization, self._normalizations, "normalization")
        put("ignore_unknown", bool(self.ignore_unknown))
        put("max_tuples", check_positive(self.max_tuples, "max_tuples"))
        self._core  # noqa: B018  the core checks the rest

    _normalizations = NORMALIZATIONS

    @property
    def parts(self):
        """{k: MBTRPart} of those that are given."""
        return {k: getattr(self, f"k{k}") for k in self._orders if getattr(self, f"k{k}") is not None}

    @property
    def r_cut(self):
        """The distance up to which pairs are needed, Angstrom; infinite where no weight ends."""
        return self._core.cutoff

    def _parameters(self):
        return core.MbtrParameters(
            species=list(self.species),
            parts=[part._make() for part in self.parts.values()],
            correlation=[c for row in self.correlation or () for c in row],
            normalization=self.normalization,
            ignore_unknown=self.ignore_unknown,
            max_tuples=self.max_tuples,
        )

    def _make(self):
        try:
            return core.Mbtr(self._parameters())
        except ValueError as error:
            raise ConfigError(f"{type(self).__name__}: {error}") from None

    def to_dict(self):
        """The parameters as plain numbers, strings, lists and dicts, with the class under ``"type"``."""
        parts = {f"k{k}": getattr(self, f"k{k}") for k in self._orders}
        return super().to_dict() | {name: part and part.to_dict() for name, part in parts.items()}

    def _element_names(self):
        names = symbols(self.species)
        n = len(self.correlation or names)
        return list(names) if n == len(names) else list(range(n))

    def channel_labels(self):
        """(k, elements) of all channels in the order of the columns; elements along the chain of atoms.

        Elements are chemical symbols, or where `correlation` changes their number, numbers.
        """
        names = self._element_names()
        return [(k, tuple(names[e] for e in elements)) for k in self.parts for elements in _channels(k, len(names))]

    def feature_labels(self):
        """What every column is: a list of (k, elements, x)."""
        return [Label(k, elements, float(x)) for k, elements in self.channel_labels() for x in self.parts[k].x]

    def transform(self, frames, out=None):
        """Tensors of structures.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        out : ndarray of shape (n_frames, n_features), optional
            Takes the result; it is faster to reuse one than to make a new one. float64, C-ordered.

        Returns
        -------
        ndarray of shape (n_frames, n_features)

        Raises
        ------
        DataError
            For structures that are not valid, atoms at the same place, elements that are not among `species`, periodic
            frames with a weight that does not end, too many tuples, and an `out` of another shape or type.

        Warns
        -----
        UserWarning
            Where more than 1 % of the weight of all tuples is beside the grid.
        """
        environments = self._environments(frames)
        shape = self._shape(environments)
        out = core.empty(*shape) if out is None else check_out(out, shape)
        with naming_frames(environments.frames):
            total, outside = self._core.transform_weighed(environments.structures, environments.pairs, out)
        self._warn_outside(total, outside)
        return out

    def _warn_outside(self, total, outside):
        for (k, part), all_of_it, beside in zip(self.parts.items(), total, outside, strict=True):
            if beside > OUTSIDE * all_of_it:
                warnings.warn(
                    f"k{k}: {100 * beside / all_of_it:.0f} % of the weight of the tuples is beside the grid from "
                    f"{part.grid[0]:g} to {part.grid[1]:g} of geometry={part.geometry!r}; choose a wider grid.",
                    stacklevel=3,
                )

    def _occurring(self, frames):
        """Of every channel that occurs in a frame: frame, channel, first value; all values."""
        environments = self._environments(frames)
        with naming_frames(environments.frames):
            offsets, channels, values, total, outside = self._core.transform_channels(
                environments.structures, environments.pairs
            )
        self._warn_outside(total, outside)
        sizes = np.array([self.parts[k].grid[2] for k, _ in self.channel_labels()])
        starts = np.concatenate([[0], np.cumsum(sizes[channels])])
        return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), channels, starts, values, sizes

    def channels(self, frames):
        """The tensors by tuples of elements, only those that occur.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        dict
            {(k, elements): ndarray of shape (n_frames, n)}; elements as in `channel_labels`.

        Raises
        ------
        ConfigError
            Where a correlation mixes elements, so that all channels occur.
        """
        self._require_separate_channels()
        environments = self._environments(frames)
        frame, channel, starts, values, sizes = self._occurring(environments)
        labels = self.channel_labels()
        out = {labels[c]: np.zeros((len(environments.frames), sizes[c])) for c in np.unique(channel)}
        for f, c, start in zip(frame, channel, starts[:-1], strict=True):
            out[labels[c]][f] = values[start : start + sizes[c]]
        return out

    def sparse(self, frames):
        """Rows without the columns of tuples of elements that do not occur, for many elements.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        scipy.sparse.csr_array of shape (n_frames, n_features)

        Raises
        ------
        ConfigError
            Where a correlation mixes elements, so that all channels occur.
        """
        from scipy.sparse import csr_array

        self._require_separate_channels()
        environments = self._environments(frames)
        frame, channel, starts, values, sizes = self._occurring(environments)
        first = np.concatenate([[0], np.cumsum(sizes)])[channel]
        columns = np.repeat(first - starts[:-1], sizes[channel]) + np.arange(starts[-1])
        n_frames = len(environments.frames)
        rows = np.concatenate([[0], np.cumsum(np.bincount(frame, weights=sizes[channel], minlength=n_frames))])
        return csr_array((values, columns, rows.astype(columns.dtype)), shape=(n_frames, self.n_features))

    def _require_separate_channels(self):
        if self.correlation is not None:
            raise ConfigError(f"{type(self).__name__}: correlation mixes the elements, so all channels occur; "
                              "use transform.")  # fmt: skip


def _channels(k, n):
    """Tuples of k elements out of n, in the order of the columns."""
    r = range(n)
    if k == 1:
        return [(a,) for a in r]
    if k == 2:
        return [(a, b) for a in r for b in r if a <= b]
    if k == 3:
        return [(a, b, c) for b in r for a in r for c in r if a <= c]
    return [(a, b, c, d) for b in r for c in r if b <= c for a in r for d in r if b < c or a <= d]


def _correlation(correlation, n_species):
    array = np.asarray(correlation, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != n_species or len(array) == 0 or not np.isfinite(array).all():
        raise ConfigError(
            f"correlation has shape {array.shape}; expected (n_elements, {n_species}), a column for each of the "
            "species, of finite numbers."
        )
    return tuple(tuple(float(c) for c in row) for row in array)
