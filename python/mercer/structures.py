"""From ``ase.Atoms`` and files to what the core and the models take; the only reader of ``ase.Atoms``.

Lengths are in Angstrom, labels in eV and Angstrom: energy and virial in eV, forces in eV/Angstrom, stress in
eV/Angstrom^3 in ASE's order (xx, yy, zz, yz, xz, xy) and sign (tension positive), ``virial = -volume * stress``.
"""

import contextlib
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from mercer._core import core
from mercer.errors import ConfigError, DataError

__all__ = [
    "LABEL_KINDS",
    "Frames",
    "Labels",
    "as_frames",
    "atom_numbers",
    "info_numbers",
    "naming_frames",
    "read_frames",
    "read_labels",
    "species_numbers",
    "species_of",
    "symbols",
    "to_batch",
    "unit_factor",
    "write_frames",
]


class Frames(list):
    """A list of Atoms that knows where each came from, so that messages name the file and the frame.

    Parameters
    ----------
    frames : iterable of ase.Atoms
    sources : sequence of str, optional
        What to call each frame; ``"frame 0"``, ``"frame 1"``, ... by default.

    Examples
    --------
    >>> from ase.build import molecule
    >>> frames = Frames([molecule("H2O"), molecule("CH4")], ["a.xyz, frame 3", "a.xyz, frame 7"])
    >>> frames[1:].where(0)
    'a.xyz, frame 7'
    """

    def __init__(self, frames=(), sources=None):
        super().__init__(frames)
        self.sources = [f"frame {k}" for k in range(len(self))] if sources is None else list(sources)
        if len(self.sources) != len(self):
            raise DataError(f"Frames: {len(self.sources)} sources for {len(self)} frames")

    def where(self, index):
        """The name of frame `index`, as in ``"train.extxyz, frame 12"``."""
        return self.sources[index] if index < len(self.sources) else f"frame {index}"

    def take(self, indices):
        """The frames at `indices`, with their names."""
        return Frames([self[k] for k in indices], [self.sources[k] for k in indices])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Frames(super().__getitem__(index), self.sources[index])
        return super().__getitem__(index)

    def __add__(self, other):
        other = as_frames(other)
        return Frames([*self, *other], self.sources + other.sources)


def as_frames(frames):
    """One Atoms, or an iterable of them, as `Frames`.

    Parameters
    ----------
    frames : ase.Atoms or iterable of ase.Atoms

    Returns
    -------
    Frames
        `frames` itself where it is one already. May be empty.

    Raises
    ------
    DataError
        If `frames` is anything else.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(as_frames(bulk("Si")))
    1
    """
    if isinstance(frames, Frames):
        return frames
    if isinstance(frames, Atoms):
        return Frames([frames])
    if isinstance(frames, str | Path):
        raise DataError(
            f"frames: expected an ase.Atoms or a list of them, got the text {str(frames)!r}; "
            "read a file with mercer.structures.read_frames(path)"
        )
    if not isinstance(frames, Iterable):
        raise DataError(f"frames: expected an ase.Atoms or a list of them, got {type(frames).__name__}")
    frames = Frames(frames)
    for k, atoms in enumerate(frames):
        if not isinstance(atoms, Atoms):
            raise DataError(f"frames: expected a list of ase.Atoms, but element {k} is of type {type(atoms).__name__}")
    return frames


@contextlib.contextmanager
def naming_frames(frames):
    """Turn a ValueError of the core about "frame k" into a DataError that names the file and the frame.

    Examples
    --------
    >>> from ase.build import bulk
    >>> with naming_frames(Frames([bulk("Si")], ["si.xyz, frame 5"])):
    ...     raise ValueError("frame 0: no volume")
    Traceback (most recent call last):
        ...
    mercer.errors.DataError: si.xyz, frame 5: no volume
    """
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        match = re.match(r"frame (\d+)(?=[:,])", str(error))
        if not match or int(match[1]) >= len(frames):
            raise
        raise DataError(as_frames(frames).where(int(match[1])) + str(error)[match.end() :]) from None


