"""Settings of a fit that nobody gave, chosen from the elements and the data, each with the reason.

The rules are short on purpose: what they give is written into the effective configuration, with the reason as a
comment, so that a user can see and change it.
"""

import numpy as np

from mercer._machine import check_memory
from mercer.config import build_terms, make_part, part_class
from mercer.prior import make_trials, prior_rules

#: Frames that are looked at for distances.
_SAMPLE = 50
#: Rows of features that are looked at for length scales.
_ROWS = 200
#: Distance up to which nearest neighbours are looked for (Angstrom).
_REACH = 6.0


def nearest_distances(frames, reach=_REACH):
    """Distance from each atom to its nearest neighbour within `reach` -> (n_atoms,); inf where there is none."""
    from mercer.neighbors import build_pairs

    pairs = build_pairs(frames, reach)
    offsets = np.asarray(pairs.offsets)
    nearest = np.full(len(offsets) - 1, np.inf)
    np.minimum.at(nearest, np.repeat(np.arange(len(nearest)), np.diff(offsets)), np.asarray(pairs.distances))
    return nearest


def _sample(frames, n=_SAMPLE):
    """At most `n` frames, evenly spread."""
    return frames.take(np.unique(np.linspace(0, len(frames) - 1, min(n, len(frames))).astype(int)))


def residual_spread(frames, energies):
    """Standard deviation (eV per atom) of the energies that remain after a least-squares fit of compositions."""
    energies = np.asarray(energies, float)
    known = np.flatnonzero(np.isfinite(energies))
    if not len(known):
        return None
    numbers = [frames[k].numbers for k in known]
    elements = np.unique(np.concatenate(numbers))
    counts = np.array([[np.count_nonzero(z == e) for e in elements] for z in numbers], float)
    n_atoms = counts.sum(axis=1)
    per_atom = energies[known] / n_atoms
    solution, *_ = np.linalg.lstsq(counts / n_atoms[:, None], per_atom, rcond=1e-8)
    return float(np.std(per_atom - counts / n_atoms[:, None] @ solution))


