"""Times SOAP beside whichever of featomic, dscribe and quippy can be imported: microseconds per atom.

    python bench/python/bench_soap.py --data FOLDER [--threads 1 2] [--repeat 7] [--only c216]

FOLDER holds c216.extxyz, hea40.extxyz and organics.extxyz; without it, structures of the same kind are made up.
Values go into a reused output; the minimum of the repeats counts, and peers are measured in the same run.
"""

import argparse
import os
import time
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk, molecule

CASES = {  # n_max, l_max, r_cut
    "c216": (12, 6, 3.7),
    "hea40": (8, 6, 5.0),
    "organics": (8, 6, 5.0),
}
SIGMA, WIDTH = 0.5, 0.5


def made_up(case):
    """Structures of the kind that the case stands for."""
    rng = np.random.default_rng(0)
    if case == "c216":
        atoms = bulk("C", cubic=True) * (3, 3, 3)
        atoms.rattle(0.1, seed=0)
        return [atoms]
    if case == "hea40":
        atoms = bulk("Cu", "fcc", a=3.8, cubic=True) * (5, 2, 1)
        atoms.numbers = rng.permutation(np.repeat([22, 23, 24, 25, 26, 27, 28, 29, 41, 42], 4))
        atoms.rattle(0.1, seed=0)
        return [atoms]
    return [molecule(name) for name in ("CH3CH2OH", "C6H6", "CH3CONH2", "C4H4NH", "CH3COF", "C5H8") * 14]


def best(function, repeat):
    """Seconds of the fastest of `repeat` calls, after one that warms up."""
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def run_mercer(frames, species, n_max, l_max, r_cut, repeat):
    import mercer

    soap = mercer.SOAP(species, r_cut, n_max, l_max, SIGMA, cutoff_width=WIDTH)
    environments = soap.environments(frames)
    out = soap.transform(environments)
    dY_dX = np.random.default_rng(0).normal(size=out.shape)
    yield "mercer with neighbour list", best(lambda: soap.transform(frames, out=out), repeat)
    yield "mercer transform, out reused", best(lambda: soap.transform(environments, out=out), repeat)
    yield "mercer transform, pooled", best(lambda: soap.transform(environments), repeat)
    yield "mercer vjp", best(lambda: soap.vjp(environments, dY_dX), repeat)

    def both():
        soap.transform(environments, out=out)
        soap.vjp(environments, dY_dX)

    yield "mercer transform + vjp", best(both, repeat)
    values = soap.raw_gradients(environments).values
    yield "mercer raw gradients, out reused", best(lambda: soap.raw_gradients(environments, out=values), repeat)
    yield "mercer raw gradients, pooled", best(lambda: soap.raw_gradients(environments), repeat)
    if sum(map(len, frames)) * soap.n_features < 2_000_000:  # dense in the features: gigabytes for many species
        values = soap.gradients(environments).values
        yield "mercer gradients, out reused", best(lambda: soap.gradients(environments, out=values), repeat)


def run_featomic(frames, species, n_max, l_max, r_cut, repeat):
    import featomic

    calculator = featomic.SoapPowerSpectrum(
        cutoff={"radius": r_cut, "smoothing": {"type": "ShiftedCosine", "width": WIDTH}},
        density={"type": "Gaussian", "width": SIGMA, "center_atom_weight": 1.0},
        basis={
            "type": "TensorProduct",
            "max_angular": l_max,
            "radial": {"type": "Gto", "max_radial": n_max - 1},
        },
    )
    yield "featomic", best(lambda: calculator.compute(frames), max(1, repeat // 3))
    yield "featomic gradients", best(lambda: calculator.compute(frames, gradients=["positions"]), 1)


def run_dscribe(frames, species, n_max, l_max, r_cut, repeat):
    from dscribe.descriptors import SOAP

    periodic = bool(frames[0].pbc.any())
    soap = SOAP(species=species, r_cut=r_cut, n_max=n_max, l_max=l_max, sigma=SIGMA, rbf="gto", periodic=periodic)
    yield "dscribe", best(lambda: [soap.create(atoms) for atoms in frames], max(1, repeat // 3))


def run_quippy(frames, species, n_max, l_max, r_cut, repeat):
    from quippy.descriptors import Descriptor

    numbers = " ".join(map(str, species))
    soap = Descriptor(
        f"soap cutoff={r_cut} cutoff_transition_width={WIDTH} n_max={n_max} l_max={l_max} atom_sigma={SIGMA} "
        f"n_species={len(species)} species_Z={{{numbers}}} n_Z={len(species)} Z={{{numbers}}}"
    )
    yield "quippy", best(lambda: [soap.calc(atoms) for atoms in frames], 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the structures")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()

    import mercer

    peers = [] if arguments.no_peers else [run_featomic, run_dscribe, run_quippy]
    mercer.show_config()
    for case in arguments.only:
        frames = ase.io.read(arguments.data / f"{case}.extxyz", ":") if arguments.data else made_up(case)
        n_atoms = sum(map(len, frames))
        species = sorted(set(np.concatenate([atoms.numbers for atoms in frames]).tolist()))
        print(f"\n{case}: {n_atoms} atoms, {len(species)} species, (n_max, l_max, r_cut) = {CASES[case]}")
        for threads in arguments.threads:
            os.environ["RAYON_NUM_THREADS"] = str(threads)  # featomic reads it when its first calculation starts
            with mercer.threads(threads):
                for run in [run_mercer, *(peers if threads == arguments.threads[0] else [])]:
                    try:
                        for name, seconds in run(frames, species, *CASES[case], arguments.repeat):
                            print(
                                f"  {name:34s} {threads} thread(s) {seconds / n_atoms * 1e6:10.2f} us/atom", flush=True
                            )
                    except ImportError as error:
                        print(f"  {run.__name__.removeprefix('run_'):34s} not importable: {error}")


if __name__ == "__main__":
    main()
