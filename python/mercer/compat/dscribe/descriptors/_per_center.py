"""DScribe's descriptors that have a row for every centre of a system."""

import numpy as np

from mercer._validation import check_flag
from mercer.compat.dscribe.descriptors._base import (
    DScribeDescriptor,
    check_method,
    differences,
    per_system,
    select_atoms,
)
from mercer.compat.dscribe.descriptors._centers import Centers
from mercer.errors import ConfigError


class PerCenter(DScribeDescriptor):
    """Base: a subclass gives ``_inner``, mercer's descriptor; ``_rows(listed)``, DScribe's rows of a list of `Centers`;
    ``_take(X)``, DScribe's columns of mercer's; and ``_own(centers, rows)``, {row: derivatives (3, mercer's columns) by
    the position of the atom at a centre that stays behind}."""

    average = "off"

    def create(self, system, centers=None, n_jobs=1, only_physical_cores=False, verbose=False):
        """Feature vectors.

        Parameters
        ----------
        system : ase.Atoms or list of ase.Atoms
        centers : list, optional
            Indices of atoms and Cartesian points (Angstrom), for a list of systems a list of such lists; by default all
            atoms.
        n_jobs : int, default 1
            Number of threads; -1 for all.
        only_physical_cores, verbose
            Taken, without effect.

        Returns
        -------
        ndarray of shape (n_centers, n_features), averaged (n_features,)
            For a list of systems a stack of them, or a list where they have different numbers of centres.

        Raises
        ------
        DataError
            For elements that are not among `species`, wrong centres, and structures that are not valid.
        """
        single, frames = self._frames(system)
        listed = self._centers(frames, per_system(centers, len(frames), single, "centers"))
        with self._threads(n_jobs):
            return self._pack(self._rows(listed), single)

    def derivatives(
        self,
        system,
        centers=None,
        include=None,
        exclude=None,
        method="auto",
        return_descriptor=True,
        attach=False,
        n_jobs=1,
        only_physical_cores=False,
        verbose=False,
    ):
        """Derivatives of feature vectors with respect to positions of atoms, per Angstrom.

        Parameters
        ----------
        system, centers, n_jobs, only_physical_cores, verbose
            As for `create`.
        include, exclude : list of int, optional
            Atoms to differentiate by, or not; for a list of systems a list of such lists.
        method : str, default "auto"
            "analytical" for every combination of parameters but average="inner", "numerical" (central differences), or
            "auto", which is analytical where that is possible.
        return_descriptor : bool, default True
            Whether to return the feature vectors too.
        attach : bool, default False
            Whether centres that are atoms move with them, as forces need. Otherwise they stay where they are.

        Returns
        -------
        derivatives : ndarray of shape (n_centers, n_atoms, 3, n_features)
            One centre, if averaged. For a list of systems as in `create`.
        descriptor : ndarray
            With `return_descriptor`, what `create` gives.
        """
        return_descriptor, attach = check_flag(return_descriptor, "return_descriptor"), check_flag(attach, "attach")
        single, frames = self._frames(system)
        listed = self._centers(frames, per_system(centers, len(frames), single, "centers"))
        indices = select_atoms(frames, include, exclude, single)
        if check_method(method) == "analytical" and self.average == "inner":
            raise ConfigError("method='analytical' with average='inner' is not there; use method='numerical'.")
        numerical = method == "numerical" or self.average == "inner"
        with self._threads(n_jobs):
            one = self._numerical if numerical else self._analytical
            values = [one(c, chosen, attach) for c, chosen in zip(listed, indices, strict=True)]
            derivatives = self._pack(values, single)
            return (derivatives, self._pack(self._rows(listed), single)) if return_descriptor else derivatives

    def _centers(self, frames, centers):
        self._check_species(frames)
        return [Centers.of(atoms, chosen) for atoms, chosen in zip(frames, centers, strict=True)]

    def _analytical(self, centers, indices, attach):
        gradients = self._inner.gradients(centers.atoms)
        n_atoms = len(centers.atoms)
        place = np.full(n_atoms, -1)
        place[indices] = np.arange(len(indices))
        offsets = np.searchsorted(gradients.centers, np.arange(n_atoms + 1))
        out = np.zeros((len(centers.rows), len(indices), 3, self._n_features))
        staying = ~centers.moves | (not attach)
        staying &= (centers.rows < centers.n_atoms) & (place[centers.rows] >= 0)
        own = self._own(centers, np.unique(centers.rows[staying])) if staying.any() else {}
        for k, row in enumerate(centers.rows):
            entries = slice(offsets[row], offsets[row + 1])
            to = place[gradients.neighbors[entries]]
            out[k, to[to >= 0]] = self._take(gradients.values[entries][to >= 0])
            if staying[k]:
                out[k, place[row]] = self._take(own[row])
        return out if self.average == "off" else out.mean(axis=0, keepdims=True)

    def _numerical(self, centers, indices, attach):
        moving = centers.moves & attach
        system = centers.atoms[: centers.n_atoms]
        places = centers.atoms.positions[centers.rows]

        def evaluate(frames):
            chosen = [
                Centers.of(atoms, [int(r) if m else p for r, m, p in zip(centers.rows, moving, places, strict=True)])
                for atoms in frames
            ]
            return self._rows(chosen)

        values = differences(evaluate, system, indices)
        return np.moveaxis(values, 2, 0) if self.average == "off" else values[None]
