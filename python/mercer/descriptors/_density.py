"""The parameters that descriptors of the neighbour density share."""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from mercer._core import core
from mercer._validation import check_choice, check_count, check_positive
from mercer.descriptors._base import Descriptor
from mercer.errors import ConfigError
from mercer.structures import species_numbers


@dataclass(frozen=True)
class DensityDescriptor(Descriptor):
    """Keywords of descriptors of the neighbour density; subclasses add species, r_cut, n_max, sigma."""

    _: KW_ONLY
    radial_basis: str = "gto"
    radial_options: Mapping | None = None
    cutoff: str = "shifted_cosine"
    cutoff_width: float = 0.5
    radial_scaling: Mapping | None = None
    central_weight: float = 1.0
    central_in_all_species: bool = False
    channels: tuple | None = None
    normalize: bool = True
    ignore_unknown: bool = False

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""

        def put(name, value):
            object.__setattr__(self, name, value)

        put("species", _species(self.species))
        put("r_cut", check_positive(self.r_cut, "r_cut"))
        put("n_max", check_count(self.n_max, "n_max"))
        put("sigma", check_positive(self.sigma, "sigma"))
        check_choice(self.radial_basis, core.radial_basis_parameters(), "radial_basis")
        check_choice(self.cutoff, core.cutoff_names(), "cutoff")
        put("cutoff_width", check_positive(self.cutoff_width, "cutoff_width"))
        if self.cutoff_width > self.r_cut and self.cutoff not in ("none", "cosine"):
            raise ConfigError(f"cutoff_width={self.cutoff_width}: expected at most r_cut={self.r_cut}.")
        known = core.radial_basis_parameters()[self.radial_basis]
        put("radial_options", _options(self.radial_options, "radial_options", known))
        put("radial_scaling", _options(self.radial_scaling, "radial_scaling", ("rate", "scale", "exponent")))
        if np.ndim(self.central_weight) != 0 or not np.isfinite(self.central_weight):
            raise ConfigError(f"central_weight={self.central_weight!r}: expected a finite number.")
        put("central_weight", float(self.central_weight))
        put("channels", _channels(self.channels, len(self.species)))
        for flag in ("central_in_all_species", "normalize", "ignore_unknown"):
            put(flag, bool(getattr(self, flag)))
        try:
            core.RadialScaling(**self._scaling())
        except ValueError as error:
            raise ConfigError(f"radial_scaling={dict(self.radial_scaling)}: {error}") from None

    def _scaling(self):
        return {"rate": 1.0, "scale": 2.0, "exponent": 0.0} | dict(self.radial_scaling or ())

    def _parameters(self, l_max):
        return core.DensityParameters(
            species=list(self.species),
            n_max=self.n_max,
            l_max=l_max,
            r_cut=self.r_cut,
            sigma=self.sigma,
            radial_basis=self.radial_basis,
            radial_options=dict(self.radial_options or ()),
            cutoff=self.cutoff,
            width=self.cutoff_width,
            scaling=core.RadialScaling(**self._scaling()),
            central_weight=self.central_weight,
            central_in_all_species=self.central_in_all_species,
            channels=[] if self.channels is None else [weight for row in self.channels for weight in row],
            ignore_unknown=self.ignore_unknown,
        )

    @property
    def n_channels(self):
        """Number of channels of the density: the species, or the columns of `channels`."""
        return len(self.species) if self.channels is None else len(self.channels[0])

    def to_dict(self):
        """The parameters as plain numbers, strings, lists and dicts, with the class under ``"type"``."""
        parameters = super().to_dict()
        for name in ("radial_options", "radial_scaling"):
            if parameters[name] is not None:
                parameters[name] = dict(getattr(self, name))
        return parameters


def _species(species):
    species = [species] if isinstance(species, str | int | np.integer) else species
    if not isinstance(species, Iterable):
        raise ConfigError(f"species={species!r}: expected symbols or atomic numbers, such as species=['H', 'C'].")
    numbers = sorted({number for element in species for number in species_numbers([element])})
    if not numbers:
        raise ConfigError("species is empty; give the elements that occur, such as species=['H', 'C'].")
    return tuple(numbers)


def _options(options, name, known):
    """A mapping of names to numbers as a sorted tuple of pairs, which can be hashed."""
    if options is None:
        return None
    try:
        options = dict(options)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}={options!r}: expected a dict.") from None
    for key in options:
        check_choice(key, known, f"a key of {name}")
    return tuple(
        sorted((key, check_positive(value, f"{name}[{key!r}]", allow_zero=True)) for key, value in options.items())
    )


def _channels(channels, n_species):
    if channels is None:
        return None
    matrix = np.asarray(channels, dtype=float)
    if matrix.ndim != 2 or len(matrix) != n_species or matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise ConfigError(
            f"channels has shape {matrix.shape}; expected ({n_species}, n_channels), finite: a row for each species "
            "in order of atomic number."
        )
    return tuple(tuple(row) for row in matrix.tolist())
