"""DScribe's descriptors that have a row for every system."""

from mercer._validation import check_flag
from mercer.compat.dscribe.descriptors._base import (
    DScribeDescriptor,
    check_method,
    differences,
    select_atoms,
)
from mercer.errors import ConfigError


class PerSystem(DScribeDescriptor):
    """Base: a subclass gives ``_transform(frames)``, rows, and ``_gradients(atoms)``, (n_atoms, 3, n_features)."""

    def _why_not_analytical(self):
        """What refuses analytical derivatives, or None."""

    def _smooth(self, frames):
        """Rows to take differences of."""
        return self._transform(frames)

    def create(self, system, n_jobs=1, only_physical_cores=False, verbose=False):
        """Feature vectors.

        Parameters
        ----------
        system : ase.Atoms or list of ase.Atoms
        n_jobs : int, default 1
            Number of threads; -1 for all.
        only_physical_cores, verbose
            Taken, without effect.

        Returns
        -------
        ndarray of shape (n_features,), or for a list (n_systems, n_features)

        Raises
        ------
        DataError
            For a structure that is not valid, or does not fit the parameters.
        """
        single, frames = self._frames(system)
        with self._threads(n_jobs):
            return self._pack(self._transform(frames), single)

    def derivatives(
        self,
        system,
        include=None,
        exclude=None,
        method="auto",
        return_descriptor=True,
        n_jobs=1,
        only_physical_cores=False,
        verbose=False,
    ):
        """Derivatives of feature vectors with respect to positions of atoms, per Angstrom.

        Parameters
        ----------
        system, n_jobs, only_physical_cores, verbose
            As for `create`.
        include, exclude : list of int, optional
            Atoms to differentiate by, or not; for a list of systems a list of such lists.
        method : str, default "auto"
            "analytical", "numerical" (central differences), or "auto", which is analytical where that is possible:
            everywhere but for matrices whose rows are ordered, or eigenvalues.
        return_descriptor : bool, default True
            Whether to return the feature vectors too.

        Returns
        -------
        derivatives : ndarray of shape (n_atoms, 3, n_features)
            For a list of systems a stack of them, or a list where they have different numbers of atoms.
        descriptor : ndarray
            With `return_descriptor`, what `create` gives.
        """
        return_descriptor = check_flag(return_descriptor, "return_descriptor")
        refusal = self._why_not_analytical()
        if check_method(method) == "analytical" and refusal:
            raise ConfigError(refusal)
        single, frames = self._frames(system)
        indices = select_atoms(frames, include, exclude, single)
        with self._threads(n_jobs):
            if method == "numerical" or refusal:
                values = [differences(self._smooth, *pair) for pair in zip(frames, indices, strict=True)]
            else:
                values = [self._gradients(atoms)[chosen] for atoms, chosen in zip(frames, indices, strict=True)]
        derivatives = self._pack(values, single)
        return (derivatives, self.create(system, n_jobs=n_jobs)) if return_descriptor else derivatives
