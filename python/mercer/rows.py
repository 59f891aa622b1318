"""Rows of the kernel matrix that labels of whole frames need, and the evaluation of a fitted term.

A total energy is a sum of local energies, so its row of K is the sum of the rows of its atoms (Bartók and Csányi,
Int. J. Quantum Chem. 115, 1051 (2015), section 3). The core adds them tile by tile; the matrix of all atoms against all
representative rows is never held.
"""

import numpy as np

from mercer._core import core
from mercer._validation import check_out
from mercer.errors import ConfigError, DataError
from mercer.kernels import _base


def _checked_offsets(offsets, n_rows):
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    good = offsets.ndim == 1 and len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == n_rows
    if not good or np.any(np.diff(offsets) < 0):
        raise DataError(
            f"offsets must rise from 0 to {n_rows} (the rows of X), with one entry more than there are frames; got "
            f"{np.array2string(offsets, threshold=8)}."
        )
    return offsets


def energy_rows(kernel, X, offsets, Y, *, x_groups=None, y_groups=None, out=None):
    """Sums of kernel rows over the atoms of each frame.

    ``out[f, m] = sum_i k(X[i], Y[m])`` with ``offsets[f] <= i < offsets[f + 1]``; a frame without atoms gives 0.

    Parameters
    ----------
    kernel : mercer.kernels.Kernel
    X : array_like of shape (n_atoms, n_features)
        Feature rows of the atoms of all frames, one frame after the other.
    offsets : array_like of int, shape (n_frames + 1,)
        First row of each frame, and n_atoms at the end.
    Y : array_like of shape (m, n_features)
        Representative rows.
    x_groups, y_groups : array_like of int, shapes (n_atoms,) and (m,), optional
        Pairs of different groups (species of the centre atom) add nothing, and cost nothing.
    out : ndarray of shape (n_frames, m), optional
        C-contiguous float64 array for the result; by default memory from the buffer pool.

    Returns
    -------
    ndarray of shape (n_frames, m)
        The same for any number of threads.

    Raises
    ------
    mercer.errors.DataError
        Wrong shapes, or offsets that do not fit the rows of X.

    Examples
    --------
    >>> import numpy as np
    >>> from mercer.kernels import Linear
    >>> from mercer.rows import energy_rows
    >>> energy_rows(Linear(), np.array([[1.0], [2.0], [4.0]]), [0, 2, 3], np.array([[1.0], [10.0]]))
    array([[ 3., 30.],
           [ 4., 40.]])
    """
    X, Y, x_groups, y_groups = _base.pair_operands(X, _base.feature_rows(Y, "Y"), x_groups, y_groups)
    offsets = _checked_offsets(offsets, len(X))
    if out is not None:
        check_out(out, (len(offsets) - 1, len(Y)))
        _base.check_free(out, X, Y)
    with _base.core_errors():
        return core.energy_rows(kernel.to_core(), X, offsets, Y, out, x_groups, y_groups)


def self_kernel_sums(kernel, X, offsets, *, groups=None):
    """The kernel summed over all pairs of atoms of each frame: the prior variance of its total energy.

    ``out[f] = sum_ij k(X[i], X[j])`` over the rows i, j of frame f, for unit amplitude.

    Parameters
    ----------
    kernel : mercer.kernels.Kernel
    X : array_like of shape (n_atoms, n_features)
    offsets : array_like of int, shape (n_frames + 1,)
        As for :func:`energy_rows`.
    groups : array_like of int, shape (n_atoms,), optional
        Pairs of different groups add nothing.

    Returns
    -------
    ndarray of shape (n_frames,)

    Examples
    --------
    >>> import numpy as np
    >>> from mercer.kernels import Linear
    >>> from mercer.rows import self_kernel_sums
    >>> self_kernel_sums(Linear(), np.array([[1.0], [2.0], [4.0]]), [0, 2, 3])
    array([ 9., 16.])
    """
    X, _, groups, _ = _base.pair_operands(X, None, groups, None)
    offsets = _checked_offsets(offsets, len(X))
    with _base.core_errors():
        return core.self_kernel_sums(kernel.to_core(), X, offsets, groups)


