"""Findings from labels against each other: of all frames together, and of each file and config_type."""

from __future__ import annotations

import numpy as np

from mercer.checks.consistency import (
    CERTAIN,
    MOST_NEEDED,
    UNEXPLAINED,
    Judge,
    energies_and_forces,
    energy_readings,
    read_virials,
    virials,
)
from mercer.checks.finding import Finding
from mercer.checks.pairs import similar_pairs, slope_of_pairs
from mercer.checks.quick_model import QuickModel
from mercer.linalg import one_blas_thread

#: Atoms that the quick model is fitted to, about: in the quick part, and in the whole one.
QUICK_ATOMS, ALL_ATOMS = 1500, 4000
#: Slopes of energies against forces that count as 1.
ONE = (0.7, 1.4)
#: Mean square error, relative to the variance of the label, from which groups of frames are looked at one by one.
DISAGREES = 0.1
#: Constant part of the virial (eV per atom) that is worth a note; by its spread over the folds; and how much more the
#: labels would be missed without it.
OFFSET, OFFSET_SIGMAS, OFFSET_GAIN = 0.03, 5.0, 2.0
#: At most this part of the frames is set aside as outliers. One is a frame whose error, by the standard deviation that
#: a model without these frames expects and by that of the other frames, is above the first number; in eV per atom or
#: eV/Angstrom above the second, and above this part of the spread.
ASIDE, OUTLIER = 0.04, 20.0
OUTLIER_SIZE, OUTLIER_PART = {"energy": 0.03, "forces": 0.3}, {"energy": 0.5, "forces": 0.5}


@one_blas_thread
def compare_labels(frames, labels, quick=False):
    """Findings of energies, forces and virials against each other.

    Parameters
    ----------
    frames : Frames
        Without isolated atoms and without distances that cannot be.
    labels : Labels
    quick : bool
        Fewer atoms, and no outliers.

    Returns
    -------
    list of Finding
    """
    n_elements = len(np.unique(np.concatenate([atoms.numbers for atoms in frames]))) if len(frames) else 1
    chosen = sample(frames, labels, (QUICK_ATOMS if quick else ALL_ATOMS) / (0.5 + 0.5 * n_elements))
    if len(chosen) < MOST_NEEDED:
        return []
    frames, labels = frames.take(chosen), labels.take(chosen)
    work, difference = similar_pairs(frames, labels)
    pairs = slope_of_pairs(work, difference)
    model = QuickModel(frames, labels)
    judge = Judge(model)
    found = []
    energy = _energies(judge, pairs)
    if energy:
        found.append(energy)
    groups = groups_of(frames, labels)
    if not energy:
        found += _group_energies(model, groups)
    found += _virials(judge, groups, bool(found))
    if not found and not quick:
        found += outliers(judge, chosen)
    return found


def sample(frames, labels, n_atoms):
    """Indices of frames with about so many atoms, evenly from every group."""
    usable = np.flatnonzero((labels.n_atoms > 1) & (labels.has("energy") | labels.has("forces")))
    if labels.n_atoms[usable].sum() <= n_atoms:
        return usable
    groups = groups_of(frames, labels) or {"": np.ones(len(frames), bool)}
    chosen, share = [], n_atoms / len(groups)
    for mine in groups.values():
        members = usable[mine[usable]]
        if len(members):
            count = max(MOST_NEEDED, int(share / labels.n_atoms[members].mean()))
            chosen += members[
                np.unique(np.linspace(0, len(members) - 1, min(count, len(members))).astype(int))
            ].tolist()
    return np.unique(chosen).astype(int)


def groups_of(frames, labels):
    """{name: (n_frames,) bool array} of files and config_types, where there are several."""
    files = np.array([source.split(", frame ")[0] for source in frames.sources], dtype=object)
    if all(source.startswith("frame ") for source in frames.sources):
        files[:] = ""
    groups = {}
    for what, names in (("", files), ("config_type ", labels.config_type.astype(object))):
        values = list(dict.fromkeys(names))
        if 1 < len(values) <= 20:
            groups |= {f"{what}{value or '(none)'}": names == value for value in values}
    return groups


# ---------------------------------------------------------------------------------------------- energies


