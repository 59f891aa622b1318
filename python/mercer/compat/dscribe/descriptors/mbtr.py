"""DScribe's MBTR, and the fingerprint of Valle and Oganov."""

import numpy as np

from mercer import descriptors
from mercer._validation import check_choice, check_items, check_length
from mercer.compat.dscribe.descriptors import _tensors
from mercer.compat.dscribe.descriptors._per_system import PerSystem
from mercer.errors import ConfigError
from mercer.structures import species_numbers, symbols

NORMALIZATIONS = ("none", "l2", "n_atoms", "valle_oganov")


class MBTR(PerSystem):
    """DScribe's many-body tensor representation of one k.

    Himanen et al., Comput. Phys. Commun. 247 (2020) 106949.

    Parameters
    ----------
    geometry : dict
        ``{"function": name}``: "atomic_number" (k = 1), "distance", "inverse_distance" (k = 2), "angle" in degrees,
        "cosine" (k = 3).
    grid : dict
        ``{"min", "max", "sigma", "n"}`` in the unit of the geometry.
    weighting : dict, optional
        ``{"function": name, ...}``. k = 2: "unity", "exp" with "threshold" and one of "scale" and "r_cut",
        "inverse_square" with "r_cut". k = 3: "unity", "exp" (of the perimeter), "smooth_cutoff" with "r_cut" and
        "sharpness" (default 2).
    normalize_gaussians : bool, default True
        Lines of unit area; else of unit height.
    normalization : str, default "none"
        "none", "l2", "n_atoms", "valle_oganov".
    species : list of str or int
        Elements that may occur.
    periodic : bool, default False
        Whether the periodic boundary conditions of systems count; needs a weighting that ends.
    sparse : bool, default False
        Results as `sparse.COO`; needs the package sparse.
    dtype : str, default "float64"
        Of results; "float32" rounds them.

    Raises
    ------
    ConfigError
        For a parameter outside its range and for unknown keys, naming them.

    Examples
    --------
    >>> from ase.build import molecule
    >>> mbtr = MBTR(
    ...     species=["H", "O"],
    ...     geometry={"function": "inverse_distance"},
    ...     grid={"min": 0, "max": 1.5, "sigma": 0.05, "n": 100},
    ...     weighting={"function": "exp", "scale": 0.5, "threshold": 1e-3},
    ... )
    >>> mbtr.create(molecule("H2O")).shape
    (300,)
    """

    def __init__(
        self,
        geometry=None,
        grid=None,
        weighting=None,
        normalize_gaussians=True,
        normalization="none",
        species=None,
        periodic=False,
        sparse=False,
        dtype="float64",
    ):
        super().__init__(periodic, sparse, dtype)
        self._set_species(species)
        part, self._factor = _tensors.part(geometry, grid, weighting, normalize_gaussians, self.periodic)
        check_choice(normalization, NORMALIZATIONS, "normalization")
        if normalization == "valle_oganov" and not self.periodic:
            raise ConfigError("normalization='valle_oganov': expected periodic=True.")
        if normalization == "l2":
            self._factor = 1.0
        self.tensor = descriptors.MBTR(
            self._numbers.tolist(),
            normalization="none" if normalization == "valle_oganov" and part.k == 1 else normalization,
            **{f"k{part.k}": part},
        )
        self._n_features = self.tensor.n_features

    def get_location(self, species):
        """The columns of a tuple of elements, as a slice; of three the one in the middle is the vertex.

        Examples
        --------
        >>> grid = {"min": 0, "max": 1.5, "sigma": 0.05, "n": 10}
        >>> mbtr = MBTR(species=["H", "O"], geometry={"function": "distance"}, grid=grid)
        >>> mbtr.get_location(("O", "H"))
        slice(10, 20, None)
        """
        labels = [elements for _, elements in self.tensor.channel_labels()]
        part = next(iter(self.tensor.parts.values()))
        return location(labels, species, part, self.species)

    def _transform(self, frames):
        self._check_species(frames)
        return self._factor * self.tensor.transform(frames)

    def _gradients(self, atoms):
        self._check_species([atoms])
        return self._factor * self.tensor.gradients(atoms).values


class ValleOganov(MBTR):
    """The fingerprint of crystals by Valle and Oganov, Acta Cryst. A 66 (2010) 507, as an MBTR.

    Parameters
    ----------
    species : list of str or int
        Elements that may occur.
    function : str
        "distance" or "angle".
    n : int
        Points of the grid, over [0, r_cut] or [0, 180] degrees.
    sigma : float
        Broadening, Angstrom or degrees.
    r_cut : float
        Cutoff radius, Angstrom.
    sparse, dtype
        As for `MBTR`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> fingerprint = ValleOganov(species=["Na", "Cl"], function="distance", n=50, sigma=0.1, r_cut=6.0)
    >>> fingerprint.create(bulk("NaCl", "rocksalt", a=5.64)).shape
    (150,)
    """

    def __init__(self, species, function, n, sigma, r_cut, sparse=False, dtype="float64"):
        r_cut = check_length(r_cut, "r_cut")
        distance = check_choice(function, ("distance", "angle"), "function") == "distance"
        super().__init__(
            geometry={"function": function},
            grid={"min": 0, "max": r_cut if distance else 180, "sigma": sigma, "n": n},
            weighting={"function": "inverse_square" if distance else "smooth_cutoff", "r_cut": r_cut},
            normalization="valle_oganov",
            species=species,
            periodic=True,
            sparse=sparse,
            dtype=dtype,
        )


def location(labels, species, part, known):
    """The slice of the tuple `species` among the tuples `labels` of chemical symbols, in either direction."""
    elements = [species] if isinstance(species, str) else check_items(species, "species", "a tuple of elements")
    names = tuple(map(_symbol, elements))
    found = [names in (label, label[::-1]) for label in labels]
    if not any(found):
        raise ConfigError(f"species={species!r}: expected a tuple of {part.k} of {', '.join(known)}.")
    start = int(np.argmax(found)) * part.grid[2]
    return slice(start, start + part.grid[2])


def _symbol(element):
    centre = isinstance(element, str | int) and element in ("X", 0) and element is not False
    return "X" if centre else symbols(species_numbers([element]))[0]
