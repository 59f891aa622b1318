"""Settings of a fit that nobody gave, chosen from the elements and the data, each with the reason.

The rules are short on purpose: what they give is written into the effective configuration, with the reason as a
comment, so that a user can see and change it.
"""

import numpy as np

#: Frames that are looked at for distances.
_SAMPLE = 50
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


def choose(options, frames, energies):
    """Fill in what the options leave open.

    Parameters
    ----------
    options : mercer.config.FitOptions
    frames : mercer.structures.Frames
        Training frames, isolated atoms not among them.
    energies : (n_frames,) float array
        Total energies, eV; NaN where a frame has none.

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
    spread = residual_spread(frames, energies)
    periodic = any(np.any(atoms.pbc) for atoms in _sample(frames))
    notes, updates = {}, []
    for t, term in enumerate(options.terms):
        path = f"terms.{t}"
        chosen = {}
        for name, (value, reason) in _descriptor_rules(elements, bond, periodic).items():
            if name in type(term.descriptor).model_fields and getattr(term.descriptor, name) is None:
                chosen[name] = value
                notes[f"{path}.descriptor.{name}"] = reason
        given = term.descriptor.model_dump(exclude_none=True)
        update = {"descriptor": type(term.descriptor).model_validate({**given, **chosen})}
        if term.kernel.type == "polynomial" and "zeta" not in term.kernel.model_fields_set:
            update["kernel"] = term.kernel.model_validate({"type": "polynomial", "zeta": 2 if len(elements) > 1 else 4})
            notes[f"{path}.kernel.zeta"] = "2 for several elements, 4 for one"
        for name, (value, reason) in _term_rules(
            len(numbers), len(elements), spread, len(options.terms), periodic
        ).items():
            if getattr(term, name) is None:
                update[name] = value
                notes[f"{path}.{name}"] = reason
        updates.append(term.model_copy(update=update))
    sigma = {}
    if options.sigma.energy is None and spread is not None:
        sigma["energy"], notes["sigma.energy"] = _energy_sigma(spread, periodic)
    return options.model_copy(update={"terms": updates, "sigma": options.sigma.model_copy(update=sigma)}), notes


def _descriptor_rules(elements, bond, periodic):
    """{option: (value, reason)} of a density descriptor; `bond` is the median nearest distance in Angstrom."""
    from mercer.structures import symbols

    if periodic:
        r_cut = float(np.clip(np.round(2 * 2.1 * bond) / 2, 4.0, 6.0))
        reason = f"2.1 times the median nearest distance, {bond:.2f} Angstrom, between 4 and 6"
    else:
        r_cut, reason = 5.0, "molecules"
    many = len(elements) > 1
    scale = float(np.round(max(1.5, bond if many else 1.5 * bond), 1))
    scaling = {"rate": 1.0, "scale": scale, "exponent": 6.0 if many else 4.0}
    times = "the" if many else "1.5 times the"
    return {
        "species": (symbols(elements), "the elements of the training data"),
        "r_cut": (r_cut, reason),
        "sigma": (0.3, "hydrogen is present") if 1 in elements else (0.5, "no hydrogen"),
        "n_max": (6, "more than one element") if many else (8, "one element"),
        "l_max": (4, "more than one element") if many else (6, "one element"),
        "radial_scaling": (
            scaling,
            f"near neighbours count most; scale is {times} median nearest distance, at least 1.5",
        ),
    }


def _term_rules(n_atoms, n_elements, spread, n_terms, periodic):
    """{option: (value, reason)} of a term."""
    thousands = max(1, min(n_elements, 3))
    n_sparse = min(1000 * thousands, n_atoms // 2)
    reason = f"{thousands} thousand for {n_elements} element(s), at most half of the {n_atoms} environments"
    delta, why = 1.0, "no energies to scale by"
    if spread:
        times = 10 if periodic else 30
        delta = float(f"{times * spread / np.sqrt(n_terms):.2g}")
        why = f"{times} times the spread of the energies per atom, {spread:.3g} eV"
    return {"n_sparse": (max(1, n_sparse), reason), "delta": (delta, why)}


def _energy_sigma(spread, periodic):
    """Sigma of the energies from the spread of the energies per atom."""
    times = 0.005 if periodic else 0.015
    value = float(f"{np.clip(times * spread, 1e-5, 1e-2):.2g}")
    return value, f"{times} times the spread of the energies per atom, {spread:.3g} eV"
