"""From labels to targets: energies of free atoms, and the standard deviation of every label.

Arrays in, arrays out. Energies in eV; `numbers` are atomic numbers; `offsets` (n_frames + 1) says which atoms belong to
which frame. What a kernel model learns is the label minus the sum of the free atoms' energies E0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mercer._validation import check_amplitude, check_mapping, check_number
from mercer.errors import ConfigError, DataError

#: How the sigma of a total (energy, virial) of n atoms follows from the given one.
SIGMA_SCALINGS = {
    "sqrt": np.sqrt,
    "per_atom": lambda n: np.asarray(n, float),
    "total": lambda n: np.ones(np.shape(n)),
}

#: Standard deviations of labels where none is given: energy in eV per atom, local energies in eV, forces in eV/Angstrom
#: per component, virial in eV per atom.
DEFAULT_SIGMA = {"energy": 0.001, "energies": 0.01, "forces": 0.1, "virial": 0.05}

E0_METHODS = ("auto", "isolated", "lstsq", "average", "none")

#: Singular values of the composition matrix below this fraction of the largest count as zero.
_RANK_TOLERANCE = 1e-10


def is_isolated_config(config_type):
    """Whether a frame's `config_type` says "isolated atom": in any case, with or without underscore, dash or space.

    >>> is_isolated_config("isolated_atom"), is_isolated_config("IsolatedAtom"), is_isolated_config("bulk")
    (True, True, False)
    """
    return str(config_type).lower().translate(str.maketrans("", "", "_- ")) == "isolatedatom"


def count_species(numbers, offsets, species):
    """Composition of frames.

    Parameters
    ----------
    numbers : (n_atoms,) int array
    offsets : (n_frames + 1,) int array
    species : (n_species,) int array
        Atomic numbers, ascending, covering `numbers`.

    Returns
    -------
    (n_frames, n_species) float array
    """
    numbers, offsets, species = (np.asarray(a) for a in (numbers, offsets, species))
    counts = np.zeros((len(offsets) - 1, len(species)))
    frame = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    np.add.at(counts, (frame, np.searchsorted(species, numbers)), 1.0)
    return counts


def sum_over_frames(values, offsets):
    """Sum of (n_atoms, ...) `values` over the atoms of each frame -> (n_frames, ...); frames without atoms give 0."""
    values, offsets = np.asarray(values), np.asarray(offsets)
    out = np.zeros((len(offsets) - 1, *values.shape[1:]), values.dtype)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        out[filled] = np.add.reduceat(values, offsets[filled], axis=0)
    return out


@dataclass(frozen=True)
class FreeAtomEnergies:
    """Energy E0 of a free atom per element, how each was found, and which compositions the data determine.

    Attributes
    ----------
    species : (n_species,) int array
        Atomic numbers, ascending.
    energies : (n_species,) float array
        eV.
    sources : tuple of str
        Per element: "isolated atom", "least squares", "average", "given" or "none".
    undetermined : (k, n_species) float array
        Orthonormal directions in composition space along which least squares had no data: E0 is known only for
        compositions orthogonal to all of them, and its split among the elements is a guess. Usually empty.
    """

    species: np.ndarray
    energies: np.ndarray
    sources: tuple
    undetermined: np.ndarray

    def per_atom(self, numbers):
        """E0 of each atom -> (n_atoms,)."""
        return self.energies[np.searchsorted(self.species, numbers)]

    def per_frame(self, numbers, offsets):
        """Sum of E0 over each frame -> (n_frames,)."""
        return count_species(numbers, offsets, self.species) @ self.energies

    def undetermined_species(self):
        """Atomic numbers of the elements whose own E0 least squares did not determine."""
        return self.species[np.any(np.abs(self.undetermined) > 1e-8, axis=0)]

    def outside_span(self, numbers, offsets):
        """Frames whose composition the training data did not determine -> (n_frames,) bool."""
        counts = count_species(numbers, offsets, self.species)
        norm = np.linalg.norm(counts, axis=1)
        component = np.linalg.norm(counts @ self.undetermined.T, axis=1)
        return component > 1e-8 * np.maximum(norm, 1.0)


def resolve_e0(e0, species, counts, energies, isolated=None, *, scaling="sqrt", symbols=str):
    """Energies of free atoms, from isolated atoms, by least squares on compositions, or as given.

    Parameters
    ----------
    e0 : {"auto", "isolated", "lstsq", "average", "none"}, mapping, float or None
        "auto": isolated atoms where the data hold them, least squares for the elements that remain, zero where no frame
        has an energy. "isolated": an
        isolated atom of every element is demanded. "lstsq": minimum-norm solution of counts @ e0 = energies, so
        that compositions of lower rank (NaCl alone) are allowed. "average": mean energy per atom, the same for all
        elements. "none", None or 0: zero. A number: the same for all elements. A mapping {atomic number: eV}.
    species : (n_species,) int array
        Atomic numbers, ascending.
    counts : (n, n_species) array
        Compositions of the frames with energies, isolated atoms not among them.
    energies : (n,) array
        Their energies, eV.
    isolated : mapping, optional
        {atomic number: energies of isolated atoms, a sequence}.
    scaling : {"sqrt", "per_atom", "total"}
        Least squares weighs a frame of n atoms by 1 / sqrt(n), 1 / n or 1: as the sigma of its energy scales.
    symbols : callable
        Writes an atomic number in messages.

    Returns
    -------
    FreeAtomEnergies

    Raises
    ------
    DataError
        An element has no energy in a given mapping or no isolated atom where they are demanded; isolated atoms of one
        element contradict each other; no energies to fit.
    ConfigError
        Unknown method, or a value that is not a finite number.

    Notes
    -----
    A kernel adds its own value for an isolated atom: the model's energy there is E0 plus that value.
    """
    species = np.asarray(species)
    n_species = len(species)
    nothing = np.zeros((0, n_species))
    if e0 is None:
        e0 = "none"
    if isinstance(e0, Mapping):
        missing = [symbols(z) for z in species if int(z) not in e0]
        if missing:
            raise DataError(f"e0: no energy for {', '.join(missing)}, which the data contain; add it, or use e0='auto'")
        values = np.array([_finite(e0[int(z)]) for z in species])
        return FreeAtomEnergies(species, values, ("given",) * n_species, nothing)
    if not isinstance(e0, str):
        value = _finite(e0)
        return FreeAtomEnergies(
            species, np.full(n_species, value), ("given" if value else "none",) * n_species, nothing
        )
    if e0 not in E0_METHODS:
        raise ConfigError(
            f"e0: unknown method {e0!r}; known: {', '.join(E0_METHODS)}, a number, or a mapping of elements"
        )
    if e0 == "none":
        return FreeAtomEnergies(species, np.zeros(n_species), ("none",) * n_species, nothing)

    counts, energies = np.asarray(counts, float), np.asarray(energies, float)
    n_atoms = counts.sum(axis=1)
    if e0 == "average":
        _require_energies(energies)
        return FreeAtomEnergies(
            species, np.full(n_species, np.mean(energies / n_atoms)), ("average",) * n_species, nothing
        )

    values, sources = np.zeros(n_species), ["least squares"] * n_species
    if e0 in ("auto", "isolated"):
        for s, z in enumerate(species):
            found = np.asarray((isolated or {}).get(int(z), ()), float)
            if not len(found):
                continue
            if np.ptp(found) > 1e-3:
                raise DataError(
                    f"isolated atoms of {symbols(z)} have energies from {found.min():.6g} to {found.max():.6g} eV; "
                    f"keep one of them, or give e0"
                )
            values[s], sources[s] = found[0], "isolated atom"
    unknown = np.array([source != "isolated atom" for source in sources])
    if e0 == "isolated" and unknown.any():
        raise DataError(
            f"e0='isolated': no isolated atom with an energy for {', '.join(symbols(z) for z in species[unknown])}; "
            f"add frames of one atom with config_type=IsolatedAtom, or use e0='auto'"
        )
    undetermined = nothing
    if unknown.any() and e0 == "auto" and not len(energies):  # forces alone: energies have no zero
        sources = ["none" if missing else source for missing, source in zip(unknown, sources, strict=True)]
    elif unknown.any():
        _require_energies(energies)
        weights = 1.0 / SIGMA_SCALINGS[scaling](n_atoms)
        # rows of zeros, so that vt is square also where there are fewer frames than elements
        padding = np.zeros((int(unknown.sum()), int(unknown.sum())))
        design = np.vstack([counts[:, unknown] * weights[:, None], padding])
        target = np.concatenate([(energies - counts @ values) * weights, padding[0]])
        u, s, vt = np.linalg.svd(design, full_matrices=False)
        rank = int(np.count_nonzero(s > _RANK_TOLERANCE * s[0])) if s[0] > 0 else 0
        values[unknown] = vt[:rank].T @ ((u[:, :rank].T @ target) / s[:rank])
        if rank < len(vt):
            null = vt[rank:]
            prior = _split(species[unknown], counts[:, unknown], energies - counts[:, ~unknown] @ values[~unknown])
            values[unknown] += null.T @ (null @ (prior - values[unknown]))
        undetermined = np.zeros((len(vt) - rank, n_species))
        undetermined[:, unknown] = vt[rank:]
    return FreeAtomEnergies(species, values, tuple(sources), undetermined)


def atom_energy(z):
    """Total energy of a free atom of atomic number `z`, all electrons, to about 2 % (1 eV for H), eV: an array.

    E = -0.768745 Z^(7/3) + Z^2 / 2 - 0.269900 Z^(5/3) Hartree.

    References
    ----------
    J. Schwinger, Phys. Rev. A 24, 2353 (1981); B.-G. Englert and J. Schwinger, Phys. Rev. A 32, 26 (1985).
    """
    z = np.asarray(z, float)
    return 27.211386 * (-0.768745 * z ** (7 / 3) + 0.5 * z**2 - 0.269900 * z ** (5 / 3))


def _split(species, counts, energies):
    """A sensible E0 of each element, where compositions determine sums only: (n_species,), eV.

    That of the free atom with all electrons where the energies are of that size, plus the same for every atom.
    """
    whole = counts @ atom_energy(species)
    ratio = np.median(energies / whole)
    start = atom_energy(species) if 0.9 < ratio < 1.1 else np.zeros(len(species))
    rest = energies - counts @ start
    n_atoms = counts.sum(axis=1)
    return start + np.mean(rest[n_atoms > 0] / n_atoms[n_atoms > 0])


def describe_undetermined(elements):
    """Lines of a log about elements whose E0 is a matter of choice; none without such."""
    if not elements:
        return []
    return [
        f"E0 of {', '.join(elements)}: the compositions of the training frames determine sums only, and how these are "
        "split among the elements is a guess; give isolated atoms, or e0"
    ]


def _finite(value):
    return check_number(value, "e0: an energy", smallest=-1e120, largest=1e120)


def _require_energies(energies):
    if not len(energies):
        raise DataError("e0: no energies to determine it from; give e0 as a mapping of elements, or e0='none'")


def check_sigma(sigma, where="sigma"):
    """A copy of {kind of label: standard deviation or None}, checked.

    Raises
    ------
    ConfigError
        For an unknown kind, or a value that is not positive and finite.
    """
    checked = {}
    for kind, value in check_mapping(sigma, where, "a mapping such as {'energy': 0.001, 'forces': 0.1}").items():
        if kind not in DEFAULT_SIGMA:
            raise ConfigError(f"{where}: unknown kind of label {kind!r}; known: {', '.join(DEFAULT_SIGMA)}")
        checked[kind] = None if value is None else check_amplitude(value, f"{where}[{kind!r}]")
    return checked


def label_sigma(kind, n_atoms, config_types, sigma, *, scaling="sqrt", config_type_sigma=None, absolute=None):
    """Standard deviation of one kind of label for every frame.

    Parameters
    ----------
    kind : str
        "energy", "energies", "forces" or "virial".
    n_atoms : (n_frames,) int array
    config_types : sequence of str
        Per frame.
    sigma : mapping
        {kind: standard deviation}; energy and virial in eV per atom, energies in eV, forces in eV/Angstrom.
    scaling : {"sqrt", "per_atom", "total"}
        The sigma of energy and virial of a frame of n atoms is sigma sqrt(n) (the rule of gap_fit), sigma n, or sigma.
        Local energies and force components do not scale.
    config_type_sigma : mapping, optional
        {config_type: {kind: sigma}} in place of `sigma`, scaled alike; None gives NaN: not trained on.
    absolute : (n_frames,) array, optional
        Where not NaN, the standard deviation of this frame's label itself: nothing is scaled.

    Returns
    -------
    (n_frames,) array
    """
    per_config = {name: values[kind] for name, values in (config_type_sigma or {}).items() if kind in values}
    base = np.array([per_config.get(name, sigma[kind]) for name in config_types], float).reshape(len(n_atoms))
    if kind in ("energy", "virial"):
        base = base * SIGMA_SCALINGS[scaling](np.asarray(n_atoms))
    if absolute is None:
        return base
    absolute = np.asarray(absolute, float)
    wrong = np.flatnonzero(~np.isnan(absolute) & ~((absolute > 0) & np.isfinite(absolute)))
    if len(wrong):
        raise DataError(f"frame {wrong[0]}: {kind}_sigma is {absolute[wrong[0]]}; expected a positive number")
    return np.where(np.isnan(absolute), base, absolute)
