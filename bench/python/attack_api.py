"""The Python API with wrong arguments: every argument of every class and function in turn gets values that it is not
made for; counts what comes of it.

    python bench/python/attack_api.py --seed 0 [--only SOAP --only Potential] [--show raw]

Each case runs in a process of its own with a limit of time and memory. "clear": an error of mercer that names the
argument; "unnamed": one that does not; "accepted": a result of finite numbers; "nan": a result that is not finite;
"raw": a TypeError or ValueError of NumPy, pybind11 or Python; "other": any other exception; "crash"; "hang".
"""

import argparse
import contextlib
import fractions
import os
import pickle
import random
import re
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))

import api_targets
import numpy as np
from mercer.errors import MercerError

OUTCOMES = ("clear", "unnamed", "accepted", "nan", "raw", "other", "crash", "hang")
SECONDS = 20
BYTES = 6 * 2**30
#: What messages call an argument, where that is not its name.
WORDS = {
    "a": ("frames", "frame "),
    "system": ("frames", "frame "),
    "frames": ("frame ",),
    "n": ("n_sparse", "threads"),
    "n_threads": ("threads",),
    "method": ("selection",),
    "value": ("cutoff", "radial_basis", "radial_scaling"),
    "parameters": ("descriptor",),
    "index": ("no frame",),
    "path": ("model file", "not a mercer model", "extended XYZ", "no such file", "folder"),
    "b": ("rows", "sets"),
    "min_distance": ("A apart",),
    "max_atoms": ("the descriptor knows",),
    "K_LM": ("K_MM",),
    "positions": ("frame 0",),
    "numbers": ("frame 0",),
    "cell": ("frame 0",),
    "pbc": ("frame 0",),
}


class Odd:
    """An object that is nothing."""

    def __repr__(self):
        return "Odd()"


def fixed_values():
    """Wrong for most arguments, whatever they are."""
    return {
        "None": None, "True": True, "'x'": "x", "''": "", "b'x'": b"x", "-1": -1, "0": 0, "1.5": 1.5, "-2.5": -2.5,
        "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "1e300": 1e300, "1e-300": 1e-300,
        "10**30": 10**30, "2**63": 2**63, "1+2j": 1 + 2j, "array([1., 2.])": np.array([1.0, 2.0]),
        "array('x')": np.array("x"), "array of objects": np.array([None, Odd()], dtype=object), "[]": [],
        "[1, 2]": [1, 2], "ragged": [[1.0], [1.0, 2.0]], "['Si', None]": ["Si", None], "{}": {}, "{'x': 1}": {"x": 1},
        "{1: 2}": {1: 2}, "{'Xx': 1}": {"Xx": 1}, "Odd()": Odd(), "Odd": Odd, "nan of 32": np.float32("nan"),
        "'Si1'": "Si1",
        "set": {1, 2}, "'1.0'": "1.0", "datetime": np.datetime64("2020-01-01"), "fraction": fractions.Fraction(1, 3),
        "function": api_targets.nothing, "complex array": np.ones((12, 2)) * 1j, "[nan]": [float("nan")],
    }  # fmt: skip


def random_values(rng, n):
    """More of these, by chance."""

    def one(depth=0):
        kind = rng.randrange(9 if depth < 2 else 6)
        if kind == 0:
            return rng.choice([-1, 1]) * 10.0 ** rng.uniform(-320, 308)
        if kind == 1:
            return rng.choice([-1, 1]) * rng.getrandbits(rng.choice([3, 8, 31, 63, 64, 100]))
        if kind == 2:
            return "".join(
                chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x2FF)])) for _ in range(rng.randrange(9))
            )
        if kind == 3:
            return rng.choice(
                [None, True, False, float("nan"), 1j, np.float16(1), np.str_("H"), np.bool_(True), np.int8(-3)]
            )
        if kind == 4:
            shape = tuple(rng.randrange(4) for _ in range(rng.randrange(4)))
            dtype = rng.choice(["f8", "f4", "i4", "u8", "c16", "U3", "O", "M8[s]", "?"])
            return np.zeros(shape, dtype) if rng.random() < 0.5 else np.ones(shape).astype(dtype)
        if kind == 5:
            return rng.choice([Odd(), Odd, len, range(3), slice(1), b"ab", ..., NotImplemented, memoryview(b"12")])
        if kind == 6:
            return [one(depth + 1) for _ in range(rng.randrange(4))]
        if kind == 7:
            return tuple(one(depth + 1) for _ in range(rng.randrange(4)))
        keys = ["H", "O", 1, 8, "name", "type", "energy", "x", None, 1.5]
        return {rng.choice(keys): one(depth + 1) for _ in range(rng.randrange(4))}

    for _ in range(n):
        value = one()
        text = re.sub(r"\s+", " ", repr(value))
        yield f"{text[:60]}", value


