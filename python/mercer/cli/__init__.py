"""The command line: ``mercer fit | predict | evaluate | check | info | convert | md | demo``."""

import contextlib
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from mercer import __version__
from mercer.cli import _output
from mercer.cli._arguments import check_words, label_options, one_of, parse_e0
from mercer.cli._session import Session, Stopped, screen_problem
from mercer.errors import ConfigError, MercerError

app = typer.Typer(
    name="mercer",
    help="Kernel models of atoms: from an extended-XYZ file to a tested potential.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(show):
    if show:
        print(f"mercer {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
):
    pass


Files = Annotated[list[str], typer.Argument(help="Structure files; wildcards allowed.", show_default=False)]
Threads = Annotated[int | None, typer.Option("--threads", "-j", help="Threads of the core.", show_default="all cores")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="LABEL=NAME", help="Name of a label in the files, as energy=dft_energy."),
]
EnergyKey = Annotated[str | None, typer.Option("--energy-key", metavar="NAME", help="Short for --key energy=NAME.")]
UnitList = Annotated[
    list[str] | None,
    typer.Option("--units", metavar="LABEL=UNIT", help="Unit of a label in the files, as energy=kcal/mol."),
]
StressOrder = Annotated[
    str | None,
    typer.Option("--stress-order", metavar="NAME", help="Of six components: ase, vasp, lammps, ... (see docs)."),
]
Dropped = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="FRAMES", help="Leave out frames: 12,40-45 or FILE:12; or labels: stress:12."),
]
TrustData = Annotated[bool, typer.Option("--trust-data", help="Do not check the data.")]


