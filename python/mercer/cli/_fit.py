"""``mercer fit``: files -> labels -> settings -> potential -> errors, one stage after the other."""

import numpy as np

from mercer import __version__, report
from mercer.cli._data import read_data
from mercer.cli._output import output_folder
from mercer.cli._session import seconds
from mercer.config import dump_options, make_part
from mercer.defaults import choose
from mercer.errors import ConfigError, DataError
from mercer.structures import unit_factor

#: Names of the files in the output folder.
MODEL, CONFIG, LOG, METRICS, PARITY = "model.mercer", "config.yaml", "fit.log", "metrics.json", "parity.png"


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
    session.say(f"\nmodel, {CONFIG}, {LOG}, {METRICS} and {PARITY} are in {options.output}/")
    session.say(f"next: mercer predict {options.output}/{MODEL} structures.extxyz -o predicted.extxyz")
    return result


def _fit(options, session, folder):
    """Fit, test and write everything into `folder`."""
    options, notes, train, test = _prepare(options, session)
    header = [f"mercer {__version__}: the effective configuration; the same run again:"]
    header.append(f"  mercer fit --config {options.output}/{CONFIG}")
    (folder / CONFIG).write_text(dump_options(options, notes, header), encoding="utf-8")
    potential = build_potential(options)
    session.say("\nfit")
    with session.stage("fit"):
        potential.fit(train.frames, train.labels, progress=session.progress)
    fitted = potential.fit_report_
    for name, value in fitted.get("seconds", {}).items():
        session.times[f"fit: {name}"] = value
        session.say(f"    {name + ' ':.<32s} {seconds(value):>8s}")
    _say_fit(fitted, session)

    comparisons = {}
    for name, data in (("train", train), ("test", test)):
        if data is not None and len(data):
            with session.stage(f"predict {name}"):
                comparisons[name] = compare_data(potential, data, progress=session.progress)
    comparisons = {name: parts for name, parts in comparisons.items() if parts}
    with session.stage("write"):
        potential.save(folder / MODEL, variance=options.error_bars)
        if comparisons:
            report.parity_plot(folder / PARITY, comparisons)
    session.say("")
    session.say(report.error_table(comparisons))
    say_in_unit(comparisons, options.units.energy, session)
    content = {
        "mercer_version": __version__,
        "units": "eV, Angstrom; energy_per_atom in eV/atom",
        "errors": report.metrics(comparisons),
        "seconds": dict(session.times),
        "fit": fitted,
    }
    report.write_metrics(folder / METRICS, content)
    session.log("total " + seconds(sum(v for k, v in session.times.items() if not k.startswith("fit: "))))
    return content


def _prepare(options, session, show=False):
    """Read and check everything, and complete the options -> (options, notes, train, test)."""
    session.say(f"mercer {__version__}")
    session.say("\ndata")
    with session.stage("read training data"):
        train = read_data(options.train, options)
    test = None
    if options.test:
        with session.stage("read test data"):
            test = read_data(options.test, options)
    elif options.n_train or options.test_fraction:
        train, test = _split(train, options)
    for name, data in (("train:", train), ("test:", test)):
        for k, line in enumerate(data.describe() if data is not None else ()):
            session.say(f"  {'' if k else name:7s}{line}")
    if test is not None:
        _check_elements(train, test)
    with session.stage("choose settings"):
        usable = np.flatnonzero(~train.isolated)
        if not len(usable):
            raise DataError(f"{', '.join(options.train)}: only isolated atoms, nothing to train on")
        options, notes = choose(options, train.frames.take(usable), train.labels.energy[usable])
    if notes:
        session.say("\nsettings that were not given")
        chosen = options.model_dump()
        for name, reason in notes.items():
            session.say(f"  {name} = {_at(chosen, name)}  ({reason})")
    if show:
        potential = build_potential(options)
        session.say("\neffective configuration\n")
        session.say(dump_options(options, notes))
        session.say(_estimate(options, potential, train))
    return options, notes, train, test


def _at(tree, dotted):
    for part in dotted.split("."):
        tree = tree[int(part)] if part.isdigit() else tree[part]
    return tree