def to_batch(frames):
    """The structures as the core takes them, checked.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms

    Returns
    -------
    core.StructureBatch

    Raises
    ------
    DataError
        For positions or cells that are NaN or infinite and periodic cells without volume, naming frame and atom.
    """
    frames = as_frames(frames)
    if not frames:
        return core.StructureBatch()
    positions = [atoms.arrays["positions"] for atoms in frames]
    offsets = np.zeros(len(frames) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in positions], out=offsets[1:])
    with naming_frames(frames):
        return core.StructureBatch.from_arrays(
            np.ascontiguousarray(np.concatenate(positions), dtype=np.float64),
            np.concatenate([atoms.arrays["numbers"] for atoms in frames]).astype(np.int32),
            offsets,
            np.array([atoms.cell.array for atoms in frames], dtype=np.float64),
            np.array([atoms.pbc for atoms in frames], dtype=bool),
        )


def species_of(frames):
    """Sorted atomic numbers of the elements in `frames`.

    Examples
    --------
    >>> from ase.build import molecule
    >>> species_of(molecule("CH3OH"))
    [1, 6, 8]
    """
    return sorted(set().union(*(np.unique(atoms.arrays["numbers"]).tolist() for atoms in as_frames(frames))))


def symbols(numbers):
    """Chemical symbols of atomic numbers.

    Examples
    --------
    >>> symbols([1, 6, 8])
    ['H', 'C', 'O']
    """
    return [chemical_symbols[int(number)] for number in numbers]


def species_numbers(species):
    """Sorted atomic numbers of elements given by symbol or number.

    Raises
    ------
    ConfigError
        For an element that does not exist, or one that is given twice.

    Examples
    --------
    >>> species_numbers(["O", "H", 6])
    [1, 6, 8]
    """
    if isinstance(species, str | int | np.integer):
        species = [species]
    numbers = []
    for element in species:
        number = atomic_numbers.get(element) if isinstance(element, str) else element
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 0 < number < len(chemical_symbols):
            raise ConfigError(f"species: {element!r} is no element; expected symbols such as 'Si' or atomic numbers")
        if int(number) in numbers:
            raise ConfigError(f"species: {element!r} is given twice")
        numbers.append(int(number))
    return sorted(numbers)