def choose(options, frames, labels, others=()):
    """Fill in what the options leave open.

    Parameters
    ----------
    options : mercer.config.FitOptions
    frames : mercer.structures.Frames
        Training frames, isolated atoms not among them.
    labels : mercer.structures.Labels
        Theirs.
    others : sequence of ase.Atoms
        Test and validation frames, of which only the size counts: padded descriptors have room for them.

    Returns
    -------
    options : mercer.config.FitOptions
        Complete.
    notes : dict
        {dotted path of the option: why this value}.
    """
    numbers = np.concatenate([atoms.numbers for atoms in frames])
    elements = np.unique(numbers)
    nearest = nearest_distances(_sample(frames))
    nearest = nearest[np.isfinite(nearest)]
    bond = float(np.median(nearest)) if len(nearest) else 2.5
    spread = residual_spread(frames, labels.energy)
    periodic = any(np.any(atoms.pbc) for atoms in _sample(frames))
    notes, updates = {}, []
    kinds = [term.descriptor.type for term in options.terms]
    for t, term in enumerate(options.terms):
        path = f"terms.{t}"
        chosen = {}
        second = kinds[t] == "soap" and "soap" in kinds[:t]
        rules = _descriptor_rules(kinds[t], elements, bond, periodic, second)
        whole = part_class("descriptor", kinds[t]).per_frame
        tensors = whole or kinds[t] == "lmbtr"
        if tensors and kinds[t] != "average_soap":
            rules = _structure_rules(kinds[t], elements, nearest, periodic, [*frames, *others])
            if any(getattr(term.descriptor, k, None) not in (None, "none") for k in ("k1", "k2", "k3", "k4")):
                rules = {name: rule for name, rule in rules.items() if name not in ("k2", "k3")}
        for name, (value, reason) in rules.items():
            known = name in type(term.descriptor).model_fields
            if known and (name not in term.descriptor.model_fields_set or getattr(term.descriptor, name) is None):
                chosen[name] = value
                notes[f"{path}.descriptor.{name}"] = reason
        given = term.descriptor.model_dump(exclude_none=True)
        update = {"descriptor": type(term.descriptor).model_validate({**given, **chosen})}
        rows = None
        if tensors:
            descriptor, sample = make_part("descriptor", update["descriptor"]), _sample(frames)
            n_rows = len(sample) if whole else sum(map(len, sample))
            what = f"{path}.descriptor: {n_rows} rows of {descriptor.n_features} features"
            check_memory(16 * n_rows * descriptor.n_features, what, "take a smaller descriptor")
            rows = descriptor.transform(sample)
            rows = rows[:: 1 + len(rows) // _ROWS]
        rules = _kernel_rules(term, elements) if rows is None else _length_scale_rules(term.kernel, rows)
        for name, (value, reason) in rules.items():
            if getattr(term.kernel, name) is None or name not in term.kernel.model_fields_set:
                kernel = update.get("kernel", term.kernel).model_dump(exclude_unset=True, exclude_none=True)
                update["kernel"] = term.kernel.model_validate({**kernel, name: value})
                notes[f"{path}.kernel.{name}"] = reason
        rules = _term_rules(kinds[t], len(numbers), len(elements), spread, len(options.terms), periodic)
        if whole:
            kernel = make_part("kernel", update.get("kernel", term.kernel))
            rules = _structure_term_rules(frames, kernel.diag(rows), spread, periodic)
        for name, (value, reason) in rules.items():
            if getattr(term, name) is None:
                update[name] = value
                notes[f"{path}.{name}"] = reason
        updates.append(term.model_copy(update=update))
    changed = {"terms": updates}
    sigma = {}
    for kind, (value, reason) in _sigma_rules(frames, labels, spread, periodic).items():
        if getattr(options.sigma, kind) is None:
            if kind in ("forces", "virial") and any(part_class("descriptor", name).per_frame for name in kinds):
                value, reason = "none", "terms on whole structures learn energies; the rest is predicted"
            sigma[kind], notes[f"sigma.{kind}"] = value, reason
    changed["sigma"] = options.sigma.model_copy(update=sigma)
    whole = any(part_class("descriptor", name).per_frame for name in kinds)
    if not whole:
        _tune(options, changed, notes, frames, labels, molecules=not periodic and len(elements) > 1)
    if options.baseline is None:
        changed["baseline"] = "none" if whole else {"type": "zbl"}
        why = "terms on whole structures" if whole else "nuclear repulsion keeps atoms apart where there are no data"
        notes["baseline" if whole else "baseline.type"] = why
    if isinstance(changed.get("baseline", options.baseline), dict):
        changed["baseline"] = dict(changed.get("baseline", options.baseline))
        for name, (value, reason) in _baseline_rules(changed["baseline"], nearest, frames).items():
            if changed["baseline"].get(name) is None:
                changed["baseline"][name], notes[f"baseline.{name}"] = value, reason
    return options.model_copy(update=changed), notes


def _tune(options, changed, notes, frames, labels, molecules):
    """Amplitudes, sigmas and, of molecules, the scale of radial scaling by trial fits in place of those by rule."""
    given = {kind: None if value == "none" else value for kind, value in options.sigma if value is not None}
    alternatives = [changed["terms"]]
    if "terms.0.descriptor.radial_scaling" in notes and len(changed["terms"]) == 1 and molecules:
        alternatives.append(_with_longer_scale(changed["terms"]))
    sums = [build_terms(options.model_copy(update=changed | {"terms": terms})) for terms in alternatives]
    trials, scores = make_trials(sums, given, frames, labels, scaling=options.sigma_scaling, seed=options.seed)
    if not trials:
        return
    best = 0
    if len(trials) > 1:
        ratio = float(np.exp(scores[1] - scores[0]))
        best = int(ratio <= 1 + LONGER_LEANING)
        long, short = (terms[0].descriptor.radial_scaling["scale"] for terms in alternatives[::-1])
        notes["terms.0.descriptor.radial_scaling"] = (
            f"near neighbours count most; the product of the errors of energies and forces, on frames left out of a "
            f"trial fit, with a scale of {long} is {ratio:.2f} times that with {short}; {long} is taken up to "
            f"{1 + LONGER_LEANING}"
        )
    changed["terms"], trial = alternatives[best], trials[best]
    n_sparse = sum(_count(term.n_sparse, term.descriptor, frames) for term in sums[best])
    factor, reason, sigma = prior_rules(trial, n_sparse, given)
    for kind, (value, why) in sigma.items():
        changed["sigma"] = changed["sigma"].model_copy(update={kind: value})
        notes[f"sigma.{kind}"] = why
    for t, term in enumerate(options.terms):
        if term.delta is None:
            value = float(f"{factor * sums[best][t].delta:.2g}")
            changed["terms"][t] = changed["terms"][t].model_copy(update={"delta": value})
            notes[f"terms.{t}.delta"] = reason


#: Of molecules, the scale of radial scaling is the usual one or this many times it. The longer one may err by so much
#: more in the trial, for it gains with the number of sparse points.
LONGER, LONGER_LEANING = 4 / 3, 0.1


def _with_longer_scale(terms):
    """The only term with a longer radial scaling."""
    descriptor = terms[0].descriptor
    scaling = descriptor.radial_scaling | {"scale": round(LONGER * descriptor.radial_scaling["scale"], 1)}
    return [terms[0].model_copy(update={"descriptor": descriptor.model_copy(update={"radial_scaling": scaling})})]


def _count(n_sparse, descriptor, frames):
    """Number of sparse points that `n_sparse` means."""
    if isinstance(n_sparse, dict):
        return sum(n_sparse.values())
    return sum(map(len, frames)) if n_sparse == "all" else n_sparse


#: Descriptors whose rows are clusters of atoms: few coordinates, so few sparse points.
CLUSTERS = ("pair_distance", "triplet", "cluster_distances")


def _descriptor_rules(kind, elements, bond, periodic, second):
    """{option: (value, reason)} of a descriptor.

    `bond` is the median nearest distance in Angstrom; `second`: of two SOAP terms the later one, which is short-ranged.
    """
    from mercer.structures import symbols

    species = {"species": (symbols(elements), "the elements of the training data")}
    if periodic:
        r_cut = float(np.clip(np.round(2 * 2.1 * bond) / 2, 4.0, 6.0))
        reason = f"2.1 times the median nearest distance, {bond:.2f} Angstrom, between 4 and 6"
    else:
        r_cut, reason = 5.0, "molecules"
    if kind in CLUSTERS:
        if kind != "pair_distance":
            r_cut = max(3.0, float(np.round(2 * 1.4 * bond) / 2))
            reason = f"1.4 times the median nearest distance, {bond:.2f} Angstrom, at least 3"
        width = float(np.round(r_cut / 4, 1))
        return {**species, "r_cut": (r_cut, reason), "cutoff_width": (width, "a quarter of r_cut")}
    if second:
        r_cut, reason = float(np.round(2 * 0.7 * r_cut) / 2), "0.7 times that of the first SOAP term"
    many = len(elements) > 1
    scale = float(np.round(max(1.5, bond if many else 1.5 * bond), 1))
    scaling = {"rate": 1.0, "scale": scale, "exponent": 6.0 if many and periodic else 4.0}
    times = "the" if many else "1.5 times the"
    return {
        **species,
        "r_cut": (r_cut, reason),
        "sigma": (0.3, "hydrogen is present") if 1 in elements else (0.5, "no hydrogen"),
        "n_max": (6, "more than one element") if many else (8, "one element"),
        "l_max": (4, "more than one element") if many else (6, "one element"),
        "radial_scaling": (
            scaling,
            f"near neighbours count most; scale is {times} median nearest distance, at least 1.5",
        ),
    }


def _structure_rules(kind, elements, nearest, periodic, frames):
    """{option: (value, reason)} of a descriptor of whole structures; `nearest`: distances in Angstrom."""
    from mercer.descriptors import BagOfBonds
    from mercer.structures import symbols

    bond, shortest = (float(np.median(nearest)), float(nearest.min())) if len(nearest) else (2.5, 1.0)
    rules = {
        "species": (symbols(elements), "the elements of the training data"),
        "n_atoms_max": (max(map(len, frames)), "the largest structure of the data"),
        "max_atoms": (BagOfBonds.largest(frames), "the most in any structure of the data"),
    }
    if kind not in ("mbtr", "lmbtr", "inverse_powers"):
        return rules
    ends = periodic or kind == "lmbtr"
    reach = float(np.clip(np.round(2 * 2.1 * bond) / 2, 4.0, 6.0))
    if kind == "inverse_powers":
        why = f"2.1 times the median nearest distance, {bond:.2f} Angstrom, between 4 and 6"
        return rules | ({"r_cut": (reach, why)} if ends else {})
    # the grid ends beyond the shortest distance by a third and three broadenings
    step, sigma = 0.011, 0.0625
    n = int(np.ceil((1.3 / shortest + 3 * sigma) / step))
    pairs = {"geometry": "inverse_distance", "grid": [0.0, round(n * step, 3), n + 1], "sigma": sigma}
    angles = {"geometry": "angle", "grid": [-0.15, 3.3, 100], "sigma": 0.177}
    found = []
    for part, r_cut in ((pairs, reach), (angles, max(3.0, 0.75 * reach))):
        end = {"r_cut": r_cut, "cutoff_width": 1.0} if ends else {}
        found.append(part | {"weight": "inverse_square"} | end)
    grid = f"up to 1.3 times the inverse of the shortest distance, {shortest:.2f} Angstrom"
    angle = "angles, which near neighbours count for most"
    return rules | {"k2": (found[0], grid), "k3": (found[1], angle)}


def _length_scale_rules(kernel, rows):
    """{option: (value, reason)} of a kernel, of whose `rows` these are some."""
    if "length_scale" not in type(kernel).model_fields:
        return {}
    sums = kernel.type == "laplacian"
    distances = [np.linalg.norm(rows[:i] - row, ord=1 if sums else 2, axis=1) for i, row in enumerate(rows)]
    typical = float(np.median(np.concatenate(distances))) if len(rows) > 1 else 0.0
    times = 20.0 if sums else 4.0
    value = float(f"{times * typical:.3g}") or 1.0
    return {"length_scale": (value, f"{times:g} times the median distance of rows, {typical:.3g}")}


#: Training structures up to which all of them are sparse points.
MOST_STRUCTURES = 5000


def _structure_term_rules(frames, variances, spread, periodic):
    """{option: (value, reason)} of a term on whole structures; `variances`: k(x, x) of some."""
    n = len(frames)
    rules = {"n_sparse": ("all", "kernel ridge regression")}
    if n > MOST_STRUCTURES:
        rules["n_sparse"] = MOST_STRUCTURES, f"instead of all {n} structures, for memory and time"
    size = float(np.sqrt(np.mean([len(atoms) for atoms in frames])))
    delta, why = 1.0, "no energies to scale by"
    if spread:
        sigma = ENERGY_PART[periodic] * spread * size
        delta = float(f"{1000 * sigma / np.sqrt(np.mean(variances)):.2g}")
        why = f"1000 times the expected error of an energy, {sigma:.2g} eV, for kernels of size 1"
    return rules | {"delta": (delta, why)}


def _kernel_rules(term, elements):
    """{option: (value, reason)} of a kernel."""
    if term.kernel.type == "polynomial":
        return {"zeta": (2 if len(elements) > 1 else 4, "2 for several elements, 4 for one")}
    if term.descriptor.type in CLUSTERS and "length_scale" in type(term.kernel).model_fields:
        return {"length_scale": (1.0, "Angstrom, of distances")}
    return {}


def _term_rules(kind, n_atoms, n_elements, spread, n_terms, periodic):
    """{option: (value, reason)} of a term."""
    if kind in CLUSTERS:
        kinds = n_elements * (n_elements + 1) // 2
        n_sparse, reason = (20 * kinds, f"20 for each of {kinds} kinds of bonds")
        if kind != "pair_distance":
            n_sparse = min(200 * kinds, n_atoms // 2)
            reason = f"200 for each of {kinds} pairs of elements, at most half of the {n_atoms} atoms"
    else:
        thousands = max(1, min(n_elements, 3))
        n_sparse = min(1000 * thousands, n_atoms // 2)
        reason = f"{thousands} thousand for {n_elements} element(s), at most half of the {n_atoms} environments"
    delta, why = 1.0, "no energies to scale by"
    if spread:
        times = 10 if periodic else 30
        delta = float(f"{times * spread / np.sqrt(n_terms):.2g}")
        why = f"{times} times the spread of the energies per atom, {spread:.3g} eV"
    return {"n_sparse": (max(1, n_sparse), reason), "delta": (delta, why)}


def _sigma_rules(frames, labels, spread, periodic):
    """{kind: (sigma, reason)} of every kind of label that the frames have."""
    rules = {}
    if spread is not None:
        times = ENERGY_PART[periodic]
        why = f"{times} times the spread of the energies per atom, {spread:.3g} eV"
        rules["energy"] = _within(times * spread, 1e-5, 1e-2, why)
    local = labels.energies[np.isfinite(labels.energies)]
    if len(local):
        why = f"0.01 times their spread, {local.std():.3g} eV"
        rules["energies"] = _within(0.01 * local.std(), 1e-4, np.inf, why)
    forces = labels.forces[np.isfinite(labels.forces)]
    if len(forces) and np.any(forces):
        rms = float(np.sqrt(np.mean(forces**2)))
        why = f"{FORCE_PART} times the RMS force component, {rms:.3g} eV/Angstrom"
        rules["forces"] = _within(FORCE_PART * rms, 1e-3, 0.2, why)
    known = labels.has("virial")
    if known.any():
        per_atom = labels.virial[known] / labels.n_atoms[known][:, None, None]
        rms = float(np.sqrt(np.mean(per_atom**2)))
        if rms > 0:
            why = f"{VIRIAL_PART} times the RMS virial component per atom, {rms:.3g} eV"
            rules["virial"] = _within(VIRIAL_PART * rms, 1e-3, 0.5, why)
    return rules


def _within(value, low, high, why):
    """A value between limits, and the reason, which says where a limit gave it."""
    if value < low:
        return low, f"at least {low:g}; {why}, is only {value:.2g}"
    if value > high:
        return high, f"at most {high:g}; {why}, is {value:.2g}"
    return float(f"{value:.2g}"), why


#: Sigma of energies, of molecules and of periodic frames, as a part of the spread of the energies per atom.
ENERGY_PART = 0.015, 0.005
#: Sigma of forces and virials, as a part of the RMS of the labels.
FORCE_PART, VIRIAL_PART = 0.05, 0.3


#: Part of the shortest distance of a pair of elements at which the repulsion begins, and part of that at which it is
#: full; most that the distance of unlike elements may exceed the mean of those of like ones.
ZBL_BEGINS, ZBL_FULL, UNLIKE = 0.95, 0.5, 1.1
#: Distances are looked for up to this (Angstrom), in so many frames at a time.
_PAIR_REACH, _PAIR_FRAMES = 4.0, 200


def shortest_distances(frames, reach=_PAIR_REACH):
    """{(z1, z2): shortest distance of these elements within `reach`, Angstrom}, z1 <= z2; inf where there is none."""
    from mercer.neighbors import build_pairs

    found = np.full((128, 128), np.inf)
    for start in range(0, len(frames), _PAIR_FRAMES):
        part = frames[start : start + _PAIR_FRAMES]
        numbers = np.concatenate([atoms.numbers for atoms in part])
        pairs = build_pairs(part, reach)
        i = np.repeat(np.arange(len(numbers)), np.diff(np.asarray(pairs.offsets)))
        np.minimum.at(found, (numbers[i], numbers[np.asarray(pairs.neighbors)]), np.asarray(pairs.distances))
    elements = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    return {(int(a), int(b)): float(found[a, b]) for k, a in enumerate(elements) for b in elements[k:]}


def repulsive_pairs(frames):
    """{"C-H": [r_inner, r_outer]} of all pairs of elements: where nuclear repulsion sets in below the data.

    The repulsion begins at `ZBL_BEGINS` times the shortest distance in the data, but for unlike elements that were
    never close not beyond `UNLIKE` times the mean of both like ones. A pair that the data do not have gets its sum of
    covalent radii times the smallest such ratio of the others.
    """
    from mercer.baselines import pair_name
    from mercer.structures import bond_length, symbols

    shortest = shortest_distances(frames)
    seen = {pair: r for pair, r in shortest.items() if np.isfinite(r)}
    ratio = min((r / bond_length(*pair) for pair, r in seen.items()), default=1.0)
    pairs = {}
    for (a, b), r in shortest.items():
        if not np.isfinite(r):
            r = ratio * bond_length(a, b)
        elif (a, a) in seen and (b, b) in seen:
            r = min(r, UNLIKE * 0.5 * (seen[a, a] + seen[b, b]))
        outer = float(np.round(ZBL_BEGINS * r, 3))
        pairs[pair_name(f"{symbols([a])[0]}-{symbols([b])[0]}")] = [float(np.round(ZBL_FULL * outer, 3)), outer]
    return pairs


def _baseline_rules(baseline, nearest, frames):
    """{option: (value, reason)} of a baseline; `nearest` are nearest distances in Angstrom."""
    if baseline["type"] != "zbl":
        return {}
    shortest = float(nearest.min()) if len(nearest) else 1.0
    outer = float(np.floor(20 * 0.9 * shortest) / 20)
    why = f"the shortest distance in the data, {shortest:.2f} Angstrom"
    inner = float(np.round(outer / 2, 3))
    rules = {"r_inner": (inner, f"0.45 times {why}"), "r_outer": (outer, f"0.9 times {why}")}
    if not {"r_inner", "r_outer"} & set(baseline):
        why = f"r_inner and r_outer of each pair of elements; r_outer is {ZBL_BEGINS} times its shortest distance"
        rules["pairs"] = repulsive_pairs(frames), why
    return rules
