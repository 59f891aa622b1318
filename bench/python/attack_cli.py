"""The command line with bad input: values of options, command lines, places of output, data files, models and YAML
files made by chance; counts what comes of it.

    python bench/python/attack_cli.py --seed 0 [--only yaml --only options] [--n 200] [--show unclear]

Each case runs in a process of its own with a limit of time and memory, in a folder with a small fit. "clear": one
message that names what is wrong; "unclear": another message, or more than one; "accepted": exit status 0; "internal":
"this should not happen"; "traceback"; "crash"; "hang"; "damaged": earlier results, or a file that is not regular, were
changed by a command that failed. What is accepted and what is unclear is to be read (--show accepted).
"""

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("COLUMNS", "200")

import ase.io
import mercer
import numpy as np
from ase.build import bulk
from mercer.cli import main
from mercer.config import all_options

OUTCOMES = ("clear", "accepted", "unclear", "internal", "traceback", "crash", "hang", "damaged")
SECONDS = 40
BYTES = 4 * 2**30
SMALL = ["--set", "terms.0.n_sparse=6", "--set", "terms.0.descriptor.n_max=3", "--set", "terms.0.descriptor.l_max=2"]


@dataclass
class Case:
    """A command line, the files that it needs, and words of which a clear message holds one."""

    arguments: list
    words: tuple = ()
    files: dict = field(default_factory=dict)
    prepare: object = None


# ------------------------------------------------------------------------------------------------ values

NUMBERS = [
    *("-1", "0", "1", "-0.5", "1.5", "1e9", "1e300", "-1e300", "1e-300", "1e400", "9" * 30, "9" * 5000, ".nan", ".inf"),
    *("-.inf", "true", "false", "1e6", "1000000", "100000000000", "0x10", "1_000", "1:30", "010", "+5"),
]
OTHERS = [
    *("null", "~", "''", "' '", "[]", "{}", "[1, 2]", "[[[[1]]]]", "{a: 1}", "{1: 2}", "{Si: true}", "{Xx: 1}", "text"),
    *("Si", "none", "auto", "all", '"a\\0b"', '"\\ud800"', '"a\\nb"', "&a [*a]", "*b", "!!python/name:os.system x"),
    *("[null]", "[true]", "2001-01-01", "{type: [a]}", "{type: soap, type: mbtr}", "{type: null}", "{name: x}"),
    *("x" * 3000, "[" * 500, "é", "{a: 1, a: 2}", "a: b: c", "soap", "mbtr", "gaussian", "{type: matern, nu: 7}", "@"),
]
VALUES = NUMBERS + OTHERS


def options(random_, n):
    """Every option of a fit, by --set."""
    names = all_options()
    for k in range(n):
        name = names[k % len(names)] if k < len(names) else random_.choice(names)
        value = random_.choice(VALUES)
        kind = name.rsplit(".", 1)[-1]
        words = (kind, name, "'--set", "--set", value[:20])
        yield Case(["fit", "train.extxyz", "-o", "run", *SMALL[:2], "--set", f"{name}={value}"], words)


OF_LABELS = "--energy-key", "--key", "--units"
FLAGS = {
    "fit": [
        *("--test", "--config", "--output", "--n-sparse", "--r-cut", "--sigma-energy", "--sigma-forces", "--terms"),
        *("--representation", "--kernel", "--baseline", "--e0", "--n-train", "--test-fraction", "--repeats", "--set"),
        *("--validation", "--validation-fraction", "--max-memory", "--seed", "--threads", "--sigma-virial", *OF_LABELS),
    ],
    "predict": ["--output", "--prefix", "--threads"],
    "evaluate": ["--output", "--threads", *OF_LABELS],
    "info": [*OF_LABELS],
    "md": [
        *("--output", "--steps", "--timestep", "--temperature", "--friction", "--interval", "--seed", "--skin"),
        *("--warn-above", "--threads"),
    ],
    "demo": ["--n-frames"],
}
SWITCHES = [
    *("--no-forces", "--two-body", "--no-error-bars", "--dry-run", "--nvt", "--forces-std", "--no-std", "--quiet"),
    *("--std", "--no-virial"),
]
START = {
    "fit": ["fit", "train.extxyz", "-o", "run", *SMALL],
    "predict": ["predict", "run/model.mercer", "test.extxyz", "-o", "out.extxyz"],
    "evaluate": ["evaluate", "run/model.mercer", "test.extxyz"],
    "info": ["info", "test.extxyz"],
    "convert": ["convert", "run/model.mercer", "out.mercer"],
    "md": ["md", "run/model.mercer", "test.extxyz", "-o", "out.extxyz", "--steps", "3"],
    "demo": ["demo", "-o", "alloys", "--n-frames", "20"],
}
WORDS = [
    *("energy=energy", "energy=", "=x", "a=b", "energy=kcal", "Si=1", "Si=1,Si=2", "Xx=1", "Si=", "forces=positions"),
    *(
        "",
        " ",
        "-",
        "--",
        "nothing",
        "train.extxyz",
        "run",
        "a\nb",
        "\udcff",
        "*",
        "[",
        "1e400",
        "5GB",
        "-5GB",
        "1..2GB",
    ),
]