def read_frames(path, index=":"):
    """Read structures from a file of any format that ASE knows, and check them.

    Parameters
    ----------
    path : str or Path
    index : str, int or slice, default ":"
        Which frames, as in ``ase.io.read``; always returns a list.

    Returns
    -------
    Frames
        With names such as ``"train.extxyz, frame 12"``; frames are counted from 0 in the file.

    Raises
    ------
    DataError
        For a file that is missing, empty or unreadable, or has no such frame; for positions that are NaN or infinite
        and periodic cells without volume, naming file and frame.

    Examples
    --------
    >>> import ase.io, tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ase.io.write(f"{folder}/si.extxyz", [bulk("Si"), bulk("Ge")])
    ...     read_frames(f"{folder}/si.extxyz")[1].get_chemical_formula()
    'Ge2'
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a file of structures such as train.extxyz")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    frames = []
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        for atoms in ase.io.iread(path, ":"):
            frames.append(atoms)
    except DataError:
        raise
    except Exception as error:  # ASE's readers raise anything from KeyError to their own types
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}, frame {len(frames)}: cannot be read ({type(error).__name__}: {reason})") from error
    if not frames:
        raise DataError(f"{path}: holds no structure")
    frames = Frames(frames, [f"{path}, frame {k}" for k in range(len(frames))])
    try:
        chosen = ase.io.formats.string2index(index) if isinstance(index, str) else index
        frames = frames[chosen] if isinstance(chosen, slice) else frames.take([chosen])
    except (IndexError, ValueError, TypeError):
        raise DataError(f"{path}: no frame {index!r}, the file holds {len(frames)} frames") from None
    to_batch(frames)
    return frames


def write_frames(path, frames):
    """Write structures with all their entries as extended XYZ, whatever the name of the file.

    Parameters
    ----------
    path : str or Path
    frames : ase.Atoms or list of ase.Atoms

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/si.extxyz", bulk("Si"))
    ...     len(read_frames(f"{folder}/si.extxyz"))
    1
    """
    ase.io.write(path, list(as_frames(frames)), format="extxyz")


@dataclass(frozen=True)
class _Kind:
    """A kind of label: how it is called and what it looks like."""

    per_atom: bool
    shape: tuple
    reference: str  #: the default key
    results: tuple  #: names among the results of an ASE calculator, the first one that is there


_KINDS = {
    "energy": _Kind(False, (), "REF_energy", ("energy", "free_energy")),
    "forces": _Kind(True, (3,), "REF_forces", ("forces",)),
    "stress": _Kind(False, (3, 3), "REF_stress", ("stress",)),
    "virial": _Kind(False, (3, 3), "REF_virial", ()),
    "energies": _Kind(True, (), "REF_energies", ("energies",)),
}

#: Kinds of labels that frames may carry.
LABEL_KINDS = tuple(_KINDS)

_ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": ase.units.kcal / ase.units.mol,
    "kJ/mol": ase.units.kJ / ase.units.mol,
    "hartree": ase.units.Hartree,
    "rydberg": ase.units.Rydberg,
}
_LENGTH_UNITS = {"angstrom": 1.0, "a": 1.0, "å": 1.0, "bohr": ase.units.Bohr, "nm": 10.0}
_STRESS_UNITS = {"GPa": ase.units.GPa, "kbar": 0.1 * ase.units.GPa, "bar": 1e-4 * ase.units.GPa, "Pa": ase.units.Pascal}
_ALIASES = {"ha": "hartree", "ry": "rydberg"}


@dataclass(frozen=True, eq=False)
class Labels:
    """What a set of frames is labelled with, in eV and Angstrom. NaN stands for a label that is absent.

    Attributes
    ----------
    n_atoms : ndarray of int, shape (n_frames,)
    energy : ndarray, shape (n_frames,)
        Total energies, eV.
    forces : ndarray, shape (n_atoms, 3)
        eV/Angstrom.
    virial : ndarray, shape (n_frames, 3, 3)
        eV; ``-volume * stress`` where the label is a stress.
    energies : ndarray, shape (n_atoms,)
        Energies of atoms, E0 included, eV.
    config_type : ndarray of str, shape (n_frames,)
        ``info["config_type"]``, or "" where there is none.
    found : dict
        ``{kind: (key, number of frames)}`` for the kinds that were found.
    """

    n_atoms: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    energies: np.ndarray
    config_type: np.ndarray
    found: dict = field(default_factory=dict)

    @property
    def n_frames(self):
        """Number of frames."""
        return len(self.n_atoms)

    @property
    def frame_of_atom(self):
        """The frame of each atom, shape (n_atoms,)."""
        return np.repeat(np.arange(self.n_frames), self.n_atoms)

    def has(self, kind):
        """Which frames carry the label `kind` ("energy", "forces", "virial", "energies"), bool, shape (n_frames,)."""
        values = getattr(self, kind)
        present = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if not _KINDS[kind].per_atom:
            return present
        result = np.ones(self.n_frames, dtype=bool)
        np.logical_and.at(result, self.frame_of_atom, present)
        return result & (self.n_atoms > 0)

    def take(self, frames):
        """The labels of the frames with these indices, in that order."""
        frames = np.arange(self.n_frames)[frames]
        starts = np.concatenate([[0], np.cumsum(self.n_atoms)])
        atoms = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in frames] or [np.zeros(0, dtype=int)])
        labels = replace(
            self,
            n_atoms=self.n_atoms[frames],
            energy=self.energy[frames],
            forces=self.forces[atoms],
            virial=self.virial[frames],
            energies=self.energies[atoms],
            config_type=self.config_type[frames],
        )
        counts = {kind: int(labels.has("virial" if kind == "stress" else kind).sum()) for kind in self.found}
        return replace(labels, found={kind: (key, counts[kind]) for kind, (key, _) in self.found.items()})


def read_labels(frames, keys=None, units=None, *, required=True):
    """Collect the labels that `frames` carry; any frame may carry any subset.

    For each kind of label: the key that the caller names, and that one alone; else ``REF_energy``, ``REF_forces``,
    ``REF_stress``, ``REF_virial``, ``REF_energies`` if any frame has it; else the results of the frames' ASE
    calculators, where "energy" is preferred to "free_energy" (name the key "free_energy" for the latter). The choice
    is made once for all frames, so that labels of different origin are never mixed. No calculator is run.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    keys : dict, optional
        ``{kind: key}`` with kinds "energy", "forces", "stress", "virial", "energies" (of atoms), and "config_type".
        A key of None leaves that kind out.
    units : dict, optional
        Units of the labels as they are stored, ``{"energy": "kcal/mol"}``; converted to eV and Angstrom. An energy
        unit (eV, meV, kcal/mol, kJ/mol, hartree, rydberg) holds for virial and energies of atoms too, and with
        Angstrom for forces and stress, unless these are given: forces such as "hartree/bohr", stress such as
        "eV/angstrom^3", "GPa", "kbar".
    required : bool, default True
        Whether it is an error if there are no labels at all.

    Returns
    -------
    Labels

    Raises
    ------
    DataError
        If nothing is found or a named key is nowhere (with the keys that are there), if a label is NaN, infinite or
        of the wrong shape, or if stress and virial of a frame contradict each other; names file, frame and key.
    ConfigError
        For an unknown kind of label or unit.

    Examples
    --------
    >>> from ase import Atoms
    >>> labels = read_labels(Atoms("H", info={"REF_energy": 1.0}), units={"energy": "kcal/mol"})
    >>> labels.energy.round(6).tolist(), labels.found
    ([0.043364], {'energy': ('REF_energy', 1)})
    """
    frames = as_frames(frames)
    keys = dict(keys or {})
    type_key = keys.pop("config_type", None) or "config_type"
    for kind in keys:
        if kind not in _KINDS:
            raise ConfigError(f"keys: unknown kind of label {kind!r}; expected one of {', '.join(_KINDS)}, config_type")
    factors = _unit_factors(units)

    n_atoms = np.array([len(atoms) for atoms in frames], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(n_atoms)])
    arrays, found = {}, {}
    for kind, spec in _KINDS.items():
        array = np.full((int(starts[-1]) if spec.per_atom else len(frames), *spec.shape), np.nan)
        arrays[kind] = array
        origin = _find(frames, kind, keys[kind]) if kind in keys else _find_default(frames, kind)
        if origin is None:
            continue
        key, lookup = origin
        count = 0
        for k, atoms in enumerate(frames):
            value = lookup(atoms)
            if value is not None:
                value = _parse(value, kind, spec, n_atoms[k], f"{frames.where(k)}: {kind} label {key!r}")
                array[slice(starts[k], starts[k + 1]) if spec.per_atom else k] = value * factors[kind]
                count += 1
        found[kind] = (key, count)
    if required and not found:
        expected = ", ".join(spec.reference for spec in _KINDS.values())
        raise DataError(
            f"{_origin(frames)}: no labels found; looked for {expected} and for results of ASE calculators. "
            f"{_available(frames)}. Name the key, for example keys={{'energy': 'my_energy'}}"
        )
    stress = arrays.pop("stress")
    _merge_stress(frames, stress, arrays["virial"])
    config_type = np.array([str(atoms.info.get(type_key, "")) for atoms in frames], dtype=object)
    return Labels(n_atoms=n_atoms, config_type=config_type, found=found, **arrays)


def info_numbers(frames, key):
    """Numbers ``info[key]`` of frames; NaN where a frame has none: shape (n_frames,).

    Raises
    ------
    DataError
        If an entry is not one number, naming file and frame.

    Examples
    --------
    >>> from ase import Atoms
    >>> info_numbers([Atoms("H", info={"energy_sigma": 0.1}), Atoms("H")], "energy_sigma").tolist()
    [0.1, nan]
    """
    frames = as_frames(frames)
    numbers = np.full(len(frames), np.nan)
    for k, atoms in enumerate(frames):
        if key in atoms.info:
            try:
                numbers[k] = float(atoms.info[key])
            except (TypeError, ValueError):
                raise DataError(f"{frames.where(k)}: {key} is {atoms.info[key]!r}, expected one number") from None
            if np.isnan(numbers[k]):
                raise DataError(f"{frames.where(k)}: {key} is NaN, expected a number")
    return numbers


def atom_numbers(frames, key, n_columns=1, *, positive=False):
    """Numbers ``arrays[key]`` of the atoms of all frames; NaN where a frame has none: shape (n_atoms, n_columns).

    Raises
    ------
    DataError
        If the array has another shape, holds NaN, or numbers that are not positive where `positive`.

    Examples
    --------
    >>> from ase import Atoms
    >>> masked = Atoms("H2")
    >>> masked.arrays["force_mask"] = np.array([True, False])
    >>> atom_numbers([masked, Atoms("H")], "force_mask").ravel().tolist()
    [1.0, 0.0, nan]
    """
    frames = as_frames(frames)
    parts = [np.zeros((0, n_columns))]
    for k, atoms in enumerate(frames):
        if key not in atoms.arrays:
            parts.append(np.full((len(atoms), n_columns), np.nan))
            continue
        try:
            values = np.asarray(atoms.arrays[key], float).reshape(len(atoms), n_columns)
        except (TypeError, ValueError):
            shape = np.shape(atoms.arrays[key])
            raise DataError(
                f"{frames.where(k)}: array {key} has shape {shape}, expected {n_columns} number(s) for each atom"
            ) from None
        if np.isnan(values).any() or (positive and not ((values > 0) & np.isfinite(values)).all()):
            raise DataError(
                f"{frames.where(k)}: array {key} holds {'numbers that are not positive' if positive else 'NaN'}"
            )
        parts.append(values)
    return np.concatenate(parts)


def _result(atoms, name):
    """A result of the frame's calculator, if it is there and belongs to these positions."""
    results = getattr(atoms.calc, "results", None)
    if not results or results.get(name) is None or atoms.calc.check_state(atoms):
        return None
    return results[name]


