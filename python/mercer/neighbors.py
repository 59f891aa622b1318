"""The neighbour list, with the signature and the results of ASE's."""

from collections.abc import Mapping

import numpy as np

from mercer._core import core
from mercer._validation import as_numbers, check_cutoff, check_flag, check_positive, show
from mercer.errors import ConfigError, DataError
from mercer.structures import as_frames, naming_frames, species_numbers, to_batch

__all__ = ["VerletPairs", "build_pairs", "neighbor_list"]


def build_pairs(frames, cutoff, min_distance=0.0):
    """All ordered pairs of atoms closer than `cutoff`, for many frames at once.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
    cutoff : float
        Angstrom; infinite for all pairs of frames that are not periodic.
    min_distance : float, default 0
        Atoms this close or closer are an error, Angstrom; atoms at the same place always are.

    Returns
    -------
    core.PairList
        With arrays ``offsets`` (n_atoms + 1, the pairs of each centre), ``neighbors``, ``shifts``, ``vectors`` and
        ``distances``, sorted by centre, neighbour, shift; atoms are counted through all frames.

    Raises
    ------
    DataError
        For structures that are not valid, and atoms that are too close; names frame and atoms.
    """
    cutoff, min_distance = check_cutoff(cutoff), check_cutoff(min_distance, "min_distance")
    frames = as_frames(frames)
    batch = to_batch(frames)
    with naming_frames(frames):
        return core.build_pair_list(batch, cutoff, min_distance)


class VerletPairs:
    """Pairs of structures that change little from call to call, as in molecular dynamics.

    Pairs closer than `cutoff` + `skin` are kept, and are searched again only when one may have come within the cutoff
    unseen (L. Verlet, Phys. Rev. 159, 98 (1967)): when the two fastest atoms of a frame have moved by `skin` together,
    less what the strain of the cell takes. Not to be used by two threads at a time.

    Parameters
    ----------
    cutoff, skin : float
        Angstrom.
    min_distance : float, default 0
        Atoms this close or closer are an error, Angstrom.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms, verlet = bulk("Si", cubic=True), VerletPairs(3.0, skin=0.5)
    >>> for _ in range(10):
    ...     structures, pairs = verlet.update(atoms)
    ...     atoms.positions[0] += 0.02
    >>> pairs.n_pairs, verlet.n_builds
    (32, 1)
    """

    def __init__(self, cutoff, skin, min_distance=0.0):
        lengths = (
            check_cutoff(cutoff),
            check_positive(skin, "skin", allow_zero=True, largest=1e3),
            check_cutoff(min_distance, "min_distance"),
        )
        try:
            self._core = core.VerletList(*lengths)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def update(self, frames):
        """The structures of `frames` and their pairs, exactly those of `build_pairs`.

        Returns
        -------
        structures : core.StructureBatch
        pairs : core.PairList
            It stays as it is when this is called again.

        Raises
        ------
        DataError
            As `build_pairs`.
        """
        frames = as_frames(frames)
        structures = to_batch(frames)
        with naming_frames(frames):
            return structures, self._core.update(structures)

    @property
    def n_builds(self):
        """How often pairs were searched so far."""
        return self._core.n_builds


