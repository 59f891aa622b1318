"""``mercer fit``: files -> labels -> settings -> potential -> errors, one stage after the other."""

import difflib

import numpy as np

from mercer import __version__, checks, report
from mercer.cli._data import expand, read_data
from mercer.cli._drop import check_used, parse_drops
from mercer.cli._output import output_folder
from mercer.cli._sense import check_neighbours
from mercer.cli._session import seconds
from mercer.config import build_terms, dump_options
from mercer.defaults import choose
from mercer.errors import ConfigError, DataError
from mercer.models import calibration, free_atoms, short_range, virial_offset
from mercer.models.memory import format_bytes
from mercer.structures import unit_factor
from mercer.targets import describe_undetermined as describe_e0

#: Names of the files in the output folder.
MODEL, CONFIG, LOG, METRICS, PARITY = "model.mercer", "config.yaml", "fit.log", "metrics.json", "parity.png"
PARITY_FORCES = "parity_forces.png"


def run_fit(options, session, dry_run=False):
    """Everything that ``mercer fit`` does.

    Parameters
    ----------
    options : mercer.config.FitOptions
    session : Session
    dry_run : bool
        Stop before the fit: show data, settings and an estimate of the size.

    Returns
    -------
    dict
        The content of ``metrics.json``; None for a dry run.
    """
    import mercer

    if not options.train:
        raise ConfigError("no training file: mercer fit train.extxyz, or 'train: [train.extxyz]' in the configuration")
    if options.threads:
        mercer.set_num_threads(options.threads)
    if dry_run:
        return _prepare(options, session, show=True) and None
    with output_folder(options.output) as folder:
        session.open_log(folder / LOG)
        try:
            result = _fit(options, session, folder)
        finally:
            session.close_log()
    session.say(f"\nmodel, {CONFIG}, {LOG}, {METRICS} and plots are in {options.output}/")
    session.say(f"next: mercer predict {options.output}/{MODEL} structures.extxyz -o predicted.extxyz")
    return result


def _fit(options, session, folder):
    """Fit, test and write everything into `folder`."""
    options, notes, sets, whole = _prepare(options, session)
    header = [f"mercer {__version__}: the effective configuration; the same run again:"]
    header.append(f"  mercer fit --config {options.output}/{CONFIG}")
    (folder / CONFIG).write_text(dump_options(options, notes, header), encoding="utf-8")
    validated = "validation" in sets and options.error_bars
    if validated or not options.error_bars:
        options = options.model_copy(update={"cross_validation": 0})
    potential = build_potential(options)
    train = sets["train"]
    session.say("\nfit")
    with session.stage("fit"):
        potential.fit(train.frames, train.labels, progress=session.progress)
    fitted = potential.fit_report_
    for name, value in fitted.get("seconds", {}).items():
        session.times[f"fit: {name}"] = value
        session.say(f"    {name + ' ':.<32s} {seconds(value):>8s}")
    _say_fit(fitted, session)
    if validated:
        with session.stage("calibrate"):
            potential.calibrate(sets["validation"].frames, sets["validation"].labels)
    if options.error_bars:
        session.say(f"  {calibration.describe(potential.fit_report_['calibration'])}")

    comparisons = {}
    for name, data in sets.items():
        with session.stage(f"predict {name}"):
            std = ("energy",) if potential.calibration_ and options.error_bars and name == "test" else ()
            comparisons[name] = compare_data(potential, data, std=std, progress=session.progress)
        if name == "train":
            comparisons["cross-validation"] = compare_held_out(potential, data)
    comparisons = {name: parts for name, parts in comparisons.items() if parts}
    with session.stage("write"):
        potential.save(folder / MODEL, variance=options.error_bars)
        write_parity(folder, comparisons)
    shown = {name: parts for name, parts in comparisons.items() if name != "cross-validation" or "test" not in sets}
    session.say("")
    session.say(report.ErrorTables(shown))
    say_in_unit(shown, options.units.energy, session)
    say_std(shown.get("test", {}), session)
    splits = _other_splits(options, whole, comparisons, session)
    content = {
        "mercer_version": __version__,
        "units": "eV, Angstrom; energy_per_atom and virial_per_atom in eV/atom",
        "errors": report.metrics(comparisons),
        "splits": splits,
        "calibration": potential.calibration_,
        "seconds": dict(session.times),
        "fit": potential.fit_report_,
    }
    report.write_metrics(folder / METRICS, content)
    session.log("total " + seconds(sum(v for k, v in session.times.items() if not k.startswith("fit: "))))
    return content


