"""Prior variance of forces: second derivatives of the covariance, from the Jacobian of the rows of a descriptor."""

from __future__ import annotations

import numpy as np

#: Bytes of the Jacobian that are held at a time; it is made for some columns of the features after the other.
_JACOBIAN_BYTES = 32 * 2**20


def force_variance(descriptor, kernel, environments, match_groups=True, atoms=None, max_bytes=None):
    """Variance of every force component under a prior of unit amplitude.

    The force on atom p is minus the derivative of the sum of local energies, so that with dx_r = dx_r / dr_pa

        Var(F_pa) = sum_rs dx_r (d^2 k(x_r, x_s) / dx_r dx_s) dx_s

    over the rows r, s that depend on the atom, with F_r F_s k in place of k where rows have a factor.

    Parameters
    ----------
    descriptor, kernel
        The kernel must be differentiable.
    environments : Environments
    match_groups : bool
        Rows of different groups do not covary.
    atoms : (n_atoms,) bool array, optional
        Which atoms' variances are wanted; default: all.
    max_bytes : float, optional
        Of the Jacobian that is held at a time. Default: 32 MB.

    Returns
    -------
    (n_atoms, 3) array
        In squared units of the amplitude per Angstrom^2; zeros for atoms that are not wanted.

    References
    ----------
    A. P. Bartok and G. Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), section 3.
    """
    if descriptor.per_frame:
        return _of_frames(descriptor, kernel, environments)
    bound = descriptor.bind(environments)
    X, groups = bound.transform(), bound.layout.groups
    variance = np.zeros((environments.structures.n_atoms, 3))
    atoms, rows, bounds, products, factors = _jacobian_products(descriptor, environments, X, atoms, max_bytes)
    n = X.shape[1] - descriptor.has_factor
    for k, atom in enumerate(atoms):
        mine = rows[bounds[k] : bounds[k + 1]]
        G, H = products[k]
        terms = _mixed(kernel, X[mine, :n], G, H)
        if descriptor.has_factor:
            value, left, right, mixed = terms
            F, f = X[mine, n], factors[bounds[k] : bounds[k + 1]].T  # (rows,) and (3, rows)
            sums = f[:, :, None] * f[:, None, :] * value + f[:, :, None] * F * right + F[:, None] * f[:, None, :] * left
            sums += F[:, None] * F * mixed
        else:
            sums = terms[3]
        if match_groups:
            sums = sums * (groups[mine][:, None] == groups[mine])
        variance[atom] = sums.sum(axis=(1, 2))
    return np.maximum(variance, 0.0)


def _of_frames(descriptor, kernel, environments):
    """The same where a row is a frame, which all of its atoms move."""
    X, gradients = descriptor.transform(environments), descriptor.gradients(environments)
    variance = np.zeros((environments.structures.n_atoms, 3))
    for atom, row, d in zip(gradients.neighbors, gradients.centers, gradients.values, strict=True):
        G, H = np.einsum("af,af->a", d, d)[:, None, None], (d @ X[row])[:, None, None]
        variance[atom] = _mixed(kernel, X[row : row + 1], G, H)[3].ravel()
    return np.maximum(variance, 0.0)


def _mixed(kernel, X, G, H):
    """k, dk/dx_r dx_r, dk/dx_s dx_s and dx_r (d^2 k / dx_r dx_s) dx_s of all pairs of rows: (3, rows, rows) but k.

    G = dx_r dx_s and H = dx_r x_s, per direction.
    """
    u = X @ X.T
    dot = kernel.argument == "dot"
    if not dot:
        u = np.maximum(u.diagonal()[:, None] + u.diagonal() - 2 * u, 0.0)
        np.fill_diagonal(u, 0.0)
    k, first, second = (values.reshape(u.shape) for values in kernel.derivatives(u.ravel()))
    across = H.transpose(0, 2, 1)
    if dot:
        return k, first * H, first * across, first * G + second * H * across
    P = np.einsum("arr->ar", H)[:, :, None] - H  # dx_r (x_r - x_s)
    product = P * P.transpose(0, 2, 1)
    bend = np.where(product == 0.0, 0.0, np.where(np.isfinite(second), second, 0.0) * product)
    return k, 2 * first * P, 2 * first * P.transpose(0, 2, 1), -2 * first * G + 4 * bend


def _jacobian_products(descriptor, environments, X, wanted=None, max_bytes=None):
    """For every atom that is wanted, the rows that depend on it, and products of derivatives with each other and rows.

    Returns
    -------
    atoms : (k,) int array
        Atoms that anything depends on.
    rows, bounds : int arrays
        Rows of atom number k are rows[bounds[k]:bounds[k + 1]].
    products : list of (G, H)
        Per atom, each (3, rows, rows).
    factors : (len(rows), 3) array
        Derivatives of the last column.
    """
    core, n = descriptor._core, X.shape[1]
    n_kernel = n - descriptor.has_factor
    entry_bytes = 24 * max(1, environments.pairs.n_pairs)
    max_bytes = _JACOBIAN_BYTES if max_bytes is None else min(_JACOBIAN_BYTES, max_bytes)
    width = int(np.clip(max_bytes // entry_bytes, 1, n))
    order = products = None
    factors = np.zeros((0, 3))
    for start in range(0, n, width):
        columns = slice(start, min(start + width, n))
        J, _, (entry_rows, origins, neighbours, _) = core.contract(
            environments.structures, environments.pairs, np.eye(n)[columns]
        )
        if order is None:
            # an entry moves with its atom, and against the origin of the row
            atom = np.concatenate([neighbours, origins])
            row, entry = np.tile(entry_rows, 2), np.tile(np.arange(len(entry_rows)), 2)
            sign = np.repeat([1.0, -1.0], len(entry_rows))
            order = np.lexsort((row, atom))
            order = order if wanted is None else order[wanted[atom[order]]]
            atom, row, entry, sign = atom[order], row[order], entry[order], sign[order]
            first = np.flatnonzero(np.diff(atom, prepend=-1) | np.diff(row, prepend=-1))
            rows, of_atom = row[first], atom[first]
            if not len(first):
                return np.zeros(0, int), rows, np.zeros(1, int), [], factors
            atoms, begin = np.unique(of_atom, return_index=True)
            bounds = np.append(begin, len(rows))
            sizes = np.diff(bounds)
            products = [(np.zeros((3, m, m)), np.zeros((3, m, m))) for m in sizes]
            factors = np.zeros((len(rows), 3))
        D = np.add.reduceat(J[entry] * sign[:, None, None], first, axis=0)
        if descriptor.has_factor and columns.stop == n:
            factors[:] = D[:, :, -1]
        inner = slice(columns.start, min(columns.stop, n_kernel))
        if inner.stop <= inner.start:
            continue
        D = D[:, :, : inner.stop - inner.start].transpose(1, 0, 2)
        for k, (G, H) in enumerate(products):
            d = D[:, bounds[k] : bounds[k + 1]]
            G += d @ d.transpose(0, 2, 1)
            H += d @ X[rows[bounds[k] : bounds[k + 1]], inner].T
    return atoms, rows, bounds, products, factors
