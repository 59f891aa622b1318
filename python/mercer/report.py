"""Error tables, metrics and plots of a fit: numbers in, tables and files out. Energies in eV, lengths in Angstrom."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mercer._files import replacing

#: eV/Angstrom^3 in GPa.
EV_PER_A3 = 160.21766208

#: Quantity -> (unit of tables and plots, factor from eV and Angstrom, digits in tables).
UNITS = {
    "energy_per_atom": ("meV/atom", 1000.0, 2),
    "energy": ("eV", 1.0, 4),
    "energies": ("meV", 1000.0, 2),
    "forces": ("meV/Å", 1000.0, 1),
    "virial_per_atom": ("meV/atom", 1000.0, 1),
    "stress": ("GPa", EV_PER_A3, 2),
    "virial": ("eV", 1.0, 4),
}

TITLES = {
    "energy_per_atom": "energy per atom",
    "energy": "energy per structure",
    "energies": "local energies",
    "forces": "force components",
    "virial_per_atom": "virial components per atom",
    "stress": "stress components",
    "virial": "virial components",
}

#: Colours of up to eight groups that are told apart with colour-vision deficiencies (Okabe & Ito, 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


#: Characters that a config_type has at least in a table, and more than any screen.
_NAME, _WIDE = 11, 10_000
#: Places of xx, yy, zz, yz, xz, xy in the nine numbers of a virial.
_VOIGT = [0, 4, 8, 5, 2, 1]


@dataclass(frozen=True)
class Comparison:
    """Reference and prediction of one quantity, value by value.

    Attributes
    ----------
    reference, predicted : (n,) float array
        eV, Angstrom.
    groups : (n,) str array
        ``config_type`` of the frame that each value comes from.
    std : (n,) float array or None
        Predicted standard deviations.
    """

    reference: np.ndarray
    predicted: np.ndarray
    groups: np.ndarray
    std: np.ndarray | None = None

    @property
    def errors(self):
        """Predicted minus reference."""
        return self.predicted - self.reference

    def names(self):
        """Groups in order of their first appearance."""
        return list(dict.fromkeys(self.groups.tolist()))

    def of(self, group):
        """The part that belongs to one group."""
        chosen = self.groups == group
        std = None if self.std is None else self.std[chosen]
        return Comparison(self.reference[chosen], self.predicted[chosen], self.groups[chosen], std)


def compare(reference, predicted, groups, n_atoms, std=None):
    """Comparisons of everything that has both labels and predictions.

    Parameters
    ----------
    reference : mapping
        {"energy": (n_frames,), "energies": (n_atoms,), "forces": (n_atoms, 3) ...}; NaN where there is no label.
    predicted : mapping
        The same keys, as :meth:`mercer.Potential.predict` returns them.
    groups : sequence of str
        ``config_type`` per frame.
    n_atoms : (n_frames,) int array
    std : mapping, optional
        Standard deviations under the same keys.

    Returns
    -------
    dict
        {quantity: Comparison}; an energy gives ``energy_per_atom`` and ``energy``, a virial ``virial_per_atom`` and
        ``virial``, of which the six components that differ count.

    Examples
    --------
    >>> compare({"energy": [-2.0]}, {"energy": [-2.1]}, ["bulk"], [2])["energy_per_atom"].errors.round(3).tolist()
    [-0.05]
    """
    groups, n_atoms = np.asarray(groups, dtype=str), np.asarray(n_atoms)
    out = {}

    def add(name, x, y, s, owners):
        x, y = np.asarray(x, float), np.asarray(y, float)
        known = np.isfinite(x)
        owners = np.broadcast_to(owners.reshape(-1, *[1] * (x.ndim - 1)), x.shape)
        if known.any():
            s = None if s is None else np.asarray(s, float)[known]
            out[name] = Comparison(x[known], y[known], owners[known], s)

    std = std or {}
    for key, values in reference.items():
        if key not in predicted:
            continue
        if key == "energy":
            e, p, s = np.asarray(values, float), np.asarray(predicted[key], float), std.get(key)
            scaled = None if s is None else np.asarray(s, float) / n_atoms
            add("energy_per_atom", e / n_atoms, p / n_atoms, scaled, groups)
        if key == "virial":
            n = n_atoms[:, None]
            values, other = (np.asarray(v, float).reshape(-1, 9)[:, _VOIGT] for v in (values, predicted[key]))
            add("virial_per_atom", values / n, other / n, None, groups)
            add("virial", values, other, None, groups)
            continue
        per_atom = key in ("energies", "forces")
        add(key, values, predicted[key], std.get(key), np.repeat(groups, n_atoms) if per_atom else groups)
    return out


def summary(comparison):
    """{"n", "mae", "rmse", "max"} of one comparison, in eV and Angstrom."""
    errors = np.abs(comparison.errors)
    return {
        "n": int(errors.size),
        "mae": float(errors.mean()),
        "rmse": float(math.sqrt(np.mean(errors**2))),
        "max": float(errors.max()),
    }


def metrics(comparisons):
    """Nested dict of the errors of several sets, for ``metrics.json``.

    Parameters
    ----------
    comparisons : mapping
        {"train": {quantity: Comparison}, "test": ...}.

    Returns
    -------
    dict
        {set: {quantity: {"all": {"n", "mae", "rmse", "max"}, "by_config_type": {name: ...}}}}, in eV and Angstrom; of
        what has standard deviations, "all" has "std" too, see `std_summary`.
    """
    return {
        name: {
            quantity: {
                "all": summary(values) | ({} if values.std is None else {"std": std_summary(values)}),
                "by_config_type": {group: summary(values.of(group)) for group in values.names()},
            }
            for quantity, values in parts.items()
        }
        for name, parts in comparisons.items()
    }


def over_splits(splits):
    """Mean and standard deviation of the errors over several splits of the data.

    Parameters
    ----------
    splits : list of mapping
        {quantity: Comparison} of the test set of each split.

    Returns
    -------
    dict
        {quantity: {"mae": [mean, std], "rmse": [mean, std], "n": number of splits}}, in eV and Angstrom.
    """
    found = {}
    for quantity in dict.fromkeys(q for parts in splits for q in parts):
        errors = [summary(parts[quantity]) for parts in splits if quantity in parts]
        spread = {k: [e[k] for e in errors] for k in ("mae", "rmse")}
        ddof = int(len(errors) > 1)
        found[quantity] = {k: [float(np.mean(v)), float(np.std(v, ddof=ddof))] for k, v in spread.items()}
        found[quantity]["n"] = len(errors)
    return found


def shown_quantities(comparisons):
    """Quantities of a table: energies and virials of structures per atom alone, virials as stress where possible."""
    found = [q for q in UNITS if any(q in parts for parts in comparisons.values())]
    if set(found) - {"energy", "energy_per_atom"}:
        left_out = {"energy", "virial", "virial_per_atom" if "stress" in found else "virial"}
        found = [q for q in found if q not in left_out]
    return found


class ErrorTables:
    """Tables of MAE and RMSE, as few as the width of the screen or file allows: something that rich prints.

    Parameters
    ----------
    comparisons : mapping
        {"train": {quantity: Comparison}, "test": ...}.
    """

    def __init__(self, comparisons):
        self.comparisons = comparisons

    def __rich_console__(self, console, options):
        rest = shown_quantities(self.comparisons)
        while rest:
            n = len(rest)
            while n > 1 and self._width(console, options, rest[:n]) > options.max_width:
                n -= 1
            yield error_table(self.comparisons, rest[:n])
            rest = rest[n:]

    def _width(self, console, options, quantities):
        """Columns that a table needs, long names of config_types folded."""
        table = error_table(self.comparisons, quantities)
        whole = console.measure(table, options=options.update(width=_WIDE)).minimum
        names = {name for parts in self.comparisons.values() for values in parts.values() for name in values.names()}
        longest = max((len(word) for name in names for word in name.split()), default=0)
        return whole - max(0, min(longest, _WIDE) - _NAME)


def error_table(comparisons, quantities=None):
    """A rich table of MAE and RMSE per set and config_type.

    Parameters
    ----------
    comparisons : mapping
        {"train": {quantity: Comparison}, "test": ...}.
    quantities : sequence of str, optional
        Default: all of `shown_quantities`.

    Returns
    -------
    rich.table.Table
    """
    from rich import box
    from rich.table import Table

    quantities = shown_quantities(comparisons) if quantities is None else list(quantities)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("set", no_wrap=True, vertical="bottom")
    table.add_column("config_type", overflow="fold", min_width=_NAME)
    first = quantities[0] if quantities else "energy"
    frames = first in ("energy", "energy_per_atom")
    table.add_column("frames" if frames else "values", justify="right", no_wrap=True)
    for quantity in quantities:
        for measure in ("MAE", "RMSE"):
            head = f"{TITLES[quantity].split()[0]}\n{measure}\n{UNITS[quantity][0]}"
            table.add_column(head, justify="right", no_wrap=True)

    def row(name, label, parts, style=None):
        count = len(parts[first].reference) if first in parts else ""
        cells = []
        for quantity in quantities:
            _, factor, digits = UNITS[quantity]
            if quantity in parts:
                s = summary(parts[quantity])
                cells += [f"{s['mae'] * factor:.{digits}f}", f"{s['rmse'] * factor:.{digits}f}"]
            else:
                cells += ["", ""]
        table.add_row(name.replace("-", "-\n"), label, str(count), *cells, style=style)

    for name, parts in comparisons.items():
        groups = list(dict.fromkeys(g for values in parts.values() for g in values.names()))
        if len(groups) > 1:
            for i, group in enumerate(groups):
                chosen = {q: values.of(group) for q, values in parts.items() if group in values.names()}
                row("" if i else name, group, chosen)
        row("" if len(groups) > 1 else name, "all" if len(groups) != 1 else groups[0] or "all", parts, style="bold")
        table.add_section()
    return table


def std_summary(comparison):
    """How predicted standard deviations compare with the errors; the noise of the labels is not in them.

    Returns
    -------
    dict
        "n", how many have one; "median" standard deviation; "within_1", "within_2": parts of the errors within one and
        two of them (0.683 and 0.954 of a normal distribution); "coverage_68" and "coverage_95": parts within the
        central intervals of 68 and 95 %; "rank_correlation" of |error| and standard deviation (Spearman).
    """
    known = np.isfinite(comparison.std)
    errors, std = np.abs(comparison.errors)[known], comparison.std[known]
    ratio = errors / np.maximum(std, 1e-300)
    ranks = [np.argsort(np.argsort(v, kind="stable")) for v in (errors, std)]
    varied = len(errors) > 2 and np.ptp(std) > 0
    parts = {"within_1": 1.0, "within_2": 2.0, "coverage_68": 0.99446, "coverage_95": 1.95996}
    return {
        "n": len(errors),
        "median": float(np.median(std)) if len(errors) else None,
        **{name: float(np.mean(ratio <= limit)) if len(errors) else None for name, limit in parts.items()},
        "rank_correlation": float(np.corrcoef(*ranks)[0, 1]) if varied else None,
    }


def describe_std(comparison, quantity="energy_per_atom"):
    """One line on how predicted standard deviations compare with the errors."""
    unit, factor, digits = UNITS[quantity]
    s = std_summary(comparison)
    rank = "" if s["rank_correlation"] is None else f"; rank correlation with the errors {s['rank_correlation']:.2f}"
    return (
        f"predicted standard deviation of the {TITLES[quantity]}: median {s['median'] * factor:.{digits}f} {unit}; "
        f"errors within one: {100 * s['within_1']:.0f} %, within two: {100 * s['within_2']:.0f} %{rank}"
    )


def write_metrics(path, content):
    """Write a dict as JSON; numbers that are not finite become null."""

    def clean(value):
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    with open(path, "w", encoding="utf-8") as file:
        json.dump(clean(content), file, indent=2, ensure_ascii=False)
        file.write("\n")


# ------------------------------------------------------------------------------------------------- plots


def new_figure(width, height, columns=1, rows=1):
    """A figure that belongs to no window system, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex="col" if rows > 1 else "none").ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="0.92", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def group_colours(comparisons, most=8):
    """{group: colour} for every plot of these comparisons; the rarest groups beyond `most` share grey under "other".

    Parameters
    ----------
    comparisons : iterable of Comparison
    """
    count = {}
    for c in comparisons:
        for group, n in zip(*np.unique(c.groups, return_counts=True), strict=True):
            count[group] = count.get(group, 0) + int(n)
    names = sorted(count, key=lambda g: (-count[g], g))
    kept = names if len(names) <= most else names[: most - 1]
    return dict(zip(kept, COLOURS, strict=False))