@app.command(no_args_is_help=True)
def fit(
    train: Annotated[
        list[str] | None, typer.Argument(help="Training files; wildcards allowed.", show_default=False)
    ] = None,
    test: Annotated[list[str] | None, typer.Option("--test", help="Test file; may be repeated.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with any of the options.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the results.", show_default="mercer-fit")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Override any option, as terms.0.descriptor.r_cut=5."),
    ] = None,
    n_sparse: Annotated[int | None, typer.Option("--n-sparse", help="Sparse points of each SOAP term.")] = None,
    r_cut: Annotated[float | None, typer.Option("--r-cut", help="Cutoff of the SOAP terms (Angstrom).")] = None,
    sigma_energy: Annotated[
        float | None, typer.Option("--sigma-energy", help="Expected error of the energies (eV per atom).")
    ] = None,
    sigma_forces: Annotated[
        float | None, typer.Option("--sigma-forces", help="Expected error of the forces (eV/Angstrom).")
    ] = None,
    sigma_virial: Annotated[
        float | None, typer.Option("--sigma-virial", help="Expected error of the virials (eV per atom).")
    ] = None,
    no_forces: Annotated[bool, typer.Option("--no-forces", help="Do not train on forces.")] = False,
    no_virial: Annotated[bool, typer.Option("--no-virial", help="Do not train on virials and stresses.")] = False,
    terms: Annotated[
        str | None,
        typer.Option(
            "--terms", metavar="NAME", help="Sum of terms: soap, two-body, two-body+soap, double-soap, ... (see docs)."
        ),
    ] = None,
    representation: Annotated[
        str | None,
        typer.Option("--representation", metavar="NAME", help="Of structures: mbtr, coulomb_matrix, ... (see docs)."),
    ] = None,
    kernel: Annotated[
        str | None, typer.Option("--kernel", metavar="NAME", help="Of the first term: gaussian, laplacian, linear, ...")
    ] = None,
    two_body: Annotated[bool, typer.Option("--two-body", help="Short for --terms two-body+soap.")] = False,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="Taken off before the fit: zbl (repulsion).")
    ] = None,
    e0: Annotated[
        str | None, typer.Option("--e0", help="auto, isolated, lstsq, average, none, a number, or Si=-0.8,O=-1.2.")
    ] = None,
    energy_key: EnergyKey = None,
    keys: Keys = None,
    units: UnitList = None,
    stress_order: StressOrder = None,
    drop: Dropped = None,
    trust_data: TrustData = False,
    n_train: Annotated[
        int | None, typer.Option("--n-train", help="Train on so many random frames, test on the others.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option("--test-fraction", help="Keep this part of the frames for testing.")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", help="So many random splits, for mean and spread of the test errors."),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option("--validation", help="File whose errors set the scale of error bars; may be repeated."),
    ] = None,
    validation_fraction: Annotated[
        float | None, typer.Option("--validation-fraction", help="Keep this part of the training frames for that.")
    ] = None,
    cross_validation: Annotated[
        int | None,
        typer.Option(
            "--cross-validation",
            metavar="N",
            help="Groups of training frames predicted without having learnt from them, for error bars and errors.",
            show_default="10; 0 with validation frames",
        ),
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", metavar="SIZE", help="Memory of the fit, as 500MB or 2GB.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of every random choice.", show_default="0")] = None,
    threads: Threads = None,
    error_bars: Annotated[
        bool | None, typer.Option("--error-bars/--no-error-bars", help="Keep what standard deviations need.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show data, effective configuration and size; do not fit.")
    ] = False,
    quiet: Quiet = False,
):
    """Fit a potential, test it, and write model, configuration, log, metrics and plots into a folder.

    What is not given is chosen from the elements and the data, and shown.
    """
    from mercer.cli._fit import run_fit
    from mercer.config import load_options, parse_assignment, term_preset

    one_of(terms=terms, two_body=two_body, representation=representation)
    one_of(no_forces=no_forces, sigma_forces=sigma_forces is not None)
    one_of(no_virial=no_virial, sigma_virial=sigma_virial is not None)
    overrides = []

    def override(flag, path, value):
        if value is not None:
            overrides.append((flag, path, value))

    override("TRAIN", ("train",), train or None)
    override("--test", ("test",), test or None)
    override("--output", ("output",), output)
    override("--validation", ("validation",), validation or None)
    override("--validation-fraction", ("validation_fraction",), validation_fraction)
    override("--cross-validation", ("cross_validation",), cross_validation)
    terms = terms or ("two-body+soap" if two_body else None)
    override("--terms", ("terms",), term_preset(terms) if terms else None)
    override("--representation", ("representation",), representation)
    override("--kernel", ("kernel",), kernel)
    override("--n-sparse", ("terms", "soap", "n_sparse"), n_sparse)
    override("--r-cut", ("terms", "soap", "descriptor", "r_cut"), r_cut)
    override("--baseline", ("baseline",), baseline)
    override("--max-memory", ("max_memory",), max_memory)
    override("--sigma-energy", ("sigma", "energy"), sigma_energy)
    override("--sigma-forces", ("sigma", "forces"), sigma_forces)
    override("--sigma-virial", ("sigma", "virial"), sigma_virial)
    override("--no-forces", ("sigma", "forces"), "none" if no_forces else None)
    override("--no-virial", ("sigma", "virial"), "none" if no_virial else None)
    override("--e0", ("e0",), parse_e0(e0))
    overrides += label_options(energy_key, keys, units, stress_order, drop, trust_data)
    override("--n-train", ("n_train",), n_train)
    override("--test-fraction", ("test_fraction",), test_fraction)
    override("--repeats", ("repeats",), repeats)
    override("--seed", ("seed",), seed)
    override("--threads", ("threads",), threads)
    override("--error-bars", ("error_bars",), error_bars)
    for text in assignments or ():
        overrides.append((f"--set {text}", *parse_assignment(text)))
    run_fit(load_options(config, overrides), Session(quiet), dry_run)


@app.command(no_args_is_help=True)
def predict(
    model: Annotated[Path, typer.Argument(help="A model that mercer fit wrote.", show_default=False)],
    files: Files,
    output: Annotated[Path, typer.Option("--output", "-o", help="Extended-XYZ file to write.", show_default=False)],
    std: Annotated[
        bool | None,
        typer.Option("--std/--no-std", help="Standard deviations.", show_default="if the model has them"),
    ] = None,
    forces: Annotated[bool, typer.Option("--forces/--no-forces", help="Forces, virials and stresses.")] = True,
    forces_std: Annotated[
        bool, typer.Option("--forces-std", help="Standard deviations of the forces too (takes time).")
    ] = False,
    prefix: Annotated[str, typer.Option(help="Put before the names of the results.")] = "mercer_",
    threads: Threads = None,
    quiet: Quiet = False,
):
    """Predict energies, forces, virials and stresses, with standard deviations, and write them as extended XYZ."""
    from mercer.cli._sense import check_prefix
    from mercer.cli._use import run_predict

    check_prefix(prefix)
    one_of(no_forces=not forces, forces_std=forces_std)
    one_of(no_std=std is False, forces_std=forces_std)
    _use_threads(threads)
    run_predict(model, files, output, Session(quiet), std=std, forces_std=forces_std, forces=forces, prefix=prefix)


