"""DScribe's matrices of whole structures."""

import numpy as np

from mercer import descriptors
from mercer._validation import check_choice, check_count, check_positive
from mercer.compat.dscribe.descriptors._per_system import PerSystem
from mercer.errors import ConfigError, DataError

PERMUTATIONS = ("none", "sorted_l2", "eigenspectrum", "random")

#: Accuracy of Ewald sums to differentiate: at that of `create` they jump where terms come and go.
CONVERGED = 1e-12


class _Matrix(PerSystem):
    """Rows of a matrix of atoms: a subclass gives ``_descriptor(permutation)``, mercer's."""

    #: Whether frames count as periodic in all directions, whatever they say.
    _periodic = True

    def __init__(self, n_atoms_max, permutation="sorted_l2", sigma=None, seed=None, sparse=False, dtype="float64"):
        super().__init__(self._periodic, sparse, dtype)
        self.n_atoms_max = check_count(n_atoms_max, "n_atoms_max", maximum=10_000)
        self.permutation = check_choice(permutation, PERMUTATIONS, "permutation")
        if (sigma is None) == (permutation == "random"):
            raise ConfigError(f"sigma={sigma!r}: expected a number with permutation='random', and only there.")
        self._sigma = None if sigma is None else check_positive(sigma, "sigma")
        seed = None if seed is None else check_count(seed, "seed", minimum=0, maximum=2**32 - 1)
        self._random = np.random.RandomState(seed)
        self._n_features = self.n_atoms_max if permutation == "eigenspectrum" else self.n_atoms_max**2

    def _frames(self, system):
        single, frames = super()._frames(system)
        for atoms in frames:
            atoms.pbc = self._periodic
        return single, frames

    def _transform(self, frames):
        return self._rows(self._descriptor, frames)

    def _rows(self, make, frames):
        """``make(permutation)`` is mercer's matrix."""
        if self.permutation != "random":
            return make(self.permutation).transform(frames)
        rows = make("none").transform(frames)
        return np.array([self._shuffled(row, len(atoms)) for row, atoms in zip(rows, frames, strict=True)])

    def _gradients(self, atoms):
        return self._descriptor("none").gradients(atoms).values

    def _why_not_analytical(self):
        if self.permutation == "random":
            raise ConfigError("permutation='random' has no derivatives.")
        if self.permutation != "none":
            return f"permutation={self.permutation!r} has no analytical derivatives; use permutation='none'."
        return None

    def _shuffled(self, row, n):
        matrix = row.reshape(self.n_atoms_max, self.n_atoms_max)
        norms = np.linalg.norm(matrix[:n, :n], axis=1)
        order = np.argsort(self._random.normal(norms, self._sigma))[::-1]
        matrix[:n, :n] = matrix[order][:, order]
        return matrix.ravel()

    def unflatten(self, features, n_systems=None):
        """Matrices (n_systems, n_atoms_max, n_atoms_max) of feature vectors, or one of one vector."""
        if self.permutation == "eigenspectrum":
            raise ConfigError("permutation='eigenspectrum': eigenvalues do not hold the matrix.")
        features = np.asarray(features.todense() if hasattr(features, "todense") else features)
        if features.shape[-1] != self._n_features:
            raise DataError(f"features has shape {features.shape}; expected {self._n_features} columns.")
        shape = features.shape[:-1] if n_systems is None else (n_systems,)
        return features.reshape(*shape, self.n_atoms_max, self.n_atoms_max)


class CoulombMatrix(_Matrix):
    """DScribe's Coulomb matrix: distances in Angstrom, and the cell does not count.

    Parameters
    ----------
    n_atoms_max : int
        Atoms of the largest structure; smaller ones are padded with zeros.
    permutation : str, default "sorted_l2"
        "none", "sorted_l2", "eigenspectrum" or "random": rows in descending order of norm + `sigma` * normal noise,
        that of NumPy's RandomState(seed) (DScribe takes another generator here, so the order differs).
    sigma : float
        With permutation="random" only.
    seed : int, optional
        Of the noise.
    sparse : bool, default False
        Results as `sparse.COO`; needs the package sparse.

    Examples
    --------
    >>> from ase.build import molecule
    >>> CoulombMatrix(3, permutation="none").create(molecule("H2O")).round(2)
    array([73.52,  8.26,  8.26,  8.26,  0.5 ,  0.66,  8.26,  0.66,  0.5 ])
    """

    _periodic = False

    def __init__(self, n_atoms_max, permutation="sorted_l2", sigma=None, seed=None, sparse=False):
        super().__init__(n_atoms_max, permutation, sigma, seed, sparse)

    def _descriptor(self, permutation):
        return descriptors.CoulombMatrix(self.n_atoms_max, permutation=permutation)


class SineMatrix(_Matrix):
    """DScribe's sine matrix: all three directions count as periodic.

    Parameters
    ----------
    n_atoms_max, permutation, sigma, seed, sparse
        As for `CoulombMatrix`, here with DScribe's noise.
    dtype : str, default "float64"
        Of results; "float32" rounds them.

    Examples
    --------
    >>> from ase.build import bulk
    >>> SineMatrix(2, permutation="none").create(bulk("NaCl", "rocksalt", a=5.64)).round(2)
    array([157.87,  19.14,  19.14, 448.79])
    """

    def _descriptor(self, permutation):
        return descriptors.SineMatrix(self.n_atoms_max, permutation=permutation)


class EwaldSumMatrix(_Matrix):
    """DScribe's Ewald sum matrix: all three directions count as periodic.

    Parameters
    ----------
    n_atoms_max, permutation, sigma, seed, sparse, dtype
        As for `SineMatrix`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> EwaldSumMatrix(2, permutation="none").create(bulk("NaCl", "rocksalt", a=5.64), accuracy=1e-8).round(2)
    array([ -49.18,  -36.13,  -36.13, -117.47])
    """

    def _descriptor(self, permutation, accuracy=1e-5, **options):
        return descriptors.EwaldMatrix(self.n_atoms_max, permutation=permutation, accuracy=accuracy, **options)

    def _smooth(self, frames):
        return self._descriptor(self.permutation, accuracy=CONVERGED).transform(frames)

    def _gradients(self, atoms):
        return self._descriptor("none", accuracy=CONVERGED).gradients(atoms).values

    def create(
        self,
        system,
        accuracy=1e-5,
        w=1,
        r_cut=None,
        g_cut=None,
        a=None,
        n_jobs=1,
        only_physical_cores=False,
        verbose=False,
    ):
        """Feature vectors.

        Parameters
        ----------
        system, n_jobs, only_physical_cores, verbose
            As for `CoulombMatrix`.
        accuracy : float, default 1e-5
            Of terms that are left out; elements are off by some 1e-6 of them then. (`derivatives` are of converged
            sums.)
        w : float, default 1
            Cost of a term of real over one of reciprocal space.
        r_cut, g_cut : float, optional
            Where the sums end, Angstrom and 1/Angstrom; both or neither.
        a : float, optional
            Screening, 1/Angstrom.

        Returns
        -------
        ndarray of shape (n_features,), or for a list (n_systems, n_features)
        """
        options = {"accuracy": accuracy, "weight": w, "alpha": a, "real_cutoff": r_cut, "reciprocal_cutoff": g_cut}
        single, frames = self._frames(system)
        with self._threads(n_jobs):
            rows = self._rows(lambda permutation: self._descriptor(permutation, **options), frames)
            return self._pack(rows, single)
