"""Checks of one kind of label, or of the structures, by themselves: columns that nobody filled, net forces, sizes,
distances."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii

from mercer.checks.finding import Finding
from mercer.checks.same import same_frames
from mercer.errors import DataError
from mercer.neighbors import build_pairs
from mercer.structures import unit_factor
from mercer.targets import count_species, sum_over_frames

#: Net force per atom that is reported: above this (eV/Angstrom), and above this part of the frame's RMS force; of the
#: torque, the part of what forces of that size at these distances could give.
NET_FORCE, NET_FORCE_PART, NET_TORQUE_PART = 5e-3, 0.05, 0.3
#: Median RMS force component (eV/Angstrom) and cohesive energy (eV per atom) above which another unit is likely.
LARGE_FORCE, LARGE_COHESION = 10.0, 15.0
#: Matter is not unbound by more than this (eV per atom, median of a set).
UNBOUND = 4.0
#: Nearest distance by the sum of covalent radii: below the first no matter is so dense; above the second, in a tenth of
#: the frames that are densest, positions may be in bohr. Distances are searched up to so many Angstrom.
TOO_CLOSE, TOO_FAR, _REACH = 0.4, 1.45, 6.0
_NOBLE = (2, 10, 18, 36, 54, 86)
#: Total energies of free atoms, hartree, Z = 1 to 18: Hartree-Fock limit, E. Clementi and C. Roetti, At. Data Nucl.
#: Data Tables 14, 177 (1974).
_ALL_ELECTRON = (
    -0.5, -2.8617, -7.4327, -14.5730, -24.5291, -37.6886, -54.4009, -74.8094, -99.4093,
    -128.5471, -161.8589, -199.6146, -241.8767, -288.8544, -340.7188, -397.5049, -459.4821, -526.8175,
)  # fmt: skip


def equal_energies(frames, labels):
    """Energies that are the same in frames that differ, as of a column that nobody filled."""
    known = np.flatnonzero(labels.has("energy"))
    if len(known) < 3:
        return None
    key = labels.found.get("energy", ("",))[0]
    energies = labels.energy[known]
    if np.ptp(energies) == 0.0:
        if len(same_frames(frames.take(known))) >= len(known) - 1:
            return None
        value = "zero" if energies[0] == 0.0 else f"{energies[0]:.6g} eV"
        return Finding(
            "equal_energies",
            f"all energies are {value} in all {len(known)} frames that have them (key {key}), though the frames "
            "differ, as if they had never been computed; leave them out with --key energy=none, or name the right key",
            "certain",
            ("--key energy=none",),
        )
    zero = np.flatnonzero(energies == 0.0)
    rest = np.abs(energies[energies != 0.0] / labels.n_atoms[known][energies != 0.0])
    if len(zero) and len(rest) >= 3 and np.quantile(rest, 0.1) > 0.5:
        return Finding(
            "zero_energies",
            f"the energy is exactly zero in {len(zero)} of {len(known)} frames, for example "
            f"{frames.where(known[zero[0]])}, where the others have at least {np.quantile(rest, 0.1):.3g} eV per atom: "
            "as of calculations that failed; take these frames out",
            "likely",
            frames=known[zero],
        )
    return None


def zero_forces(frames, labels):
    """Forces that are zero in every frame, as of a column that nobody filled."""
    known = labels.has("forces")
    if not known.any() or np.nanmax(np.abs(labels.forces)) > 0:
        return None
    if not np.any(known & (labels.n_atoms > 2)) and len(frames) < 3:
        return None
    return Finding(
        "zero_forces",
        f"all forces are zero in all {int(known.sum())} frames that have them (key {labels.found['forces'][0]}), as if "
        "they had never been computed; leave them out with --key forces=none, or name the right key",
        "certain",
        ("--key forces=none",),
    )


def zero_virials(frames, labels):
    """Virials that are exactly zero in every periodic frame."""
    known = labels.has("virial") & np.array([atoms.pbc.all() for atoms in frames], bool)
    if known.sum() < 3 or np.any(labels.virial[known]):
        return None
    kinds = [kind for kind in ("stress", "virial") if kind in labels.found]
    return Finding(
        "zero_virial",
        f"all stresses or virials are exactly zero in all {int(known.sum())} periodic frames that have them (key "
        f"{', '.join(labels.found[kind][0] for kind in kinds)}), as if they had never been computed; leave them out "
        f"with {' '.join(f'--key {kind}=none' for kind in kinds)}",
        "certain",
        [f"--key {kind}=none" for kind in kinds],
    )


def net_forces(frames, labels):
    """Forces that do not sum to zero over a frame; those of fixed atoms that were set to zero are named."""
    known = np.flatnonzero(labels.has("forces"))
    if not len(known):
        return None
    offsets = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    net = np.linalg.norm(sum_over_frames(labels.forces, offsets), axis=1)[known] / labels.n_atoms[known]
    rms = np.sqrt(sum_over_frames(np.sum(labels.forces**2, axis=1), offsets)[known] / (3 * labels.n_atoms[known]))
    wrong = np.flatnonzero((net > NET_FORCE) & (net > NET_FORCE_PART * rms))
    if not len(wrong):
        return None
    worst = known[wrong[np.argmax(net[wrong])]]
    still = ~np.any(labels.forces, axis=1)
    n_still = sum_over_frames(still.astype(float), offsets)[known[wrong]]
    many = np.flatnonzero((n_still > 0) & (n_still < labels.n_atoms[known[wrong]]))
    cause = (
        "look for forces that were set to zero on fixed atoms (mark such atoms in an array force_mask), external "
        "fields, or atoms in another order than their forces"
    )
    if len(many) > 0.5 * len(wrong):
        cause = (
            f"in {len(many)} of these frames some atoms ({int(np.median(n_still[many]))}, in the middle) have a force "
            "of exactly zero, as of atoms that were held fixed: read the forces without constraints "
            "(atoms.get_forces(apply_constraint=False)), or mark these atoms in an array force_mask"
        )
    return Finding(
        "net_forces",
        f"forces do not sum to zero in {len(wrong)} of {len(known)} frames; the worst is {frames.where(worst)}, "
        f"with a net force of {net[wrong].max():.3g} eV/Angstrom per atom. A potential cannot learn that: {cause}",
        "likely",
        frames=known[wrong],
        size=float(net[wrong].max()),
    )


def net_torque(frames, labels):
    """Forces on a cluster or molecule that turn it: energies do not change when all atoms turn together."""
    has = labels.has("forces")
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    wrong, known, sizes = [], 0, []
    for k in np.flatnonzero(has & (labels.n_atoms > 1)):
        if frames[k].pbc.any():
            continue
        known += 1
        forces = labels.forces[starts[k] : starts[k + 1]]
        arms = frames[k].positions - frames[k].positions.mean(axis=0)
        if np.linalg.norm(forces.sum(axis=0)) > NET_FORCE_PART * np.linalg.norm(forces):
            continue
        torque = np.linalg.norm(np.cross(arms, forces).sum(axis=0))
        scale = np.sqrt(np.sum(arms**2) * np.sum(forces**2))
        if torque > NET_TORQUE_PART * scale and torque > 0.1 * len(forces):
            wrong.append(k)
            sizes.append(torque)
    if not wrong:
        return None
    worst = wrong[int(np.argmax(sizes))]
    return Finding(
        "net_torque",
        f"forces turn the whole frame in {len(wrong)} of {known} frames without a periodic cell; the worst is "
        f"{frames.where(worst)}, with a torque of {max(sizes):.3g} eV. A potential cannot learn that: look for forces "
        "in another orientation than the positions, atoms in another order than their forces, or external fields",
        "likely",
        frames=wrong,
        size=float(max(sizes)),
    )


# ------------------------------------------------------------------------------------------------- sizes


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
            found = _cohesive(frames, labels, known, isolated, numbers, offsets)
            if found:
                return found
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


def _cohesive(frames, labels, known, isolated, numbers, offsets):
    elements = np.array(sorted(isolated))
    free = count_species(numbers, offsets, elements)[known] @ [isolated[z] for z in elements.tolist()]
    n_atoms = labels.n_atoms[known]
    cohesive = float(np.median((labels.energy[known] - free) / n_atoms))
    raw = float(np.median(labels.energy[known] / n_atoms))
    of_atoms = float(np.median(free / n_atoms))
    if -LARGE_COHESION <= cohesive <= UNBOUND:
        return None
    if -12.0 <= raw <= 2.0 and abs(of_atoms) > UNBOUND:
        return Finding(
            "reference",
            f"energies less those of the free atoms in the data are {cohesive:+.4g} eV per atom in the middle, but the "
            f"energies by themselves, {raw:.4g} eV per atom, are of the size of binding energies: free atoms "
            f"({of_atoms:.4g} eV per atom) seem to be subtracted already, or to be of another calculation. Fit with "
            "--e0 none, or give free atoms of the same calculation",
            "likely",
            ("--e0 none",),
            size=cohesive,
        )
    if cohesive < -LARGE_COHESION:
        return _units(
            f"energies are {-cohesive:.3g} per atom away from those of free atoms; in eV, matter is bound by 1 to 9",
            "kcal/mol",
        )
    return Finding(
        "reference",
        f"energies less those of the free atoms in the data are {cohesive:+.4g} eV per atom in the middle; matter is "
        "bound, by -9 to 0: the free atoms seem to be of another calculation (method, pseudopotentials, code, unit). "
        "Give free atoms of the same calculation, or leave them out with --e0 lstsq",
        "likely",
        ("--e0 lstsq",),
        size=cohesive,
    )


def _units(what, unit, way=None):
    factor = unit_factor("energy", unit)
    return Finding(
        "units",
        f"{what}; if they are in {unit} (1 {unit} = {factor:.6g} eV), say so: {way or f'--units energy={unit}'}",
        "likely",
        (f"--units energy={unit}",),
        size=1.0 / factor,
    )


def energies_by_size_of_frames(frames, labels):
    """Energies that do not grow with the number of atoms: energies per atom given as totals."""
    known = np.flatnonzero(labels.has("energy"))
    groups = {}
    for k in known:
        _, counts = np.unique(frames[k].numbers, return_counts=True)
        groups.setdefault((*np.unique(frames[k].numbers), *(counts / len(frames[k])).round(6)), []).append(k)
    for members in groups.values():
        n = labels.n_atoms[members]
        energies = labels.energy[members]
        counts = [size for size in np.unique(n) if np.sum(n == size) >= 3 and size > 1]
        if len(counts) < 2 or counts[-1] < 1.5 * counts[0]:
            continue
        sizes = [energies[n == size] for size in counts]
        means = np.array([np.mean(group) for group in sizes])
        if np.abs(means).min() < 1.0 or max(np.ptp(group) for group in sizes) > 0.2 * np.abs(means).min():
            continue
        if np.ptp(means) < 0.1 * np.abs(means).min():
            return Finding(
                "units",
                f"frames of one composition with {counts[0]} and with {counts[-1]} atoms have nearly the same energy, "
                f"{means[0]:.4g} and {means[-1]:.4g} eV: energies seem to be per atom, but total energies are "
                "expected; say so with --units energy=eV/atom",
                "likely",
                ("--units energy=eV/atom",),
            )
    return None


# --------------------------------------------------------------------------------------------- distances


def distances(frames):
    """Atoms that are nearer than any matter, or sets in which all are too far from each other.

    Returns
    -------
    Finding or None
    too_close : (n_frames,) bool array
        Frames with distances that cannot be.
    """
    too_close = np.zeros(len(frames), bool)
    ratios = np.full(len(frames), np.inf)
    smallest = np.full(len(frames), np.inf)
    noble = False
    for k, atoms in enumerate(frames):
        if len(atoms) == 0:
            continue
        try:
            pairs = build_pairs([atoms], _REACH)
        except DataError:
            too_close[k], ratios[k], smallest[k] = True, 0.0, 0.0
            continue
        r = np.asarray(pairs.distances)
        if not len(r):
            continue
        i = np.repeat(np.arange(len(atoms)), np.diff(np.asarray(pairs.offsets)))
        radii = covalent_radii[atoms.numbers]
        ratio = r / (radii[i] + radii[np.asarray(pairs.neighbors)])
        ratios[k], smallest[k] = ratio.min(), r.min()
        too_close[k] = ratio.min() < TOO_CLOSE
        noble = noble or np.isin(atoms.numbers, _NOBLE).all()
    known = np.flatnonzero(np.isfinite(ratios))
    if too_close.any():
        return _too_close(frames, too_close, ratios, smallest, known), too_close
    lone = [k for k in known if len(frames[k]) > 1 or frames[k].pbc.all()]
    far = float(np.quantile(ratios[lone], 0.1)) if len(lone) >= 3 else 0.0
    if far > TOO_FAR and not noble and 0.75 < 0.529177 * far < 1.45:
        return Finding(
            "distances",
            f"atoms are far from each other in every frame: the shortest distance is {far:.2f} times the sum of the "
            f"covalent radii in the densest tenth of the frames; with positions in bohr it would be "
            f"{0.529177 * far:.2f} times. If they are, say so with --units positions=bohr",
            "likely",
            ("--units positions=bohr",),
            size=far,
        ), too_close
    return None, too_close


def _too_close(frames, too_close, ratios, smallest, known):
    wrong = np.flatnonzero(too_close)
    worst = wrong[np.argmin(smallest[wrong])]
    text = (
        f"atoms are {smallest[worst]:.3g} Angstrom from each other in {frames.where(worst)}, {ratios[worst]:.2f} times "
        f"the sum of their covalent radii; {len(wrong)} of {len(frames)} frames have distances below {TOO_CLOSE} times"
    )
    share = len(wrong) / max(len(known), 1)
    fractional = [
        np.abs(frames[k].positions).max(initial=0.0) <= 1.5 and frames[k].pbc.any() and len(frames[k]) > 1
        for k in wrong
    ]
    if share > 0.5 and np.mean(fractional) > 0.9:
        lengths = np.concatenate([frames[k].cell.lengths()[frames[k].pbc] for k in wrong])
        if np.median(lengths) > 2.0:
            return Finding(
                "distances",
                f"{text}, and all coordinates lie between 0 and 1: positions seem to be fractional coordinates; say so "
                "with --units positions=fractional",
                "certain",
                ("--units positions=fractional",),
                frames=wrong,
                size=float(smallest[worst]),
            )
    typical = float(np.median(ratios[known]))
    if share > 0.5 and 0.07 < typical < 0.2:
        return Finding(
            "distances",
            f"{text}: positions seem to be in nm; say so with --units positions=nm",
            "certain",
            ("--units positions=nm",),
            frames=wrong,
            size=float(smallest[worst]),
        )
    level = "certain" if share > 0.5 else "likely" if share > 0.2 else "note"
    return Finding(
        "distances",
        f"{text}: matter is not so dense; look for a wrong unit of positions or cells, or atoms that come twice",
        level,
        frames=wrong,
        size=float(smallest[worst]),
    )