def finite(result):
    """Whether all numbers in a result are."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return all(map(finite, result))
    if isinstance(result, np.ndarray | float | int | complex) and np.asarray(result).dtype.kind in "fc":
        return bool(np.isfinite(result).all())
    return True


def outcome(case):
    """(kind, message) of one case (target, argument, its text, value)."""
    target, name, _, value = case
    try:
        with np.errstate(all="ignore"):
            result = target.run(**{name: value})
    except MercerError as error:
        words = (name, *WORDS.get(name, ()))
        return ("clear" if any(word in str(error) for word in words) else "unnamed"), f"{error}"
    except (TypeError, ValueError) as error:
        return "raw", f"{type(error).__name__}: {error}"
    except BaseException as error:
        return "other", f"{type(error).__name__}: {error}"
    return ("accepted" if finite(result) else "nan"), ""


def in_child(cases, folder, outcome):
    """Run cases in a child; yields the outcome of each until the child dies or hangs."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(folder)
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1), os.dup2(silent, 2)
            warnings.simplefilter("ignore")
            for case in cases:
                data = pickle.dumps(outcome(case))
                os.write(write, len(data).to_bytes(4, "big") + data)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb", buffering=0) as stream:
        for _ in cases:
            if not select.select([stream], [], [], SECONDS)[0]:
                os.kill(pid, signal.SIGKILL)
                yield "hang", f"more than {SECONDS} s"
                break
            head = stream.read(4)
            if len(head) < 4:
                yield "crash", "the process died"
                break
            size, data = int.from_bytes(head, "big"), b""
            while len(data) < size:
                data += stream.read(size - len(data))
            yield pickle.loads(data)
    os.waitpid(pid, 0)


def attack(seed, n_random, only):
    """(target, argument, value, kind, message) of every case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        targets = [t for t in api_targets.all_targets() if not only or t.name in only]
    cases = []
    for target in targets:
        for name in target.names:
            rng = random.Random(f"{seed} {target.name} {name}")
            values = [*fixed_values().items(), *random_values(rng, n_random)]
            cases += [(target, name, text, value) for text, value in values]
    with tempfile.TemporaryDirectory() as folder:
        while cases:
            done = 0
            for case, found in zip(cases, in_child(cases, folder, outcome), strict=False):
                yield case[0].name, case[1], case[2], *found
                done += 1
            cases = cases[done:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=8, help="random values beside the fixed ones, for each argument")
    parser.add_argument("--only", action="append", help="name of a class or function")
    parser.add_argument("--show", action="append", choices=OUTCOMES, help="print all cases of a kind")
    arguments = parser.parse_args()
    counts, per_target, start = Counter(), defaultdict(Counter), time.perf_counter()
    for target, name, text, kind, message in attack(arguments.seed, arguments.random, arguments.only):
        counts[kind] += 1
        per_target[target][kind] += 1
        if kind in (arguments.show or ("crash", "hang")):
            with contextlib.suppress(UnicodeError):
                print(f"{kind}: {target}({name}={text})  {message[:200]!r}", flush=True)
    print(f"{'':24s}" + "".join(f"{kind:>9s}" for kind in OUTCOMES))
    for target, found in per_target.items():
        print(f"{target:24s}" + "".join(f"{found[kind] or '':>9}" for kind in OUTCOMES))
    print(f"{f'{sum(counts.values())} cases':24s}" + "".join(f"{counts[kind]:>9}" for kind in OUTCOMES))
    print(f"{time.perf_counter() - start:.0f} s, seed {arguments.seed}")


if __name__ == "__main__":
    main()