def _other_splits(options, whole, comparisons, session):
    """Test errors of all random splits, with the settings of the first one: what `report.over_splits` gives of them."""
    if options.repeats == 1:
        return {}
    found = [comparisons.get("test", {})]
    with session.stage("other splits"):
        for k in range(1, options.repeats):
            train, test = _other_split(options, whole, k)
            potential = build_potential(options).set_params(cross_validation=0).fit(train.frames, train.labels)
            found.append(compare_data(potential, test))
            session.progress("fits", k, options.repeats - 1)
    splits = report.over_splits(found)
    factor = unit_factor("energy", options.units.energy)
    for quantity, values in splits.items():
        unit, scale, _ = report.UNITS[quantity]
        if quantity == "energy" and factor != 1.0:
            unit, scale = options.units.energy, 1.0 / factor
        text = ", ".join(
            f"{k.upper()} {values[k][0] * scale:.4g} +- {values[k][1] * scale:.2g}" for k in ("mae", "rmse")
        )
        session.say(f"test errors of {options.repeats} random splits: {quantity} {text} {unit}")
    return splits


def _other_split(options, whole, k):
    """Training and test data of random split k, as ``--seed`` higher by k makes them."""
    train, test = _split(whole, options.n_train, options.test_fraction, options.seed + k)
    if options.validation_fraction and not options.validation:
        train, _ = _split(train, None, options.validation_fraction, options.seed + k + 1)
    return train, test


def write_parity(folder, comparisons):
    """Plots of predicted against reference energies and forces, of what there is, with one colour for a config_type."""
    comparisons = {name: parts for name, parts in comparisons.items() if name != "cross-validation"}
    energies = [parts["energy_per_atom"] for parts in comparisons.values() if "energy_per_atom" in parts]
    colours = report.group_colours(energies or [c for parts in comparisons.values() for c in parts.values()])
    for file, quantity in ((PARITY, "energy_per_atom"), (PARITY_FORCES, "forces")):
        if any(quantity in parts for parts in comparisons.values()):
            report.parity_plot(folder / file, comparisons, quantity, colours=colours)


def say_std(parts, session):
    """How standard deviations compare with errors, where there are any."""
    for quantity in ("energy_per_atom", "forces"):
        if quantity in parts and parts[quantity].std is not None:
            session.say(report.describe_std(parts[quantity], quantity))


def _prepare(options, session, show=False):
    """Read and check everything, and complete the options -> (options, notes, {name of the set: data}, all of the data
    that were split)."""
    session.say(f"mercer {__version__}")
    session.say("\ndata")
    sets = {}
    files = {name: expand(getattr(options, name)) for name in ("train", "validation", "test")}
    drops = parse_drops(options.drop, [file for group in files.values() for file in group], files["train"])
    for name in files:
        if files[name]:
            with session.stage(f"read {'training' if name == 'train' else name} data"):
                sets[name] = read_data(files[name], options, drops=drops)
    check_used(drops)
    whole = sets["train"]
    for k in range(1, options.repeats):  # before the first fit, which an error would lose
        _check_elements(*_other_split(options, whole, k))
    if "test" not in sets and (options.n_train or options.test_fraction):
        sets["train"], sets["test"] = _split(sets["train"], options.n_train, options.test_fraction, options.seed)
    if "validation" not in sets and options.validation_fraction:
        parts = _split(sets["train"], None, options.validation_fraction, options.seed + 1)
        sets["train"], sets["validation"] = parts
    sets = {name: sets[name] for name in ("train", "validation", "test") if name in sets}
    for name, data in sets.items():
        for k, line in enumerate(data.describe()):
            session.say(f"  {'' if k else name + ':':12s}{line}")
    for line in dict.fromkeys(line for data in sets.values() for line in data.remarks()):
        session.say(f"  {line}")
    _check_config_types(options, whole)
    for name in ("validation", "test"):
        if name in sets:
            _check_elements(sets["train"], sets[name])
    if not options.trust_data:
        with session.stage("check data"):
            certain = warn_of_data(sets, session)
        if "train" in certain:
            raise DataError(f"{certain['train']}; to fit all the same, say --trust-data")
    train = sets["train"]
    with session.stage("choose settings"):
        usable = np.flatnonzero(~train.isolated)
        if not len(usable):
            raise DataError(f"{', '.join(options.train)}: only isolated atoms, nothing to train on")
        others = [atoms for name in sets if name != "train" for atoms in sets[name].frames]
        options, notes = choose(options, train.frames.take(usable), train.labels.take(usable), others)
    check_neighbours(options, train.frames)
    if notes:
        session.say("\nsettings that were not given")
        chosen = options.model_dump()
        for name, reason in notes.items():
            session.say(f"  {name} = {_at(chosen, name)}  ({reason})")
    if show:
        potential = build_potential(options)
        session.say("\neffective configuration\n")
        session.say(dump_options(options, notes))
        session.say(_estimate(potential, train))
    return options, notes, sets, whole


