"""``mercer demo``: a complete fit on structures that it makes itself."""

import time
from pathlib import Path

from mercer import report
from mercer.cli._data import read_data
from mercer.cli._fit import MODEL, PARITY, PARITY_FORCES, build_potential, compare_data, run_fit
from mercer.cli._output import output_file, output_folder
from mercer.cli._session import seconds
from mercer.config import load_options
from mercer.demo import make_frames
from mercer.structures import write_frames

TRAIN, TEST, CURVE = "train.extxyz", "test.extxyz", "learning_curve.png"

#: Sparse points of the demo, fewer than `mercer fit` would choose, to be quick.
N_SPARSE = 600


def run_demo(output, n_frames, seed, session):
    """Make structures, fit, test, and draw the learning curve, all into the folder `output`."""
    start = time.perf_counter()
    output = Path(output)
    session.say("Copper-gold alloys, labelled by effective-medium theory (ase.calculators.emt)")
    with output_folder(output) as folder:
        with session.stage("make structures"):
            frames = make_frames(n_frames, seed, progress=lambda done, total: session.progress("frames", done, total))
            n_test = n_frames // 5
            write_frames(folder / TRAIN, frames[: len(frames) - n_test])
            write_frames(folder / TEST, frames[len(frames) - n_test :])
    settings = [
        ("demo", ("train",), [str(output / TRAIN)]),
        ("demo", ("test",), [str(output / TEST)]),
        ("demo", ("output",), str(output / "fit")),
        ("demo", ("terms", 0, "n_sparse"), min(N_SPARSE, 5 * n_frames)),
        ("--seed", ("seed",), seed),
    ]
    whole = run_fit(load_options(None, settings), session)["errors"]["test"]
    session.say("\nlearning curve")
    sizes, errors, forces = learning_curve(output / "fit" / "config.yaml", session, whole)
    for size, mae, force in zip(sizes, errors["MAE"], forces, strict=True):
        session.say(f"  {size:5d} training frames: test MAE {mae:.2f} meV/atom, {force:.1f} meV/Angstrom")
    with output_file(output / CURVE) as file:
        report.learning_curve_plot(file, sizes, errors, title="Cu-Au, effective-medium theory")
    session.say(f"\ndone in {seconds(time.perf_counter() - start)}; look at")
    for file in (output / "fit" / PARITY, output / "fit" / PARITY_FORCES, output / CURVE):
        session.say(f"  {file}")
    session.say("next commands to try:")
    for line in next_commands(output):
        session.say(f"  {line}")


def next_commands(output):
    """Commands that work on what the demo has written."""
    model = output / "fit" / MODEL
    return [
        f"mercer fit {output / TRAIN} --test {output / TEST} -o {output / 'my-fit'} --n-sparse 1500",
        f"mercer predict {model} {output / TEST} -o {output / 'predicted.extxyz'}",
        f"mercer evaluate {model} {output / TEST}",
        f"mercer info {model}",
    ]


def learning_curve(config, session, whole, n_sizes=4):
    """Test errors of fits with the settings in `config` to growing parts of the training frames.

    Parameters
    ----------
    config : path
    session : Session
    whole : mapping
        {quantity: {"all": errors}} of the fit to all frames, as in the metrics.
    n_sizes : int

    Returns
    -------
    sizes : list of int
    errors : dict
        {"MAE": [...], "RMSE": [...]} of the energies, meV/atom.
    forces : list of float
        MAE of force components, meV/Angstrom.
    """
    options = load_options(config)
    train, test = read_data(options.train, options), read_data(options.test, options)
    isolated, rest = [k for k, single in enumerate(train.isolated) if single], []
    rest = [k for k in range(len(train)) if k not in set(isolated)]
    sizes = [len(rest) // 2**k for k in reversed(range(1, n_sizes)) if len(rest) // 2**k >= 2]
    results = []
    with session.stage("fits to growing parts"):
        for done, size in enumerate(sizes):
            part = train.take([*isolated, *rest[:size]])
            n_sparse = min(options.terms[0].n_sparse, 5 * size)
            terms = [options.terms[0].model_copy(update={"n_sparse": n_sparse})]
            potential = build_potential(options.model_copy(update={"terms": terms}))
            potential.fit(part.frames, part.labels)
            parts = compare_data(potential, test)
            results.append([report.summary(parts[quantity]) for quantity in ("energy_per_atom", "forces")])
            session.progress("fits", done + 1, len(sizes))
    results.append([whole[quantity]["all"] for quantity in ("energy_per_atom", "forces")])
    errors = {name: [1000 * energy[name.lower()] for energy, _ in results] for name in ("MAE", "RMSE")}
    return [*sizes, len(rest)], errors, [1000 * force["mae"] for _, force in results]