def _energies(judge, pairs, where=""):
    """The finding of energies against forces."""
    if not {"energy", "forces"} <= set(judge.kinds):
        return None
    found = energies_and_forces(Judge(judge.model, judge.keep, ("energy", "forces")))
    if pairs is not None and ONE[0] < pairs < ONE[1]:
        return None
    slope, gain = None, CERTAIN
    if found:
        reading, slope, gain = found
        if reading.shape == "per atom" and abs(np.log(slope)) > 0.1:
            if np.ptp(judge.model.n_atoms) > 0:
                return None
            slope, reading = slope / judge.model.n_atoms[0], None
        elif reading.shape == "per atom":
            return Finding(
                "units",
                f"{_in(where)}energies agree with their forces if they are multiplied by the number of atoms: they "
                "seem to be per atom, but total energies are expected; say so with --units energy=eV/atom",
                _level(gain),
                ("--units energy=eV/atom",),
                where,
                size=float(np.median(judge.model.n_atoms)),
            )
        if pairs is not None and abs(np.log(abs(slope / pairs))) < 0.3 and slope * pairs > 0:
            slope, gain = pairs, max(gain, CERTAIN)
        if ONE[0] < slope < ONE[1]:
            return None
    elif pairs is not None and judge.errors({})["energy"] > UNEXPLAINED:
        slope = pairs
    else:
        return None
    if pairs is not None and (slope * pairs < 0 or abs(np.log(abs(slope / pairs))) > 0.5):
        return None  # the two contradict each other
    basis = f"{_in(where)}energies vary by {slope:.3g} times what their forces give"
    return units_finding(judge, basis, slope, gain, where)


def units_finding(judge, basis, slope, gain, where):
    """The finding of a slope of energies against forces, with the unit that explains it."""
    sign, readings = np.sign(slope), energy_readings(judge.model)
    near = sorted(
        (abs(np.log(slope / reading.factor)), k, reading)
        for k, reading in enumerate(readings)
        if reading.factor * sign > 0 and reading.shape != "per atom" and abs(np.log(slope / reading.factor)) < 0.12
    )
    near = [reading for *_, reading in near]
    wrong = _wrong_kind(judge, slope)
    if wrong:
        near = [r for r in near if r.kind in (wrong, "both", "positions")] or near
    if not near and sign < 0:
        near = [reading for reading in readings if reading.factor == -1.0]
        unit = next((r for r in readings if abs(np.log(-slope / abs(r.factor))) < 0.12 and r.factor > 0), None)
        also = f"; besides, {unit.text}" if unit and abs(slope + 1) > 0.3 else ""
        return Finding(
            "units",
            f"{basis}: {near[0].text}{also}. mercer expects forces, -dE/dr; say so with {' '.join(near[0].remedy)}",
            _level(gain),
            near[0].remedy,
            where,
            size=slope,
        )
    if not near:
        ways = "; check the units of both (--units energy=..., --units forces=...)"
        return Finding("units", basis + ways, _level(gain), (), where, size=slope)
    first = near[0]
    remedy = complete(first, judge.model.labels)
    text = f"{basis}: {first.text}; try {' '.join(remedy)}"
    for other in near[1:3]:
        text += f"; or {other.text} ({' '.join(complete(other, judge.model.labels))})"
    if first.factor == -1.0:
        text += ". mercer expects forces, -dE/dr"
    return Finding("units", text, _level(gain), remedy, where, size=slope)


def complete(reading, labels):
    """Options of a reading; an energy unit holds for the other labels too, so these are named."""
    if reading.kind != "energy":
        return reading.remedy
    rest = {"forces": "eV/angstrom", "stress": "eV/angstrom^3", "virial": "eV"}
    return (*reading.remedy, *(f"--units {kind}={unit}" for kind, unit in rest.items() if kind in labels.found))


def _wrong_kind(judge, slope):
    """Which of energies and forces contradicts the virials too: "energy", "forces" or None."""
    if "virial" not in judge.kinds:
        return None
    with_forces = judge.errors({"energy": judge.values["energy"] / slope})
    with_energies = judge.errors({"forces": judge.values["forces"] * slope})
    if with_forces["virial"] * 4.0 < with_energies["virial"]:
        return "energy"
    if with_energies["virial"] * 4.0 < with_forces["virial"]:
        return "forces"
    return None


def _group_energies(model, groups):
    """Findings of energies against forces of single files or config_types."""
    found = []
    whole = Judge(model)
    if len(groups) < 2 or not {"energy", "forces"} <= set(whole.kinds):
        return found
    errors = whole.errors({})
    for name, mine in groups.items():
        judge = Judge(model, mine)
        if not {"energy", "forces"} <= set(judge.kinds):
            continue
        inside, outside = (_mean(errors.squares["energy"][part]) for part in (mine, ~mine))
        if not (inside > 3.0 * outside or errors["energy"] > DISAGREES):
            continue
        work, difference = similar_pairs(
            model.frames.take(np.flatnonzero(mine)), model.labels.take(np.flatnonzero(mine))
        )
        finding = _energies(judge, slope_of_pairs(work, difference), name)
        if finding and _agrees(whole, errors, mine, finding.size):
            found.append(finding)
    return found