def warn_of_data(sets, session):
    """Warn of everything suspicious in {name: data}, of each thing once -> {name: first finding that is certain}."""
    said, certain = set(), {}
    for name, data in sets.items():
        found = checks.check_data(data.frames, data.labels)
        if name != "train" and "train" in sets:
            found.append(checks.overlap(sets["train"].frames, data.frames))
        for finding in found:
            if finding is None or (finding.check, finding.where) in said:
                continue
            said.add((finding.check, finding.where))
            text = f"{name} data: {finding}" if len(sets) > 1 else str(finding)
            if finding.level == "note":
                session.say(f"  note: {text}")
            else:
                session.warn(text)
            if finding.level == "certain":
                certain.setdefault(name, finding)
    return certain


def _check_config_types(options, data):
    """Sigmas of a config_type that no frame has are a mistake of spelling."""
    known = sorted(set(data.labels.config_type) - {""})
    for name in options.config_type_sigma:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(known) or 'none'})"
            raise ConfigError(f"config_type_sigma.{name}: no training frame has this config_type{hint}")


def _at(tree, dotted):
    for part in dotted.split("."):
        tree = tree[int(part)] if part.isdigit() else tree[part]
    return tree


def _split(data, n_first, second_fraction, seed):
    """Two random parts; isolated atoms stay in the first one."""
    isolated, rest = np.flatnonzero(data.isolated), np.flatnonzero(~data.isolated)
    given = f"n_train={n_first}" if n_first else f"a part of {second_fraction:g}"
    n_first = n_first or max(1, round(len(rest) * (1 - second_fraction)))
    if n_first >= len(rest):
        raise DataError(f"{given}, but there are {len(rest)} frames to be split: nothing is left for the second set")
    order = np.random.default_rng(seed).permutation(rest)
    return data.take([*isolated, *np.sort(order[:n_first])]), data.take(np.sort(order[n_first:]))


def _check_elements(train, test):
    known = {symbol for atoms in train.frames for symbol in atoms.symbols}
    for k, atoms in enumerate(test.frames):
        unknown = sorted(set(atoms.symbols) - known)
        if unknown:
            raise DataError(
                f"{test.frames.where(k)}: element {', '.join(unknown)} is not in the training data "
                f"({', '.join(sorted(known))}); add training frames with it, or take the frame out"
            )


def build_potential(options):
    """The :class:`mercer.Potential` that complete options describe."""
    import mercer

    return mercer.Potential(
        build_terms(options),
        sigma=options.sigma.values(),
        sigma_scaling=options.sigma_scaling,
        config_type_sigma={name: sigma.values() for name, sigma in options.config_type_sigma.items()} or None,
        e0=options.e0,
        solver=options.solver,
        seed=options.seed,
        max_selection=options.max_selection,
        cross_validation=options.cross_validation,
        max_memory=options.max_memory,
        baseline=None if options.baseline == "none" else options.baseline,
        repulsive=options.repulsive and isinstance(options.baseline, dict),
    )


def _say_fit(fitted, session):
    """The parts of the fit's report that a user should see."""
    used = {kind: entry for kind, entry in fitted["labels"].items() if entry["rows"]}
    session.say("  trained on " + ", ".join(f"{entry['rows']} {kind} labels" for kind, entry in used.items()))
    unused = [kind for kind in fitted["labels"] if kind not in used]
    if unused:
        session.say(f"  found, but not trained on: {', '.join(unused)}")
    if not used.keys() & {"energy", "energies"}:
        session.warn(
            "no energies were trained on: energies of this model are undetermined up to a constant for each element "
            "(E0); only differences between structures of one composition mean something"
        )
    sources = fitted["e0_sources"]
    e0 = ", ".join(f"{s} {e:.6g} eV ({sources[s]})" for s, e in fitted["e0"].items())
    session.say("  E0: " + ("none" if set(sources.values()) == {"none"} else e0))
    for line in (
        *describe_e0(fitted["e0_undetermined"]),
        *free_atoms.describe(fitted["free_atoms"]),
        *short_range.describe(fitted["short_range"]),
    ):
        session.say(f"  {line}")
    for t, counts in enumerate(fitted["n_sparse"]):
        session.say(f"  term {t}: sparse points " + ", ".join(f"{s} {n}" for s, n in counts.items()))
    session.say(
        f"  rank {fitted['rank']}, jitter {fitted['jitter']:.3g}, "
        f"log marginal likelihood {fitted['log_marginal_likelihood']:.6g}"
    )
    if offset := fitted["virial_offset"]:
        spread = "" if offset["spread"] is None else f" (+- {offset['spread']:.2g} over {offset['n']} frames)"
        session.say(
            f"  virials carry a constant offset of {offset['value']:+.3g} eV/atom{spread} that energies do not follow, "
            "as Pulay stress does: it is taken out of the training, and errors are counted without it; predictions are "
            "without it"
        )
    missed = {kind: entry["rms_over_sigma"] for kind, entry in fitted["residuals"].items()}
    missed = [f"{kind} by {ratio:.1f}" for kind, ratio in missed.items() if ratio > 3]
    if missed:
        session.say(
            f"  training labels are missed by more than their sigma says ({', '.join(missed)} times, RMS): more sparse "
            "points would follow them closer, or they contradict each other; else the sigma is too small"
        )


