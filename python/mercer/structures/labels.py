"""The labels that frames carry, in eV and Angstrom."""

import contextlib
import json
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from mercer._validation import check_choice, check_flag, check_items, check_mapping, show
from mercer.errors import ConfigError, DataError
from mercer.structures.frames import as_frames
from mercer.structures.keys import (
    PER_ATOM,
    RESULTS,
    SPELLINGS,
    Entries,
    Origin,
    available,
    choose_origins,
    one_value,
    unused_keys,
)
from mercer.structures.units import is_per_atom, stress_order, unit_factor

#: Shape of one label, or of the label of one atom, by kind.
_SHAPES = {"energy": (), "forces": (3,), "stress": (3, 3), "virial": (3, 3), "energies": ()}

#: Kinds of labels that frames may carry.
LABEL_KINDS = tuple(_SHAPES)

#: Entries of MACE's files that weigh the labels of a frame; a weight of zero says that the label is a placeholder.
_WEIGHTS = {
    "energy": ("config_energy_weight",),
    "forces": ("config_forces_weight",),
    "stress": ("config_stress_weight",),
    "virial": ("config_virials_weight", "config_virial_weight"),
}

#: No label is larger (eV, eV/Angstrom, ...).
_LARGEST = 1e12


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
    from_stress : ndarray of bool, shape (n_frames,)
        Which virials were made from a stress.
    from_matrix : ndarray of bool, shape (n_frames,)
        Which stresses or virials were given as matrices, not as six numbers.
    notes : tuple of str
        What a user should know: labels that were left out, and why; which of two energies was taken.
    unused : tuple of str
        Keys that look like labels and were not taken, as ``"dipole_energy (info)"``.
    """

    n_atoms: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    energies: np.ndarray
    config_type: np.ndarray
    found: dict = field(default_factory=dict)
    from_stress: np.ndarray | None = None
    from_matrix: np.ndarray | None = None
    notes: tuple = ()
    unused: tuple = ()

    def __post_init__(self):
        for name in ("from_stress", "from_matrix"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.zeros(len(self.n_atoms), dtype=bool))

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
        if kind not in PER_ATOM:
            return present
        result = np.ones(self.n_frames, dtype=bool)
        np.logical_and.at(result, self.frame_of_atom, present)
        return result & (self.n_atoms > 0)

    def carrying(self, kind):
        """Which frames carry a label of this kind in the files, "stress" told from "virial", bool, shape (n_frames,).

        A frame with both counts as one with a virial.
        """
        if kind == "stress":
            return self.has("virial") & self.from_stress
        return self.has("virial") & ~self.from_stress if kind == "virial" else self.has(kind)

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
            from_stress=self.from_stress[frames],
            from_matrix=self.from_matrix[frames],
        )
        counts = {kind: int(labels.carrying(kind).sum()) for kind in self.found}
        return replace(labels, found={kind: (key, counts[kind]) for kind, (key, _) in self.found.items()})


def read_labels(frames, keys=None, units=None, *, required=True, order="ase", leave_out=None):
    """Collect the labels that `frames` carry; any frame may carry any subset.

    For each kind of label: the keys that the caller names, and these alone; else the reference keys ``REF_energy``,
    ``REF_forces``, ``REF_stress``, ``REF_virial``, ``REF_energies`` (or ``REF_force``, ``REF_virials`` and the like,
    or ``dft_energy`` and its like), if any frame has one of them; else the results of the frames' ASE calculators. The
    choice is made once for all frames, so that labels of different origin are never mixed unless keys are named:
    where reference keys are found, results of calculators are left out. Of calculators, where "energy" and
    "free_energy" differ and there are forces, the free energy is taken, whose derivatives they are. Energies of atoms
    are taken from ``REF_energies`` or where they are named. A stress that is zero in the directions in which a frame
    is not periodic is none, and left out. No calculator is run.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    keys : dict, optional
        ``{kind: key}`` with kinds "energy", "forces", "stress", "virial", "energies" (of atoms), and "config_type".
        Of several keys in a list, each frame's label is the first one that it has. None leaves that kind out.
    units : dict, optional
        Units of the labels as they are stored, ``{"energy": "kcal/mol"}``; converted to eV and Angstrom. An energy
        unit (eV, meV, kcal/mol, kJ/mol, hartree, rydberg) holds for virial and energies of atoms too, and with
        Angstrom for forces and stress, unless these are given: forces such as "hartree/bohr", stress such as
        "eV/angstrom^3", "GPa", "kbar". Energy and virial may be per atom ("eV/atom"). A minus in front ("-kbar")
        reverses the sign.
    required : bool, default True
        Whether it is an error if there are no labels at all.
    order : str, default "ase"
        Of the components of stresses and virials given as six numbers: "ase" (xx yy zz yz xz xy), "vasp" (xx yy zz
        xy yz zx), "lammps" (xx yy zz xy xz yz), "upper", "lower", or the components themselves. "matrix-vasp" and so
        on: of matrices that were filled with six numbers of that order as if it were ASE's.
    leave_out : dict, optional
        ``{kind: frames}``, the indices of frames whose label of this kind is not read.

    Returns
    -------
    Labels

    Raises
    ------
    DataError
        If nothing is found or a named key is nowhere (with the keys that are there), if a label is a truth value, NaN,
        infinite or of the wrong shape, if stress and virial of a frame contradict each other, or if the labels of a
        whole file are of another origin than those of the others; names file, frame and key.
    ConfigError
        For an unknown kind of label, unit or order, and keys that name the structure itself.

    Examples
    --------
    >>> from ase import Atoms
    >>> labels = read_labels(Atoms("H", info={"REF_energy": 1.0}), units={"energy": "kcal/mol"})
    >>> labels.energy.round(6).tolist(), labels.found
    ([0.043364], {'energy': ('REF_energy', 1)})
    """
    frames, required = as_frames(frames), check_flag(required, "required")
    leave_out = check_mapping({} if leave_out is None else leave_out, "leave_out", "a mapping {kind of label: frames}")
    for kind in leave_out:
        check_choice(kind, LABEL_KINDS, "leave_out: kind of label")
    keys = dict(check_mapping({} if keys is None else keys, "keys", "a mapping {kind of label: key}"))
    type_key = keys.pop("config_type", None) or "config_type"
    for kind, key in keys.items():
        names = [key] if key is None or isinstance(key, str) else check_items(key, f"keys: {kind}", "a key, or a list")
        if not all(name is None or isinstance(name, str) for name in names):
            raise ConfigError(f"keys: {kind}={show(key)}: expected a key, or a list of keys")
        if kind not in LABEL_KINDS:
            raise ConfigError(
                f"keys: unknown kind of label {kind!r}; expected one of {', '.join(LABEL_KINDS)}, config_type"
            )
    factors, per_atom = _unit_factors(units)
    places = _places(order)
    n_atoms = np.array([len(atoms) for atoms in frames], dtype=np.int64)
    carried = [Entries.read(atoms) for atoms in frames]
    try:
        origins, notes = choose_origins(carried, LABEL_KINDS, keys)
    except DataError as error:
        raise DataError(f"{_source_of(frames)}: {error}") from None
    starts = np.concatenate([[0], np.cumsum(n_atoms)])
    arrays, labelled, from_matrix = {}, np.zeros(len(frames), dtype=bool), np.zeros(len(frames), dtype=bool)
    for kind, shape in _SHAPES.items():
        array = np.full((int(starts[-1]) if kind in PER_ATOM else len(frames), *shape), np.nan)
        arrays[kind] = array
        if kind not in origins:
            continue
        skipped, weightless = {int(k) for k in leave_out.get(kind, ())}, 0
        for k, frame in enumerate(carried):
            entry = None if k in skipped else one_value(origins[kind], frame, frames.where(k))
            if entry is None:
                continue
            if _has_no_weight(frame.info, kind):
                weightless += 1
                continue
            where = f"{frames.where(k)}: {kind} label {entry[0]!r}"
            value = _parse(entry[1], kind, n_atoms[k], where, places) * factors[kind]
            array[slice(starts[k], starts[k + 1]) if kind in PER_ATOM else k] = value * (
                n_atoms[k] if kind in per_atom else 1
            )
            labelled[k] = True
            from_matrix[k] |= shape == (3, 3) and np.size(entry[1]) != 6
        if weightless:
            notes.append(f"{kind} of {weightless} frames is left out: its weight there is zero ({_WEIGHTS[kind][0]})")
    if required and not labelled.any():
        raise DataError(_nothing_found(frames, carried, origins))
    _check_files(frames, carried, origins, keys, labelled)
    stress = arrays.pop("stress")
    notes += _leave_out_zero_stress(frames, stress, "stress")
    notes += _leave_out_zero_stress(frames, arrays["virial"], "virial")
    both = np.isfinite(stress).all(axis=(1, 2)) & np.isfinite(arrays["virial"]).all(axis=(1, 2))
    from_stress = _merge_stress(frames, stress, arrays["virial"])
    if both.any():
        notes.append(f"{int(both.sum())} frames have a stress and a virial, which agree; the virial is taken")
    labels = Labels(
        n_atoms=n_atoms,
        config_type=_config_types(frames, type_key),
        found={kind: (str(origin), 0) for kind, origin in origins.items()},
        from_stress=from_stress,
        from_matrix=from_matrix,
        notes=tuple(notes),
        unused=tuple(unused_keys(carried, origins, keys)),
        **arrays,
    )
    counts = {kind: int(labels.carrying(kind).sum()) for kind in origins}
    return replace(labels, found={kind: (str(origins[kind]), count) for kind, count in counts.items() if count})


def _source_of(frames):
    """What to call the whole set of frames in a message."""
    files = frames.files
    return ", ".join(files) if 0 < len(files) < 4 else f"{len(frames)} frames"


def _nothing_found(frames, carried, origins):
    if origins:
        names = ", ".join(map(str, origins.values()))
        return f"{_source_of(frames)}: every label of the keys {names} is left out; nothing is left to learn"
    expected = ", ".join(row[0] for row in SPELLINGS["REF"].values())
    return (
        f"{_source_of(frames)}: no labels found; looked for {expected} and for results of ASE calculators. "
        f"{available(carried)}. Name the key, for example keys={{'energy': 'my_energy'}}"
    )


def _check_files(frames, carried, origins, keys, labelled):
    """A file of several, all of whose labels are of another origin than those of the others, is a mistake."""
    if len(frames.files) < 2 or not labelled.any():
        return
    others = [Origin(k, names, place) for place, row in SPELLINGS.items() for k, names in row.items() if k not in keys]
    others += [Origin(kind, names, "calculator") for kind, names in RESULTS.items() if kind not in keys]
    others += [Origin(kind, RESULTS[kind], "calculator") for kind in keys if kind in RESULTS and keys[kind] is not None]
    for file in frames.files:
        inside = [k for k, source in enumerate(frames.sources) if source.rpartition(", frame ")[0] == file]
        if labelled[inside].any():
            continue
        for other in others:
            entry = next((entry for k in inside for entry in other.values(carried[k])), None)
            if entry is not None:
                used = ", ".join(map(str, origins.values()))
                mine = origins[other.kind].keys if other.kind in origins else ()
                both = ",".join([*mine, entry[0]])
                raise DataError(
                    f"{file}: its labels ({other.kind} under the key {entry[0]!r}) are of another origin than those "
                    f"of the other files ({used}), so none of them would be used; if both are of the same kind of "
                    f"calculation, name the keys of all files with --key {other.kind}={both} (in Python a list), else "
                    "leave the file out"
                )


def _has_no_weight(info, kind):
    return any(
        key in info and isinstance(info[key], (int, float, np.number)) and info[key] == 0
        for key in (*_WEIGHTS.get(kind, ()), "config_weight")
    )


def _config_types(frames, key):
    names = []
    for k, atoms in enumerate(frames):
        name = atoms.info.get(key, "")
        if isinstance(name, (bool, np.bool_)):
            raise DataError(
                f"{frames.where(k)}: {key} is a truth value, expected a name: in extended XYZ a word without '=' "
                f"and the letters T and F alone are truth values; write {key}=name, with another name than T or F"
            )
        names.append(str(name))
    return np.array(names, dtype=object)


def _places(order):
    """(places of ASE's six components in six numbers, the same for matrices) of an order."""
    text = str(order).strip().lower()
    matrix = text.startswith("matrix-")
    places = stress_order(text.removeprefix("matrix-"))
    usual = list(range(6))
    return (usual, places) if matrix else (places, usual)


#: xx, yy, zz, yz, xz, xy of a matrix, and the matrix of these.
_SIX, _MATRIX = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]), [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def _parse(value, kind, n_atoms, where, places):
    shape = _SHAPES[kind]
    expected = {"energy": "one number", "energies": f"shape ({n_atoms},)", "forces": f"shape ({n_atoms}, 3)"}.get(
        kind, "9 numbers, a 3 x 3 matrix, or 6 numbers in the order xx, yy, zz, yz, xz, xy"
    )
    if isinstance(value, str) and value.startswith("_JSON"):
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(value[len("_JSON") :])
    if _holds_truth(value):
        shown = "truth values" if np.size(value) > 1 else f"a truth value ({value})"
        column = " (and a column declared with :L:)" if kind in PER_ATOM else f"; write {kind}=number"
        raise DataError(
            f"{where} is {shown}, expected {expected}; in extended XYZ a word without '=' and the letters T and F are "
            f"truth values{column}. Correct the file, or leave this label out with --key {kind}=none"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, Warning):
        raise DataError(f"{where} is {value!r}, expected {expected}") from None
    if shape == (3, 3):
        if array.shape == (6,):
            if places[1] != list(range(6)):
                raise DataError(f"{where} has 6 numbers, but the order of matrices was given; leave 'matrix-' out")
            array = array[places[0]][_MATRIX]
        elif array.shape in ((9,), (3, 3)):
            if places[0] != list(range(6)):
                raise DataError(
                    f"{where} is a matrix, and the order of six numbers does not concern it; if it was filled with "
                    "six numbers in the wrong order, put 'matrix-' before the order (--stress-order matrix-vasp)"
                )
            array = array.reshape(3, 3)
            if np.abs(array - array.T).max() > 1e-3 * np.abs(array).max():
                raise DataError(f"{where} is not symmetric: {array.tolist()}")
            array = ((array + array.T) / 2)[_SIX][places[1]][_MATRIX]
        else:
            raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    elif kind in PER_ATOM:
        if array.shape != (n_atoms, *shape):
            raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    elif array.size != 1:
        raise DataError(f"{where} has shape {array.shape}, expected {expected}")
    else:
        array = array.reshape(())
    if not np.isfinite(array).all():
        raise DataError(f"{where} is NaN or infinite; correct it, or remove the label from this frame")
    if array.size and np.abs(array).max() > _LARGEST:
        raise DataError(f"{where} is {np.abs(array).max():.3g}, which cannot be; correct it, or remove the label")
    return array


def _holds_truth(value):
    if isinstance(value, (list, tuple)):
        return any(map(_holds_truth, value))
    return isinstance(value, (bool, np.bool_)) or (isinstance(value, np.ndarray) and value.dtype == bool)


def _leave_out_zero_stress(frames, values, kind):
    """Set to NaN what is no stress: zero on every plane that a frame is not periodic across; a note about it."""
    left, kept = [], []
    for k in np.flatnonzero(np.isfinite(values).all(axis=(1, 2))):
        open_directions = np.flatnonzero(~frames[k].pbc)
        if not len(open_directions):
            continue
        if len(open_directions) == 3:
            normals = np.eye(3)
        else:
            normals = np.array([np.cross(*np.delete(frames[k].cell.array, i, axis=0)) for i in open_directions])
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
        if np.abs(values[k] @ normals.T).max() <= 1e-12 * max(1.0, np.abs(values[k]).max()):
            values[k] = np.nan
            left.append(k)
        elif len(open_directions) == 3 and kind == "stress":
            kept.append(k)
    notes = []
    if left:
        notes.append(
            f"{kind} of {len(left)} frames ({frames.where(left[0])}{', ...' if len(left) > 1 else ''}) is left out: it "
            "is zero where the frame is not periodic, as programs write it that have none"
        )
    if kept:
        notes.append(
            f"stress of {len(kept)} frames that are not periodic at all ({frames.where(kept[0])}"
            f"{', ...' if len(kept) > 1 else ''}) is taken with the volume of their box; leave it out with "
            "--key stress=none if it has none"
        )
    return notes


def _merge_stress(frames, stress, virial):
    """Write -volume * stress into `virial`, and say where; where both are given they must agree."""
    from_stress = np.zeros(len(frames), dtype=bool)
    for k in np.flatnonzero(np.isfinite(stress).all(axis=(1, 2))):
        volume = abs(np.linalg.det(frames[k].cell.array))
        if volume <= 0:
            raise DataError(f"{frames.where(k)}: a stress label, but the cell has no volume; use a virial")
        volume_stress = -volume * stress[k]
        if np.isfinite(virial[k]).all():
            difference = np.abs(volume_stress - virial[k]).max()
            allowed = 1e-2 * np.abs(virial[k]).max() + 1e-3
            if difference > allowed and np.abs(volume_stress + virial[k]).max() <= allowed:
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
            virial[k] = volume_stress
            from_stress[k] = True
    return from_stress


def _unit_factors(units):
    """Factor from the unit of each kind of label to eV and Angstrom, and the kinds that are given per atom."""
    units = dict(check_mapping({} if units is None else units, "units", "a mapping {kind of label: unit}"))
    for kind, unit in units.items():
        if not (unit is None or isinstance(unit, str)):
            raise ConfigError(f"units: {show(unit)} of {kind!r}; expected the name of a unit, such as 'kcal/mol'")
        if kind not in LABEL_KINDS:
            raise ConfigError(f"units: unknown kind of label {kind!r}; expected one of {', '.join(LABEL_KINDS)}")
    given = {kind: units.get(kind) for kind in LABEL_KINDS}
    energy = units.get("energy", "eV")
    unit = (
        energy.strip().removeprefix("-").rpartition("/")[0] if is_per_atom(energy) else energy.strip().removeprefix("-")
    )
    defaults = {"energy": energy, "forces": f"{unit}/angstrom", "stress": f"{unit}/angstrom^3"}
    given = {kind: value or defaults.get(kind, unit) for kind, value in given.items()}
    factors = {kind: unit_factor(kind, value) for kind, value in given.items()}
    return factors, {kind for kind in ("energy", "virial") if is_per_atom(given[kind])}
