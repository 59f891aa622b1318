"""Damaged files of extended XYZ, read and checked as a fit does it; counts what comes of it.

    python bench/python/attack_data.py --seed 0 [--files 1000] [--show other]

Right files are damaged by chance: tokens, lines, columns, bytes. Each is read in a process of its own with a limit of
time and memory. "refused": an error of mercer that names the file; "unnamed": one that does not; "read": frames whose
numbers are finite; "nan": others; "other": any other exception; "crash"; "hang".
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import ase.io
import numpy as np
from ase.build import bulk, molecule
from attack_api import in_child
from mercer.checks import check_data
from mercer.errors import MercerError
from mercer.structures import read_frames, read_labels

OUTCOMES = ("refused", "unnamed", "read", "nan", "other", "crash", "hang")
#: What stands where something else is expected.
TOKENS = (
    "nan", "inf", "-inf", "1e999", "1e300", "-1", "0", "", "T", "F", "Xx", "Si1", "14", "1.5.2", "0x1F", "1_000",
    "1d-3", "1,5", "None", "null", "[", "]", '"', "'", "{", "}", "=", ":", "\\", "_JSON [[1,", "_JSON 1", "é",
    "\ufeff", "\u2212" "1.0", "\0", "Å", "9" * 400, "a" * 5000, "2147483648", "99999999999999", "[1, 2, 3]",
    '"1 0 0"', "1e-320", "[[" * 200, "{" * 200,
)  # fmt: skip
#: Entries of a comment line.
ENTRIES = (
    'Lattice="1 0 0 0 1 0 0 0"', 'Lattice="0 0 0 0 0 0 0 0 0"', 'Lattice="nan 0 0 0 1 0 0 0 1"', "Lattice=5",
    'Lattice=""', 'Lattice="1e300 0 0 0 1e300 0 0 0 1e300"', 'Lattice="5 0 0 5 0 0 0 0 5"',
    'Lattice="a b c d e f g h i"', 'pbc="T T"', 'pbc="T T T T"', 'pbc="yes no 1"', "pbc=T", 'pbc="[1, 2"',
    "Properties=species:S:1:pos:R:2", "Properties=species:S:1", "Properties=pos:R:3",
    "Properties=species:S:1:pos:R:3:forces:R:1000", "Properties=species:S:1:pos:S:3",
    "Properties=species:I:1:pos:R:3", "Properties=species:S:-1:pos:R:3", "Properties=species:S:1:pos:R:3:Z:I:1",
    "Properties=species:S:1:pos:R:3:pos:R:3", "Properties=:::", "Properties=species:X:1:pos:R:3", "Properties=",
    "REF_energy", "REF_energy=", "REF_energy=T", "REF_energy=[1,2]", "REF_energy=-1e400", "REF_energy=abc",
    'REF_stress="1 2 3"', 'REF_stress="1 2 3 4 5 6 7 8 9 10"', 'REF_virial="nan nan nan nan nan nan"', "config_type=",
    "config_type=[1,2]", 'energy_sigma="a"', "energy_sigma=-1", "=5", "a b=c d=e=f", "numbers=5", "positions=[1,2,3]",
    "cell=3", "species=Si", 'Lattice="3 0 0 0 3 0 0 0 3" Lattice="4 0 0 0 4 0 0 0 4"', "Time=1e5",
    'stress="_JSON [[1, 2], [3]]"', "'REF_energy'=1",
)  # fmt: skip


def right_files(folder):
    """Texts of files without a fault: molecules, crystals, one atom, labels of all kinds."""
    texts = []
    for k, kinds in enumerate((["H2O", "H2O2", "CH4", "H"], ["Si", "Si"], ["NaCl"])):
        frames = [bulk(n, cubic=True) if n == "Si" else _salt() if n == "NaCl" else molecule(n) for n in kinds]
        for seed, atoms in enumerate(frames):
            atoms.rattle(0.05, seed=seed)
            atoms.info |= {"REF_energy": -3.5 * len(atoms) - 0.1 * seed, "config_type": "bulk" if k else "molecule"}
            atoms.arrays["REF_forces"] = 0.3 * np.sin(np.arange(3.0 * len(atoms))).reshape(-1, 3)
            if k:
                atoms.info["REF_stress"] = 0.01 * np.eye(3)
        path = Path(folder) / f"right{k}.extxyz"
        ase.io.write(path, frames, format="extxyz")
        texts.append(path.read_text())
    return texts


def _salt():
    return bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)


def damage(text, rng):
    """The text of a file with one to three faults, as bytes."""
    lines = text.split("\n")
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        k = rng.randrange(max(1, len(lines) - 1))
        words = lines[k].split(" ")
        kind = rng.randrange(12)
        if kind < 3:  # a word becomes another
            words[rng.randrange(len(words))] = rng.choice(TOKENS)
        elif kind == 3:
            words.insert(rng.randrange(len(words) + 1), rng.choice(TOKENS))
        elif kind == 4:
            del words[rng.randrange(len(words))]
        elif kind == 5:  # of a comment line, if there is one
            comments = [i for i, line in enumerate(lines) if "Properties" in line]
            if comments:
                k = rng.choice(comments)
                words = lines[k].split(" ")
                new = rng.choice(ENTRIES)
                key = new.split("=")[0]
                words = [w for w in words if not w.startswith(f"{key}=") or rng.random() < 0.3]
                words.insert(rng.randrange(len(words) + 1), new)
        elif kind == 6:  # another number of atoms
            counts = [i for i, line in enumerate(lines) if line.strip().isdigit()]
            if counts:
                k = rng.choice(counts)
                words = [rng.choice(["0", "-3", "1e3", "7", "1", "10000000000000", "3.0", "three", "", "+2", "0x2"])]
        lines[k] = " ".join(words)
        if kind == 7:
            del lines[k]
        elif kind == 8:
            lines.insert(k, rng.choice(["", "   ", lines[rng.randrange(len(lines))], "# note", "5", "\t"]))
        elif kind == 9:
            lines = lines[: k + 1]
        elif kind == 10:
            other = rng.randrange(len(lines))
            lines[k], lines[other] = lines[other], lines[k]
    data = rng.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines).encode("utf-8", "surrogatepass")
    how = rng.randrange(12)
    if how == 0:
        data = data[: rng.randrange(len(data) + 1)]
    elif how == 1:
        changed = bytearray(data or b"x")
        for _ in range(rng.choice([1, 3, 20])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        data = bytes(changed)
    elif how == 2:
        data = rng.choice(
            [b"\xef\xbb\xbf" + data, data.decode("utf-8", "replace").encode("utf-16"), data * 3, b"", b"\x00"]
        )
    return data


class DamagedFile:
    """What `attack_api.in_child` runs: one file."""

    def __init__(self, path):
        self.path = path

    def outcome(self):
        """(kind, message)"""
        try:
            frames = read_frames(self.path)
            labels = read_labels(frames, required=False)
            check_data(frames, labels)
        except MercerError as error:
            return ("refused" if self.path.name in str(error) else "unnamed"), str(error)
        except BaseException as error:
            return "other", f"{type(error).__name__}: {error}"
        arrays = [a.positions for a in frames] + [a.cell.array for a in frames]
        arrays += [getattr(labels, kind)[labels.has(kind)] for kind in ("energy", "virial")]
        return ("read" if all(np.isfinite(array).all() for array in arrays) else "nan"), ""


def attack(seed, n_files, folder):
    """(file, kind, message) of every damaged file."""
    rng, texts, files = random.Random(seed), right_files(folder), []
    for k in range(n_files):
        path = Path(folder) / f"damaged{k}.extxyz"
        path.write_bytes(damage(rng.choice(texts), rng))
        files.append(DamagedFile(path))
    while files:
        done = 0
        for file, found in zip(files, in_child(files, folder, DamagedFile.outcome), strict=False):
            yield file.path, *found
            done += 1
        files = files[done:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--show", action="append", choices=OUTCOMES, help="print all files of a kind")
    parser.add_argument("--keep", type=Path, help="folder for the files that are shown")
    arguments = parser.parse_args()
    counts, start = Counter(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for path, kind, message in attack(arguments.seed, arguments.files, folder):
            counts[kind] += 1
            if kind in (arguments.show or ("other", "crash", "hang", "nan")):
                print(f"{kind}: {path.name}  {message[:250]!r}", flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(exist_ok=True)
                    (arguments.keep / path.name).write_bytes(path.read_bytes())
    print(f"{sum(counts.values())} files, seed {arguments.seed}: " + ", ".join(f"{counts[k]} {k}" for k in OUTCOMES))
    print(f"{time.perf_counter() - start:.0f} s")
    return bool(counts["other"] + counts["crash"] + counts["hang"] + counts["nan"])


if __name__ == "__main__":
    sys.exit(main())
