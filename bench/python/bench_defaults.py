"""Fits without a configuration on published data: errors, and whether error bars cover them, over several seeds.

    python bench/python/bench_defaults.py FOLDER [--sets silicon lithium ...] [--seeds 5] [--options ...]

FOLDER/<set> holds train.extxyz and test.extxyz, and isolated_atoms.extxyz where there are free atoms; qm7 holds
qm7.extxyz, split at random. Every line is ``mercer fit train.extxyz --seed K`` and nothing more, except for the unit
of qm7 and what --options adds. Published errors stand beside the measured ones where there are any; energies in
meV/atom (meV per molecule for ethanol and aspirin, kcal/mol for qm7), forces in meV/Angstrom, virials in meV/atom.

Coverage: share of test errors within one and two (1.96) standard deviations; goal 60-76 and 90-98 %. rho: rank
correlation of |error| and standard deviation.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.stats import spearmanr

#: {set: (mean absolute error of energies, of forces, source)}
PUBLISHED = {
    "silicon": (2.91, 70.0, "GAP, Zuo et al. 2020"),
    "lithium": (0.49, 10.0, "GAP, Zuo et al. 2020"),
    "nickel": (0.42, 20.0, "GAP, Zuo et al. 2020"),
    "ethanol": (3.5, 18.1, "GAP, Kovacs et al. 2021"),
}
#: Sets whose energies are given per molecule.
PER_MOLECULE = ("ethanol", "aspirin-xtb", "ether-xtb")
KCAL = 0.0433641153
#: Frames whose forces get standard deviations.
MOST_FRAMES = 100


def command(name, folder, seed, output, options):
    fit = [sys.executable, "-m", "mercer", "fit"]
    if name == "qm7":
        files = [folder / "qm7.extxyz", "--n-train", "5000", "--units", "energy=kcal/mol", "--e0", "none"]
    else:
        isolated = folder / "isolated_atoms.extxyz"
        files = [*([isolated] if isolated.exists() else []), folder / "train.extxyz", "--test", folder / "test.extxyz"]
    return [str(part) for part in (*fit, *files, "--seed", seed, "-o", output, *options)]


def coverage(errors, std):
    """Shares of errors within one and 1.96 standard deviations, and the rank correlation of their sizes."""
    known = std > 1e-3 * np.sqrt(np.mean(std**2))  # symmetry leaves some forces without error and variance
    errors, std = np.abs(errors[known]), std[known]
    return {
        "68": float(np.mean(errors <= std)),
        "95": float(np.mean(errors <= 1.96 * std)),
        "rho": float(spearmanr(errors, std).statistic),
    }


def measure(name, folder, seed, options):
    """Test errors and coverage of one fit."""
    import mercer
    from mercer.structures import read_frames, read_labels

    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) / "run"
        start = time.perf_counter()
        done = subprocess.run(command(name, folder, seed, output, options), capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            return {"failed": done.stderr[-500:]}
        metrics = json.loads((output / "metrics.json").read_text())
        potential = mercer.load(output / "model.mercer")
        found = {"seconds": seconds, "n_sparse": sum(sum(t.values()) for t in metrics["fit"]["n_sparse"])}
        found["errors"] = metrics["errors"]["test"]
        if name == "qm7":
            return found
        frames = read_frames(folder / "test.extxyz")
        frames = frames.take(np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int)))
        labels = read_labels(frames)
        kinds = [kind for kind in ("energy", "forces") if labels.has(kind).any()]
        predicted = potential.predict(frames, std=kinds)
        for kind in kinds:
            known = np.isfinite(getattr(labels, kind))
            errors = (predicted[kind] - getattr(labels, kind))[known]
            found[f"coverage {kind}"] = coverage(errors, predicted[f"{kind}_std"][known])
    return found


def mean(values):
    """Mean and spread over seeds as text."""
    values = np.asarray(values, float)
    digits = 3 if values.mean() < 1 else 2 if values.mean() < 10 else 1
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def table(results):
    """Markdown lines: one row per set, and one per config_type where there are several."""
    head = ["set", "energy", "forces", "virials", "published", "energy 68/95, rho", "forces 68/95, rho", "points", "s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, runs in results.items():
        failed = [run["failed"] for run in runs if "failed" in run]
        runs = [run for run in runs if "failed" not in run]
        if failed:
            lines.append(f"| {name} | {len(failed)} fits failed: {failed[0]!r} |" + " |" * (len(head) - 2))
        if not runs:
            continue

        def errors(quantity, factor, group="all", runs=runs):
            parts = [run["errors"].get(quantity, {}) for run in runs]
            values = [
                part.get("all") if group == "all" else part.get("by_config_type", {}).get(group) for part in parts
            ]
            return "" if None in values else mean([value["mae"] * factor for value in values])

        energy = ("energy_per_atom", 1e3)
        if name in PER_MOLECULE or name == "qm7":
            energy = ("energy", 1 / KCAL if name == "qm7" else 1e3)
        groups = sorted(runs[0]["errors"][energy[0]].get("by_config_type", {}))
        for group in ["all", *(groups if len(groups) > 1 else [])]:
            row = [name if group == "all" else f"· {group}"]
            row += [errors(*energy, group), errors("forces", 1e3, group), errors("virial_per_atom", 1e3, group)]
            if group == "all":
                e, f, _ = PUBLISHED.get(name, ("", "", ""))
                row.append(f"{e}, {f:g}" if f else "")
                for kind in ("energy", "forces"):
                    c = [run[f"coverage {kind}"] for run in runs if f"coverage {kind}" in run]
                    parts = [np.mean([x[key] for x in c]) for key in ("68", "95", "rho")] if c else []
                    row.append(f"{100 * parts[0]:.0f} / {100 * parts[1]:.0f}, {parts[2]:.2f}" if c else "")
                row += [mean([run["n_sparse"] for run in runs]), mean([run["seconds"] for run in runs])]
            else:
                row += [""] * 5
            lines.append("| " + " | ".join(row) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="+", help="folders with sets")
    parser.add_argument("--sets", nargs="+", default=["silicon", "lithium", "nickel", "ethanol", "nbmotaw", "qm7"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="options of mercer fit, last of all")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("defaults.json"))
    arguments = parser.parse_args()
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            runs = results.setdefault(name, [])
            if len(runs) > seed:
                continue
            folder = next((parent / name for parent in arguments.folder if (parent / name).is_dir()), None)
            if folder is None:
                raise SystemExit(f"{name}: no such folder in {', '.join(map(str, arguments.folder))}")
            runs.append(measure(name, folder, seed, arguments.options))
            arguments.output.write_text(json.dumps(results, indent=1))
            print(name, seed, json.dumps({k: v for k, v in runs[-1].items() if k != "errors"}), flush=True)
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