def _sparse_rows(descriptor, features, groups, match_groups):
    """Checked sparse points of a term: features and groups as the core takes them."""
    features = _base.feature_rows(features, "features")
    if features.shape[1] != descriptor.n_features:
        raise DataError(
            f"features have {features.shape[1]} columns, the descriptor gives {descriptor.n_features}; both must come "
            "from the same descriptor."
        )
    if groups is None:
        if match_groups:
            raise ConfigError("groups are missing; give one per row of features, or match_groups=False.")
        groups = np.zeros(len(features), dtype=np.int32)
    return features, _base.group_labels(groups, len(features), "groups")


def _require_differentiable(kernel, wanted):
    if wanted and not kernel.differentiable:
        raise ConfigError(
            f"{kernel} has no derivative where two environments coincide, so no forces and virials; take another "
            "kernel (for example Gaussian or Polynomial(zeta=4)), or leave forces and virials out."
        )


def label_rows(
    descriptor,
    kernel,
    frames,
    features,
    groups,
    *,
    match_groups=True,
    energy=True,
    forces=False,
    virial=False,
    out=None,
):
    """Rows of K for energies, forces and virials of frames against the sparse points of a term.

    With the local energy f(x) = sum_m c_m k(x, x_m), an energy is sum_i f(x_i) over the rows of a frame, forces are
    -d energy / d position, and the virial -d energy / d strain; the element of column m is what c_m is multiplied with
    (Bartók and Csányi, Int. J. Quantum Chem. 115, 1051 (2015), section 3). The Jacobian of the features is contracted
    with the sparse points as it is made, and is never held.

    Parameters
    ----------
    descriptor : descriptor
    kernel : mercer.kernels.Kernel
    frames : ase.Atoms, list of ase.Atoms, or Environments
        Environments of a larger cutoff than that of the descriptor serve several terms.
    features : ndarray of shape (M, n_features)
        Sparse points: rows that the descriptor gave.
    groups : array_like of int, shape (M,), or None
        Their groups: atomic numbers of the centres.
    match_groups : bool
        Whether rows of different groups do not covary.
    energy, forces, virial : bool
        Which rows are wanted.
    out : dict of ndarray, optional
        Takes the results, by name; float64, C-ordered. By default memory from the buffer pool.

    Returns
    -------
    dict
        Those of "energy" (n_frames, M), "forces" (n_atoms, 3, M) and "virial" (n_frames, 3, 3, M) that are wanted, per
        unit of the weights and Angstrom; virials in eV where k is. The same for any number of threads.

    Raises
    ------
    mercer.errors.DataError
        For structures that the descriptor refuses, and arrays that do not fit each other.
    mercer.errors.ConfigError
        For forces or virials of a kernel that has no derivative everywhere (Laplacian, Matern 1/2).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from mercer import SOAP
    >>> from mercer.kernels import Polynomial
    >>> from mercer.rows import label_rows
    >>> atoms = bulk("Si", cubic=True)
    >>> soap = SOAP("Si", 4.0, 4, 3, 0.5)
    >>> rows = label_rows(soap, Polynomial(zeta=4), atoms, soap.transform(atoms)[:2], [14, 14], forces=True)
    >>> rows["energy"].shape, rows["forces"].shape
    ((1, 2), (8, 3, 2))
    """
    _require_differentiable(kernel, forces or virial)
    features, groups = _sparse_rows(descriptor, features, groups, match_groups)
    environments = descriptor._environments(frames)
    n_frames, n_atoms, m = environments.structures.n_frames, environments.structures.n_atoms, len(features)
    wanted = {"energy": energy, "forces": forces, "virial": virial}
    shapes = {"energy": (n_frames, m), "forces": (n_atoms, 3, m), "virial": (n_frames, 3, 3, m)}
    rows, blocks = {}, {}
    for kind in (kind for kind in shapes if wanted[kind]):
        n_rows = int(np.prod(shapes[kind][:-1]))
        if (given := (out or {}).get(kind)) is None:
            blocks[kind] = core.empty(n_rows, m)
            rows[kind] = blocks[kind].reshape(shapes[kind])
        else:
            rows[kind] = check_out(given, shapes[kind], f"out[{kind!r}]")
            _base.check_free(given, features)
            blocks[kind] = given.reshape(n_rows, m)
    with _base.core_errors():
        core.label_rows(
            kernel.to_core(),
            descriptor._core,
            environments.structures,
            environments.pairs,
            features,
            groups,
            match_groups,
            **blocks,
        )
    return rows