def _split(data, options):
    """Random parts for training and testing; isolated atoms stay in the training part."""
    isolated, rest = np.flatnonzero(data.isolated), np.flatnonzero(~data.isolated)
    n_train = options.n_train or max(1, round(len(rest) * (1 - options.test_fraction)))
    if n_train >= len(rest):
        raise DataError(f"n_train={n_train}, but the files hold {len(rest)} frames; nothing is left for testing")
    order = np.random.default_rng(options.seed).permutation(rest)
    return data.take([*isolated, *np.sort(order[:n_train])]), data.take(np.sort(order[n_train:]))


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

    terms = []
    for t, term in enumerate(options.terms):
        made = []
        for section in ("descriptor", "kernel"):
            try:
                made.append(make_part(section, getattr(term, section)))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"terms.{t}.{section}: {error}") from None
        rest = {name: getattr(term, name) for name in ("delta", "n_sparse", "selection", "match_species")}
        try:
            terms.append(mercer.Term(*made, **rest))
        except ValueError as error:
            raise ConfigError(f"terms.{t}: {error}") from None
    return mercer.Potential(
        terms,
        sigma=options.sigma.model_dump(),
        sigma_scaling=options.sigma_scaling,
        config_type_sigma={k: v.model_dump(exclude_unset=True) for k, v in options.config_type_sigma.items()} or None,
        e0=options.e0,
        solver=options.solver,
        seed=options.seed,
        max_selection=options.max_selection,
    )


def _say_fit(fitted, session):
    """The parts of the fit's report that a user should see."""
    used = {kind: entry for kind, entry in fitted["labels"].items() if entry["rows"]}
    session.say("  trained on " + ", ".join(f"{entry['rows']} {kind} labels" for kind, entry in used.items()))
    unused = [kind for kind in fitted["labels"] if kind not in used]
    if unused:
        session.say(f"  found, but not trained on: {', '.join(unused)}")
    sources = fitted["e0_sources"]
    e0 = ", ".join(f"{s} {e:.6g} eV ({sources[s]})" for s, e in fitted["e0"].items())
    session.say("  E0: " + ("none" if set(sources.values()) == {"none"} else e0))
    for t, counts in enumerate(fitted["n_sparse"]):
        session.say(f"  term {t}: sparse points " + ", ".join(f"{s} {n}" for s, n in counts.items()))
    session.say(
        f"  rank {fitted['rank']}, jitter {fitted['jitter']:.3g}, "
        f"log marginal likelihood {fitted['log_marginal_likelihood']:.6g}"
    )
    ratio = fitted["residuals"].get("energy", {}).get("rms_over_sigma", 0.0)
    if ratio > 2:
        session.warn(
            f"the training energies are missed by {ratio:.1f} times their sigma, so standard deviations will be too "
            f"small; give more sparse points, or a sigma.energy that is {ratio:.1f} times larger"
        )


def _estimate(options, potential, train):
    """Lines about the size of the fit."""
    n = int(train.labels.n_atoms.sum())
    lines = ["size of the fit"]
    for t, term in enumerate(potential.terms):
        m = term.n_sparse if isinstance(term.n_sparse, int) else sum(term.n_sparse.values())
        d = term.descriptor.n_features
        lines.append(
            f"  term {t}: {n} environments x {d} features, {m} sparse points; kernel {2e-9 * n * m * d:.3g} Gflop, "
            f"sparse points {8e-6 * m * d:.3g} MB, two {m} x {m} matrices {16e-6 * m * m:.3g} MB"
        )
    return "\n".join(lines)


def say_in_unit(comparisons, unit, session):
    """The errors of the energies of structures in the unit of the files, where that is not eV."""
    factor = unit_factor("energy", unit)
    for name, parts in comparisons.items() if factor != 1.0 else ():
        s = report.summary(parts["energy"])
        session.say(f"{name}: energy MAE {s['mae'] / factor:.4g} {unit}, RMSE {s['rmse'] / factor:.4g} {unit}")


def compare_data(potential, data, std=False, progress=None):
    """Comparisons of labels and predictions, isolated atoms left out."""
    used = np.flatnonzero(~potential.isolated_atoms(data.frames))
    if not len(used):
        return {}
    data = data.take(used)
    predicted = potential.predict(data.frames, std=["energy"] if std else (), progress=progress)
    labels = data.labels
    reference = {kind: getattr(labels, kind) for kind in labels.found if kind in predicted}
    spread = {"energy": predicted["energy_std"]} if std else None
    return report.compare(reference, predicted, labels.config_type.astype(str), labels.n_atoms, spread)
