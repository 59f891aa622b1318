"""What is suspicious in data, said before a fit: forces that cannot be, units, signs, frames that come twice.

Every check looks at structures and labels alone and returns a `Finding` or None; none of them changes anything. They
are made to be silent on good data: what they report is nearly always a mistake of a file or of its units.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from mercer.checks.finding import Finding
from mercer.pair_fit import pair_fit
from mercer.structures import as_frames, read_labels, unit_factor
from mercer.targets import count_species, is_isolated_config, sum_over_frames

#: Frames are the same if nothing differs by more (Angstrom).
SAME = 1e-3
#: Net force per atom that is reported: above this (eV/Angstrom), and above this part of the frame's RMS force.
NET_FORCE, NET_FORCE_PART = 5e-3, 0.05
#: Median RMS force component (eV/Angstrom) and cohesive energy (eV per atom) above which another unit is likely.
LARGE_FORCE, LARGE_COHESION = 10.0, 15.0
#: Part of the square of the forces that a pair potential must explain to be compared with, and factor between its
#: energies and the labels beyond which units differ.
FITTED, SLOPE = 0.8, 5.0
#: Frames compared pair by pair in one group, at most.
_COMPARED = 250
#: Total energies of free atoms, hartree, Z = 1 to 18: Hartree-Fock limit, E. Clementi and C. Roetti, At. Data Nucl.
#: Data Tables 14, 177 (1974).
_ALL_ELECTRON = (
    -0.5, -2.8617, -7.4327, -14.5730, -24.5291, -37.6886, -54.4009, -74.8094, -99.4093,
    -128.5471, -161.8589, -199.6146, -241.8767, -288.8544, -340.7188, -397.5049, -459.4821, -526.8175,
)  # fmt: skip


def check_data(frames, labels=None):
    """Everything suspicious in structures and their labels, each kind once.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    labels : mercer.structures.Labels, optional
        Of these frames; read under the usual keys by default.

    Returns
    -------
    list of Finding

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import molecule
    >>> frame = molecule("H2O", info={"REF_energy": -14.0})
    >>> frame.arrays["REF_forces"] = np.zeros((3, 3))
    >>> [finding.check for finding in check_data([frame])]
    ['zero_forces']
    """
    frames = as_frames(frames)
    labels = read_labels(frames, required=False) if labels is None else labels
    usable = np.flatnonzero(
        [len(a) > 0 and not is_isolated_config(labels.config_type[k]) for k, a in enumerate(frames)]
    )
    isolated = _isolated_energies(frames, labels)
    if not len(usable):
        return []
    frames, labels = frames.take(usable), labels.take(usable)
    fit = pair_fit(frames, labels)
    wrong_forces = energies_against_forces(frames, labels) or energies_against_fit(fit)
    found = [
        zero_forces(frames, labels),
        net_forces(frames, labels),
        virial_sign(frames, labels, None if wrong_forces else fit),
        wrong_forces or units_by_size(frames, labels, isolated),
        duplicates(frames, labels),
    ]
    return [finding for finding in found if finding is not None]


# ------------------------------------------------------------------------------------------------ forces


def zero_forces(frames, labels):
    """Forces that are zero in every frame, as of a column that nobody filled."""
    known = labels.has("forces")
    if not known.any() or np.nanmax(np.abs(labels.forces)) > 0:
        return None
    return Finding(
        "zero_forces",
        f"all forces are zero in all {int(known.sum())} frames that have them (key {labels.found['forces'][0]}), as if "
        "they had never been computed; leave them out with --key forces=none, or name the right key",
    )


def net_forces(frames, labels):
    """Forces that do not sum to zero over a frame."""
    known = np.flatnonzero(labels.has("forces"))
    if not len(known):
        return None
    offsets = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    net = np.linalg.norm(sum_over_frames(labels.forces, offsets), axis=1)[known] / labels.n_atoms[known]
    rms = np.sqrt(sum_over_frames(np.sum(labels.forces**2, axis=1), offsets)[known] / (3 * labels.n_atoms[known]))
    wrong = np.flatnonzero((net > NET_FORCE) & (net > NET_FORCE_PART * rms))
    if not len(wrong):
        return None
    worst = wrong[np.argmax(net[wrong])]
    return Finding(
        "net_forces",
        f"forces do not sum to zero in {len(wrong)} of {len(known)} frames; the worst is {frames.where(known[worst])}, "
        f"with a net force of {net[worst]:.3g} eV/Angstrom per atom. A potential cannot learn that: look for forces "
        "that were set to zero on fixed atoms (mark such atoms in an array force_mask), external fields, or atoms in "
        "another order than their forces",
    )


# ------------------------------------------------------------------------------------------------ virial


def virial_sign(frames, labels, fit=None):
    """Virials that grow with the volume, where those of stable matter fall, or that contradict the forces.

    Within a composition, the pressure tr(virial) / (3 V) is compared with the volume per atom, since dP/dV < 0; and
    traces with those of a pair potential that was fitted to the forces (`fit`).
    """
    against_fit = fit is not None and fit.forces > FITTED and fit.virial is not None and fit.virial < -0.5
    has = labels.has("virial") & np.array([atoms.pbc.all() for atoms in frames], bool)
    groups = defaultdict(list)
    for k in np.flatnonzero(has):
        numbers, counts = np.unique(frames[k].numbers, return_counts=True)
        groups[(*numbers.tolist(), *(counts / counts.sum()).round(6).tolist())].append(k)
    volumes, pressures = [], []
    for members in groups.values():
        volume = np.array([abs(np.linalg.det(frames[k].cell.array)) for k in members])
        pressure = np.trace(labels.virial[members], axis1=1, axis2=2) / (3 * volume)
        per_atom = volume / labels.n_atoms[members]
        if len(members) >= 10 and per_atom.std() > 0.01 * per_atom.mean() and pressure.std() > 0:
            volumes.append((per_atom - per_atom.mean()) / per_atom.std())
            pressures.append((pressure - pressure.mean()) / pressure.std())
    grows = volumes and np.mean(np.concatenate(volumes) * np.concatenate(pressures)) >= 0.6
    if not grows and not against_fit:
        return None
    key = labels.found.get("virial", labels.found.get("stress", ("",)))[0]
    return Finding(
        "virial_sign",
        f"the virial (key {key}) {'grows with the volume, where that of stable matter falls' if grows else 'falls'}"
        f"{'' if grows else ' where that of a pair potential with the same forces grows'}, so its sign seems to be "
        "reversed; mercer expects virial = -volume * stress, in eV, positive in compression, and a stress that is "
        "positive in tension, as ASE does. Correct the file, or leave it out with --key virial=none --key stress=none",
    )


# ------------------------------------------------------------------------------------------------- units

#: What energies are multiplied by, if they are in a unit that is not eV while forces are in eV/Angstrom.
_ENERGY_UNITS = ("kcal/mol", "kJ/mol", "hartree", "rydberg", "meV")
_FORCE_UNITS = ("hartree/bohr", "rydberg/bohr", "kcal/mol/angstrom", "kJ/mol/angstrom", "eV/bohr", "meV/angstrom")


def energies_against_forces(frames, labels):
    """Differences of energies between similar frames that do not follow from their forces.

    Along a short straight way between two frames of one cell, E2 - E1 = -(F1 + F2) . (r2 - r1) / 2 up to the third
    order in the displacement (trapezoidal rule). The slope of one against the other is 1 if the units match.
    """
    work, difference = _similar_pairs(frames, labels)
    if len(work) < 10 or not (np.any(work) and np.any(difference)):
        return None
    correlation = (work @ difference) / np.sqrt((work @ work) * (difference @ difference))
    slope = (work @ difference) / (work @ work)
    if abs(correlation) < 0.95 or 0.75 < slope < 1.35:
        return None
    basis = f"energies of {len(work)} pairs of similar frames differ by {slope:.3g} times what their forces give"
    if slope < 0:
        return Finding(
            "units",
            f"{basis}: the forces seem to be gradients, with the opposite sign. mercer expects forces, -dE/dr; correct "
            "the file",
        )
    guesses = [("energy", u, 1.0 / unit_factor("energy", u)) for u in _ENERGY_UNITS]
    guesses += [("forces", u, unit_factor("forces", u)) for u in _FORCE_UNITS]
    guesses.append(("energy", "hartree", unit_factor("forces", "hartree/bohr") / unit_factor("energy", "hartree")))
    kind, unit, expected = min(guesses, key=lambda guess: abs(np.log(slope / guess[2])))
    if abs(np.log(slope / expected)) > 0.1:
        hint = "check the units of both (--units energy=..., --units forces=...)"
    elif np.isclose(expected, 1.0 / 0.529177, rtol=1e-3):
        hint = "forces seem to be per bohr: try --units energy=hartree --units forces=hartree/bohr"
    else:
        hint = f"as if {'energies' if kind == 'energy' else 'forces'} were in {unit}: try --units {kind}={unit}"
    return Finding("units", f"{basis}; {hint}")


def energies_against_fit(fit):
    """Energies that are many times what a pair potential gives that was fitted to the forces, or the reverse of it.

    That potential tells the size within a factor of three only, but also of disordered frames.
    """
    if fit is None or fit.energy is None or fit.forces < FITTED or abs(fit.energy[0]) < 0.9:
        return None
    slope = fit.energy[1]
    basis = f"energies vary by {slope:.2g} times what a pair potential fitted to the forces gives"
    if slope < 0:
        return Finding(
            "units",
            f"{basis}: the forces seem to be gradients, with the opposite sign. mercer expects forces, -dE/dr; correct "
            "the file",
        )
    if 1.0 / SLOPE < slope < SLOPE:
        return None
    known = {
        f"{kind} in {unit}": unit_factor(kind, unit) ** (1 if kind == "forces" else -1)
        for kind, units in (("energy", _ENERGY_UNITS), ("forces", _FORCE_UNITS))
        for unit in units
    }
    likely = [name for name, factor in known.items() if abs(np.log(slope / factor)) < np.log(3.0)]
    guesses = f" (it would be so with {', '.join(likely)})" if likely else ""
    return Finding(
        "units",
        f"{basis}{guesses}: units of energies and forces seem to differ; check both (--units energy=..., "
        "--units forces=...)",
    )


def units_by_size(frames, labels, isolated=None):
    """Energies or forces of a size that matter does not have in eV and Angstrom.

    Parameters
    ----------
    frames, labels
    isolated : mapping, optional
        {atomic number: energy of the free atom}.
    """
    offsets = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    known = np.flatnonzero(labels.has("energy"))
    numbers = np.concatenate([atoms.numbers for atoms in frames])
    if len(known):
        energies = labels.energy[known]
        if numbers.max() <= len(_ALL_ELECTRON):  # all-electron energies say their unit by themselves
            free = sum_over_frames(np.array(_ALL_ELECTRON)[numbers - 1], offsets)[known]
            ratio = float(np.median(energies / free))
            for unit in ("hartree", "rydberg", "kcal/mol", "kJ/mol"):
                value = 1.0 / unit_factor("energy", unit) * unit_factor("energy", "hartree")
                if abs(np.log(abs(ratio) / value)) < 0.02 and ratio > 0:
                    return _units(
                        f"energies, {np.median(energies / labels.n_atoms[known]):.4g} per atom, are close to total "
                        f"energies of all electrons in {unit}",
                        unit,
                    )
        if isolated and set(np.unique(numbers).tolist()) <= set(isolated):
            elements = np.array(sorted(isolated))
            counts = count_species(numbers, offsets, elements)[known]
            cohesive = (energies - counts @ [isolated[z] for z in elements.tolist()]) / labels.n_atoms[known]
            size = float(np.median(np.abs(cohesive)))
            if size > LARGE_COHESION:
                return _units(
                    f"energies are {size:.3g} per atom away from those of free atoms; in eV, matter is bound by 1 to 9",
                    "kcal/mol",
                )
    known = labels.has("forces")
    if known.any():
        square = sum_over_frames(np.sum(labels.forces**2, axis=1), offsets)[known] / (3 * labels.n_atoms[known])
        size = float(np.sqrt(np.median(square)))
        if size > LARGE_FORCE:
            return _units(
                f"force components of half of the frames are above {size:.3g} (RMS); in eV/Angstrom, 3 is much",
                "kcal/mol",
                "--units energy=kcal/mol (for forces alone: --units forces=kcal/mol/angstrom)",
            )
    return None


def _units(what, unit, way=None):
    factor = unit_factor("energy", unit)
    return Finding(
        "units",
        f"{what}; if they are in {unit} (1 {unit} = {factor:.6g} eV), say so: {way or f'--units energy={unit}'}",
    )


def _isolated_energies(frames, labels):
    """{atomic number: energy} of the frames that are isolated atoms."""
    return {
        int(atoms.numbers[0]): float(labels.energy[k])
        for k, atoms in enumerate(frames)
        if len(atoms) == 1 and is_isolated_config(labels.config_type[k]) and np.isfinite(labels.energy[k])
    }


def _similar_pairs(frames, labels):
    """Work -(F1 + F2) . (r2 - r1) / 2 and difference of energy of pairs of similar frames in the same cell."""
    usable = np.flatnonzero(labels.has("energy") & labels.has("forces"))
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    groups = defaultdict(list)
    for k in usable:
        atoms = frames[k]
        groups[atoms.numbers.tobytes(), atoms.pbc.tobytes(), atoms.cell.array.round(4).tobytes()].append(k)
    work, difference = [], []
    for members in groups.values():
        members = members[:_COMPARED]
        if len(members) < 2:
            continue
        positions = np.array([frames[k].positions for k in members])
        forces = np.array([labels.forces[starts[k] : starts[k + 1]] for k in members])
        for a in range(len(members) - 1):
            moves = _nearest_images(positions[a + 1 :] - positions[a], frames[members[a]])
            size = np.sqrt(np.mean(moves**2, axis=(1, 2)))
            b = int(np.argmin(size))
            if not 1e-4 < size[b] < 0.1:
                continue
            work.append(-0.5 * np.sum((forces[a] + forces[a + 1 + b]) * moves[b]))
            difference.append(labels.energy[members[a + 1 + b]] - labels.energy[members[a]])
    return np.array(work), np.array(difference)


def _nearest_images(moves, atoms):
    """Displacements with whole cell vectors taken off along periodic directions."""
    if not atoms.pbc.any():
        return moves
    cell = atoms.cell.complete().array
    shifts = np.round(moves @ np.linalg.inv(cell)) * atoms.pbc
    return moves - shifts @ cell


# -------------------------------------------------------------------------------------------- duplicates


def duplicates(frames, labels=None):
    """Frames that come twice: the same elements, positions and cell, in the same order of atoms."""
    frames = as_frames(frames)
    pairs = same_frames(frames)
    if not len(pairs):
        return None
    text = (
        f"{len(set(b for _, b in pairs))} of {len(frames)} frames come more than once, for example "
        f"{frames.where(pairs[0][1])} is {frames.where(pairs[0][0])}"
    )
    if labels is not None:
        gap = np.abs([labels.energy[b] - labels.energy[a] for a, b in pairs])
        if np.any(gap > 1e-3):
            worst = int(np.nanargmax(gap))
            text += (
                f", and their energies differ, by {gap[worst]:.3g} eV between {frames.where(pairs[worst][0])} and "
                f"{frames.where(pairs[worst][1])}"
            )
    return Finding("duplicates", text + "; they count as often as they come, so keep one of each")


def overlap(train, test):
    """Test frames that are also training frames.

    Parameters
    ----------
    train, test : list of ase.Atoms

    Returns
    -------
    Finding or None
    """
    train, test = as_frames(train), as_frames(test)
    pairs = same_frames(train, test)
    if not len(pairs):
        return None
    return Finding(
        "overlap",
        f"{len(set(b for _, b in pairs))} of {len(test)} test frames are also training frames, for example "
        f"{test.where(pairs[0][1])} is {train.where(pairs[0][0])}; errors on them say nothing about new structures, so "
        "take them out of one of the two",
    )


def same_frames(first, second=None):
    """Frames that are the same up to `SAME` Angstrom, atom by atom; atoms may lie in different periodic images.

    Parameters
    ----------
    first, second : list of ase.Atoms
        Without `second`, the frames of `first` are compared with those before them.

    Returns
    -------
    list of (int, int)
        Index in `first` and index in `second` (or the later one in `first`), one for each frame that was found again.

    Examples
    --------
    >>> from ase.build import bulk
    >>> same_frames([bulk("Si"), bulk("Ge"), bulk("Si")])
    [(0, 2)]
    """
    first = as_frames(first)
    buckets = defaultdict(list)
    for which, frames in enumerate((first,) if second is None else (first, as_frames(second))):
        for k, atoms in enumerate(frames):
            buckets[atoms.numbers.tobytes(), atoms.pbc.tobytes()].append((which, k, _coordinates(atoms)))
    found = []
    for members in buckets.values():
        if len(members) < 2:
            continue
        size = len(members[0][2])
        direction = np.random.default_rng(0).normal(size=size) / np.sqrt(size)
        place = np.array([coordinates @ direction for *_, coordinates in members])
        order = np.argsort(place, kind="stable")
        reach = SAME * np.abs(direction).sum()
        again = {}
        for at, m in enumerate(order):
            for n in order[at + 1 :]:
                if place[n] - place[m] > reach:
                    break
                (a, j, x), (b, k, y) = sorted((members[m], members[n]), key=lambda entry: entry[:2])
                if (second is None or a != b) and np.abs(x - y).max(initial=0.0) <= SAME:
                    again[k] = min(j, again.get(k, j))
        found += [(j, k) for k, j in again.items()]
    return sorted(found, key=lambda pair: pair[1])


def _coordinates(atoms):
    """Numbers, in Angstrom, that are close if and only if cell and positions are; periodic images give the same."""
    cell = atoms.cell.complete().array
    lengths = np.linalg.norm(cell, axis=1)
    scaled = atoms.positions @ np.linalg.inv(cell)
    parts = [atoms.cell.array[atoms.pbc].ravel()]
    for axis in range(3):
        if atoms.pbc[axis]:
            angle = 2 * np.pi * scaled[:, axis]
            parts += [lengths[axis] / (2 * np.pi) * np.cos(angle), lengths[axis] / (2 * np.pi) * np.sin(angle)]
        else:
            parts.append(lengths[axis] * scaled[:, axis])
    return np.concatenate(parts)
