"""Under which keys frames carry their labels: the usual spellings, those that a user names, and what is left unused.

A kind of label comes from one origin for all frames: keys that the caller names; else the reference keys
(``REF_energy`` and its like, then ``dft_energy`` and its like); else the results of the frames' ASE calculators.
Reference labels and results of calculators are mixed only where a key is named.
"""

import re
from dataclasses import dataclass

import numpy as np

from mercer.errors import ConfigError, DataError

#: Spellings of the reference keys, by origin and kind, the usual one first; capital letters do not matter.
SPELLINGS = {
    "REF": {
        "energy": ("REF_energy",),
        "forces": ("REF_forces", "REF_force"),
        "stress": ("REF_stress", "REF_stresses"),
        "virial": ("REF_virial", "REF_virials"),
        "energies": ("REF_energies",),
    },
    "dft": {
        "energy": ("dft_energy",),
        "forces": ("dft_forces", "dft_force"),
        "stress": ("dft_stress", "dft_stresses"),
        "virial": ("dft_virial", "dft_virials"),
    },
}

#: Names among the results of ASE calculators that are labels without being named.
RESULTS = {"energy": ("energy", "free_energy"), "forces": ("forces",), "stress": ("stress",)}

#: Kinds with a value for each atom.
PER_ATOM = ("forces", "energies")

#: Arrays and entries of a structure that no label can be.
_STRUCTURE = (
    "positions",
    "pos",
    "numbers",
    "species",
    "symbols",
    "masses",
    "momenta",
    "tags",
    "initial_charges",
    "initial_magmoms",
    "cell",
    "Lattice",
    "pbc",
)

#: Energy and free energy of a frame are the same up to this (eV).
_SAME_ENERGY = 1e-5

