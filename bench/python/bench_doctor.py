"""False alarms of the checks of data on sets that are right, and the share of planted faults that they find.

    python bench/python/bench_doctor.py [--only TEXT] [--every N] [--faults-every N] [--out docs/checks.md]
        [--data FOLDER]

Every set of `doctor_sets.py` is checked as it is (an alarm is a finding that is certain or likely) and with every fault
of `doctor_faults.py` that its data determine; the criterion of each fault is written beside its share. --out replaces
the tables of that page. FOLDER holds published sets, silicon/train.extxyz and so on, which are checked too.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import time
import warnings

import numpy as np
from doctor_faults import EV_A3_IN_KBAR, FAULTS, Facts
from doctor_sets import right_sets
from mercer.checks import check_data
from mercer.errors import DataError
from mercer.structures import read_frames

warnings.simplefilter("ignore")
BEGIN, END = "<!-- tables of bench_doctor.py -->", "<!-- end of the tables -->"


def alarms(found):
    """Findings that are certain or likely."""
    return [finding for finding in found if finding.level != "note"]


def examine(frames, fault, seed):
    """Findings after a fault was planted."""
    frames = [atoms.copy() for atoms in frames]
    fault.plant(frames, np.random.default_rng(seed))
    try:
        return check_data(frames, quick=fault.checks != ("outliers",)), ""
    except DataError as error:
        return [], str(error)


def is_found(found, refused, fault):
    """Whether a finding, or an error of reading, says what is wrong; and whether its remedy is the right one."""
    named = [f for f in found if any(check in f.check for check in fault.checks)]
    remedies = " ".join(" ".join(f.remedy) for f in named)
    texts = " ".join(map(str, named))
    return bool(named or refused), bool(refused) or (bool(named) and fault.remedy in remedies + texts)


def published(folder):
    """Alarms on published sets: as they are, and with the stresses named virials that they once held."""
    lines = []
    for path in sorted(folder.glob("*/train.extxyz")):
        frames = read_frames(path)
        start = time.perf_counter()
        found = check_data(frames, quick=False)
        seconds = time.perf_counter() - start
        said = "; ".join(f"{f.check} ({f.level})" for f in found) or "none"
        old = "-"
        if any("REF_virial" in atoms.info for atoms in frames):
            before = [atoms.copy() for atoms in frames]
            for atoms in before:
                if "REF_virial" in atoms.info:
                    virial = np.asarray(atoms.info["REF_virial"], float).reshape(3, 3).copy()
                    virial[0, 2], virial[1, 2] = virial[1, 2], virial[0, 2]
                    virial[2, 0], virial[2, 1] = virial[0, 2], virial[1, 2]
                    atoms.info["REF_virial"] = (virial * EV_A3_IN_KBAR / atoms.get_volume()).ravel()
            old = "; ".join(
                f"{f.check} ({f.level}): {' '.join(f.remedy)}" for f in alarms(check_data(before, quick=False))
            )
        lines.append(f"| {path.parent.name} | {len(frames)} | {said} | {old or 'none'} | {seconds:.1f} |")
    return lines


def one_set(name, frames, faults, seed):
    """Findings of a set as it is, its seconds, and (fault, found, right remedy, what was said) for every fault."""
    start = time.perf_counter()
    found = check_data(frames, quick=False)
    seconds = time.perf_counter() - start
    planted, facts = [], Facts.of(frames)
    for fault in (fault for fault in FAULTS if fault.name in faults and fault.needs(facts)):
        said, refused = examine(frames, fault, seed)
        text = "; ".join(f"{f.check}: {str(f)[:160]}" for f in said)
        planted.append((fault.name, *is_found(said, refused, fault), text or "nothing"))
    return name, [(f.level, f.check, str(f)) for f in found], seconds, planted


def tables(results, faults):
    """The two tables, as lines of Markdown."""
    families = collections.defaultdict(lambda: np.zeros(3, int))
    counts = collections.defaultdict(lambda: np.zeros(3, int))
    for name, found, _, planted in results:
        families[name.rpartition(": ")[2]] += 1, any(level != "note" for level, *_ in found), bool(found)
        for fault, hit, right, _ in planted:
            counts[fault] += 1, hit, right
    lines = ["| frames | sets | false alarms | sets with any finding, notes too |", "|---|---|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {n} | {a} | {b} |" for name, (n, a, b) in families.items()]
    total = np.sum(list(families.values()), axis=0)
    lines += [f"| **all** | **{total[0]}** | **{total[1]}** | **{total[2]}** |", ""]
    lines += ["| fault | where it can be determined | sets | found | with the right remedy |", "|---|---|---|---|---|"]
    for fault in faults:
        n, hit, right = counts[fault.name]
        if n:
            lines.append(f"| {fault.name} | {fault.criterion} | {n} | {hit / n:.0%} | {right / n:.0%} |")
    seconds = [result[2] for result in results]
    return [*lines, "", f"Seconds per set: {np.median(seconds):.2f} in the middle, {np.max(seconds):.2f} at most."]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="sets whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="check every n-th set")
    parser.add_argument("--faults-every", type=int, default=1, help="plant faults in every n-th of these")
    parser.add_argument("--fault", default="", help="faults whose name contains this")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    arguments = parser.parse_args()
    faults = [fault for fault in FAULTS if arguments.fault in fault.name]
    names, results = [fault.name for fault in faults], []
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        waiting = [
            pool.submit(one_set, name, frames, [] if k // arguments.every % arguments.faults_every else names, k)
            for k, (name, frames) in enumerate(right_sets(arguments.only))
            if k % arguments.every == 0
        ]
        for future in waiting:
            name, found, _, planted = future.result()
            results.append(future.result())
            for level, check, text in found:
                print(f"{'note' if level == 'note' else 'ALARM'} {name}: {check}: {text}", flush=True)
            for fault, hit, right, text in planted:
                if not right:
                    print(f"{'remedy' if hit else 'MISSED'} {fault} | {name} | {text}", flush=True)
    lines = tables(results, faults)
    if arguments.data:
        lines += ["", "| published set | frames | findings | with the stresses once named virials | seconds |"]
        lines += ["|---|---|---|---|---|", *published(arguments.data)]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        before, rest = arguments.out.read_text().split(BEGIN)
        arguments.out.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