def evaluate_term(descriptor, kernel, frames, features, groups, weights, *, match_groups=True, gradients=True):
    """Energies of the fitted term sum_m weights[m] k(., x_m) and their gradient.

    The gradient with respect to the features, sum_m weights[m] dk(x, x_m)/dx, is one more matrix product, and goes back
    to positions and strain in a single reverse pass of the descriptor.

    Parameters
    ----------
    descriptor : descriptor
    kernel : mercer.kernels.Kernel
    frames : ase.Atoms, list of ase.Atoms, or Environments
        Environments of a larger cutoff than that of the descriptor serve several terms.
    features : ndarray of shape (M, n_features)
        Sparse points: rows that the descriptor gave.
    groups : array_like of int, shape (M,), or None
        Their groups: atomic numbers of the centres.
    weights : array_like of shape (M,)
    match_groups : bool
        Whether rows of different groups do not covary.
    gradients : bool
        Whether the gradient is wanted; without it no derivative is computed.

    Returns
    -------
    energies : ndarray of shape (n_atoms,)
        In the unit of the weights.
    positions : ndarray of shape (n_atoms, 3) or None
        dE/d(position): forces are its negative.
    strain : ndarray of shape (n_frames, 3, 3) or None
        dE/d(strain) of every frame, where a strain e moves positions and cell as r -> (1 + e) r: the virial is its
        negative, and the stress this divided by the volume.

    Raises
    ------
    mercer.errors.DataError
        For structures that the descriptor refuses, and arrays that do not fit each other.
    mercer.errors.ConfigError
        For gradients of a kernel that has none everywhere (Laplacian, Matern 1/2).

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from mercer import SOAP
    >>> from mercer.kernels import Polynomial
    >>> from mercer.rows import evaluate_term
    >>> atoms = bulk("Si", cubic=True)
    >>> soap = SOAP("Si", 4.0, 4, 3, 0.5)
    >>> energies, positions, strain = evaluate_term(
    ...     soap, Polynomial(zeta=4), atoms, soap.transform(atoms)[:1], [14], [2.0]
    ... )
    >>> np.round(energies, 10)
    array([2., 2., 2., 2., 2., 2., 2., 2.])
    >>> positions.shape, strain.shape
    ((8, 3), (1, 3, 3))
    """
    _require_differentiable(kernel, gradients)
    features, groups = _sparse_rows(descriptor, features, groups, match_groups)
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if weights.shape != (len(features),):
        raise DataError(f"weights have shape {weights.shape}; expected ({len(features)},), one per row of features.")
    environments = descriptor._environments(frames)
    structures = environments.structures
    energies = np.zeros(structures.n_atoms)
    positions = np.zeros((structures.n_atoms, 3)) if gradients else None
    strain = np.zeros((structures.n_frames, 9)) if gradients else None
    with _base.core_errors():
        core.evaluate_term(
            kernel.to_core(),
            descriptor._core,
            structures,
            environments.pairs,
            features,
            groups,
            match_groups,
            weights,
            energies,
            positions,
            strain,
        )
    return energies, positions, strain.reshape(-1, 3, 3) if gradients else None
