"""What every descriptor shares: features, their reverse pass, and being a value."""

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np

from mercer._core import core
from mercer._parameters import Parameters, choice, count
from mercer._validation import as_numbers, check_items, check_mapping, check_out, show
from mercer.errors import ConfigError, DataError
from mercer.structures import as_frames, naming_frames, species_numbers, symbols, to_batch

#: Atoms closer than this (Angstrom) are a mistake of the input, not an environment.
MIN_DISTANCE = 1e-3

#: name -> class of every descriptor.
DESCRIPTORS = {}


def register(cls):
    """Class decorator: enter a descriptor into `DESCRIPTORS` under the name of the class.

    Its fields stay frozen, but pipelines of scikit-learn may leave notes of their own on it.
    """
    names = {field.name for field in fields(cls)}

    def thaw(change):
        def checked(self, name, *value):
            if name in names:
                raise FrozenInstanceError(f"{cls.__name__}.{name} cannot be changed; see dataclasses.replace")
            change(self, name, *value)

        return checked

    cls.__setattr__, cls.__delattr__ = thaw(object.__setattr__), thaw(object.__delattr__)
    DESCRIPTORS[cls.__name__] = cls
    return cls


def _species(value, name):
    """Elements as a sorted tuple of atomic numbers, each once."""
    elements = [value] if isinstance(value, str | int | np.integer) else check_items(
        value, name, "symbols or atomic numbers, such as ['H', 'C']"
    )  # fmt: skip
    numbers = sorted({number for element in elements for number in species_numbers([element], name)})
    if not numbers:
        raise ConfigError(f"{name} is empty; give the elements that occur, such as {name}=['H', 'C'].")
    return tuple(numbers)


Species = Annotated[tuple, _species]
CutoffName = choice(core.cutoff_names)
#: Atoms of matrices with a row and a column for each.
AtomCount = count(maximum=10_000)


def check_width(descriptor):
    """ConfigError where the cutoff function does not fit into the cutoff radius."""
    if descriptor.cutoff_width > descriptor.r_cut and descriptor.cutoff not in ("none", "cosine"):
        raise ConfigError(f"cutoff_width={descriptor.cutoff_width}: expected at most r_cut={descriptor.r_cut}.")


@dataclass(frozen=True)
class Environments:
    """Structures together with their neighbour list, to be used by several descriptors or calls.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from mercer import SOAP
    >>> environments = Environments.of(bulk("Si"), 5.0)
    >>> SOAP("Si", 5.0, 4, 3, 0.5).transform(environments).shape
    (2, 40)
    """

    frames: list
    structures: object
    pairs: object

    @classmethod
    def of(cls, frames, r_cut):
        """Structures of `frames` with all pairs closer than `r_cut` (Angstrom).

        Raises
        ------
        DataError
            For structures that are not valid and for two atoms at the same place, naming the frame.
        """
        frames = as_frames(frames)
        structures = to_batch(frames)
        with naming_frames(frames):
            pairs = core.build_pair_list(structures, r_cut, MIN_DISTANCE)
        return cls(frames, structures, pairs)


class RowLayout(NamedTuple):
    """Which rows belong to which frame (`offsets`), and which may covary (`groups`)."""

    offsets: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True, eq=False)
class Gradients:
    """Derivatives of rows with respect to positions, without the zeros.

    ``dense[centers, neighbors] += values`` fills an array of zeros of shape (n_rows, n_atoms, 3, n_features).

    Attributes
    ----------
    values : ndarray of shape (n_entries, 3, n_features)
        d row / d position, per Angstrom.
    centers : ndarray of shape (n_entries,)
        Row: for descriptors of atoms the atom, counted over all frames. Ascending.
    neighbors : ndarray of shape (n_entries,)
        The atom that moves, counted over all frames; ascending for each row, the atom of the row itself included.
        Periodic images of an atom are one entry.
    """

    values: np.ndarray
    centers: np.ndarray
    neighbors: np.ndarray


def _word(label):
    """A label of a column as text: its parts, joined."""
    if isinstance(label, tuple):
        return "_".join(map(_word, label))
    return f"{label:g}" if isinstance(label, float) else str(label)


