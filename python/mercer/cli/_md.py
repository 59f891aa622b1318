"""``mercer md``: a first trial of a model in molecular dynamics."""

import warnings

import numpy as np

from mercer.cli._data import read_structures
from mercer.cli._output import output_file
from mercer.cli._session import Stopped
from mercer.errors import ConfigError, DataError
from mercer.structures import check_suffix

#: Numbers that are told about while a run goes on.
_LINES = 10


def run_md(
    model, start, output, session, *, steps, timestep, ensemble, temperature, friction, interval, seed, skin, warn_above
):
    """Move the atoms of `start` with a model, and write the trajectory.

    Raises
    ------
    Stopped
        After Ctrl-C or SIGTERM, once the frames until then are in the file.
    """
    import mercer
    from mercer.dynamics import Explosion, append_frame, draw_velocities, follow

    if ensemble == "nvt" and temperature is None:
        raise ConfigError("--nvt needs --temperature, in K")
    check_suffix(output)
    with output_file(output, model) as temporary, open(temporary, "w", encoding="utf-8") as trajectory:
        potential = mercer.load(model)
        frames = read_structures([start])
        atoms = frames[0]
        if len(frames) > 1:
            session.say(f"  {start} holds {len(frames)} structures: the first one is taken")
        potential.predict(frames.take([0]), forces=True)  # what is wrong with the structure is said with its file
        _forget_labels(atoms)
        atoms.calc = potential.calculator(skin=skin, warn_above=warn_above)
        if not np.any(atoms.get_momenta()):
            if temperature is None:
                session.warn("the atoms start at rest; give --temperature for velocities")
            else:
                draw_velocities(atoms, temperature, seed)
        elif ensemble == "nve" and temperature is not None:
            session.warn(f"--temperature {temperature:g} is not used: {start} holds velocities, and --nve keeps them")
        run, problem = None, None
        session.say(f"  {'time (ps)':>10s} {'T (K)':>8s} {'E_pot':>12s} {'E_total (eV/atom)':>18s}")
        with session.stage("dynamics"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*composition is no combination")  # said already
            try:
                for run in follow(
                    atoms,
                    steps,
                    timestep=timestep,
                    ensemble=ensemble,
                    temperature=temperature,
                    friction=friction,
                    seed=seed,
                ):
                    if run.n_steps % interval == 0 or run.n_steps == steps:
                        append_frame(trajectory, atoms)
                    if run.n_steps % max(1, steps // _LINES) == 0:
                        session.say(_line(run))
                    session.progress("steps", run.n_steps, steps)
            except (KeyboardInterrupt, Explosion) as error:
                if run is None:
                    raise
                problem = error
        _summary(session, run, output)
    if isinstance(problem, Explosion):
        raise DataError(f"{problem}. The trajectory so far is in {output}")
    if problem is not None:
        raise Stopped(f"interrupted after {run.n_steps} of {steps} steps; the trajectory so far is in {output}")


def _forget_labels(atoms):
    """Leave what the atoms carry along: labels and notes are those of the start alone."""
    atoms.info.clear()
    for name in set(atoms.arrays) - {"numbers", "positions", "momenta", "masses", "tags"}:
        del atoms.arrays[name]


def _line(run):
    return (
        f"  {run.n_steps * run.timestep * 1e-3:10.4f} {run.temperature[-1]:8.1f} "
        f"{run.potential[-1] / run.n_atoms:12.6f} {run.total[-1]:18.6f}"
    )


def _summary(session, run, output):
    temperatures = np.array(run.temperature[1 + run.n_steps // 2 :] or run.temperature)
    session.say(
        f"\n{run.n_steps} steps of {run.timestep:g} fs with {run.n_atoms} atoms, {run.speed:.4g} us per atom and step"
    )
    session.say(f"temperature in the second half: {temperatures.mean():.1f} +- {temperatures.std():.1f} K")
    if run.ensemble == "nve" and run.n_steps > 1:
        session.say(f"drift of the total energy: {run.drift:.3g} eV/atom/ps (slope of a straight line)")
    session.say(f"the trajectory is in {output}")