def neighbor_list(quantities, a, cutoff, self_interaction=False, max_nbins=None):
    """Neighbour list of one structure, as ``ase.neighborlist.neighbor_list``.

    Any mixture of periodic directions and any cell, however skewed or smaller than the cutoff; atoms may lie outside
    the cell. Sorted by i, j and shift. The time grows with the number of atoms.

    Parameters
    ----------
    quantities : str
        What to return, in this order: "i" first atom, "j" second atom, "d" distance, "D" vector from i to j, "S" shift:
        ``D = a.positions[j] - a.positions[i] + S @ a.cell``.
    a : ase.Atoms
    cutoff : float, dict or sequence of float
        One cutoff in Angstrom; or cutoffs of pairs of elements by symbol or number, ``{("C", "H"): 1.3}``, where other
        pairs are left out; or a radius for each atom: neighbours are atoms whose spheres overlap. Pairs are closer
        than, never at, the cutoff.
    self_interaction : bool, default False
        Whether each atom is its own neighbour at distance 0 (where its cutoff is not zero).
    max_nbins : optional
        Accepted as in ASE, and ignored: there are never more bins than atoms.

    Returns
    -------
    tuple of ndarray, or ndarray if one quantity is asked for
        i, j of type int64, shape (n_pairs,); d float64, (n_pairs,); D float64, (n_pairs, 3); S int64, (n_pairs, 3).

    Raises
    ------
    DataError
        For a structure that is not valid, and for two atoms at the same place.
    ConfigError
        For an unknown quantity or a cutoff that is negative or of the wrong length.

    Examples
    --------
    >>> from ase.build import bulk
    >>> i, d = neighbor_list("id", bulk("Si"), 2.5)
    >>> i.tolist(), d.round(2).tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1], [2.35, 2.35, 2.35, 2.35, 2.35, 2.35, 2.35, 2.35])
    """
    if not isinstance(quantities, str) or not quantities or set(quantities) - set("ijdDS"):
        raise ConfigError(f"quantities={show(quantities)}: expected letters out of 'ijdDS'")
    self_interaction = check_flag(self_interaction, "self_interaction")
    frames = as_frames(a)
    if len(frames) != 1:
        raise ConfigError(f"neighbor_list: expected one structure, got {len(frames)}; for many see build_pairs")
    atoms = frames[0]
    largest, limit_of = _limits(atoms, cutoff)
    filtered = limit_of is not None or self_interaction
    batch = to_batch(frames)
    if largest > 0:
        with naming_frames(frames):
            found = core.neighbor_arrays(batch, largest, "ijdDS" if filtered else quantities)
    else:
        found = {q: np.zeros((0, 3) if q in "DS" else 0, dtype=float if q in "dD" else np.int64) for q in "ijdDS"}
    if self_interaction and largest > 0:
        found = _with_self(found, len(atoms))
    if limit_of is not None:
        keep = found["d"] < limit_of(found["i"], found["j"])
        found = {q: array[keep] for q, array in found.items()}
    results = tuple(found[q] for q in quantities)
    return results[0] if len(results) == 1 else results


def _limits(atoms, cutoff):
    """The largest cutoff, and a function of the arrays i, j that gives each pair's own, or None if all are the same."""
    if isinstance(cutoff, Mapping):
        numbers = atoms.numbers
        table = np.zeros((numbers.max(initial=0) + 1,) * 2)
        for pair, value in cutoff.items():
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ConfigError(f"cutoff: {show(pair)} is not a pair of elements, such as ('C', 'H')")
            first, second = (species_numbers([element], "cutoff")[0] for element in pair)
            length = check_positive(value, f"cutoff of {pair}", allow_zero=True)
            if max(first, second) < len(table):
                table[first, second] = table[second, first] = length
        return table.max(), lambda i, j: table[numbers[i], numbers[j]]
    if not isinstance(cutoff, list | tuple | np.ndarray) or (isinstance(cutoff, np.ndarray) and cutoff.ndim == 0):
        return check_positive(cutoff, "cutoff", allow_zero=True), None
    try:
        radii = as_numbers(cutoff, "cutoff")
    except DataError as error:
        raise ConfigError(str(error)) from None
    if radii.shape != (len(atoms),):
        raise ConfigError(f"cutoff: expected one number or a radius for each of {len(atoms)} atoms, got {radii.shape}")
    if not ((radii >= 0) & np.isfinite(radii)).all():
        raise ConfigError(f"cutoff={show(cutoff)}: expected finite radii >= 0 in Angstrom")
    return 2 * radii.max(initial=0.0), lambda i, j: radii[i] + radii[j]


def _with_self(found, n_atoms):
    """The list with each atom as its own neighbour, in order."""
    own = {
        "i": np.arange(n_atoms),
        "j": np.arange(n_atoms),
        "d": np.zeros(n_atoms),
        "D": np.zeros((n_atoms, 3)),
        "S": np.zeros((n_atoms, 3), dtype=np.int64),
    }
    merged = {q: np.concatenate([array, own[q]]) for q, array in found.items()}
    order = np.lexsort((*merged["S"].T[::-1], merged["j"], merged["i"]))
    return {q: array[order] for q, array in merged.items()}
