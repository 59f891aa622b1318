"""The radial spectrum."""

from dataclasses import dataclass

from mercer._core import core
from mercer._parameters import Length
from mercer.descriptors._base import Species, register
from mercer.descriptors._density import DensityDescriptor, RadialCount
from mercer.errors import ConfigError
from mercer.structures import symbols


@register
@dataclass(frozen=True)
class RadialSpectrum(DensityDescriptor):
    """The coefficients c_n00 of the neighbour density, channel by channel: what is left of it after averaging over all
    rotations, the two-body counterpart of SOAP (Willatt, Musil and Ceriotti, J. Chem. Phys. 150, 154110 (2019)).

    Parameters
    ----------
    species, r_cut, n_max, sigma
        As for `SOAP`, and so are the keywords.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> RadialSpectrum(["H", "O"], r_cut=4.0, n_max=8, sigma=0.3).transform(molecule("H2O")).shape
    (3, 16)
    """

    species: Species
    r_cut: Length
    n_max: RadialCount
    sigma: Length

    def _make(self):
        try:
            return core.RadialSpectrum(self._parameters(0), self.normalize)
        except ValueError as error:
            raise ConfigError(f"RadialSpectrum: {error}") from None

    @property
    def n_features(self):
        """Number of columns: n_channels n_max."""
        return self.n_channels * self.n_max

    def feature_labels(self):
        """What every column is: a list of (species or channel, n)."""
        names = symbols(self.species) if self.channels is None else range(self.n_channels)
        return [(name, n) for name in names for n in range(self.n_max)]