def flags(random_, n):
    """Flags with values that they are not made for, flags together, words in the wrong place."""
    names = [(command, flag) for command, known in FLAGS.items() for flag in known]
    for k in range(n):
        command, flag = names[k % len(names)] if k < len(names) else random_.choice(names)
        if command == "demo" and k >= len(names):
            continue
        value = random_.choice(NUMBERS + WORDS + OTHERS)
        if flag == "--n-frames" and value.lstrip("+").isdigit() and int(value[:9]) > 100:
            value = "-5"
        words = (flag, flag[2:].replace("-", "_"), flag[2:].split("-")[-1], value.strip()[:20] or "empty", "shown")
        words += (value.split("=")[-1] or "empty",)
        arguments = [*START[command], flag, value]
        if random_.random() < 0.2:
            arguments.append(random_.choice(SWITCHES))
            words += (arguments[-1],)
        yield Case(arguments, words)
    for command in [*START, "fti", ""]:
        for rest in ([], ["--nothing"], ["-z"], ["--threads"], ["nothing.extxyz"], ["--debg"], ["--", "--x"]):
            if command != "demo" or rest[:1] not in ([], ["nothing.extxyz"]):
                words = "Missing", "o such", "nothing", "requires", "unexpected", "empty", "training"
                yield Case([command, *rest], words)


def _fifo(path):
    os.mkfifo(path)


def _folder(path):
    os.mkdir(path)


def _folder_of_model(path):
    os.makedirs(path / "model.mercer")


def _file(path):
    path.write_text("kept")


def _link(path):
    os.symlink(path.name, path)


def _read_only(path):
    os.mkdir(path)
    os.chmod(path, 0o500)


def places(random_, n):
    """Where output cannot go."""
    commands = ["fit", "predict", "evaluate", "convert", "md"]
    kinds = [None, _folder, _folder_of_model, _file, _link, _read_only]
    names = [
        *("there", "there/x", "there/x.extxyz", "no/no/x.extxyz", "x" * 300, "a\nb", "\udcff", "", " ", ".", "..", "~"),
        *("/dev/null/x", "train.extxyz/x", "/proc/x", "/sys/x.extxyz", "-", "a\0b", "a/" * 2000, "run/model.mercer/x"),
    ]
    for _ in range(n):
        command, name, kind = random_.choice(commands), random_.choice(names), random_.choice(kinds)
        start = list(START[command])
        if command == "convert":
            start[-1] = name
        elif "-o" in start:
            start[start.index("-o") + 1] = name
        else:
            start += ["-o", name]

        def prepare(folder, kind=kind):
            if kind is not None:
                kind(folder / "there")

        words = "cannot write", "folder", "name", "empty", "regular", "shown", name.strip()[:40] or "empty"
        yield Case(start, words, prepare=prepare)


# ------------------------------------------------------------------------------------------------ files


def make_frames(seed, n=8):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        atoms.info["REF_energy"] = -40.0 + float(rng.normal())
        atoms.info["config_type"] = "bulk"
        atoms.arrays["REF_forces"] = rng.normal(0, 0.3, (8, 3))
        frames.append(atoms)
    return frames


