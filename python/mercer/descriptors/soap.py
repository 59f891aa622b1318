"""The SOAP power spectrum."""

from dataclasses import dataclass

import numpy as np

from mercer._core import core
from mercer._parameters import Length
from mercer._validation import check_items, show
from mercer.descriptors._base import Species, register
from mercer.descriptors._density import AngularMomentum, DensityDescriptor, RadialCount
from mercer.errors import ConfigError
from mercer.structures import species_numbers, symbols


@register
@dataclass(frozen=True)
class SOAP(DensityDescriptor):
    r"""Smooth overlap of atomic positions: the power spectrum of the neighbour density of every atom.

    The density of species :math:`a` around atom i, Gaussians on the neighbours,
    :math:`\sum_j f_c(r_{ij}) u(r_{ij}) \exp(-|r - r_{ij}|^2 / 2 \sigma^2)`, is expanded in orthonormal radial
    functions and real spherical harmonics, :math:`c^a_{nlm}`. Features are
    :math:`p^{ab}_{nn'l} = (2l+1)^{-1/2} \sum_m c^a_{nlm} c^b_{n'lm}` (Bartok, Kondor and Csanyi, Phys. Rev. B 87,
    184115 (2013); Willatt, Musil and Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018), eq. 7), packed so that dot
    products equal those of the full spectrum: a block for each pair of channels a <= b, slowest, then l, then n, then
    n'; blocks of two different channels hold all (n, n') times sqrt(2), blocks of one channel n <= n' with sqrt(2)
    where n < n'.

    Parameters
    ----------
    species : str, int, or sequence of them
        Elements that may occur, as symbols or atomic numbers; sorted by atomic number.
    r_cut : float
        Cutoff radius, Angstrom.
    n_max : int
        Number of radial functions.
    l_max : int
        Largest angular momentum; l = 0 .. l_max.
    sigma : float
        Width of the Gaussians, Angstrom.
    radial_basis : str, default "gto"
        "gto", "gap" (that of published GAP potentials), "laplacian", or that of another package
        (`mercer.basis.RADIAL_BASES`).
    radial_options : dict, optional
        Parameters that one radial basis alone has.
    cutoff : str, default "shifted_cosine"
        "shifted_cosine", "cosine", "polynomial" or "none" (a step: the features then jump at `r_cut`).
    cutoff_width : float, default 0.5
        Angstrom over which the cutoff function falls from 1 to 0.
    radial_scaling : dict, optional
        ``{"rate": c, "scale": r0, "exponent": m}``: neighbours count c / (c + (r / r0)^m) (Willatt et al., eq. 21); or
        with a ``"name"`` another one of `mercer.basis.RADIAL_SCALINGS`.
    central_weight : float, default 1.0
        Weight of the Gaussian on the atom itself.
    central_in_all_species : bool, default False
        That Gaussian counts for every species, not only for the one of the atom.
    channels : array_like of shape (n_species, n_channels), optional
        Combines species into fewer density channels before products are taken (Willatt et al., eq. 14-17); by default
        a channel for each species.
    normalize : bool, default True
        Rows of unit length; zero rows stay zero.
    ignore_unknown : bool, default False
        Neighbours of other elements than `species` are left out, instead of being an error. Atoms of such an element
        have rows all the same.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import bulk
    >>> soap = SOAP("C", r_cut=3.7, n_max=12, l_max=6, sigma=0.5)
    >>> soap.transform(bulk("C")).shape
    (2, 546)
    """

    species: Species
    r_cut: Length
    n_max: RadialCount
    l_max: AngularMomentum
    sigma: Length

    def _make(self):
        try:
            return core.Soap(self._parameters(self.l_max), self.normalize)
        except ValueError as error:
            raise ConfigError(f"SOAP: {error}") from None

    @property
    def n_features(self):
        """Number of columns: (l_max + 1) K (K + 1) / 2 with K = n_channels n_max."""
        size = self.n_channels * self.n_max
        return (self.l_max + 1) * size * (size + 1) // 2

    def feature_labels(self):
        """What every column is: a list of (a, b, n, n', l).

        a and b are chemical symbols, or with `channels` the numbers of the channels.
        """
        names = symbols(self.species) if self.channels is None else range(self.n_channels)
        labels = []
        for a, first in enumerate(names):
            for b, second in enumerate(names):
                if b >= a:
                    labels += [
                        (first, second, n, n2, angular)
                        for angular in range(self.l_max + 1)
                        for n in range(self.n_max)
                        for n2 in range(n if a == b else 0, self.n_max)
                    ]
        return labels

    def block(self, pair):
        """The columns of a pair of species (or of channels, where `channels` is given) as a slice.

        Examples
        --------
        >>> SOAP(["H", "O"], 4.0, 2, 1, 0.5).block(("H", "O"))
        slice(6, 14, None)
        """
        entries = list(pair) if isinstance(pair, str) else check_items(pair, "pair", "two species or channels")
        if self.channels is None:
            species = [species_numbers([element], "pair")[0] for element in entries]
            for number in species:
                if number not in self.species:
                    raise ConfigError(f"block: pair={pair}: {symbols([number])[0]} is not among the species.")
            entries = [self.species.index(number) for number in species]
        known = range(self.n_channels)
        if len(entries) != 2 or any(isinstance(c, float) or c not in known for c in entries):
            raise ConfigError(f"block: pair={show(pair)}: expected two species, or channels out of 0 .. {known[-1]}.")
        a, b = sorted(entries)
        n, n_l = self.n_max, self.l_max + 1
        # rows a' < a of the triangle of blocks hold one diagonal block and n_channels - 1 - a' others
        diagonal, other = n_l * n * (n + 1) // 2, n_l * n * n
        start = a * diagonal + (a * (self.n_channels - 1) - a * (a - 1) // 2) * other
        if a == b:
            return slice(start, start + diagonal)
        start += diagonal + (b - a - 1) * other
        return slice(start, start + other)

    def transform_blocks(self, frames):
        """Rows without the blocks that are zero because an element does not occur around the atom.

        Parameters
        ----------
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        dict of ndarray
            ``atom_offsets`` (n_atoms + 1), ``blocks`` (n_blocks), ``value_offsets`` (n_blocks + 1), ``values``:
            atom i has the blocks ``blocks[atom_offsets[i]:atom_offsets[i + 1]]`` (pairs of channels in the order of
            the columns, counted from 0); block k holds ``values[value_offsets[k]:value_offsets[k + 1]]``.
        """
        environments = self._environments(frames)
        arrays = self._core.transform_blocks(environments.structures, environments.pairs)
        return dict(zip(("atom_offsets", "blocks", "value_offsets", "values"), map(np.asarray, arrays), strict=True))