@app.command(no_args_is_help=True)
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model that mercer fit wrote.", show_default=False)],
    files: Files,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for metrics.json and parity plots.")
    ] = None,
    forces_std: Annotated[
        bool, typer.Option("--forces-std", help="Standard deviations of the forces too (takes time).")
    ] = False,
    energy_key: EnergyKey = None,
    keys: Keys = None,
    units: UnitList = None,
    stress_order: StressOrder = None,
    drop: Dropped = None,
    trust_data: TrustData = False,
    threads: Threads = None,
    quiet: Quiet = False,
):
    """Compare predictions with the labels of files: MAE and RMSE per config_type."""
    from mercer.cli._use import run_evaluate
    from mercer.config import load_options

    _use_threads(threads)
    options = load_options(None, label_options(energy_key, keys, units, stress_order, drop, trust_data))
    run_evaluate(model, files, output, options, Session(quiet), forces_std)


@app.command(no_args_is_help=True)
def info(
    files: Annotated[
        list[str], typer.Argument(help="Models, or files of structures; wildcards allowed.", show_default=False)
    ],
    energy_key: EnergyKey = None,
    keys: Keys = None,
    units: UnitList = None,
    stress_order: StressOrder = None,
    drop: Dropped = None,
):
    """Say what is in a model (also a GAP potential), or in files of structures."""
    from mercer.cli._use import run_info
    from mercer.config import load_options

    run_info(files, load_options(None, label_options(energy_key, keys, units, stress_order, drop)), Session())


@app.command(no_args_is_help=True)
def check(
    files: Files,
    fix: Annotated[
        Path | None, typer.Option("--fix", help="Extended-XYZ file to write with the labels put right, in eV and Å.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Page to write, with pictures.")] = None,
    drop_found: Annotated[
        bool, typer.Option("--drop-found", help="Leave frames that come twice, and outliers, out of --fix.")
    ] = False,
    energy_key: EnergyKey = None,
    keys: Keys = None,
    units: UnitList = None,
    stress_order: StressOrder = None,
    drop: Dropped = None,
    threads: Threads = None,
    quiet: Quiet = False,
):
    """Say what is in files of structures and what is suspicious in them; write them put right.

    The exit status is 1 if something is wrong for certain: in the files, or in what --fix has written.
    """
    from mercer.cli._check import run_check
    from mercer.config import load_options

    _use_threads(threads)
    options = load_options(None, label_options(energy_key, keys, units, stress_order, drop))
    if not run_check(files, options, Session(quiet), fix=fix, html=html, drop_found=drop_found):
        raise typer.Exit(1)


