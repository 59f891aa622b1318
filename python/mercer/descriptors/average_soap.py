"""The SOAP power spectrum of the average environment of a structure."""

from dataclasses import dataclass, field

from mercer._core import core
from mercer.descriptors._base import Species, register
from mercer.descriptors.soap import SOAP
from mercer.errors import ConfigError


@register
@dataclass(frozen=True)
class AverageSOAP(SOAP):
    r"""The power spectrum of the mean of :math:`c^a_{nlm}` over the atoms of a structure ("inner average"), a row for
    every frame.

    All parameters but `centers` are those of `SOAP`. The average kernel (`mercer.kernels.Average`) averages the spectra
    of the atoms instead; here their densities are averaged in one common orientation.

    Parameters
    ----------
    centers : str, int, or sequence of them, optional
        Elements of the atoms that are averaged over; by default all.

    Examples
    --------
    >>> from ase.build import molecule
    >>> AverageSOAP(["H", "O"], r_cut=4.0, n_max=4, l_max=3, sigma=0.5).transform(molecule("H2O")).shape
    (1, 144)
    """

    centers: Species | None = field(default=None, kw_only=True)
    per_frame = True

    def _make(self):
        try:
            return core.AverageSoap(self._parameters(self.l_max), self.normalize, list(self.centers or ()))
        except ValueError as error:
            raise ConfigError(f"AverageSOAP: {error}") from None

    def kind_labels(self):
        """Name of the one group that the rows are in."""
        return [("structure",)]

    def raw_gradients(self, frames, out=None):
        """Refused: rows are of frames; use `gradients`."""
        raise ConfigError("AverageSOAP: raw_gradients are of rows of atoms; use gradients.")

    def transform_blocks(self, frames):
        """Refused: rows are of frames; use `transform`."""
        raise ConfigError("AverageSOAP: transform_blocks are of rows of atoms; use transform.")
