"""Pictures of representations."""

import numpy as np

from mercer.descriptors import MBTR
from mercer.errors import ConfigError, DataError
from mercer.report import COLOURS, new_figure, save_figure
from mercer.structures import as_frames

#: Label of the axis of each geometry function, and what its numbers are multiplied by.
_AXES = {
    "count": ("atoms of an element", 1.0),
    "atomic_number": ("atomic number", 1.0),
    "distance": ("distance (Å)", 1.0),
    "inverse_distance": ("inverse distance (1/Å)", 1.0),
    "inverse_square": ("inverse square of the distance (1/Å²)", 1.0),
    "angle": ("angle (degrees)", 180 / np.pi),
    "cosine": ("cosine of the angle", 1.0),
    "dihedral": ("dihedral angle (degrees)", 180 / np.pi),
    "cosine_dihedral": ("cosine of the dihedral angle", 1.0),
}


def tensor_plot(mbtr, atoms, path=None, *, k=None, atom=None, most=8, title=None):
    """Draw an MBTR of a structure: a distribution for every tuple of elements that occurs; and below, their derivatives
    with respect to the position of one atom, as figure 1 of Huo and Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022).

    Parameters
    ----------
    mbtr : MBTR
    atoms : ase.Atoms
    path : path, optional
        The file to write; its ending chooses the format.
    k : int, optional
        The part to draw. Default: the largest.
    atom : int, optional
        The atom that is displaced; x is drawn solid, y dashed, z dotted. Default: no derivatives.
    most : int, default 8
        Only so many tuples of elements: those with the largest distributions.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        For a descriptor that is no MBTR, and for a part that it does not have.
    DataError
        For more than one structure, and for an atom that it does not have.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from mercer import MBTR
    >>> part = {"geometry": "inverse_distance", "grid": (0, 1.2, 200), "sigma": 0.01, "weight": "inverse_square"}
    >>> figure = tensor_plot(MBTR(["H", "C", "O"], k2=part), molecule("CH3CH2OH"), atom=1)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['HH', 'HC', 'HO', 'CC', 'CO']
    """
    if not isinstance(mbtr, MBTR):
        raise ConfigError(f"tensor_plot draws an MBTR, got {type(mbtr).__name__}.")
    k = max(mbtr.parts) if k is None else k
    if k not in mbtr.parts:
        raise ConfigError(f"k={k}: the MBTR has {', '.join(f'k{part}' for part in mbtr.parts)}.")
    frames = as_frames(atoms)
    if len(frames) != 1:
        raise DataError(f"tensor_plot draws one structure, got {len(frames)}.")
    if atom is not None and not 0 <= atom < len(frames[0]):
        raise DataError(f"atom={atom}: expected 0 to {len(frames[0]) - 1}, an atom of the structure.")

    part = mbtr.parts[k]
    labels = mbtr.channel_labels()
    sizes = np.array([len(mbtr.parts[order].x) for order, _ in labels])
    starts = np.cumsum(sizes) - sizes
    chosen = [c for c, (order, _) in enumerate(labels) if order == k]

    def of_part(row):
        return np.stack([row[..., starts[c] : starts[c] + sizes[c]] for c in chosen])

    values = of_part(mbtr.transform(frames)[0])
    size = np.abs(values).max(axis=1)
    derivatives = None
    if atom is not None:
        gradients = mbtr.gradients(frames)
        derivatives = of_part(gradients.values[gradients.neighbors == atom][0])  # channel, component, grid
    shown = sorted(np.argsort(-size, kind="stable")[: min(most, np.count_nonzero(size))])

    label, unit = _AXES[part.geometry]
    figure, axes = new_figure(6.4, 3.4 if atom is None else 6.0, rows=1 if atom is None else 2)
    for number, c in enumerate(shown):
        name = "".join(map(str, labels[chosen[c]][1]))
        colour = COLOURS[number % len(COLOURS)]
        axes[0].plot(unit * part.x, values[c], color=colour, linewidth=1.4, label=name)
        if derivatives is None or not derivatives[c].any():
            continue
        for line, style in zip(derivatives[c], ("-", "--", ":"), strict=True):
            axes[1].plot(unit * part.x, line, style, color=colour, linewidth=1.1)
    axes[0].set_ylabel(f"$f_{k}$")
    if atom is not None:
        symbol = frames[0].get_chemical_symbols()[atom]
        axes[1].set_ylabel(f"$\\partial f_{k} / \\partial \\mathbf{{r}}$ of atom {atom}, {symbol} (1/Å)")
    axes[-1].set_xlabel(label)
    if shown:
        axes[0].legend(frameon=False, fontsize=8, ncols=2)
    axes[0].set_title(title or "")
    if path is not None:
        save_figure(figure, path)
    return figure