_LIKE_A_LABEL = re.compile(r"energ|force|stress|virial|gradient|^e_?(tot|total|dft|ref)$", re.IGNORECASE)
_NO_LABEL = re.compile(r"sigma$|mask$|weight$|std$|^mercer_|uncertainty|_var$", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """Where the labels of one kind are found: its keys, the first of which that a frame has is its label."""

    kind: str
    keys: tuple
    place: str  #: "named", one of `SPELLINGS`, or "calculator"

    def __str__(self):
        names = ", ".join(self.keys)
        return f"{names} (calculator)" if self.place == "calculator" else names

    def values(self, frame):
        """[(key, value)] of all keys that a frame has, which is given as `Entries`."""
        found = []
        for key in self.keys:
            value = None
            if self.place != "calculator":
                value = frame.of(self.kind).get(key)
            if value is None and self.place in ("named", "calculator"):
                value = frame.results.get(key)
            if value is not None:
                found.append((key, value))
        return found


@dataclass(frozen=True)
class Entries:
    """What one frame carries: info, arrays, and results of its calculator that belong to its positions."""

    info: dict
    arrays: dict
    results: dict
    n_atoms: int

    @classmethod
    def read(cls, atoms):
        """Of a frame; no calculator is run."""
        results = getattr(atoms.calc, "results", None) or {}
        if results and atoms.calc.check_state(atoms):
            results = {}
        return cls(atoms.info, atoms.arrays, results, len(atoms))

    def of(self, kind):
        """Arrays for kinds with a value per atom, info for the others."""
        return self.arrays if kind in PER_ATOM else self.info


def choose_origins(frames, kinds, keys):
    """Where each kind of label is found in these frames, and what has to be said of it.

    Parameters
    ----------
    frames : list of Entries
    kinds : sequence of str
    keys : dict
        {kind: key, sequence of keys, or None} as the caller names them.

    Returns
    -------
    origins : dict
        {kind: Origin} of the kinds that were found.
    notes : list of str

    Raises
    ------
    DataError
        If a named key is nowhere.
    ConfigError
        If a named key is a part of the structure itself.
    """
    origins = {kind: _named(frames, kind, key) for kind, key in keys.items() if key is not None}
    open_kinds = [kind for kind in kinds if kind not in keys]
    spelled = {place: _spelled(frames, place, open_kinds) for place in SPELLINGS}
    known = {key.lower(): place for place, table in SPELLINGS.items() for row in table.values() for key in row}
    named_places = [known[key.lower()] for origin in origins.values() for key in origin.keys if key.lower() in known]
    reference = next((place for place in SPELLINGS if spelled[place] or place in named_places), None)
    notes = []
    if reference:
        origins |= spelled[reference]
    elif not _named_beside_results(frames, origins):
        computed, notes = _computed(frames, open_kinds)
        origins |= computed
    notes += _left_out(frames, origins, open_kinds, spelled)
    return {kind: origins[kind] for kind in kinds if kind in origins}, notes


def _named(frames, kind, key):
    names = (key,) if isinstance(key, str) else tuple(key)
    origin = Origin(kind, names, "named")
    for name in names:
        if name in _STRUCTURE:
            raise ConfigError(f"keys: {kind} cannot be {name!r}, which is a part of the structure itself")
        if not any(Origin(kind, (name,), "named").values(frame) for frame in frames):
            where = "per-atom array" if kind in PER_ATOM else "entry of info"
            raise DataError(
                f"{kind} label {name!r} is in no frame (as {where} or calculator result). {available(frames)}"
            )
    return origin


def _spelled(frames, place, kinds):
    """{kind: Origin} of the spellings of one origin that occur in any frame."""
    origins = {}
    for kind in kinds:
        wanted = {name.lower(): rank for rank, name in enumerate(SPELLINGS[place].get(kind, ()))}
        there = {key for frame in frames for key in frame.of(kind) if str(key).lower() in wanted}
        usual = SPELLINGS[place].get(kind, ())
        names = sorted(there, key=lambda key: (wanted[key.lower()], key not in usual, key))
        if names:
            origins[kind] = Origin(kind, tuple(names), place)
    return origins


def _named_beside_results(frames, origins):
    """Whether energies or forces are named that differ from those of the calculators, which then are another's."""
    for kind in ("energy", "forces"):
        if kind not in origins:
            continue
        for frame in frames:
            (_, value), other = (origins[kind].values(frame) or [("", None)])[0], frame.results.get(kind)
            if value is not None and other is not None and np.shape(value) == np.shape(other):
                try:
                    if not np.allclose(np.asarray(value, float), np.asarray(other, float), rtol=1e-6, atol=1e-6):
                        return True
                except (TypeError, ValueError):
                    continue
    return False


def _computed(frames, kinds):
    """{kind: Origin} among the results of calculators, and notes; energies that belong to the forces."""
    origins, notes = {}, []
    for kind in kinds:
        names = [name for name in RESULTS.get(kind, ()) if any(frame.results.get(name) is not None for frame in frames)]
        if names:
            origins[kind] = Origin(kind, tuple(names[:1]), "calculator")
            if kind == "energy" and len(names) > 1:
                origins[kind], said = _energy_of_forces(frames, names)
                notes += said
    return origins, notes


def _energy_of_forces(frames, names):
    """The energy whose derivatives the forces are, where energy and free energy differ."""
    differences, alone = [], 0
    for frame in frames:
        energy, free = (frame.results.get(name) for name in names)
        if energy is not None and free is not None and frame.results.get("forces") is not None:
            try:
                differences.append((float(free) - float(energy), frame.n_atoms))
            except (TypeError, ValueError):
                continue
        alone += (energy is None) != (free is None)
    largest = max(differences, key=lambda pair: abs(pair[0]), default=(0.0, 1))
    if abs(largest[0]) <= _SAME_ENERGY:
        return Origin("energy", tuple(names) if alone else ("energy",), "calculator"), []
    per_atom = 1000 * max(abs(difference) / n for difference, n in differences)
    said = (
        f"energy and free_energy differ by up to {1000 * abs(largest[0]):.3g} meV ({per_atom:.3g} meV/atom); forces "
        "are the derivatives of free_energy, so that is the label (--key energy=energy takes the other)"
    )
    if alone:
        said += f"; {alone} frames have only one of the two, which is taken"
    return Origin("energy", ("free_energy", "energy") if alone else ("free_energy",), "calculator"), [said]


def _left_out(frames, origins, kinds, spelled):
    """What frames carry from another origin than the one chosen, kind by kind."""
    notes = []
    used = ", ".join(dict.fromkeys(str(origin) for origin in origins.values()))
    others = [found for place, found in spelled.items() if all(o.place != place for o in origins.values())]
    others.append({k: Origin(k, RESULTS[k][:1], "calculator") for k in kinds if k in RESULTS})
    for found in others if origins else ():
        for kind, other in found.items():
            if kind in origins and origins[kind].place == other.place:
                continue
            mine = origins.get(kind)
            count = sum(bool(other.values(frame)) and not (mine and mine.values(frame)) for frame in frames)
            if count:
                both = ",".join([*(mine.keys if mine else ()), other.keys[0]])
                notes.append(
                    f"{kind} under the key {other} in {count} frames is left out, as it may be of another calculation "
                    f"than {used}; --key {kind}={both} takes it"
                )
    return notes


def one_value(origin, frame, where):
    """(key, value) of a frame's label, or None.

    Raises
    ------
    DataError
        If two spellings of a reference key are there and differ.
    """
    found = origin.values(frame)
    if not found:
        return None
    if origin.place in SPELLINGS and any(not _equal(found[0][1], value) for _, value in found[1:]):
        names = " and ".join(key for key, _ in found)
        raise DataError(
            f"{where}: {names} are both there and differ; name the right one with --key {origin.kind}={found[0][0]} "
            f"(keys={{'{origin.kind}': '{found[0][0]}'}})"
        )
    return found[0]


def _equal(one, two):
    return np.shape(one) == np.shape(two) and bool(np.all(np.asarray(one) == np.asarray(two)))


def unused_keys(frames, origins, keys):
    """Keys that look like labels and are none: ["name (info)", ...], in the order in which they occur.

    Parameters
    ----------
    frames : list of Entries
    origins : dict
        {kind: Origin}.
    keys : dict
        Kinds that the caller named or left out; the usual spellings of the latter are not listed.
    """
    named = {key for origin in origins.values() if origin.place == "named" for key in origin.keys}
    used = {(origin.place == "calculator", key) for origin in origins.values() for key in origin.keys}
    dropped = {n.lower() for k, key in keys.items() if key is None for t in SPELLINGS.values() for n in t.get(k, ())}
    dropped_results = {name for kind, key in keys.items() if key is None for name in (kind, *RESULTS.get(kind, ()))}
    found = {}
    for frame in frames:
        for place, values in (("info", frame.info), ("array", frame.arrays), ("calculator", frame.results)):
            for key, value in values.items():
                computed = place == "calculator"
                if (key, place) in found or not _looks_like_a_label(key, value):
                    continue
                taken = key in named or (computed, key) in used or (key == "free_energy" and (True, "energy") in used)
                left = (computed and key in dropped_results) or (not computed and str(key).lower() in dropped)
                found[key, place] = not taken and not left
    return [f"{key} ({place})" for (key, place), unused in found.items() if unused]


def _looks_like_a_label(key, value):
    name = str(key)
    if not _LIKE_A_LABEL.search(name) or _NO_LABEL.search(name) or isinstance(value, (str, bool, np.bool_, dict)):
        return False
    return value is not None


def available(frames):
    """A sentence that lists the keys of frames."""
    info, arrays, results = {}, {}, {}
    for frame in frames:
        info.update(dict.fromkeys(frame.info))
        arrays.update(dict.fromkeys(key for key in frame.arrays if key not in ("numbers", "positions")))
        results.update(dict.fromkeys(frame.results))
    there = {"info": info, "arrays": arrays, "calculator": results}
    return "Keys that are there: " + "; ".join(
        f"{name}: {', '.join(map(str, v)) or 'none'}" for name, v in there.items()
    )