def _agrees(whole, errors, mine, slope):
    """Whether the energies of a group, divided by the slope, are predicted better beside all other frames too."""
    model = whole.model
    totals = model.labels.energy
    known = mine & np.isfinite(totals)
    middle = np.median(totals[known] / model.n_atoms[known]) * model.n_atoms
    before = np.nanmean(errors.squares["energy"][mine]) * model.spread("energy", whole.values["energy"]) ** 2
    for origin in (0.0, middle):  # totals are in another unit, or what is left of them by some reference
        values = model.energies(np.where(known, origin + (totals - origin) / slope, totals))
        again = whole.errors({"energy": values})
        if 4.0 * np.nanmean(again.squares["energy"]) * model.spread("energy", values) ** 2 < before:
            return True
    return False


# ----------------------------------------------------------------------------------------------- virials


def _virials(judge, groups, wrong_before):
    """Findings of virials and stresses, of all frames or else of single groups."""
    if "virial" not in judge.kinds:
        return []
    finding = None if wrong_before else virial_finding(judge)
    if finding:
        return [finding]
    if wrong_before:
        return []
    found, errors = [], judge.errors({})
    for name, mine in groups.items():
        inside, outside = (_mean(errors.squares["virial"][part]) for part in (mine, ~mine))
        if np.isnan(inside):  # a group without virials
            continue
        if inside > 3.0 * outside or errors["virial"] > DISAGREES:
            finding = virial_finding(Judge(judge.model, mine), name)
            if finding:
                found.append(finding)
    return found or pulay(judge)


def virial_finding(judge, where=""):
    """The finding of a way to read virials that is far better."""
    found = virials(judge)
    if not found:
        return None
    reading, factor, gain, readings = found
    named, size, order = read_virials(judge, reading, factor, readings)
    if named is None and order is None:
        if ONE[0] < factor < ONE[1] and reading.shape == "0":
            return None
    labels = judge.model.labels
    key = labels.found.get("virial", labels.found.get("stress", ("",)))[0]
    parts, remedy = [], []
    if named:
        parts.append(named[0].text)
        remedy += [option for option in named[0].remedy if option not in remedy]
    elif order is None or not ONE[0] < size < ONE[1]:
        parts.append(
            f"the virial or stress (key {key}) seems to be in another unit, or to belong to the volume of another cell"
        )
    if order:
        parts.append(f"the order of its components seems to be {order[1]}")
        remedy += list(order[2])
    text = (
        f"{_in(where)}{' and '.join(parts)}. It is {size:.3g} times what energies and forces give; "
        f"read so, the labels agree with errors {np.sqrt(gain):.2g} times smaller"
    )
    text += f"; try {' '.join(remedy)}" if remedy else ""
    if named and len(named) > 2:
        text += "".join(f"; or {other.text} ({' '.join(other.remedy)})" for other in named[2:4])
    check = "stress_order" if order and not named else "virial_sign" if named and size < 0 else "stress_units"
    return Finding(check, text, _level(gain), remedy, where, size=size)


def pulay(judge):
    """A constant isotropic stress that energies do not follow: the Pulay stress of plane waves at a fixed cutoff."""
    if not {"energy", "virial"} <= set(judge.kinds):
        return []
    if not _volumes_vary(judge.model):
        return []
    errors = judge.errors({})
    mean, spread = float(np.mean(errors.offset)), float(np.std(errors.offset))
    if abs(mean) < OFFSET or abs(mean) < OFFSET_SIGMAS * spread or errors["energy"] > 0.1 or errors["virial"] > 0.2:
        return []
    without = judge.errors({}, offset=False)
    gain = np.prod([without[kind] / max(errors[kind], 1e-12) for kind in judge.kinds])
    if gain < OFFSET_GAIN:
        return []
    volumes = [abs(np.linalg.det(a.cell.array)) / len(a) for a in judge.model.frames if a.pbc.all()]
    pressure = mean / float(np.median(volumes)) / 0.0062415091
    return [
        Finding(
            "pulay",
            f"virials differ by a constant, {mean:+.3g} eV per atom (a pressure of {pressure:+.2g} GPa), from those "
            "that follow from the energies, as the Pulay stress of plane waves at a fixed cutoff does; no potential "
            "can follow both. Raise the cutoff, correct the stresses by it, or leave them out (--key stress=none "
            "--key virial=none)",
            "note",
            size=mean,
        )
    ]