def changed_text(random_, text, tokens):
    """A text with a few changes: characters, words, lines."""
    for _ in range(random_.randint(1, 4)):
        lines = text.split("\n")
        k = random_.randrange(len(lines))
        kind = random_.randrange(7)
        if kind == 0:
            at = random_.randrange(len(text) + 1)
            text = text[:at] + random_.choice(list("{}[]:,&*!|>'\"%@`#-\t \n\x00\x01é=") + tokens) + text[at + 1 :]
        elif kind == 1:
            lines.insert(k, random_.choice(lines))
            text = "\n".join(lines)
        elif kind == 2:
            del lines[k]
            text = "\n".join(lines)
        elif kind == 3:
            words = lines[k].split(" ")
            words[random_.randrange(len(words))] = random_.choice(tokens)
            lines[k] = " ".join(words)
            text = "\n".join(lines)
        elif kind == 4:
            lines[k] = " " * random_.randint(0, 9) + lines[k].lstrip()
            text = "\n".join(lines)
        elif kind == 5:
            text = text[: random_.randrange(len(text) + 1)]
        else:
            other = random_.randrange(len(lines))
            lines[k], lines[other] = lines[other], lines[k]
            text = "\n".join(lines)
        text = text or "x"
    return text


def bombs(random_, _=None):
    """YAML that is short, and large when it is read."""
    kind = random_.randrange(6)
    if kind == 0:
        start, item = random_.choice([("[x, x, x]", "[{}]"), ("{x: 1}", "{{<<: [{}]}}"), ("x", "{{y: [{}]}}")])
        lines = [f"x0: &x0 {start}"]
        for k in range(random_.randint(4, 12)):
            aliases = ", ".join([f"*x{k}"] * random_.randint(5, 10))
            lines.append(f"x{k + 1}: &x{k + 1} " + item.format(aliases))
        return "\n".join(lines)
    if kind == 1:
        return random_.choice(["train: &a [*a]", "terms: &a [{kernel: *a}]", "a: &a {b: *a}", "sigma: &s {<<: *s}"])
    if kind == 2:
        return random_.choice(["[", "{a: ", "- ", "? ", "a:\n "]) * random_.randint(50, 20000)
    if kind == 3:
        return "train: [" + "a.extxyz, " * random_.randint(10_000, 200_000) + "b]"
    if kind == 4:
        return "seed: " + random_.choice(["9", "1e", "0x", "-9", "1_", "1:"]) * random_.randint(100, 100_000)
    return "train: '" + "x" * random_.randint(2**19, 2**22)


def yaml_files(random_, n):
    """Configurations with changes, and a few bombs."""
    text = """train: [train.extxyz]
test: [test.extxyz]
seed: 3
keys: {energy: REF_energy}
sigma:
  energy: 0.01
  forces: 0.1
config_type_sigma:
  bulk: {energy: 0.1}
e0: {Si: -4.5}
terms:
  - descriptor: {type: soap, r_cut: 4.0, n_max: 3, l_max: 2, sigma: 0.5}
    kernel: {type: polynomial, zeta: 2}
    n_sparse: 8
    delta: 1.0
  - descriptor:
      type: pair_distance
      r_cut: 4.0
    kernel: {type: gaussian, length_scale: 1.0}
    n_sparse: 4
baseline: {type: zbl, r_inner: 1.0, r_outer: 2.0}
max_memory: 2GB
threads: 1
output: run
"""
    tokens = [value for value in VALUES if len(value) < 100]
    for k in range(n):
        content = bombs(random_) if k % 10 == 9 else changed_text(random_, text, tokens) if k else text
        words = "y.yaml", "train", "extxyz", "terms"
        yield Case(["fit", "--config", "y.yaml", "--dry-run", "-q"], words, {"y.yaml": content})


def data_files(random_, n):
    """Structures and labels with changes."""
    with tempfile.TemporaryDirectory() as folder:
        ase.io.write(f"{folder}/x.extxyz", make_frames(5, 4))
        text = Path(f"{folder}/x.extxyz").read_text()
    tokens = ["nan", "inf", "1e400", "T", "F", "Xx", "0", "-1", "99999999999", "1e300", '"', "pbc=", ""]
    tokens += ["Lattice=", "REF_energy=", "REF_energy=-3", "REF_forces", "Properties=", "config_type=a"]
    commands = ["fit", "predict", "evaluate", "info", "md"]
    for k in range(n):
        command = random_.choice(commands)
        start = ["bad.extxyz" if word in ("train.extxyz", "test.extxyz") else word for word in START[command]]
        if k % 8 == 7:
            whole = (
                b"",
                b"\0" * 100,
                b"5\n",
                b"\n" * 50,
                random_.randbytes(500),
                b"1\n\nSi 0 0",
                b"9" * 9 + b"\n\nSi 0 0 0\n",
            )
            content = random_.choice(whole)
        else:
            content = changed_text(random_, text, tokens)
        yield Case(start, ("bad.extxyz",), {"bad.extxyz": content})