class BoundDescriptor:
    """A descriptor with its rows of some environments: `Descriptor.bind`.

    Attributes
    ----------
    layout : RowLayout
    """

    def __init__(self, descriptor, environments):
        self._descriptor, self._environments = descriptor, environments
        with naming_frames(environments.frames):
            self._core = descriptor._core.bind(environments.structures, environments.pairs)
        self.layout = RowLayout(*self._core.layout)

    @property
    def shape(self):
        """Of the features, (n_rows, n_features)."""
        return int(self.layout.offsets[-1]), self._descriptor.n_features

    def transform(self, out=None):
        """See `Descriptor.transform`."""
        out = core.empty(*self.shape) if out is None else check_out(out, self.shape)
        with naming_frames(self._environments.frames):
            self._core.transform(out)
        return out

    def share(self, row_energies):
        """See `Descriptor.share`."""
        row_energies = as_numbers(row_energies, "row_energies")
        if row_energies.shape != self.shape[:1]:
            raise DataError(
                f"row_energies has shape {row_energies.shape}, expected {self.shape[:1]}: one for each row."
            )
        return self._core.share(row_energies)

    def vjp(self, dY_dX):
        """See `Descriptor.vjp`."""
        self._descriptor._require_differentiable()
        dY_dX = as_numbers(dY_dX, "dY_dX")
        if dY_dX.shape != self.shape:
            raise DataError(f"dY_dX has shape {dY_dX.shape}, expected {self.shape}: that of transform(frames).")
        with naming_frames(self._environments.frames):
            return self._core.vjp(dY_dX)


