"""What the many-body tensor representation of structures and that of atoms share."""

import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Annotated, NamedTuple

import numpy as np

from mercer._core import core
from mercer._parameters import Flag, Length, NotNegative, Parameters, Positive, choice
from mercer._validation import (
    as_numbers,
    check_choice,
    check_count,
    check_items,
    check_number,
    check_out,
    check_positive,
    nearest,
    show,
)
from mercer.descriptors._base import CutoffName, Descriptor, Species, check_width
from mercer.errors import ConfigError, DataError
from mercer.structures import naming_frames, symbols

#: A larger share of the weight of tuples beside the grid is worth a warning.
OUTSIDE = 0.01

#: Short forms of weights.
WEIGHTS = {
    "inverse_distance": {"function": "inverse", "power": 1},
    "inverse_square": {"function": "inverse", "power": 2},
    "1/count": {"function": "inverse", "power": 1},
}


class Label(NamedTuple):
    """What a column of an MBTR is: k, the chemical symbols of the tuple along the chain of its atoms, and the grid."""

    k: int
    elements: tuple
    x: float


def _grid(grid, name):
    values = check_items(grid, name, "(first, last, n)")
    if len(values) != 3:
        raise ConfigError(f"{name}={show(grid)}: expected (first, last, n).")
    first, last = (check_number(value, f"{name}: {end}") for value, end in zip(values, ("first", "last"), strict=False))
    if not first < last:
        raise ConfigError(f"{name}={show(grid)}: expected first < last.")
    return first, last, check_count(values[2], f"{name}: n", minimum=2, maximum=1_000_000)


def _weight(weight, name):
    """A tuple of factors, each a sorted tuple of its parameters with the function and the edges."""
    if isinstance(weight, str | Mapping):
        weight = [weight]
    try:
        factors = [
            dict(WEIGHTS.get(factor, {"function": factor}) if isinstance(factor, str) else factor) for factor in weight
        ]
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name}={show(weight)}: expected a name, a mapping with the function, or a list of these."
        ) from None
    functions = dict(core.mbtr_weights())
    out = []
    for factor in factors:
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


@dataclass(frozen=True)
class MBTRPart(Parameters):
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
        How the weight goes to zero at `r_cut`: "shifted_cosine", "cosine", "polynomial", or "none", a step.
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

    geometry: choice(lambda: [name for name, _ in core.mbtr_geometries()])
    grid: Annotated[tuple, _grid]
    sigma: Positive
    weight: Annotated[tuple, _weight] = ()
    threshold: NotNegative = 0.0
    r_cut: Length | None = None
    cutoff: CutoffName = "shifted_cosine"
    cutoff_width: Length = 0.5
    broadening: choice(core.mbtr_broadenings) = "normal"
    values: choice(("integral", "average", "point")) = "integral"
    centered: Flag = True
    normalized: Flag = True

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""
        super().__post_init__()
        if self.threshold >= 1:
            raise ConfigError(f"threshold={self.threshold}: expected a number below 1.")
        if self.r_cut is not None:
            check_width(self)

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
            raise ConfigError(f"{name}={show(part)}: expected a mapping with geometry, grid and sigma, or an MBTRPart.")
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
            weights.append(core.weight_of_cutoff(self.cutoff, self.r_cut, self.cutoff_width))
        names = ("geometry", "sigma", "broadening", "values", "centered", "normalized", "threshold")
        same = {name: getattr(self, name) for name in names}
        return core.MbtrPart(order=self.k, first=first, last=last, n=n, weights=weights, **same)


def _factor(parameters):
    parameters = dict(parameters)
    return parameters.pop("function"), parameters, parameters.pop("edges") == "legs"


@dataclass(frozen=True)
class TensorDescriptor(Descriptor):
    """Keywords of MBTR and LMBTR."""

    species: Species
    _: KW_ONLY
    k2: Annotated[MBTRPart, MBTRPart.of] | None = None
    k3: Annotated[MBTRPart, MBTRPart.of] | None = None
    k4: Annotated[MBTRPart, MBTRPart.of] | None = None
    correlation: tuple | None = None
    normalization: str = "none"
    ignore_unknown: Flag = False
    max_tuples: Positive = 1e8

    #: Those k that are fields, what rows may be divided by, and the class of the core.
    _orders = (2, 3, 4)
    _normalizations = ("none", "l2")
    _kind = None

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""
        super().__post_init__()
        for k, part in self.parts.items():
            if part.k != k:
                known = ", ".join(n for n, order in core.mbtr_geometries() if order == k)
                raise ConfigError(
                    f"k{k}: geometry={part.geometry!r} is a function of {part.k} atoms, not of {k}; expected {known}."
                )
        if not self.parts:
            raise ConfigError(f"{type(self).__name__}: no parts are given; give at least one of "
                              f"{', '.join(f'k{k}' for k in self._orders)}.")  # fmt: skip
        if self.correlation is not None:
            object.__setattr__(self, "correlation", _correlation(self.correlation, len(self.species)))
        check_choice(self.normalization, self._normalizations, "normalization")
        self._core  # noqa: B018  the core checks the rest

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
            return self._kind(self._parameters())
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
        return [
            (k, tuple(e if e == "X" else names[e] for e in elements))
            for k in self.parts
            for elements in self._channels(k, len(names))
        ]

    def feature_labels(self):
        """What every column is: a list of (k, elements, x)."""
        return [Label(k, elements, float(x)) for k, elements in self.channel_labels() for x in self.parts[k].x]

    def transform(self, frames, out=None):
        """Tensors of structures, or of atoms.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        out : ndarray of shape (n_rows, n_features), optional
            Takes the result; it is faster to reuse one than to make a new one. float64, C-ordered.

        Returns
        -------
        ndarray of shape (n_rows, n_features)

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
        structures = environments.structures
        shape = structures.n_frames if self.per_frame else structures.n_atoms, self.n_features
        out = core.empty(*shape) if out is None else check_out(out, shape)
        with naming_frames(environments.frames):
            total, outside = self._core.transform_weighed(environments.structures, environments.pairs, out)
        self._warn_outside(total, outside)
        return out

    def _warn_outside(self, total, outside):
        if not any(outside):
            return
        for (k, part), all_of_it, beside in zip(self.parts.items(), total, outside, strict=True):
            if beside > OUTSIDE * all_of_it:
                warnings.warn(
                    f"k{k}: {100 * beside / all_of_it:.0f} % of the weight of the tuples is beside the grid from "
                    f"{part.grid[0]:g} to {part.grid[1]:g} of geometry={part.geometry!r}; choose a wider grid.",
                    stacklevel=3,
                )


def _correlation(correlation, n_species):
    try:
        array = as_numbers(correlation, "correlation")
    except DataError as error:
        raise ConfigError(str(error)) from None
    if array.ndim != 2 or array.shape[1] != n_species or len(array) == 0 or not np.isfinite(array).all():
        raise ConfigError(
            f"correlation has shape {array.shape}; expected (n_elements, {n_species}), a column for each of the "
            "species, of finite numbers."
        )
    return tuple(tuple(float(c) for c in row) for row in array)