def _volumes_vary(model):
    """Whether energies of one composition at several volumes determine the pressure."""
    groups = {}
    for k, atoms in enumerate(model.frames):
        if atoms.pbc.all() and model.labels.has("energy")[k]:
            groups.setdefault(tuple(np.sort(atoms.numbers)), []).append(abs(np.linalg.det(atoms.cell.array)))
    return any(len(v) >= MOST_NEEDED and np.std(v) > 0.01 * np.mean(v) for v in groups.values())


# ---------------------------------------------------------------------------------------------- outliers


def outliers(judge, chosen):
    """Frames whose energies or forces are far from what the other frames and labels give."""
    if not {"energy", "forces"} <= set(judge.kinds):
        return []
    model, found = judge.model, []
    rest = Judge(model, _without_worst(judge), ("energy", "forces"))
    if len(rest.kinds) < 2:
        return []
    errors = rest.errors({})
    if errors["energy"] > DISAGREES or errors["forces"] > 0.3:
        return []
    for kind in rest.kinds:
        has = model.labels.has(kind)
        score, size, part = _sizes(model, errors, kind, rest.keep)
        middle = max(np.median(score[has & rest.keep]), 1e-12)
        far = (score > OUTLIER * middle) & (size > OUTLIER_SIZE[kind]) & (part > OUTLIER_PART[kind])
        wrong = [k for k in np.flatnonzero(has & far) if _contradicts_itself(rest, errors, kind, k, middle)]
        wrong = np.array(wrong, int)
        if not 0 < len(wrong) <= max(2, 2 * ASIDE * has.sum()):
            continue
        order = wrong[np.argsort(-score[wrong])]
        unit = "eV per atom" if kind == "energy" else "eV/Angstrom (root mean square)"
        listed = ", ".join(f"{model.frames.where(k)} ({size[k]:.3g})" for k in order[:5])
        what = "energies" if kind == "energy" else "forces"
        found.append(
            Finding(
                "outliers",
                f"{what} of {len(wrong)} frame{'s' if len(wrong) > 1 else ''} are far from what the other labels give, "
                f"in {unit}: {listed}; look whether these calculations converged, and take them out if not",
                "likely",
                frames=chosen[order],
                size=float(size[order[0]]),
            )
        )
    return found


def _contradicts_itself(rest, errors, kind, frame, middle):
    """Whether the label is far off too where the other labels of the frame are known."""
    model = rest.model
    error, expected = model.predict_one(errors, rest.values, kind, frame, rest.keep)
    size = np.sqrt(np.mean(error**2)) * (model.scale[frame] if kind == "energy" else 1.0)
    return np.sqrt(np.mean((error / expected) ** 2)) > 0.5 * OUTLIER * middle and size > OUTLIER_SIZE[kind]


def _without_worst(judge):
    """The frames that are left when those with the largest errors are set aside one by one, while that helps."""
    keep = judge.keep.copy()
    errors = Judge(judge.model, keep, ("energy", "forces")).errors({}, 0.01)
    for _ in range(max(1, int(ASIDE * keep.sum()))):
        squares = [errors.squares[kind] / np.nanmedian(errors.squares[kind]) for kind in errors.squares]
        worst = int(np.argmax(np.where(keep, np.nanmax(np.nan_to_num(squares), axis=0), 0.0)))
        trial = keep.copy()
        trial[worst] = False
        again = Judge(judge.model, trial, ("energy", "forces"))
        if len(again.kinds) < 2:
            break
        fewer = again.errors({}, 0.01)
        if np.prod([fewer[kind] / errors[kind] for kind in again.kinds]) > 0.7:
            break
        keep, errors = trial, fewer
    return keep


def _sizes(model, errors, kind, keep):
    """Errors of frames: by the standard deviation that is expected, in eV per atom or eV/Angstrom, by the spread."""
    known = model.known[kind]
    error = np.where(known, errors.predicted[kind] - model.values[kind], 0.0)
    count = np.maximum(np.bincount(model.frame_of[kind], known, len(model.frames)), 1)

    def of_frames(values):
        return np.sqrt(np.bincount(model.frame_of[kind], values**2, len(model.frames)) / count)

    size = of_frames(error)
    part = size / (model.spread(kind, model.values[kind], keep) or 1.0)
    score = of_frames(error / model.deviations(errors, kind))
    return score, size * model.scale if kind == "energy" else size, part


def _level(gain):
    return "certain" if gain >= CERTAIN else "likely"


def _in(where):
    return f"in {where}: " if where else ""


def _mean(values):
    """Mean of the values that are known; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
