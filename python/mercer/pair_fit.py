"""A pair potential fitted to forces in a fraction of a second: what energies and virials must agree with roughly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mercer.neighbors import neighbor_list

#: Atoms fitted to, about; radial functions of a pair of elements, between these distances (Angstrom); ridge, relative
#: to the mean diagonal.
_MOST_ATOMS, _N_RADIAL, _R_MIN, _R_CUT, _RIDGE = 3000, 12, 0.8, 6.0, 1e-4


@dataclass(frozen=True)
class PairFit:
    """How labels compare with a sum of pair potentials that was fitted to forces.

    Attributes
    ----------
    forces : float
        Part of the mean square of the forces that the fit explains.
    energy : (float, float) or None
        Correlation and slope of energies per atom against those of the fit, beyond what the composition explains.
    virial : float or None
        Correlation of the traces of the virials, per atom.
    """

    forces: float
    energy: tuple | None
    virial: float | None


def pair_fit(frames, labels):
    """Fit sum_i<j phi(r_ij) to forces, with smooth radial functions for every pair of elements.

    Parameters
    ----------
    frames : Frames
    labels : Labels

    Returns
    -------
    PairFit or None
        None without forces.
    """
    usable = np.flatnonzero(labels.has("forces") & (labels.n_atoms > 1))
    if not len(usable):
        return None
    usable = usable[:: max(1, int(np.ceil(labels.n_atoms[usable].sum() / _MOST_ATOMS)))]
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    species = np.unique(np.concatenate([frames[k].numbers for k in usable]))
    rows = [_rows(frames[k], species) for k in usable]
    A = np.concatenate([row[1] for row in rows])
    y = np.concatenate([labels.forces[starts[k] : starts[k + 1]].ravel() for k in usable])
    gram = A.T @ A
    gram[np.diag_indices_from(gram)] += _RIDGE * max(np.trace(gram), 1e-300) / len(gram)
    weights = np.linalg.solve(gram, A.T @ y)
    explained = 1.0 - float(np.sum((A @ weights - y) ** 2) / max(y @ y, 1e-300))

    n_atoms = labels.n_atoms[usable]
    counts = np.array([[np.sum(frames[k].numbers == z) for z in species] for k in usable]) / n_atoms[:, None]
    energy = _compare(np.array([row[0] @ weights for row in rows]) / n_atoms, labels.energy[usable] / n_atoms, counts)
    pressure = np.trace(labels.virial[usable], axis1=1, axis2=2) / n_atoms
    virial = _compare(np.array([row[2] @ weights for row in rows]) / n_atoms, pressure, np.ones((len(usable), 1)))
    return PairFit(explained, energy, virial and virial[0])


def _rows(atoms, species):
    """Energy (K,), forces (3 n, K) and trace of the virial (K,) of every radial function in a frame."""
    i, j, r, vectors = neighbor_list("ijdD", atoms, _R_CUT)
    centres, width = np.linspace(_R_MIN, _R_CUT, _N_RADIAL, retstep=True)
    x = (r[:, None] - centres) / width
    smooth = (1.0 - (r / _R_CUT) ** 2)[:, None]
    gauss = np.exp(-0.5 * x**2)
    values = gauss * smooth**2
    slopes = gauss * (-x / width * smooth**2 - 4.0 * (r / _R_CUT**2)[:, None] * smooth)
    a, b = np.searchsorted(species, atoms.numbers[i]), np.searchsorted(species, atoms.numbers[j])
    kind = np.maximum(a, b) * (np.maximum(a, b) + 1) // 2 + np.minimum(a, b)
    n_kinds = len(species) * (len(species) + 1) // 2
    energy, forces = np.zeros((n_kinds, _N_RADIAL)), np.zeros((len(atoms), 3, n_kinds, _N_RADIAL))
    trace = np.zeros((n_kinds, _N_RADIAL))
    for k in np.unique(kind):
        mine = np.flatnonzero(kind == k)
        energy[k] = 0.5 * values[mine].sum(axis=0)
        trace[k] = -0.5 * r[mine] @ slopes[mine]
        for axis in range(3):
            np.add.at(forces[:, axis, k], i[mine], slopes[mine] * (vectors[mine, axis] / r[mine])[:, None])
    return energy.ravel(), forces.reshape(3 * len(atoms), -1), trace.ravel()


def _compare(fitted, label, trivial):
    """Correlation and slope of label against fit, less what the columns of `trivial` explain; None for few labels."""
    known = np.isfinite(label)
    fitted, label, trivial = fitted[known], label[known], trivial[known]
    if len(label) < 10 + trivial.shape[1]:
        return None
    fitted, label = (values - trivial @ np.linalg.lstsq(trivial, values, rcond=None)[0] for values in (fitted, label))
    size = np.sqrt((fitted @ fitted) * (label @ label))
    if not size > 0:
        return None
    return float(fitted @ label / size), float(fitted @ label / (fitted @ fitted))
