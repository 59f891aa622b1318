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
    sphere = 4 / 3 * np.pi * density
    most = np.cbrt(MOST_NEIGHBOURS / sphere) if sphere > 0 else np.inf
    for t, term in enumerate(options.terms):
        r_cut = getattr(term.descriptor, "r_cut", None)
        if isinstance(r_cut, float) and r_cut > most:
            raise ConfigError(
                f"terms.{t}.descriptor.r_cut={r_cut:g}: an atom has more than {MOST_NEIGHBOURS} neighbours within; "
                f"take at most {most:.3g} Angstrom"
            )


def check_prefix(prefix):
    """Refuse a prefix that would make names which extended XYZ cannot hold.

    Raises
    ------
    ConfigError
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,40}", prefix):
        raise ConfigError(f"--prefix {prefix!r}: expected at most 40 letters, digits, '_', '-' and '.'")
