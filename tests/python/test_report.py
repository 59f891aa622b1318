"""Error tables, metrics and plots."""

import io
import json
import math

import matplotlib.axes
import numpy as np
import pytest
from mercer import report
from mercer.cli._fit import write_parity
from rich.console import Console


def data():
    n_atoms = np.array([2, 4, 1])
    reference = {"energy": [-2.0, -8.0, np.nan], "forces": np.zeros((7, 3))}
    reference["forces"][6] = np.nan
    predicted = {"energy": np.array([-2.2, -7.6, 5.0]), "forces": np.full((7, 3), 0.5)}
    return report.compare(reference, predicted, ["a", "b", "b"], n_atoms)


def test_compare_counts_only_what_is_labelled():
    parts = data()
    assert list(parts) == ["energy_per_atom", "energy", "forces"]
    np.testing.assert_allclose(parts["energy_per_atom"].errors, [-0.1, 0.1])
    np.testing.assert_allclose(parts["energy"].errors, [-0.2, 0.4])
    assert parts["forces"].reference.shape == (18,)
    assert parts["forces"].groups.tolist() == ["a"] * 6 + ["b"] * 12
    assert parts["energy"].names() == ["a", "b"]


def test_a_prediction_that_is_not_finite_shows():
    parts = report.compare({"energy": [1.0]}, {"energy": [np.nan]}, ["a"], [1])
    assert math.isnan(report.summary(parts["energy"])["mae"])


def test_standard_deviations_are_per_atom():
    parts = report.compare({"energy": [1.0]}, {"energy": [1.0]}, ["a"], [4], {"energy": [0.2]})
    np.testing.assert_allclose(parts["energy_per_atom"].std, [0.05])
    np.testing.assert_allclose(parts["energy"].std, [0.2])


def test_summary():
    errors = np.array([0.3, -0.4, 0.0])
    s = report.summary(report.Comparison(np.zeros(3), errors, np.array(["a"] * 3)))
    assert s["n"] == 3
    assert abs(s["mae"] - 0.7 / 3) <= 1e-15
    assert abs(s["rmse"] - math.sqrt(0.25 / 3)) <= 1e-15
    assert s["max"] == 0.4


def test_metrics_by_set_and_config_type(tmp_path):
    content = {"errors": report.metrics({"test": data()}), "nothing": float("inf")}
    report.write_metrics(tmp_path / "m.json", content)
    read = json.loads((tmp_path / "m.json").read_text())
    assert read["nothing"] is None
    energy = read["errors"]["test"]["energy"]
    assert abs(energy["all"]["mae"] - 0.3) <= 1e-12
    assert abs(energy["by_config_type"]["b"]["mae"] - 0.4) <= 1e-12


def test_table_fits_a_narrow_terminal():
    console = Console(width=80, record=True, file=io.StringIO())
    energies = {q: c for q, c in data().items() if q != "forces"}
    console.print(report.error_table({"train": energies, "test": energies}))
    text = console.export_text()
    assert "config_type" in text and "meV/atom" in text
    assert "100.00" in text and "0.3000" in text
    assert sum(line.strip().startswith(("train", "test")) for line in text.splitlines()) == 2
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_column_is_shown_whole_whatever_the_width(width):
    """Wide tables become several; heads and numbers are never cut."""
    rng = np.random.default_rng(0)
    groups, n_atoms = ["a quite long name", "b", "b"], [2, 3, 4]
    reference = {"energy": rng.normal(size=3), "energies": rng.normal(size=9), "forces": 1e3 * rng.normal(size=(9, 3))}
    reference |= {"virial": rng.normal(size=(3, 3, 3)), "stress": rng.normal(size=(3, 6))}
    parts = report.compare(reference, {k: 2 * v for k, v in reference.items()}, groups, n_atoms)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report.ErrorTables({"train": parts, "cross-validation": parts, "test": parts}))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for quantity in ("energy_per_atom", "energies", "forces", "stress"):
        unit, factor, digits = report.UNITS[quantity]
        assert unit in text
        for measure in ("mae", "rmse"):
            assert f" {report.summary(parts[quantity])[measure] * factor:.{digits}f}" in text, (quantity, measure)
    assert text.count("config_type") == text.count("validation") == text.count("MAE") // {60: 1, 80: 2, 200: 4}[width]


def test_a_group_has_one_colour_in_every_plot(tmp_path, monkeypatch):
    """Also where another group is the largest of a plot, or one is missing."""
    used = []
    scatter = matplotlib.axes.Axes.scatter
    monkeypatch.setattr(
        matplotlib.axes.Axes, "scatter", lambda *a, **k: used.append(k["facecolors"]) or scatter(*a, **k)
    )
    few = report.Comparison(np.zeros(5), np.ones(5), np.array(["a", "a", "a", "b", "c"]))
    many = report.Comparison(np.zeros(8), np.ones(8), np.array(["c"] * 6 + ["b"] * 2))
    sets = {"train": {"energy_per_atom": few, "forces": many}}
    write_parity(tmp_path, sets)
    a, b, c = report.COLOURS[:3]
    assert used == [a, a, b, b, c, c, c, c, b, b]


def test_table_without_config_types_has_one_row_a_set():
    parts = report.compare({"energy": [1.0, 2.0]}, {"energy": [1.0, 2.1]}, ["", ""], [1, 1])
    assert report.error_table({"train": parts}).row_count == 1


def noisy(n, groups, seed):
    rng = np.random.default_rng(seed)
    names = np.array(groups)[np.arange(n) % len(groups)]
    energies = rng.normal(size=n)
    return report.compare({"energy": energies}, {"energy": energies + 0.01}, names, np.ones(n, int))


@pytest.mark.parametrize("groups", [[""], ["bulk", "surface"], [f"type {k}" for k in range(12)]])
def test_parity_plot(tmp_path, groups):
    path = tmp_path / "parity.png"
    report.parity_plot(path, {"train": noisy(40, groups, 0), "test": noisy(12, groups, 1)}, title="a title")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_parity_plot_of_a_single_point(tmp_path):
    report.parity_plot(tmp_path / "p.png", {"test": noisy(1, ["a"], 0)})


def test_learning_curve(tmp_path):
    path = tmp_path / "curve.png"
    report.learning_curve_plot(path, [10, 20, 40], {"MAE": [3.0, 2.0, 1.0], "RMSE": [4.0, 3.0, 2.0]}, title="t")
    assert path.read_bytes().startswith(b"\x89PNG")
