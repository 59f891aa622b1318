"""The many-body tensor representation of structures."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mercer._core import core
from mercer.descriptors._base import register
from mercer.descriptors._mbtr import MBTRPart, TensorDescriptor
from mercer.descriptors._structure import StructureDescriptor
from mercer.errors import ConfigError
from mercer.structures import naming_frames


@register
@dataclass(frozen=True)
class MBTR(TensorDescriptor, StructureDescriptor):
    r"""Many-body tensor representation: distributions of distances, angles, ... of a structure, a row for every frame.

    For k = 1, 2, 3, 4 atoms, :math:`f_k(x, z) = \sum_{i} w_k(i) D(x, g_k(i)) \prod_t C_{z_t, Z_{i_t}}`, the sum over
    tuples i of different atoms, z a tuple of elements (Huo and Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), eq.
    4). Every tuple counts once, not in both of its directions; of periodic frames all tuples in the crystal count, once
    for all their translations, so that rows are extensive and do not depend on the choice of the cell. That needs
    weights that end: `r_cut`, or a threshold with a weight that decays.

    Columns are those of k1, then k2, k3 and k4; in each the tuples of elements are slowest, then the grid. With the
    elements a, b, ... in ascending order, k = 2 has the pairs (a, b), a <= b; k = 3 the triples (a, b, c), a <= c, with
    the vertex b slowest; k = 4 the chains (a, b, c, d), b <= c, with the bond (b, c) slowest, and a <= d where b = c.

    Parameters
    ----------
    species : str, int, or sequence of them
        Elements that may occur, as symbols or atomic numbers; sorted by atomic number.
    k1, k2, k3, k4 : MBTRPart, or dict of its parameters, optional
        The tensors; at least one.
    correlation : array_like of shape (n_elements, n_species), optional
        C: every atom counts as each of the elements z, by the factor C[z, Z]; with fewer rows than species the tensor
        becomes smaller. Default: the unit matrix.
    normalization : str, default "none"
        "none"; "l2", rows of unit length (zero rows stay zero); "n_atoms", divided by the number of atoms;
        "valle_oganov", of crystals: multiplied by V / (4 pi N_a N_b), twice that for a = b, for k = 2, and by
        V / (N_a N_b N_c) for k = 3 (Valle and Oganov, Acta Cryst. A 66, 507 (2010), for k = 2; for k = 3 as dscribe:
        rows of a supercell of n cells are 1 / n of those of one cell, so compare cells of as many atoms only).
    ignore_unknown : bool, default False
        Atoms of other elements than `species` are left out, instead of being an error.
    max_tuples : float, default 1e8
        More tuples than this in a part and a frame are an error.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Warns
    -----
    UserWarning
        `transform`: where more than 1 % of the weight of all tuples is beside the grid.

    Examples
    --------
    >>> from ase.build import molecule
    >>> inverse = {"geometry": "inverse_distance", "grid": (0, 1.5, 100), "sigma": 0.05, "weight": "inverse_square"}
    >>> angles = {"geometry": "cosine", "grid": (-1, 1, 100), "sigma": 0.05}
    >>> mbtr = MBTR(["H", "O"], k2=inverse, k3=angles | {"weight": {"function": "exponential", "scale": 0.5}})
    >>> mbtr.transform(molecule("H2O")).shape
    (1, 900)
    >>> list(mbtr.channels(molecule("H2O")))
    [(2, ('H', 'H')), (2, ('H', 'O')), (3, ('H', 'H', 'O')), (3, ('H', 'O', 'H'))]
    """

    k1: Annotated[MBTRPart, MBTRPart.of] | None = None

    _orders = (1, 2, 3, 4)
    _normalizations = ("none", "l2", "n_atoms", "valle_oganov")
    _kind = core.Mbtr

    def _occurring(self, frames):
        """Of every channel that occurs in a frame: frame, channel, first value; all values."""
        environments = self._environments(frames)
        with naming_frames(environments.frames):
            offsets, channels, values, total, outside = self._core.transform_channels(
                environments.structures, environments.pairs
            )
        self._warn_outside(total, outside)
        sizes = np.array([self.parts[k].grid[2] for k, _ in self.channel_labels()])
        starts = np.concatenate([[0], np.cumsum(sizes[channels])])
        return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), channels, starts, values, sizes

    def channels(self, frames):
        """The tensors by tuples of elements, only those that occur.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        dict
            {(k, elements): ndarray of shape (n_frames, n)}; elements as in `channel_labels`.

        Raises
        ------
        ConfigError
            Where a correlation mixes elements, so that all channels occur.
        """
        self._require_separate_channels()
        environments = self._environments(frames)
        frame, channel, starts, values, sizes = self._occurring(environments)
        labels = self.channel_labels()
        out = {labels[c]: np.zeros((len(environments.frames), sizes[c])) for c in np.unique(channel)}
        for f, c, start in zip(frame, channel, starts[:-1], strict=True):
            out[labels[c]][f] = values[start : start + sizes[c]]
        return out

    def sparse(self, frames):
        """Rows without the columns of tuples of elements that do not occur, for many elements.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        scipy.sparse.csr_array of shape (n_frames, n_features)

        Raises
        ------
        ConfigError
            Where a correlation mixes elements, so that all channels occur.
        """
        from scipy.sparse import csr_array

        self._require_separate_channels()
        environments = self._environments(frames)
        frame, channel, starts, values, sizes = self._occurring(environments)
        n_frames, n_values = len(environments.frames), int(starts[-1])
        integer = np.int32 if max(n_values, self.n_features) < 2**31 else np.int64
        first = np.concatenate([[0], np.cumsum(sizes)])[channel]
        columns = np.arange(n_values, dtype=integer)
        columns += np.repeat((first - starts[:-1]).astype(integer), sizes[channel])
        lengths = np.bincount(frame, weights=sizes[channel], minlength=n_frames)
        rows = np.concatenate([[0], np.cumsum(lengths)]).astype(integer)
        return csr_array((values, columns, rows), shape=(n_frames, self.n_features))

    def _require_separate_channels(self):
        if self.correlation is not None:
            raise ConfigError(f"{type(self).__name__}: correlation mixes the elements, so all channels occur; "
                              "use transform.")  # fmt: skip

    @staticmethod
    def _channels(k, n):
        """Tuples of k elements out of n, in the order of the columns."""
        r = range(n)
        if k == 1:
            return [(a,) for a in r]
        if k == 2:
            return [(a, b) for a in r for b in r if a <= b]
        if k == 3:
            return [(a, b, c) for b in r for a in r for c in r if a <= c]
        return [(a, b, c, d) for b in r for c in r if b <= c for a in r for d in r if b < c or a <= d]
