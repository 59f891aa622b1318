"""Which labels frames carry, under which keys, in eV and Angstrom."""

import contextlib
import json
import warnings
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mercer.errors import ConfigError, DataError
from mercer.structures.frames import as_frames
from mercer.structures.units import unit_factor


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