def save_figure(figure, path):
    """Write a figure into a file, whose ending chooses the format (default: PNG), when all of it is there.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    with replacing(path, remedy="choose another file") as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png")


def parity_plot(path, comparisons, quantity="energy_per_atom", title=None, colours=None):
    """Predicted against reference values, and the errors, by config_type; written as an image.

    Parameters
    ----------
    path : path
        The file; its ending chooses the format.
    comparisons : mapping
        {"train": {quantity: Comparison}, "test": ...}: training points are hollow and pale, test points filled.
    quantity : str
        A key of :data:`UNITS`.
    title : str, optional
    colours : mapping, optional
        {group: colour}, from :func:`group_colours`, the same for all plots of a run.
    """
    from matplotlib.lines import Line2D

    parts = {name: values[quantity] for name, values in comparisons.items() if quantity in values}
    unit, factor, digits = UNITS[quantity]
    base_unit, scale = (unit, factor) if quantity == "stress" else (unit.removeprefix("m"), 1.0)
    parts = {name: Comparison(c.reference * scale, c.predicted * scale, c.groups) for name, c in parts.items()}
    factor /= scale
    figure, (left, right) = new_figure(9.6, 4.4, columns=2)
    present = {group for c in parts.values() for group in c.names()}
    colours = group_colours(parts.values()) if colours is None else colours
    colours = {group: colour for group, colour in colours.items() if group in present}
    values = np.concatenate([np.concatenate([c.reference, c.predicted]) for c in parts.values()])
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    span = (low - margin, high + margin)
    left.plot(span, span, color="0.5", linewidth=1, zorder=1)
    right.axhline(0, color="0.5", linewidth=1, zorder=1)

    last = list(parts)[-1]
    handles = []
    for name, c in parts.items():
        front = name == last
        size = float(np.clip(4000 / max(len(c.reference), 1), 4, 22)) * (1.3 if front else 1.0)
        for group in c.names():
            part, colour = c.of(group), colours.get(group, "0.6")
            for ax, y in ((left, part.predicted), (right, part.errors * factor)):
                ax.scatter(
                    part.reference,
                    y,
                    s=size,
                    facecolors=colour if front else "none",
                    edgecolors="white" if front else colour,
                    linewidths=0.4 if front else 0.7,
                    alpha=0.95 if front else 0.45,
                    zorder=3 if front else 2,
                )
        s = summary(c)
        text = f"{name} ({s['n']}): MAE {s['mae'] * factor:.{digits}f}, RMSE {s['rmse'] * factor:.{digits}f} {unit}"
        style = {"color": "none", "marker": "o", "markersize": 6, "markeredgecolor": "0.2"}
        handles.append(Line2D([], [], label=text, markerfacecolor="0.2" if front else "none", **style))
    left.legend(handles=handles, loc="upper left", frameon=False, fontsize=8, handletextpad=0.3, borderaxespad=0.2)

    name = TITLES[quantity]
    left.set(xlim=span, ylim=span, xlabel=f"reference {name} ({base_unit})", ylabel=f"predicted {name} ({base_unit})")
    left.set_aspect("equal", adjustable="box")
    errors = np.concatenate([c.errors for c in parts.values()]) * factor
    reach = 1.15 * float(np.abs(errors).max()) or 1.0
    right.set(xlim=span, ylim=(-reach, reach), xlabel=f"reference {name} ({base_unit})", ylabel=f"error ({unit})")
    shown = [g for g in colours if g]
    if len(shown) > 1 or len(colours) < len(present):
        marks = [Line2D([], [], color="none", marker="o", markerfacecolor=colours[g], label=g) for g in shown]
        if len(colours) < len(present):
            marks.append(Line2D([], [], color="none", marker="o", markerfacecolor="0.6", label="other"))
        for mark in marks:
            mark.set(markeredgecolor="white", markersize=7)
        right.legend(
            handles=marks, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, title="config_type",
            title_fontsize=8,
        )  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def learning_curve_plot(path, sizes, errors, unit="meV/atom", title=None):
    """Test errors against the number of training frames on logarithmic axes; written as an image.

    Parameters
    ----------
    path : path
    sizes : sequence of int
    errors : mapping
        {name of the measure: errors per size}, in `unit`.
    unit, title : str
    """
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure, (ax,) = new_figure(5.2, 4.0)
    for (name, values), colour, marker in zip(errors.items(), COLOURS, "os^Dvp", strict=False):
        ax.plot(sizes, values, color=colour, marker=marker, markeredgecolor="white", linewidth=1.6, label=name)
        for x, y in zip(sizes, values, strict=True):
            ax.annotate(
                f"{y:.3g}", (x, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7, color=colour
            )
    ax.set(xscale="log", yscale="log", xlabel="training frames", ylabel=f"test error ({unit})")
    ax.set_xticks(list(sizes))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(LogLocator(subs=[]))
    low, high = min(min(v) for v in errors.values()), max(max(v) for v in errors.values())
    ax.set_ylim(low / 1.3, high * 1.4)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False, fontsize=9)
    if title:
        ax.set_title(title, fontsize=10)
    save_figure(figure, path)
