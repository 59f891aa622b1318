"""``mercer predict``, ``evaluate`` and ``info``: what is done with a fitted model."""

import os
from pathlib import Path

import numpy as np

from mercer import report
from mercer.cli._data import expand, read_data, read_structures
from mercer.cli._fit import METRICS, compare_data, say_in_unit, say_std, warn_of_data, write_parity
from mercer.cli._output import output_file, output_folder
from mercer.errors import DataError
from mercer.gap import looks_like_gap
from mercer.models import calibration
from mercer.structures import check_suffix, write_frames


def run_predict(model, files, output, session, *, std=None, forces_std=False, forces=True, prefix="mercer_"):
    """Write predictions for the structures of `files` into the extended-XYZ file `output`."""
    import mercer

    check_suffix(output)
    with output_file(output, model) as temporary:
        potential = mercer.load(model)
        if std is None:
            std = potential.covariance_ is not None
        kinds = ("energy", "energies") * bool(std) + ("forces",) * forces_std
        with session.stage("read structures"):
            frames = read_structures(files)
        with session.stage("predict"):
            predicted = potential.predict(
                frames, forces="auto" if forces else False, std=kinds, progress=session.progress
            )
        start = 0
        for k, atoms in enumerate(frames):
            stop = start + len(atoms)
            if {prefix + name for name in predicted} & set(getattr(atoms.calc, "results", ())):
                atoms.calc = None  # results of another model beside those of this one would be taken for its own
            for name, values in predicted.items():
                if name.removesuffix("_std") in PER_ATOM:
                    atoms.arrays[prefix + name] = np.array(values[start:stop])
                elif np.all(np.isfinite(values[k])):  # no stress where a frame is not periodic
                    atoms.info[prefix + name] = np.array(values[k]) if np.ndim(values[k]) else float(values[k])
            start = stop
        with session.stage("write"):
            write_frames(temporary, frames)
    names = ", ".join(prefix + name for name in predicted)
    session.say(f"\n{len(frames)} structures with {names} (eV, Angstrom) are in {output}")
    open_frames = sum(not atoms.pbc.all() for atoms in frames)
    if "stress" in predicted and open_frames:
        session.say(
            f"  without {prefix}stress: {open_frames} frames that are not periodic in three directions; for the stress "
            "of a slab over the volume of its cell, make it periodic (pbc = T T T) with vacuum wider than the cutoff"
        )


#: What predictions give for every atom; the rest is given for every frame.
PER_ATOM = ("energies", "forces")


def run_evaluate(model, files, output, options, session, forces_std=False):
    """Show the errors of a model on labelled structures; write them into the folder `output` if it is given."""
    import mercer

    potential = mercer.load(model)
    if output is None:
        return _evaluate(potential, files, options, session, None, forces_std)
    with output_folder(output) as folder:
        result = _evaluate(potential, files, options, session, folder, forces_std)
    session.say(f"{METRICS} and plots are in {output}/")
    return result


def _evaluate(potential, files, options, session, folder, forces_std):
    with session.stage("read structures"):
        data = read_data(files, options)
    for line in [*data.describe(), *data.remarks()]:
        session.say(f"  {line}")
    if not options.trust_data:
        warn_of_data({"test": data}, session)
    with session.stage("predict"):
        std = ("energy",) * (potential.covariance_ is not None) + ("forces",) * forces_std
        parts = compare_data(potential, data, std=std, progress=session.progress)
    if not parts:
        raise DataError(f"{', '.join(files)}: no labels that this model predicts, besides those of isolated atoms")
    comparisons = {"test": parts}
    session.say("")
    session.say(report.ErrorTables(comparisons))
    say_in_unit(comparisons, options.units.energy, session)
    say_std(parts, session)
    if (offset := getattr(potential, "fit_report_", {}).get("virial_offset")) and "virial" in parts:
        session.say(f"virials and stresses are compared without the offset of the fit, {offset['value']:+.3g} eV/atom")
    if folder is not None:
        report.write_metrics(folder / METRICS, {"errors": report.metrics(comparisons)})
        write_parity(folder, comparisons)
    return report.metrics(comparisons)


