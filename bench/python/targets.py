"""All benchmarks, one after another, beside whichever peers can be imported.

    python bench/python/targets.py --data FOLDER [--threads 1 2] [--only soap]

FOLDER holds c216.extxyz, hea40.extxyz and organics.extxyz; without it, structures of the same kind are made up, and
"fit", which needs tersoff_carbon_train.extxyz and tersoff_carbon_test.extxyz, is left out. Peers: pip install featomic
dscribe quippy-ase vesin matscipy. Compare figures of one run only, on a machine that is idle.
"""

import argparse
import importlib.util
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
BENCHMARKS = ("neighbors", "soap", "kernels", "solvers", "potential", "fit")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with the structures")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    arguments = parser.parse_args()
    data = ["--data", arguments.data] if arguments.data else []
    threads = ["--threads", *map(str, arguments.threads)]
    options = {"neighbors": data + threads, "soap": data + threads, "kernels": threads, "solvers": [], "fit": data}
    options["potential"] = [*data, "--quippy"] if importlib.util.find_spec("quippy") else data
    for name in arguments.only:
        if name == "fit" and not (arguments.data and list(pathlib.Path(arguments.data).glob("tersoff_carbon_*"))):
            continue
        print(f"\n=== {name}", flush=True)
        subprocess.run([sys.executable, HERE / f"bench_{name}.py", *options[name]], check=True)


if __name__ == "__main__":
    main()
