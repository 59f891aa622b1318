"""Rows of the kernel matrix that labels of whole frames need: sums over the atoms of a frame.

A total energy is a sum of local energies, so its row of K is the sum of the rows of its atoms (Bartók and Csányi,
Int. J. Quantum Chem. 115, 1051 (2015), section 3). The core adds them tile by tile; the matrix of all atoms against all
representative rows is never held.
"""

import numpy as np

from mercer._core import core
from mercer._validation import check_out
from mercer.errors import DataError
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