def _find(frames, kind, key):
    """(key, lookup) for the key that the caller names, in info or arrays or among the calculator's results."""
    if key is None:
        return None

    def lookup(atoms):
        values = atoms.arrays if _KINDS[kind].per_atom else atoms.info
        return values[key] if key in values else _result(atoms, key)

    if all(lookup(atoms) is None for atoms in frames):
        where = "per-atom array" if _KINDS[kind].per_atom else "entry of info"
        raise DataError(
            f"{_origin(frames)}: {kind} label {key!r} is in no frame (as {where} or calculator result). "
            f"{_available(frames)}"
        )
    return key, lookup


def _find_default(frames, kind):
    spec = _KINDS[kind]
    values = (lambda atoms: atoms.arrays) if spec.per_atom else (lambda atoms: atoms.info)
    if any(spec.reference in values(atoms) for atoms in frames):
        return spec.reference, lambda atoms: values(atoms).get(spec.reference)
    for name in spec.results:
        if any(_result(atoms, name) is not None for atoms in frames):
            return f"{name} (calculator)", partial(_result, name=name)
    return None


def _parse(value, kind, spec, n_atoms, where):
    expected = {"energy": "one number", "energies": f"shape ({n_atoms},)", "forces": f"shape ({n_atoms}, 3)"}.get(
        kind, "9 numbers, a 3 x 3 matrix, or 6 numbers in the order xx, yy, zz, yz, xz, xy"
    )
    if isinstance(value, str) and value.startswith("_JSON"):
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(value[len("_JSON") :])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, Warning):
        raise DataError(f"{where} is {value!r}, expected {expected}") from None
    if spec.shape == (3, 3):
        if array.shape == (6,):
            array = array[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        elif array.shape in ((9,), (3, 3)):
            array = array.reshape(3, 3)
            if np.abs(array - array.T).max() > 1e-3 * np.abs(array).max():
                raise DataError(f"{where} is not symmetric: {array.tolist()}")
            array = (array + array.T) / 2
        else:
            raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    elif spec.per_atom:
        if array.shape != (n_atoms, *spec.shape):
            raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    elif array.size != 1:
        raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    else:
        array = array.reshape(())
    if not np.isfinite(array).all():
        raise DataError(f"{where} is NaN or infinite; correct it, or remove the label from this frame")
    return array


def _merge_stress(frames, stress, virial):
    """Write -volume * stress into `virial`; where both are given they must agree."""
    for k in np.flatnonzero(np.isfinite(stress).all(axis=(1, 2))):
        volume = abs(np.linalg.det(frames[k].cell.array))
        if volume <= 0:
            raise DataError(f"{frames.where(k)}: a stress label, but the cell has no volume; use a virial")
        from_stress = -volume * stress[k]
        if np.isfinite(virial[k]).all():
            difference = np.abs(from_stress - virial[k]).max()
            allowed = 1e-2 * np.abs(virial[k]).max() + 1e-3
            if difference > allowed and np.abs(from_stress + virial[k]).max() <= allowed:
                raise DataError(
                    f"{frames.where(k)}: stress and virial labels contradict each other in sign; expected "
                    "virial = -volume * stress, the stress positive in tension; correct the one that is reversed, or "
                    "leave it out (keys: {stress: none})"
                )
            if difference > allowed:
                raise DataError(
                    f"{frames.where(k)}: stress and virial labels contradict each other by {difference:.3g} eV; "
                    "expected virial = -volume * stress (check sign, order of components and units, or use one of them)"
                )
        else:
            virial[k] = from_stress


def _origin(frames):
    """What to call the whole set of frames in a message."""
    files = list(dict.fromkeys(source.split(", frame")[0] for source in frames.sources))
    return ", ".join(files) if 0 < len(files) < 4 and not files[:1] == ["frame 0"] else f"{len(frames)} frames"


def _available(frames):
    info, arrays, results = {}, {}, {}
    for atoms in frames:
        info.update(dict.fromkeys(atoms.info))
        arrays.update(dict.fromkeys(key for key in atoms.arrays if key not in ("numbers", "positions")))
        results.update(dict.fromkeys(getattr(atoms.calc, "results", None) or ()))
    there = {"info": info, "arrays": arrays, "calculator": results}
    return "Keys that are there: " + "; ".join(
        f"{name}: {', '.join(map(str, v)) or 'none'}" for name, v in there.items()
    )


def _unit_factors(units):
    """Factor from the unit of each kind of label to eV and Angstrom."""
    units = dict(units or {})
    for kind in units:
        if kind not in _KINDS:
            raise ConfigError(f"units: unknown kind of label {kind!r}; expected one of {', '.join(_KINDS)}")
    energy = units.get("energy", "eV")
    defaults = {"forces": f"{energy}/angstrom", "stress": f"{energy}/angstrom^3"}
    return {kind: unit_factor(kind, units.get(kind, defaults.get(kind, energy))) for kind in _KINDS}


def unit_factor(kind, unit):
    """Factor from a unit of a kind of label to eV and Angstrom.

    Raises
    ------
    ConfigError
        For an unknown unit.

    Examples
    --------
    >>> round(unit_factor("energy", "kcal/mol"), 6)
    0.043364
    """

    def energy_of(text):
        text = _ALIASES.get(text.strip().lower(), text.strip())
        return {name.lower(): value for name, value in _ENERGY_UNITS.items()}.get(text.lower())

    text = str(unit).strip()
    factor = None
    if kind in ("forces", "stress"):
        numerator, _, denominator = text.rpartition("/")
        length, power = denominator.strip().lower(), 1
        if kind == "stress":
            length, power = re.sub(r"(\^|\*\*)?3$", "", length), 3 if length.endswith("3") else 0
        if energy_of(numerator) and length in _LENGTH_UNITS and power:
            factor = energy_of(numerator) / _LENGTH_UNITS[length] ** power
        if kind == "stress":
            factor = {name.lower(): value for name, value in _STRESS_UNITS.items()}.get(text.lower(), factor)
    else:
        factor = energy_of(text)
    if factor is None:
        known = ", ".join(_ENERGY_UNITS)
        if kind == "forces":
            known = f"an energy ({known}) per angstrom or bohr"
        if kind == "stress":
            known = f"{', '.join(_STRESS_UNITS)}, or an energy ({known}) per angstrom^3 or bohr^3"
        raise ConfigError(f"units: {kind} in {unit!r}; expected {known}")
    return factor