class Descriptor(Parameters):
    """Base of all descriptors: frozen dataclasses whose C++ counterpart is made at first use.

    A subclass defines ``_make()``, which returns that counterpart, ``r_cut``, ``species`` (atomic numbers) and
    ``feature_labels()``; the types of its fields say what they take (`mercer._parameters`). Each is a transformer of
    scikit-learn, with nothing to fit.
    """

    #: Atoms of other elements than `species` are left out, instead of being an error.
    ignore_unknown = False
    #: Whether there is one row for every frame: models of such rows learn energies only, and predict forces.
    per_frame = False

    @cached_property
    def _core(self):
        return self._make()

    @cached_property
    def _known(self):
        """Whether each atomic number is among the species."""
        known = np.zeros(256, dtype=bool)
        known[list(self.species)] = True
        return known

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state):
        self.__dict__.update(state)

    @property
    def n_features(self):
        """Number of columns."""
        return self._core.n_features

    @property
    def per_atom(self):
        """Whether there is a row for every atom; else see `rows`."""
        return self._core.per_atom

    @property
    def differentiable(self):
        """Whether rows have derivatives: `gradients`, `vjp`, and forces of models."""
        return self._core.differentiable

    def _require_differentiable(self):
        if not self.differentiable:
            raise ConfigError(
                f"{self} has no derivatives: the order of its features depends on the positions. Choose a descriptor "
                "of fixed order (permutation='none' of matrices of atoms), or leave forces, stresses and gradients out."
            )

    @property
    def has_factor(self):
        """Whether the last column of a row is a factor F: the kernel k sees the columns x before it, and the
        covariance of two rows is F F' k(x, x')."""
        return self._core.has_factor

    def rows(self, frames):
        """Which rows of `transform` belong to which frame, and which may covary.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        RowLayout
            ``offsets`` (n_frames + 1,): rows of frame f are offsets[f] .. offsets[f + 1] - 1. ``groups`` (n_rows,): the
            atomic number of the centre, or for clusters the number of the kind.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from mercer.descriptors import PairDistance
        >>> layout = PairDistance(["H", "O"], 4.0).rows(molecule("H2O"))  # kinds: HH, HO, OO
        >>> layout.offsets.tolist(), layout.groups.tolist()
        ([0, 3], [1, 1, 0])
        """
        return self.bind(frames).layout

    def share(self, frames, row_energies):
        """Energies of atoms from energies of rows: the sum of the parts that each row gives to its atoms.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        row_energies : ndarray of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_atoms,)
        """
        return self.bind(frames).share(row_energies)

    def orbit(self, features):
        """Rows (P, n, n_features) whose kernels with `features` add up to the covariance of the functions that these
        stand for as sparse points; the rows themselves, unless one cluster has several rows."""
        return features[None]

    def bind(self, frames):
        """The rows of `frames`, whose clusters are then found once for several calls.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        BoundDescriptor
            `layout`, and `transform`, `share` and `vjp` as here, without their first argument.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from mercer.descriptors import PairDistance
        >>> rows = PairDistance(["H", "O"], 4.0).bind(molecule("H2O"))
        >>> rows.transform().shape, rows.layout.groups.tolist()
        ((3, 2), [1, 1, 0])
        """
        return BoundDescriptor(self, self._environments(frames))

    def environments(self, frames):
        """`frames` with their neighbour list, to be given to several calls in place of `frames`."""
        return Environments.of(frames, self.r_cut)

    def _environments(self, frames):
        environments = frames if isinstance(frames, Environments) else self.environments(frames)
        if self.ignore_unknown:
            return environments
        known = self._known.take(environments.structures.numbers, mode="clip")  # as isin, but five times faster
        if not known.all():
            atom = int(np.argmin(known))
            frame = int(np.searchsorted(environments.structures.offsets, atom, side="right")) - 1
            raise DataError(
                f"{environments.frames.where(frame)}: atom {atom - environments.structures.offsets[frame]} is "
                f"{symbols(environments.structures.numbers[[atom]])[0]}, but the descriptor knows "
                f"{', '.join(symbols(self.species))} only. Add it to species, or leave the frame out."
            )
        return environments

    def transform(self, frames, out=None):
        """Features of atoms or structures.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        out : ndarray of shape (n_rows, n_features), optional
            Takes the result; it is faster to reuse one than to make a new one. float64, C-ordered.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            float64; a row for every atom in the order of the frames (or for every frame, or every cluster: `rows`).

        Raises
        ------
        DataError
            For structures that are not valid, atoms at the same place, elements that are not among `species`, and an
            `out` of another shape or type.
        """
        return self.bind(frames).transform(out)

    def fit(self, X=None, y=None):
        """Nothing to learn: returns self, as transformers of scikit-learn do."""
        return self

    def fit_transform(self, X, y=None):
        """`transform`, for pipelines of scikit-learn."""
        return self.transform(X)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False),
            requires_fit=False,
        )

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, what `feature_labels` says in one word each.

        Examples
        --------
        >>> from mercer import InversePowers
        >>> InversePowers("H", pair_powers=[1, 2], triple_powers=[]).get_feature_names_out().tolist()
        ['H_H_1', 'H_H_2']
        """
        return np.array([_word(label) for label in self.feature_labels()], dtype=object)

    def gradients(self, frames, out=None):
        """Derivatives of every row with respect to the positions of the atoms that change it.

        For energies and forces of a model `vjp` is many times faster and needs no memory for derivatives.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        out : ndarray of shape (n_entries, 3, n_features), optional
            Takes the values; float64, C-ordered.

        Returns
        -------
        Gradients

        Raises
        ------
        DataError
            As `transform`.
        ConfigError
            For descriptors that are not differentiable.

        Examples
        --------
        >>> from ase.build import molecule
        >>> from mercer import SOAP
        >>> soap = SOAP(["H", "O"], 4.0, 4, 3, 0.5)
        >>> gradients = soap.gradients(molecule("H2O"))
        >>> dense = np.zeros((3, 3, 3, soap.n_features))
        >>> dense[gradients.centers, gradients.neighbors] += gradients.values
        """
        self._require_differentiable()
        environments = self._environments(frames)
        if out is not None:
            n_entries = len(out) if isinstance(out, np.ndarray) and out.ndim else 0
            out = check_out(out, (n_entries, 3, self.n_features))
        try:
            with naming_frames(environments.frames):
                return Gradients(*self._core.gradients(environments.structures, environments.pairs, out))
        except DataError:
            raise
        except ValueError as error:  # the number of entries is known only now
            raise DataError(str(error)) from None

    def vjp(self, frames, dY_dX):
        """Reverse pass: the gradient of a number Y with respect to positions and strain, from dY/dX.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments
        dY_dX : ndarray of shape (n_rows, n_features)

        Returns
        -------
        positions : ndarray of shape (n_atoms, 3)
            dY/d(position), per Angstrom: a gradient; forces are its negative.
        strain : ndarray of shape (n_frames, 3, 3)
            dY/d(strain), where a strain e moves positions and cell as r -> (1 + e) r.

        Raises
        ------
        DataError
            As `transform`, and for `dY_dX` of another shape.
        ConfigError
            For descriptors that are not differentiable.
        """
        return self.bind(frames).vjp(dY_dX)

    def to_dict(self):
        """The parameters as plain numbers, strings, lists and dicts, with the class under ``"type"``; what is infinite
        is None."""

        def plain(value):
            if isinstance(value, tuple):
                return [plain(v) for v in value]
            return None if isinstance(value, float) and value == np.inf else value

        return {"type": type(self).__name__, **{f.name: plain(getattr(self, f.name)) for f in fields(self)}}

    @classmethod
    def from_dict(cls, parameters):
        """The descriptor whose `to_dict` gave `parameters`.

        Raises
        ------
        ConfigError
            For an unknown type or parameter.

        Examples
        --------
        >>> from mercer import SOAP
        >>> soap = SOAP("Si", 5.0, 4, 3, 0.5)
        >>> Descriptor.from_dict(soap.to_dict()) == soap
        True
        """
        parameters = dict(check_mapping(parameters, "descriptor", "a mapping of its type and parameters"))
        name = parameters.pop("type", cls.__name__)
        if not isinstance(name, str) or name not in DESCRIPTORS:
            raise ConfigError(f"descriptor type={show(name)} is unknown; choose one of {', '.join(DESCRIPTORS)}.")
        known = {field.name: field.default is MISSING for field in fields(DESCRIPTORS[name]) if field.init}
        unknown = [key for key in parameters if key not in known]
        if unknown:
            raise ConfigError(f"descriptor {name}: unknown parameter {unknown[0]!r}; expected {', '.join(known)}.")
        missing = [key for key, needed in known.items() if needed and key not in parameters]
        if missing:
            raise ConfigError(f"descriptor {name}: {missing[0]} is missing.")
        return DESCRIPTORS[name](**parameters)
