"""Damaged models and GAP files, seeded: how many are refused, load, or do what they never should.

    python bench/python/attack_models.py --seed 0 --models 3000 --gap 500 [--program build/asan/tests/cpp/mercer_attack]

Every file is loaded by Python and by C++ and asked for energies, forces and standard deviations, in processes of their
own with 4 GB and 30 s for a file; `--program` does the same with the C++ library alone, for example under sanitizers.
Right is: refused by ModelFileError, or finite numbers, in both languages alike, and never other numbers than those of
the model whose bytes were damaged. A last line counts what is not right; the exit status is 0 where that is nothing.
"""

import argparse
import collections
import copy
import json
import pathlib
import random
import re
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings

import ase.io
import numpy as np

REFERENCE = pathlib.Path(__file__).parents[2] / "tests" / "reference"
SECONDS, MEMORY = 30, 4 * 2**30


# ---------------------------------------------------------------------------------------------------- models


def intact_models(folder):
    """One file for every kind of contents, with frames that it can be asked about: {name: (path, frames)}."""
    import mercer
    from ase import Atoms
    from mercer import descriptors, kernels
    from mercer.baselines import ZBL

    rng = np.random.default_rng(0)

    def frames(n, periodic):
        made = []
        for k in range(n):
            atoms = Atoms(
                "H4O2", scaled_positions=rng.uniform(size=(6, 3)), cell=[6.0, 6.5, 7.0], pbc=periodic and k % 2 == 0
            )
            atoms.info["REF_energy"] = float(np.sin(k) - 18.0)
            made.append(atoms)
        return made

    species = ["H", "O"]
    local = {"r_cut": 3.0, "n_max": 3, "sigma": 0.5}
    weight = {"weight": "inverse_square", "r_cut": 2.5}
    grid = {"geometry": "distance", "grid": (0, 3, 8), "sigma": 0.3, **weight}
    kinds = {
        "soap": [descriptors.SOAP(species, l_max=2, radial_scaling={"exponent": 2.0}, **local)],
        "clusters": [descriptors.PairDistance(species, 3.0), descriptors.Triplet(species, 2.5)],
        "distances": [descriptors.ClusterDistances(species, 2.5, 3), descriptors.RadialSpectrum(species, **local)],
        "tensors": [descriptors.LMBTR(species, k2=grid)],
        "channels": [descriptors.SOAP(species, l_max=1, channels=[[1.0], [2.0]], radial_basis="laplacian", **local)],
        "coulomb": [descriptors.CoulombMatrix(6)],
        "mbtr": [descriptors.MBTR(species, k1={"geometry": "count", "grid": (0, 9, 10), "sigma": 1.0}, k2=grid)],
        "bags": [descriptors.BagOfBonds({"H": 4, "O": 2})],
        "average": [descriptors.AverageSOAP(species, l_max=2, **local)],
    }
    choice = [kernels.Polynomial(zeta=2), kernels.Gaussian(0.7), kernels.Matern(2.5, 0.7), kernels.RationalQuadratic()]
    found = {}
    for number, (name, parts) in enumerate(kinds.items()):
        periodic = all(np.isfinite(part.r_cut) for part in parts)
        terms = [
            mercer.Term(part, choice[(number + k) % 4], n_sparse=6, selection="random") for k, part in enumerate(parts)
        ]
        potential = mercer.Potential(terms, sigma={"energy": 0.01}, baseline=ZBL(0.5, 1.5) if number % 2 else None)
        potential.fit(frames(12, periodic))
        if number % 3 == 0:
            potential.calibrate(frames(6, periodic))
        potential.save(folder / name)
        found[name] = folder / name, frames(2, periodic)
    for name in ("potential_v1", "clusters_v1"):  # format 1
        shutil.copyfile(REFERENCE / f"{name}.safetensors", folder / name)
        found[name] = folder / name, ase.io.read(REFERENCE / f"{name}.extxyz", ":2")
    return found


NUMBERS = [0, -1, 1, 2, 17, 1e-300, 1e300, -1e300, 1e308, 10**6, 2**31 - 1, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5]
VALUES = [*NUMBERS, None, True, False, "", "x", "none", "all", "x" * 5000, [], {}, [1], [[1.0]], [[]], {"a": 1}, [None]]


