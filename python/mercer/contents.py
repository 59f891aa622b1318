"""What a set of labelled structures holds: a table of contents in numbers. Energies in eV, lengths in Angstrom."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mercer.neighbors import build_pairs
from mercer.structures import as_frames, read_labels, species_of, symbols
from mercer.targets import count_species, is_isolated_config, resolve_e0

#: eV/Angstrom^3 in GPa.
_GPA = 160.21766208

#: Distances are looked for up to this (Angstrom), in so many atoms at a time.
REACH, _ATOMS = 5.0, 20000


@dataclass(frozen=True, eq=False)
class Contents:
    """A table of contents.

    Attributes
    ----------
    n_frames, n_atoms : int
    elements : dict
        ``{symbol: (number of atoms, number of frames with it)}``.
    sizes : tuple of int
        Smallest, median and largest number of atoms of a frame.
    periodic : dict
        ``{"TTT": number of frames}``, by the directions in which they are periodic.
    compositions : dict
        ``{formula: number of frames}``, the most frequent first.
    groups : dict
        ``{config_type: Group}`` in order of appearance, "" for frames without one.
    ranges : dict
        ``{quantity: Range}`` over all frames that are not isolated atoms.
    nearest : dict
        ``{(symbol, symbol): distances}`` from each atom of the first element to the nearest one of the second,
        Angstrom, where there is one within 5; pairs of elements once, by atomic number.
    closest : dict
        ``{(symbol, symbol): name of the frame}`` in which these two are closest.
    per_frame : dict
        Arrays of shape (n_frames,), NaN where unknown: "total_energy" (eV per atom), "energy" (the same less E0 of
        the elements, from isolated atoms where there are, else by least squares), "volume" (Angstrom^3 per atom, of
        frames that are periodic in three directions), "pressure" (GPa), "force" (largest, eV/Angstrom).
    """

    n_frames: int
    n_atoms: int
    elements: dict
    sizes: tuple
    periodic: dict
    compositions: dict
    groups: dict
    ranges: dict
    nearest: dict
    closest: dict
    per_frame: dict

    @property
    def shortest(self):
        """``{(symbol, symbol): smallest distance}``, Angstrom; inf where there is none within 5."""
        return {pair: float(d.min()) if len(d) else np.inf for pair, d in self.nearest.items()}


@dataclass(frozen=True)
class Range:
    """Smallest, median and largest value of a quantity, its unit, and in how many frames it is known."""

    unit: str
    smallest: float
    median: float
    largest: float
    n_frames: int


@dataclass(frozen=True)
class Group:
    """Frames of one config_type: how many, their atoms, and ranges of their quantities."""

    n_frames: int
    n_atoms: int
    sizes: tuple
    ranges: dict


def contents(frames, labels=None):
    """The table of contents of structures and their labels.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    labels : mercer.structures.Labels, optional
        Of these frames; read under the usual keys by default.

    Returns
    -------
    Contents

    Examples
    --------
    >>> from ase.build import bulk, molecule
    >>> found = contents([bulk("NaCl", "rocksalt", a=5.6), molecule("H2O")])
    >>> found.elements["Cl"], found.sizes, round(found.shortest["H", "O"], 3)
    ((1, 1), (2, 2, 3), 0.969)
    """
    frames = as_frames(frames)
    labels = read_labels(frames, required=False) if labels is None else labels
    per_frame = _per_frame(frames, labels)
    used = np.array([not is_isolated_config(name) for name in labels.config_type], bool)
    groups = {}
    for name in dict.fromkeys(labels.config_type.tolist()):
        members = labels.config_type == name
        groups[name] = Group(
            int(members.sum()),
            int(labels.n_atoms[members].sum()),
            _spread_of(labels.n_atoms[members]),
            _ranges(per_frame, members),
        )
    nearest, closest = _nearest(frames)
    formulas = Counter(atoms.get_chemical_formula(mode="hill") for atoms in frames)
    numbers = {z: [np.count_nonzero(atoms.numbers == z) for atoms in frames] for z in species_of(frames)}
    return Contents(
        n_frames=len(frames),
        n_atoms=int(labels.n_atoms.sum()),
        elements={symbols([z])[0]: (int(np.sum(n)), int(np.count_nonzero(n))) for z, n in numbers.items()},
        sizes=_spread_of(labels.n_atoms),
        periodic=dict(Counter("".join("FT"[int(p)] for p in atoms.pbc) for atoms in frames)),
        compositions=dict(formulas.most_common()),
        groups=groups,
        ranges=_ranges(per_frame, used),
        nearest=nearest,
        closest=closest,
        per_frame=per_frame,
    )


#: Quantities of `Contents.per_frame` with their units, in the order of tables.
QUANTITIES = {
    "total_energy": ("energy", "eV/atom"),
    "energy": ("energy - E0", "eV/atom"),
    "force": ("largest force", "eV/Å"),
    "pressure": ("pressure", "GPa"),
    "volume": ("volume", "Å³/atom"),
}


def _spread_of(values):
    if not len(values):
        return (0, 0, 0)
    return int(np.min(values)), int(np.median(values)), int(np.max(values))


def _ranges(per_frame, members):
    ranges = {}
    for quantity, (_, unit) in QUANTITIES.items():
        values = per_frame[quantity][members]
        values = values[np.isfinite(values)]
        if len(values):
            low, middle, high = (float(f(values)) for f in (np.min, np.median, np.max))
            ranges[quantity] = Range(unit, low, middle, high, len(values))
    return ranges


def _per_frame(frames, labels):
    n_atoms = np.maximum(labels.n_atoms, 1)
    offsets = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    energy = labels.energy / n_atoms
    rest = (labels.energy - _free_atoms(frames, labels, offsets)) / n_atoms
    volume = np.array([abs(np.linalg.det(a.cell.array)) if a.pbc.all() and len(a) else np.nan for a in frames])
    force = np.full(len(frames), np.nan)
    for k in np.flatnonzero(labels.has("forces")):
        force[k] = np.linalg.norm(labels.forces[offsets[k] : offsets[k + 1]], axis=1).max()
    pressure = np.trace(labels.virial, axis1=1, axis2=2) / (3 * volume) * _GPA
    return {
        "total_energy": energy,
        "energy": rest,
        "force": force,
        "pressure": pressure,
        "volume": volume / n_atoms,
    }


def _free_atoms(frames, labels, offsets):
    """Sum of E0 over the atoms of each frame, from isolated atoms, else by least squares, as a fit takes them."""
    species = np.array(species_of(frames), dtype=int)
    numbers = np.concatenate([*(atoms.numbers for atoms in frames), np.zeros(0, dtype=int)])
    counts = count_species(numbers, offsets, species)
    known = np.isfinite(labels.energy) & (labels.n_atoms > 0)
    lone = np.array([is_isolated_config(name) for name in labels.config_type], bool) & (labels.n_atoms == 1)
    isolated = {int(frames[k].numbers[0]): [labels.energy[k]] for k in np.flatnonzero(lone & known)}
    used = known & ~lone
    if not used.any():
        return np.zeros(len(frames))
    e0 = resolve_e0("auto", species, counts[used], labels.energy[used], isolated, scaling="per_atom")
    return counts @ e0.energies


def _nearest(frames):
    """Nearest distances between elements, and the frames where they are smallest."""
    species = np.array(species_of(frames), dtype=int)
    names = symbols(species)
    found = {(a, b): [] for a in range(len(species)) for b in range(a, len(species))}
    closest = {pair: (np.inf, "") for pair in found}
    start = 0
    while start < len(frames):
        stop, n = start, 0
        while stop < len(frames) and (stop == start or n + len(frames[stop]) <= _ATOMS):
            n += len(frames[stop])
            stop += 1
        part = frames[start:stop]
        start = stop
        pairs = build_pairs(part, REACH)
        count = np.diff(np.asarray(pairs.offsets))
        kind = np.searchsorted(species, np.concatenate([atoms.numbers for atoms in part]))
        frame = np.repeat(np.arange(len(part)), [len(atoms) for atoms in part])
        nearest = np.full((len(kind), len(species)), np.inf)
        centre = np.repeat(np.arange(len(kind)), count)
        np.minimum.at(nearest, (centre, kind[np.asarray(pairs.neighbors)]), np.asarray(pairs.distances))
        for (a, b), values in found.items():
            column = np.where(kind == a, nearest[:, b], np.inf)
            values.append(column[np.isfinite(column)])
            atom = int(np.argmin(column)) if len(column) else 0
            if len(column) and column[atom] < closest[a, b][0]:
                closest[a, b] = (column[atom], part.where(frame[atom]))
    label = {pair: (names[pair[0]], names[pair[1]]) for pair in found}
    return (
        {label[pair]: np.concatenate([*values, np.zeros(0)]) for pair, values in found.items()},
        {label[pair]: where for pair, (_, where) in closest.items() if where},
    )