def models(random_, n):
    """Damaged models, read by every command that reads one."""
    for k in range(n):
        command = random_.choice(["predict", "evaluate", "convert", "md", "info"])
        start = ["bad.mercer" if word == "run/model.mercer" else word for word in START[command]]
        start = ["info", "bad.mercer"] if command == "info" else start

        seed = random_.random()

        def prepare(folder, k=k, seed=seed):
            rng = random.Random(seed)
            content = bytearray((folder / "run" / "model.mercer").read_bytes())
            if k % 3 == 0:
                del content[rng.randrange(len(content)) :]
            elif k % 3 == 1:
                for _ in range(rng.randint(1, 20)):
                    content[rng.randrange(min(len(content), 4000))] = rng.randrange(256)
            else:
                at = rng.randrange(len(content))
                content[at : at + rng.randint(1, 200)] = rng.randbytes(rng.randint(0, 300))
            (folder / "bad.mercer").write_bytes(bytes(content))

        yield Case(start, ("bad.mercer",), prepare=prepare)


PARTS = {
    "options": (options, 360), "flags": (flags, 150), "places": (places, 80), "data": (data_files, 120),
    "models": (models, 80), "yaml": (yaml_files, 500),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ running


def contents(folder):
    """What must stay: name -> type and bytes of everything."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = stat.S_IFMT(path.lstat().st_mode)
        found[str(path.relative_to(folder))] = kind, path.read_bytes() if stat.S_ISREG(kind) else b""
    return found


def run(case, template, folder):
    """-> (outcome, what was printed last)."""
    shutil.copytree(template, folder)
    for name, content in case.files.items():
        (folder / name).write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )
    if case.prepare is not None:
        case.prepare(folder)
    before = contents(folder)
    log = folder.parent / "log"
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        handle = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        for number in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR) if number < 2 else handle, number)
        os.chdir(folder)
        status = 99
        try:
            status = main(case.arguments)
            sys.stderr.flush()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status if isinstance(status, int) else 98)
    status = wait(child)
    told = log.read_text(errors="replace")
    after = contents(folder)
    return judge(case, status, told, before, after), told


def wait(child):
    """Exit status of a process, None if it had to be ended."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def judge(case, status, told, before, after):
    if status is None:
        return "hang"
    if os.WIFSIGNALED(status):
        return "crash"
    if "Traceback (most recent call last)" in told:
        return "traceback"
    if "should not happen" in told:
        return "internal"
    lines = [line for line in told.splitlines() if line and not line.startswith("warning: ")]
    if os.WEXITSTATUS(status) == 0:
        return "unclear" if any(line.startswith("error") for line in lines) else "accepted"
    if before != after:
        return "damaged"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return "unclear"
    return "clear" if any(word and word in lines[0] for word in case.words) else "unclear"


def prepare_template(folder):
    ase.io.write(folder / "train.extxyz", make_frames(0))
    ase.io.write(folder / "test.extxyz", make_frames(1, 3))
    with contextlib.chdir(folder):
        assert main(["fit", "train.extxyz", "-o", "run", "-q", *SMALL]) == 0
    (folder / "run" / "parity.png").write_bytes(b"small")  # pictures are large
    mercer.set_num_threads(0)


def attack():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--n", type=int, help="cases of each part")
    parser.add_argument("--show", action="append", default=[], choices=OUTCOMES, help="print these cases")
    arguments = parser.parse_args()
    counts = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as name:
        template, folder = Path(name) / "template", Path(name) / "case"
        template.mkdir()
        prepare_template(template)
        for part in arguments.only or PARTS:
            make, n = PARTS[part]
            for case in make(random.Random(f"{arguments.seed} {part}"), arguments.n or n):
                outcome, told = run(case, template, folder)
                counts[part][outcome] += 1
                if outcome in arguments.show:
                    words = " ".join(word if len(word) < 90 else word[:80] + "..." for word in case.arguments)
                    print(f"{outcome}: {words!r}\n    {told.strip()[-400:]!r}", flush=True)
                    if case.files and len(str(case.files)) < 3000:
                        print("    " + repr(case.files), flush=True)
                os.chmod(folder, 0o700)
                shutil.rmtree(folder, ignore_errors=True)
    print(f"seed {arguments.seed}\n{'':10s}" + "".join(f"{outcome:>10s}" for outcome in OUTCOMES))
    for part, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print(f"{part:10s}" + "".join(f"{found[outcome]:10d}" for outcome in OUTCOMES))


if __name__ == "__main__":
    attack()
