"""Settings that would run, but make no sense for the data."""

import re

import numpy as np

from mercer.errors import ConfigError

#: Neighbours of an atom, at most: a fit to a few frames would take hours.
MOST_NEIGHBOURS = 10_000


def check_neighbours(options, frames):
    """Refuse cutoffs within which an atom of the densest crystal has too many neighbours.

    Parameters
    ----------
    options : mercer.config.FitOptions
        Complete.
    frames : mercer.structures.Frames

    Raises
    ------
    ConfigError
        Naming the option, and the cutoff that is possible.
    """
    volumes = [abs(np.linalg.det(atoms.cell.array)) if atoms.pbc.all() else np.inf for atoms in frames]
    density = max(len(atoms) / volume for atoms, volume in zip(frames, volumes, strict=True))
    for t, term in enumerate(options.terms):
        r_cut = getattr(term.descriptor, "r_cut", None)
        sphere = 4 / 3 * np.pi * density
        if isinstance(r_cut, float) and sphere * r_cut**3 > MOST_NEIGHBOURS:
            raise ConfigError(
                f"terms.{t}.descriptor.r_cut={r_cut:g}: an atom has {sphere * r_cut**3:.2g} neighbours within; "
                f"take less than {np.cbrt(MOST_NEIGHBOURS / sphere):.3g} Angstrom"
            )


def check_prefix(prefix):
    """Refuse a prefix that would make names which extended XYZ cannot hold.

    Raises
    ------
    ConfigError
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,40}", prefix):
        raise ConfigError(f"--prefix {prefix!r}: expected at most 40 letters, digits, '_', '-' and '.'")
