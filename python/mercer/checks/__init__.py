"""What is suspicious in data, said before a fit: labels that contradict each other, units, signs, forces that cannot
be, frames that come twice.

Every check looks at structures and labels alone and returns findings; none of them changes anything. They are made to
be silent on good data: what they report is nearly always a mistake of a file or of its units, and where the data do not
tell, they say nothing.
"""

from __future__ import annotations

import numpy as np

from mercer.checks.alone import (
    distances,
    energies_by_size_of_frames,
    equal_energies,
    net_forces,
    net_torque,
    units_by_size,
    zero_forces,
    zero_virials,
)
from mercer.checks.evidence import compare_labels
from mercer.checks.finding import LEVELS, Finding
from mercer.checks.same import duplicates, overlap, same_frames
from mercer.structures import as_frames, read_labels
from mercer.targets import is_isolated_config

__all__ = ["LEVELS", "Finding", "check_data", "duplicates", "overlap", "same_frames"]


def check_data(frames, labels=None, *, quick=True):
    """Everything suspicious in structures and their labels, each kind once.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    labels : mercer.structures.Labels, optional
        Of these frames; read under the usual keys by default.
    quick : bool, default True
        Compare the labels of fewer frames (about 1500 atoms in place of 4000), and do not look for outliers.

    Returns
    -------
    list of Finding
        What is certain first.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import molecule
    >>> frame = molecule("H2O", info={"REF_energy": -14.0})
    >>> frame.arrays["REF_forces"] = np.zeros((3, 3))
    >>> [(finding.check, finding.level) for finding in check_data([frame])]
    [('zero_forces', 'certain')]
    """
    frames = as_frames(frames)
    labels = read_labels(frames, required=False) if labels is None else labels
    usable = np.flatnonzero(
        [len(a) > 0 and not is_isolated_config(labels.config_type[k]) for k, a in enumerate(frames)]
    )
    isolated = _isolated_energies(frames, labels)
    if not len(usable):
        return []
    frames, labels = frames.take(usable), labels.take(usable)
    near, too_close = distances(frames)
    constant = [equal_energies(frames, labels), zero_forces(frames, labels), zero_virials(frames, labels)]
    found = [near, *constant, net_forces(frames, labels), net_torque(frames, labels)]
    compared = []
    if not any(constant) and not (near and near.level == "certain"):
        good = np.flatnonzero(~too_close)
        compared = compare_labels(frames.take(good), labels.take(good), quick)
        compared = [_renumbered(finding, good) for finding in compared]
    found += compared
    if not any(finding.check == "units" for finding in compared) and not constant[0]:
        found.append(units_by_size(frames, labels, isolated) or energies_by_size_of_frames(frames, labels))
    found.append(duplicates(frames, labels))
    found = [_renumbered(finding, usable) for finding in found if finding is not None]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _renumbered(finding, indices):
    """The finding with frames counted as in the list that `indices` were taken from."""
    from dataclasses import replace

    return replace(finding, frames=[indices[k] for k in finding.frames]) if finding.frames else finding


def _isolated_energies(frames, labels):
    """{atomic number: energy} of the frames that are isolated atoms."""
    return {
        int(atoms.numbers[0]): float(labels.energy[k])
        for k, atoms in enumerate(frames)
        if len(atoms) == 1 and is_isolated_config(labels.config_type[k]) and np.isfinite(labels.energy[k])
    }