@app.command(no_args_is_help=True)
def convert(
    path: Annotated[str, typer.Argument(help="A GAP potential (XML), or a model.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="The model to write.", show_default=False)],
):
    """Write a published GAP potential as a mercer model."""
    from mercer.cli._use import run_convert

    run_convert(path, output, Session())


@app.command()
def demo(
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of the results.")] = "mercer-demo",
    n_frames: Annotated[int, typer.Option("--n-frames", min=20, max=10**6, help="Structures to make.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1)] = 0,
    threads: Threads = None,
    quiet: Quiet = False,
):
    """A complete fit without any file: alloys labelled by a potential of ASE, errors, learning curve, plots."""
    from mercer.cli._demo import run_demo

    _use_threads(threads)
    run_demo(output, n_frames, seed, Session(quiet))


@app.command(no_args_is_help=True)
def md(
    model: Annotated[Path, typer.Argument(help="A model that mercer fit wrote.", show_default=False)],
    start: Annotated[str, typer.Argument(help="File whose first structure is the start.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Trajectory to write, extended XYZ.", show_default=False)
    ],
    steps: Annotated[int, typer.Option("--steps", "-n", min=0, max=2**31 - 1, help="Steps to make.")] = 1000,
    timestep: Annotated[float, typer.Option("--timestep", min=1e-3, max=100, help="fs.")] = 1.0,
    nvt: Annotated[
        bool, typer.Option("--nvt/--nve", help="Langevin dynamics at --temperature, or constant energy.")
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            min=0,
            max=1e9,
            help="K; of the thermostat, and of the velocities where the file has none (at constant energy, a crystal "
            "at rest gives about half of it to its potential energy).",
        ),
    ] = None,
    friction: Annotated[float, typer.Option("--friction", min=1e-6, max=10, help="Of the thermostat, 1/fs.")] = 0.01,
    interval: Annotated[
        int, typer.Option("--interval", min=1, max=2**31 - 1, help="Steps between structures written.")
    ] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Of velocities and thermostat.")] = 0,
    skin: Annotated[float, typer.Option("--skin", min=0, max=20, help="Of the neighbour list, Angstrom.")] = 0.5,
    warn_above: Annotated[
        float | None,
        typer.Option("--warn-above", help="Warn when the standard deviation of an atom's energy exceeds this (eV)."),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
):
    """A first trial of a model: molecular dynamics, with temperature, drift of the energy and speed."""
    from mercer.cli._md import run_md

    _use_threads(threads)
    run_md(
        model,
        start,
        output,
        Session(quiet),
        steps=steps,
        timestep=timestep,
        ensemble="nvt" if nvt else "nve",
        temperature=temperature,
        friction=friction,
        interval=interval,
        seed=seed,
        skin=skin,
        warn_above=warn_above,
    )


def _use_threads(threads):
    import mercer
    from mercer._threads import MOST_THREADS

    if threads is not None:
        if not 1 <= threads <= MOST_THREADS:
            raise ConfigError(f"--threads {threads}: expected a number from 1 to {MOST_THREADS}")
        mercer.set_num_threads(threads)


# ---------------------------------------------------------------------------------------------- errors

#: UsageError and its base, from typer's own copy of click or from click, whichever typer uses.
_ClickException = typer.BadParameter.__mro__[2]

#: Exit status after Ctrl-C: 128 + SIGINT; and typer's own, which catches it.
_INTERRUPTED = 130

#: Signals that have ended the command that runs.
_received = []


def main(argv=None):
    """Run the command line and return the exit status: one message for every mistake, no traceback but with --debug.

    Parameters
    ----------
    argv : list of str, optional
        Default: what the process was started with.

    Returns
    -------
    int
        0; 1 for bad input; 2 for a wrong command line; 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = ["--debug"] * debug + [a for a in arguments if a != "--debug"]
    _received.clear()
    screen_problem(reset=True)
    _output.written.clear()
    with contextlib.suppress(ValueError, AttributeError):  # not the main thread, or no SIGTERM
        signal.signal(signal.SIGTERM, _terminate)
    warnings.showwarning = _show_warning
    try:
        check_words(arguments)
        status = app(args=arguments, prog_name="mercer", standalone_mode=False)
        if status == _INTERRUPTED:  # typer catches Ctrl-C itself
            raise KeyboardInterrupt
        if problem := screen_problem():
            what = getattr(problem, "strerror", None) or problem
            return _fail(
                f"the output could not be shown ({what}); files that were to be written are complete", 1, debug
            )
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        there = ", ".join(_output.written)
        what = f"{there} had been written" if there else "nothing was written, earlier results are as they were"
        return _fail(f"interrupted; {what}", _status_of_the_signal(), debug)
    except Stopped as stop:
        return _fail(str(stop), _status_of_the_signal(), debug)
    except typer.Exit as stop:
        return stop.exit_code
    except _ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "mercer"
        message = error.format_message() or f"{command} was given nothing to do: name files or options"
        return _fail(f"{message} (see: {command} --help)", 2, debug)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # nobody reads any more: end quietly
        return 1
    except MercerError as error:
        return _fail(str(error), 1, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1, debug)
    except MemoryError as error:
        return _fail(f"out of memory ({error}); fewer sparse points or a smaller descriptor need less", 1, debug)
    except ValueError as error:
        return _fail(f"{error}", 1, debug)
    except Exception as error:
        text = f"this should not happen ({type(error).__name__}: {error}); please report it with the output of --debug"
        return _fail(text, 1, debug)


def _fail(message, status, debug):
    if debug:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a full device: the status says it
        print(f"error: {message}", file=sys.stderr)
    return status


def _status_of_the_signal():
    return 128 + _received[0] if _received else _INTERRUPTED


def _terminate(signum, frame):
    _received.append(signum)
    raise KeyboardInterrupt


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"warning: {message}", file=sys.stderr)
