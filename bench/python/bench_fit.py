"""Fits one SOAP potential to energies and forces with mercer and with gap_fit, in one run: time, memory, errors, speed.

    python bench/python/bench_fit.py --data FOLDER [--n-sparse 500] [--threads 1] [--no-peer]

FOLDER holds tersoff_carbon_train.extxyz and tersoff_carbon_test.extxyz. The peer is gap_fit of the package quippy-ase,
where it can be found. Settings: SOAP n_max 12, l_max 6, cutoff 3.7 Angstrom with transition 0.5, sigma 0.5, zeta 4,
delta 1; sigmas 0.002 eV sqrt(atoms) and 0.1 eV/Angstrom; E0 = mean energy per atom; no virials. Each package runs in a
process of its own; time and memory are those of reading, fitting and writing the model.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import ase.io
import numpy as np


def measured(command, threads, cwd):
    """Seconds, peak memory in GB and output of a command."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[0]} failed:\n{output[-2000:]}")
    return seconds, usage.ru_maxrss / 1e6, output


def errors(frames, energies, forces):
    """Test errors: MAE of the energy in meV/atom, MAE and RMSE of force components in meV/A."""
    reference = np.array([atoms.get_potential_energy() for atoms in frames])
    n_atoms = np.array([len(atoms) for atoms in frames])
    difference = np.concatenate(forces) - np.concatenate([atoms.get_forces() for atoms in frames])
    return {
        "E MAE meV/atom": 1e3 * float(np.mean(np.abs(energies - reference) / n_atoms)),
        "F MAE meV/A": 1e3 * float(np.mean(np.abs(difference))),
        "F RMSE meV/A": 1e3 * float(np.sqrt(np.mean(difference**2))),
    }


def evaluate(make_calculator, frames):
    """Errors, and microseconds per atom of an MD step (positions change every time)."""
    from ase.calculators.singlepoint import SinglePointCalculator

    calculator = make_calculator()
    for atoms in frames:
        if "REF_energy" in atoms.info:
            atoms.calc = SinglePointCalculator(
                atoms, energy=atoms.info["REF_energy"], forces=atoms.arrays["REF_forces"]
            )
    energies, forces = [], []
    for atoms in frames:
        copy = atoms.copy()
        copy.calc = calculator
        energies.append(copy.get_potential_energy())
        forces.append(copy.get_forces())
    found = errors(frames, np.array(energies), forces)
    atoms = max(frames, key=len).repeat((2, 2, 1))
    atoms.calc = calculator
    rng = np.random.default_rng(0)
    times = []
    for _ in range(8):
        atoms.positions += rng.normal(scale=0.002, size=atoms.positions.shape)
        start = time.perf_counter()
        atoms.get_forces()
        times.append(time.perf_counter() - start)
    found["us/atom/step"] = 1e6 * float(np.median(times)) / len(atoms)
    return found


def fit_mercer(arguments):
    """Worker: fits and saves."""
    import mercer

    frames = ase.io.read(arguments.data / "tersoff_carbon_train.extxyz", ":")
    soap = mercer.SOAP(["C"], r_cut=3.7, n_max=12, l_max=6, sigma=0.5, radial_basis=arguments.basis)
    term = mercer.Term(soap, mercer.kernels.Polynomial(zeta=4), n_sparse=arguments.n_sparse)
    potential = mercer.Potential(term, sigma={"energy": 0.002, "forces": 0.1}, e0="average").fit(frames)
    potential.save("mercer.model")
    print(json.dumps(potential.fit_report_["seconds"]))


def gap_fit_command(arguments):
    """The same fit for gap_fit, or None where it is not installed."""
    package = importlib.util.find_spec("quippy")
    program = package and pathlib.Path(package.origin).parent / "gap_fit"
    if not program or not program.is_file():
        return None
    gap = (
        f"soap cutoff=3.7 cutoff_transition_width=0.5 n_max=12 l_max=6 atom_sigma=0.5 zeta=4 delta=1.0 "
        f"covariance_type=dot_product sparse_method=cur_points n_sparse={arguments.n_sparse}"
    )
    return [
        str(program),
        f"at_file={(arguments.data / 'tersoff_carbon_train.extxyz').resolve()}",
        f"gap={{{gap}}}",
        "default_sigma={0.002 0.1 0.0 0.0}",
        "energy_parameter_name=REF_energy",
        "force_parameter_name=REF_forces",
        "virial_parameter_name=none",
        "e0_method=average",
        "do_copy_at_file=F",
        "sparse_jitter=1e-8",
        "gp_file=gap.xml",
    ]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--n-sparse", type=int, default=500)
    parser.add_argument("--basis", default="gto", help="radial basis of mercer's SOAP; 'gap' is the peer's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--worker", choices=["fit", "evaluate-mercer", "evaluate-peer"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.data = arguments.data.resolve()
    if arguments.worker == "fit":
        return fit_mercer(arguments)
    if arguments.worker:
        if arguments.worker == "evaluate-mercer":
            import mercer

            make = mercer.load("mercer.model").calculator
        else:
            from quippy.potential import Potential as GapPotential

            def make():
                return GapPotential(param_filename="gap.xml")

        frames = ase.io.read(arguments.data / "tersoff_carbon_test.extxyz", ":")
        print("\n" + json.dumps(evaluate(make, frames)))
        return None
    own = [sys.executable, str(pathlib.Path(__file__).resolve()), "--data", str(arguments.data)]
    own += ["--n-sparse", str(arguments.n_sparse), "--basis", arguments.basis]
    with tempfile.TemporaryDirectory() as folder:
        jobs = {"mercer": ([*own, "--worker", "fit"], "evaluate-mercer")}
        peer = None if arguments.no_peer else gap_fit_command(arguments)
        if peer:
            jobs["gap_fit"] = (peer, "evaluate-peer")
        for name, (command, worker) in jobs.items():
            seconds, memory, output = measured(command, arguments.threads, folder)
            found = json.loads(measured([*own, "--worker", worker], arguments.threads, folder)[2].splitlines()[-1])
            print(f"{name}, {arguments.threads} thread(s): fit {seconds:.2f} s, peak {memory:.2f} GB")
            print("  " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()))
            if name == "mercer":
                print("  seconds per stage: " + output.splitlines()[-1])
    print(f"peak memory of this script itself {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    return None


if __name__ == "__main__":
    main()
