"""A table of contents, with what was found in the data, on the screen and as one HTML page with pictures."""

import base64
import html
import io

import numpy as np

from mercer.contents import QUANTITIES, REACH
from mercer.report import COLOURS, new_figure

#: Colours of levels of findings.
_LEVEL_COLOURS = {"certain": "#B3261E", "likely": "#B06000", "note": "#3C5A78"}

#: Rows of tables that may be long.
_MOST = 30


def tables(contents, labels, units):
    """Tables as ``(title, heads, rows)``, all cells texts.

    Parameters
    ----------
    contents : mercer.contents.Contents
    labels : mercer.structures.Labels
    units : dict
        ``{kind: unit in the files}``.

    Returns
    -------
    list of tuple
    """
    c = contents
    whole = [
        ("frames", f"{c.n_frames}"),
        ("atoms", f"{c.n_atoms}"),
        ("atoms per frame", _three(c.sizes)),
        ("periodic", ", ".join(f"{name} {n}" for name, n in c.periodic.items())),
        ("compositions", _listed(c.compositions)),
    ]
    found = [("structures", ("", ""), whole)]
    found.append(
        (
            "elements",
            ("element", "atoms", "frames"),
            [(element, f"{n}", f"{frames}") for element, (n, frames) in c.elements.items()],
        )
    )
    rows = [(kind, key, units.get(kind, ""), f"{n}") for kind, (key, n) in labels.found.items()]
    found.append(("labels", ("label", "key", "unit, as told", "frames"), rows or [("none", "", "", "")]))
    rows = [
        (QUANTITIES[name][0], r.unit, *(f"{v:.4g}" for v in (r.smallest, r.median, r.largest)), f"{r.n_frames}")
        for name, r in c.ranges.items()
    ]
    if rows:
        found.append(("ranges", ("quantity", "unit", "smallest", "median", "largest", "frames"), rows))
    if len(c.groups) > 1 or "" not in c.groups:
        found.append(_group_table(c))
    several = len({where.rpartition(", ")[0] for where in c.closest.values()}) > 1
    rows = []
    for (a, b), distances in sorted(c.nearest.items(), key=lambda item: (c.shortest[item[0]], item[0]))[:_MOST]:
        if len(distances):
            where = c.closest[a, b] if several else c.closest[a, b].rpartition(", ")[2]
            rows.append((f"{a}-{b}", f"{distances.min():.3f}", f"{np.median(distances):.3f}", where))
        else:
            rows.append((f"{a}-{b}", f"> {REACH:g}", "", ""))
    found.append(("distances (Å)", ("elements", "smallest", "median nearest", "smallest in"), rows))
    return found


def _group_table(contents):
    shown = [name for name in QUANTITIES if name != "total_energy" and name in contents.ranges]
    heads = ("config_type", "frames", "atoms", *(f"{QUANTITIES[q][0]}\n{QUANTITIES[q][1]}" for q in shown))
    rows = []
    for name, group in list(contents.groups.items())[:_MOST]:
        cells = (_two(group.ranges[q]) if q in group.ranges else "" for q in shown)
        rows.append((name or "(none)", f"{group.n_frames}", _one(group.sizes), *cells))
    return "config_type", heads, rows


def _one(sizes):
    return f"{sizes[0]}" if sizes[0] == sizes[2] else f"{sizes[0]}..{sizes[2]}"


def _two(r):
    return f"{r.smallest:.3g}..{r.largest:.3g}"


def _three(sizes):
    low, middle, high = sizes
    return f"{low}" if low == high else f"{low} to {high}, median {middle}"


def _listed(counts, most=6):
    shown = ", ".join(f"{name} ({n})" for name, n in list(counts.items())[:most])
    return shown + (f" and {len(counts) - most} more" if len(counts) > most else "")