def run_info(patterns, options, session):
    """Describe models one by one, and files of structures together."""
    models, structures = [], []
    for file in expand(patterns):
        (models if is_model(file) else structures).append(file)
    for file in models:
        _model_info(file, session)
    if structures:
        _data_info(structures, options, session)


def _data_info(files, options, session):
    data = read_data(files, options, required=False)
    frames = data.frames
    for line in [*data.describe(), *data.remarks()]:
        session.say(line)
    from mercer.defaults import nearest_distances

    nearest = nearest_distances(frames)
    finite = nearest[np.isfinite(nearest)]
    if len(finite):
        session.say(
            f"nearest distances {finite.min():.3f} to {finite.max():.3f} Angstrom, median {np.median(finite):.3f}"
        )
    periodic = sorted({"".join("TF"[not p] for p in atoms.pbc) for atoms in frames})
    session.say(f"periodic: {', '.join(periodic)}; {min(map(len, frames))} to {max(map(len, frames))} atoms per frame")


def is_model(path):
    """Whether a file is a safetensors file (length of a JSON header, then the header) or XML of a GAP potential."""
    if os.path.isdir(path):
        return False
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if start.lstrip()[:1] == b"<":
        return looks_like_gap(start)
    return Path(path).suffix in (".mercer", ".safetensors", ".xml") or start[8:9] == b"{"


def run_convert(path, output, session):
    """Write a model of another program, or of an earlier version, as a model of this one."""
    import mercer

    with output_file(output, path) as temporary:
        potential = mercer.load(path)
        potential.save(temporary, variance=potential.covariance_ is not None)
    session.say(f"{path}: {_terms(potential)} are in {output}")


def _terms(potential):
    return f"{len(potential.terms_)} term(s) with {sum(map(len, potential.terms_))} sparse points"


def _model_info(path, session):
    import mercer

    potential = mercer.load(path)
    fitted = getattr(potential, "fit_report_", None)
    size = Path(path).stat().st_size / 1e6
    cutoff = f"cutoff {potential.r_cut:g} Angstrom" if np.isfinite(potential.r_cut) else "no cutoff"
    session.say(f"{path}: potential of {_terms(potential)}, {size:.1f} MB, {cutoff}")
    e0 = {element: energy for element, energy in potential.e0_.items() if energy or len(potential.e0_) < 20}
    rest = ", the others 0" if len(e0) < len(potential.e0_) else ""
    session.say(f"elements and E0: {', '.join(f'{s} {e:.6g} eV' for s, e in e0.items())}{rest}")
    for t, term in enumerate(potential.terms_):
        counts = fitted["n_sparse"][t] if fitted else {}
        session.say(f"term {t}: delta {term.term.delta:g} eV, {len(term)} sparse points {counts or ''}")
        session.say(f"  {term.term.descriptor}")
        session.say(f"  {term.term.kernel}")
    for baseline in getattr(potential, "baselines_", ()):
        session.say(f"baseline: {baseline}")
    if fitted:
        session.say(f"fitted to {fitted['n_training_frames']} frames, {fitted['n_training_atoms']} atoms")
        for kind, entry in fitted["residuals"].items():
            unit = "eV/Angstrom" if kind == "forces" else "eV"
            session.say(
                f"  residuals of {kind}: MAE {entry['mae']:.4g}, RMSE {entry['rmse']:.4g} {unit}, n {entry['n']}"
            )
    session.say("standard deviations: " + ("yes" if potential.covariance_ is not None else "not saved"))
    if potential.covariance_ is not None:
        entries = (fitted or {}).get("calibration")
        session.say(calibration.describe(entries or calibration.unknown(potential.calibration_)))
    session.say("units: eV, Angstrom")