def places(value, path=()):
    """Paths of all entries inside of a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def damaged_header(rng, header):
    header = copy.deepcopy(header)
    path = rng.choice([path for path in places(header) if path[0] != "report"])
    parent = header
    for key in path[:-1]:
        parent = parent[key]
    kind = rng.choice(["remove", "replace", "replace", "replace", "number", "unknown", "deep"])
    old = parent[path[-1]]
    if kind == "remove":
        del parent[path[-1]]
    elif kind == "number" and isinstance(old, int | float) and not isinstance(old, bool):
        parent[path[-1]] = rng.choice([-old, 2 * old, old + 1, old * 10**6, old * 1e-6, old * 1e30, float(old)])
    elif kind == "unknown" and isinstance(parent, dict):
        parent[rng.choice(["mystery", "", "kind", "n_features"])] = rng.choice(VALUES)
    elif kind == "deep":
        deep = rng.choice(VALUES)
        for _ in range(rng.choice([3, 30, 500])):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        parent[path[-1]] = deep
    else:
        parent[path[-1]] = rng.choice(VALUES)
    return f"header {kind}", header


def damaged_arrays(rng, arrays):
    arrays = {name: np.array(array) for name, array in arrays.items()}
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    kind = rng.choice(["value", "value", "dtype", "shape", "remove", "unknown", "exchange"])
    if kind == "value":
        values = (
            [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 1e30] if array.dtype.kind == "f" else [-1, 2**31 - 1, 0, 7]
        )
        array.reshape(-1)[rng.randrange(array.size) if rng.random() < 0.7 else slice(None)] = rng.choice(values)
    elif kind == "dtype":
        types = [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint64, np.float16, bool]
        arrays[name] = array.astype(rng.choice(types))
    elif kind == "shape":
        shapes = [
            array[:-1],
            array.reshape(-1),
            array[None],
            array[..., None],
            np.concatenate([array, array]),
            array[:0],
        ]
        arrays[name] = rng.choice(shapes)
    elif kind == "remove":
        del arrays[name]
    elif kind == "unknown":
        arrays[rng.choice(["mystery", "terms.9.features", "checksum", "terms.0.mystery"])] = np.zeros(3)
    else:
        other = rng.choice(sorted(arrays))
        arrays[name], arrays[other] = arrays[other], array
    return f"array {kind}", arrays


def damaged_bytes(rng, content):
    data = bytearray(content)
    kind = rng.choice(["bit", "bit", "bits", "digit", "cut", "cut", "longer", "zeros", "noise", "exchange", "length"])
    header = 8 + struct.unpack("<Q", content[:8])[0]
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else rng.randint(2, 20)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "digit":
        at = rng.choice([k for k in range(8, header) if chr(data[k]).isdigit()])
        data[at] = ord(rng.choice("0123456789"))
    elif kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "longer":
        data += rng.randbytes(rng.randint(1, 100))
    elif kind in ("zeros", "noise"):
        start, n = rng.randrange(len(data)), rng.randint(1, 300)
        n = min(n, len(data) - start)
        data[start : start + n] = bytes(n) if kind == "zeros" else rng.randbytes(n)
    elif kind == "exchange":
        n = rng.randint(1, 64)
        a, b = sorted(rng.randrange(len(data) - n) for _ in range(2))
        data[a : a + n], data[b : b + n] = data[b : b + n], data[a : a + n]
    else:
        data[:8] = struct.pack("<Q", rng.choice([0, 1, header, header - 9, 2**31, 2**63, 2**64 - 1, 99_999_999]))
    return f"bytes {kind}", bytes(data)


def damaged_model(rng, path, target):
    """What was done."""
    from mercer.io import read_model, write_model

    content = path.read_bytes()
    how = rng.random()
    if how < 0.4:
        kind, content = damaged_bytes(rng, content)
        target.write_bytes(content)
        return kind
    header, arrays, _ = read_model(path)
    if how < 0.75:
        kind, header = damaged_header(rng, header)
    else:
        kind, arrays = damaged_arrays(rng, arrays)
    write_model(target, header, arrays)
    return kind


# ------------------------------------------------------------------------------------------------------- GAP

GAP = ["p1_2b3b_soap_embedded", "p2_soap_separate", "p3_distance_Nb", "p4_glue_sum", "p5_legacy"]
WORDS = ["nan", "inf", "-inf", "1e400", "1e300", "-1", "0", "1e12", "2147483648", "", "x", "1_0", "T", "../x"]
WORDS += ["/etc/passwd", "0.5", "1 2 3", "{1 2}", "nan nan", "9" * 400]
GAP_DAMAGE = ["attribute", "attribute", "option", "option", "text", "remove", "element", "cut", "byte", "sparse"]


def damaged_gap(rng, folder):
    """A folder with a damaged potential; returned are what was done and the XML file."""
    name = rng.choice(GAP)
    for file in (REFERENCE / "gap").glob(f"{name}.xml*"):
        shutil.copyfile(file, folder / file.name)
    path = folder / f"{name}.xml"
    text = path.read_text()
    kind = rng.choice(GAP_DAMAGE)
    attributes = list(re.finditer(r'(\w+)="([^"]*)"', text))
    if kind == "attribute":
        found = rng.choice(attributes)
        text = text[: found.start(2)] + rng.choice(WORDS) + text[found.end(2) :]
        if rng.random() < 0.3:
            text = re.sub(rf'\b{found[1]}="[^"]*"', f'{found[1]}="{rng.choice(WORDS)}"', text)
    elif kind == "remove":
        found = rng.choice(attributes)
        text = text[: found.start()] + text[found.end() :]
    elif kind == "option":
        found = rng.choice(list(re.finditer(r"(\w+)=(\S+)", text)))
        text = text[: found.start(2)] + rng.choice(WORDS) + text[found.end(2) :]
    elif kind == "text":
        found = rng.choice(list(re.finditer(r">([^<]+)<", text)))
        text = text[: found.start(1)] + rng.choice(WORDS) + text[found.end(1) :]
    elif kind == "element":
        found = rng.choice(list(re.finditer(r"<(\w+)[^>]*/>|<(\w+)[^>]*>[^<]*</\2>", text)))
        text = text[: found.start()] + (found[0] * 2 if rng.random() < 0.5 else "") + text[found.end() :]
    elif kind == "cut":
        text = text[: rng.randrange(len(text))]
    elif kind == "byte":
        at = rng.randrange(len(text))
        text = text[:at] + chr(rng.randrange(1, 128)) + text[at + 1 :]
    else:
        files = sorted(folder.glob(f"{name}.xml.*"))
        if files:
            sparse = rng.choice(files)
            words = sparse.read_text().split()
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            sparse.write_text("\n".join(words[: rng.choice([len(words), len(words), len(words) // 2])]))
    path.write_text(text)
    return f"GAP {kind}", path


# --------------------------------------------------------------------------------------------- who loads them


def work():
    """Answers requests from standard input, one a line: what became of a file."""
    import os
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import mercer
    from mercer._core import core
    from mercer.errors import MercerError, ModelFileError
    from mercer.structures import as_frames, to_batch

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")

    def numbers(result):
        values = [np.ravel(result[key]) for key in ("energy", "energies", "forces", "energy_std") if key in result]
        return [float(value) for value in np.concatenate(values)]

    def in_python(path, frames):
        potential = mercer.load(path)
        std = ["energy"] if potential.covariance_ is not None else False
        return numbers(potential.predict(frames, std=std))

    def in_cpp(path, frames):
        try:
            potential = core.Potential.load(os.fsencode(path))
        except RuntimeError as error:
            raise ModelFileError(str(error)) from error
        batch, request = to_batch(as_frames(frames)), {"energy_std": potential.has_variance}
        try:
            return numbers(potential.evaluate(batch, **request))
        except ValueError as error:
            if "derivatives" not in str(error):
                raise
            return numbers(potential.evaluate(batch, forces=False, virial=False, **request))

    print("ready", flush=True)
    for line in sys.stdin:
        language, path, frames = json.loads(line)
        frames = ase.io.read(frames, ":")
        try:
            values = {"python": in_python, "cpp": in_cpp}[language](path, frames)
            answer = ["not finite", None] if not np.isfinite(values).all() else ["loads", values]
        except ModelFileError as error:
            answer = ["refused", str(error)[:300]]
        except MercerError as error:
            answer = ["refused by predict", str(error)[:300]]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # C++ called without Python's checks says std::invalid_argument, which is ValueError
            said = language == "cpp" and type(error) is ValueError
            answer = ["refused by predict" if said else f"raw {type(error).__name__}", str(error)[:300]]
        print(json.dumps(answer), flush=True)


class Worker:
    """A process that is started anew when it dies or takes too long."""

    def __init__(self, command):
        self.command, self.process = command, None

    def ask(self, request):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.process.stdout.readline()  # "ready"
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.process.kill()
        return ["crash" if ready else "hang", f"status {self.process.wait()}"]


GOOD = ("refused", "refused by predict", "loads")


def same(a, b):
    return len(a) == len(b) and np.allclose(a, b, rtol=1e-6, atol=1e-6)


def attack(rng, folder, n_models, n_gap, program):
    intact = intact_models(folder)
    workers = {name: Worker([sys.executable, __file__, "--work"]) for name in ("python", "cpp")}
    if program:
        workers["program"] = Worker([program])
    frames = {}
    for name, (path, atoms) in intact.items():
        frames[name] = str(path) + ".extxyz"
        ase.io.write(frames[name], atoms, columns=["symbols", "positions"], write_results=False)
    ase.io.write(folder / "gap.extxyz", ase.io.read(REFERENCE / "gap" / "test.xyz", ":2"))
    expected = {}
    for name, (path, _) in intact.items():
        answer, expected[name] = workers["python"].ask(json.dumps(["python", str(path), frames[name]]))
        if answer != "loads":
            raise SystemExit(f"the intact model {name}: {answer}: {expected[name]}")
    table, wrong = collections.defaultdict(collections.Counter), []

    def judge(kind, path, answers, byte_damage=False, expected=None):
        for who, (answer, _) in answers.items():
            table[f"{'GAP' if kind.startswith('GAP') else 'models'}, {who}"][answer] += 1
        reasons = [f"{who}: {answer} ({text})" for who, (answer, text) in answers.items() if answer not in GOOD]
        loads = [answers[who][1] for who in answers if answers[who][0] == "loads"]
        accepted = [answer[0] != "refused" for answer in answers.values()]
        if len(set(accepted)) > 1:
            reasons.append(f"one accepts it: { {who: answer[0] for who, answer in answers.items()} }")
        if any(not same(loads[0], other) for other in loads[1:]):
            reasons.append("other numbers in Python and C++")
        if byte_damage and any(not same(expected, values) for values in loads):
            reasons.append("the bytes changed, and so do the numbers")
        if reasons:
            kept = folder.parent / f"wrong-{len(wrong)}{path.suffix}"
            shutil.copyfile(path, kept)
            wrong.append(f"{kind}: {kept}: {'; '.join(map(str, reasons))[:600]}")
            print(wrong[-1], flush=True)

    def requests(path, frames):
        answers = {}
        for who, worker in workers.items():
            answers[who] = worker.ask(json.dumps([who, str(path), frames]) if who != "program" else f"{path}\t{frames}")
        return answers

    target = folder / "damaged"
    for _ in range(n_models):
        name = rng.choice(sorted(intact))
        kind = damaged_model(rng, intact[name][0], target)
        format_2 = not name.endswith("_v1")  # without a checksum the numbers of format 1 can change
        judge(
            f"{kind} of {name}",
            target,
            requests(target, frames[name]),
            format_2 and kind.startswith("bytes"),
            expected[name],
        )
    for _ in range(n_gap):
        with tempfile.TemporaryDirectory(dir=folder) as own:
            kind, path = damaged_gap(rng, pathlib.Path(own))
            judge(
                kind,
                path,
                {"python": workers["python"].ask(json.dumps(["python", str(path), str(folder / "gap.extxyz")]))},
            )
    return table, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=int, default=3000)
    parser.add_argument("--gap", type=int, default=500)
    parser.add_argument("--program", help="reads lines 'file TAB frames' and answers like this script's own processes")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return 0
    folder = pathlib.Path(tempfile.mkdtemp()) / "models"
    folder.mkdir()
    table, wrong = attack(random.Random(arguments.seed), folder, arguments.models, arguments.gap, arguments.program)
    columns = sorted({column for row in table.values() for column in row}, key=lambda c: (c not in GOOD, c))
    print("\n| | files | " + " | ".join(columns) + " |\n|---|---|" + "---|" * len(columns))
    for name, row in table.items():
        print(f"| {name} | {sum(row.values())} | " + " | ".join(str(row[column]) for column in columns) + " |")
    print(f"\nseed {arguments.seed}: {len(wrong)} not right")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