def rich_table(title, heads, rows):
    """One of `tables` for the screen."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.collapse_padding = True
    table.show_header = any(heads)
    for k, head in enumerate(heads):
        table.add_column(head, overflow="fold", vertical="bottom", no_wrap=k == 0)
    for row in rows:
        table.add_row(*row)
    return table


# ----------------------------------------------------------------------------------------------- pictures


def pictures(contents, labels):
    """PNG pictures of a data set: ``{caption: bytes}``.

    Parameters
    ----------
    contents : mercer.contents.Contents
    labels : mercer.structures.Labels

    Returns
    -------
    dict
        Energies, pressures and forces of frames, and nearest distances, of what there is.
    """
    per_frame = contents.per_frame
    groups = labels.config_type.astype(str)
    found = {}
    volumes = np.isfinite(per_frame["volume"])
    by_volume = volumes.any() and np.ptp(per_frame["volume"][volumes]) > 1e-3
    x = per_frame["volume"] if by_volume else np.arange(len(groups), dtype=float)
    name = "volume (Å³ per atom)" if by_volume else "frame"
    for quantity, text in (
        ("energy", "energy less E0 of the elements (eV per atom)"),
        ("pressure", "pressure (GPa)"),
        ("force", "largest force (eV/Å)"),
    ):
        known = np.isfinite(per_frame[quantity]) & np.isfinite(x)
        if known.any():
            found[f"{text.split(' (')[0]} of the frames"] = _scatter(
                x[known], per_frame[quantity][known], groups[known], name, text
            )
    distances = {"-".join(pair): d for pair, d in contents.nearest.items() if len(d)}
    if distances:
        found["distances to the nearest neighbour"] = _histogram(distances)
    return found


def _scatter(x, y, groups, name_x, name_y):
    figure, (ax,) = new_figure(6.4, 4.0)
    names, counts = np.unique(groups, return_counts=True)
    names = names[np.argsort(-counts, kind="stable")]
    size = float(np.clip(4000 / len(x), 4, 22))
    for k, name in enumerate(names):
        mine = groups == name
        colour = COLOURS[k] if k < len(COLOURS) - 1 or len(names) == len(COLOURS) else "0.6"
        label = (name or "(none)") if k < len(COLOURS) else None
        ax.scatter(x[mine], y[mine], s=size, color=colour, alpha=0.8, linewidths=0, label=label)
    if len(names) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, title="config_type")
    ax.set(xlabel=name_x, ylabel=name_y)
    return _png(figure)


def _histogram(distances):
    figure, (ax,) = new_figure(6.4, 4.0)
    high = max(float(np.quantile(d, 0.99)) for d in distances.values())
    low = min(float(d.min()) for d in distances.values())
    edges = np.linspace(low, max(high, low + 0.1), 80)
    shown = sorted(distances, key=lambda pair: -len(distances[pair]))[: len(COLOURS)]
    for colour, pair in zip(COLOURS, shown, strict=False):
        ax.hist(distances[pair], edges, histtype="step", color=colour, label=pair, linewidth=1.4)
    ax.set(xlabel="distance to the nearest neighbour (Å)", ylabel="atoms", yscale="log")
    ax.legend(frameon=False, fontsize=8)
    return _png(figure)


def _png(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


# ----------------------------------------------------------------------------------------------- page

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 1.8em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.15em 1.2em 0.15em 0; vertical-align: top; }
th { border-bottom: 1px solid #999; font-weight: 600; } code { background: #f2f2f2; padding: 0 0.25em; }
img { max-width: 100%; } .level { font-weight: 600; } li { margin-bottom: 0.6em; } .small { color: #666; }
"""


def page(title, found_tables, findings, remarks, images, version):
    """The HTML page, whole in itself.

    Parameters
    ----------
    title : str
    found_tables : list
        As `tables` gives them.
    findings : list of mercer.checks.Finding
    remarks : list of str
        Lines about labels.
    images : dict
        As `pictures` gives them.
    version : str

    Returns
    -------
    str
    """
    lines = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{html.escape(title)}</title>"]
    lines += [f"<style>{_STYLE}</style></head><body>", f"<h1>{html.escape(title)}</h1>", "<h2>findings</h2>"]
    if not findings:
        lines.append("<p>Nothing suspicious was found.</p>")
    else:
        lines.append("<ul>")
        for finding in findings:
            colour = _LEVEL_COLOURS[finding.level]
            remedy = " ".join(f"<code>{html.escape(option)}</code>" for option in finding.remedy)
            lines.append(
                f'<li><span class="level" style="color:{colour}">{finding.level}</span>: '
                f"{html.escape(str(finding))}{' Remedy: ' + remedy if remedy else ''}</li>"
            )
        lines.append("</ul>")
    if remarks:
        lines += ["<h2>remarks on labels</h2>", "<ul>", *(f"<li>{html.escape(line)}</li>" for line in remarks), "</ul>"]
    for name, heads, rows in found_tables:
        lines += [f"<h2>{html.escape(name)}</h2>", "<table>"]
        if any(heads):
            lines.append(
                "<tr>" + "".join(f"<th>{html.escape(head).replace(chr(10), '<br>')}</th>" for head in heads) + "</tr>"
            )
        lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        lines.append("</table>")
    for caption, image in images.items():
        code = base64.b64encode(image).decode("ascii")
        text = html.escape(caption)
        lines += [f"<h2>{text}</h2>", f'<img alt="{text}" src="data:image/png;base64,{code}">']
    lines.append(f'<p class="small">mercer {html.escape(version)}</p></body></html>')
    return "\n".join(lines) + "\n"