def _estimate(potential, train):
    """Lines about the size of the fit, its memory and its time on this machine."""
    n = int(train.labels.n_atoms.sum())
    lines = ["size of the fit"]
    for t, term in enumerate(potential.terms):
        m = sum(term.n_sparse.values()) if isinstance(term.n_sparse, dict) else term.n_sparse
        lines.append(f"  term {t}: {n} atoms, {term.descriptor.n_features} features, {m} sparse points")
    expected = potential.estimate(train.frames, train.labels)
    labels = ", ".join(f"{count} {kind}" for kind, count in expected["n_labels"].items())
    lines.append(f"  rows of K: {labels}; at once they would take {format_bytes(expected['rows_bytes'])}")
    lines.append(f"  peak memory beside the data: {format_bytes(expected['memory'])}")
    stages = ", ".join(f"{stage} {seconds(value)}" for stage, value in expected["stages"].items())
    lines.append(f"  time: about {seconds(expected['seconds'])} ({stages})")
    return "\n".join(lines)


def say_in_unit(comparisons, unit, session):
    """The errors of the energies of structures in the unit of the files, where that is not eV."""
    factor = unit_factor("energy", unit)
    for name, parts in comparisons.items() if factor != 1.0 else ():
        s = report.summary(parts["energy"])
        session.say(f"{name}: energy MAE {s['mae'] / factor:.4g} {unit}, RMSE {s['rmse'] / factor:.4g} {unit}")


def compare_data(potential, data, std=(), progress=None):
    """Comparisons of labels and predictions, isolated atoms left out.

    Parameters
    ----------
    potential : mercer.Potential
    data : DataSet
    std : collection of str
        Kinds whose standard deviation is wanted.
    progress : callable, optional
    """
    used = np.flatnonzero(~potential.isolated_atoms(data.frames))
    if not len(used):
        return {}
    data = data.take(used)
    labels = data.labels
    kinds = {"virial" if kind == "stress" else kind for kind in labels.found}
    gradients = bool(kinds & {"forces", "virial"}) and "auto"
    predicted = potential.predict(data.frames, forces=gradients, std=std, progress=progress)
    reference = {kind: getattr(labels, kind) for kind in ("energy", "energies", "forces", "virial") if kind in kinds}
    reference = {kind: values for kind, values in reference.items() if kind in predicted}
    if "virial" in reference:
        reference["virial"] = _without_offset(potential, labels)
        reference["stress"] = _stress(data.frames, reference["virial"])
    spread = {kind: predicted[f"{kind}_std"] for kind in std}
    return report.compare(reference, predicted, labels.config_type.astype(str), labels.n_atoms, spread)


def compare_held_out(potential, data):
    """The same of the predictions that cross-validation has made for the frames of the fit; {} without it."""
    predicted, labels = dict(potential.held_out_), data.labels
    kinds = [kind for kind in predicted if not kind.endswith("_std")]
    given = {kind: _without_offset(potential, labels) if kind == "virial" else getattr(labels, kind) for kind in kinds}
    reference = {kind: np.where(np.isnan(predicted[kind]), np.nan, values) for kind, values in given.items()}
    if "virial" in kinds:
        reference["stress"], predicted["stress"] = (_stress(data.frames, v["virial"]) for v in (reference, predicted))
    spread = {kind: predicted[f"{kind}_std"] for kind in kinds if f"{kind}_std" in predicted}
    return report.compare(reference, predicted, labels.config_type.astype(str), labels.n_atoms, spread)


def _without_offset(potential, labels):
    """Virials without the offset that was taken out of those of the fit."""
    offset = getattr(potential, "fit_report_", {}).get("virial_offset")
    return virial_offset.without(labels, offset["value"]).virial if offset else labels.virial


def _stress(frames, virial):
    """-virial / volume, as xx, yy, zz, yz, xz, xy, in eV/Angstrom^3; NaN where a frame is not periodic throughout."""
    volume = np.array([abs(np.linalg.det(a.cell.array)) if a.pbc.all() else np.nan for a in frames])
    return -virial.reshape(-1, 9)[:, [0, 4, 8, 5, 2, 1]] / volume[:, None]
