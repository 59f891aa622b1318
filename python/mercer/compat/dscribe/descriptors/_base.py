"""What all of DScribe's descriptors share: lists of systems, containers of results, which atoms to differentiate by."""

import copy
from importlib import import_module

import numpy as np

from mercer._threads import threads
from mercer._validation import check_choice, check_flag, check_items, show
from mercer.compat.dscribe._shown import Shown
from mercer.errors import ConfigError, DataError
from mercer.structures import as_frames, species_numbers, symbols

#: Step of numerical derivatives, Angstrom. Above `mercer.descriptors.MIN_DISTANCE`, since centres may stay behind.
STEP = 2e-3


class DScribeDescriptor(Shown):
    """Base of the descriptors; `n_jobs` is the number of threads, -1 for all."""

    def __init__(self, periodic, sparse, dtype):
        self.periodic, self.sparse = check_flag(periodic, "periodic"), check_flag(sparse, "sparse")
        if self.sparse:
            _coo()
        self.dtype = check_choice(dtype, ("float64", "float32"), "dtype")

    def get_number_of_features(self):
        """Length of the feature vector."""
        return self._n_features

    def _set_species(self, species):
        if species is None:
            raise ConfigError("species=None: give the elements that may occur, such as species=['H', 'C'].")
        if isinstance(species, str | int | np.integer):
            raise ConfigError(f"species={species!r}: expected a list of symbols or atomic numbers.")
        elements = check_items(species, "species", "a list of symbols or atomic numbers")
        numbers = sorted({number for element in elements for number in species_numbers([element])})
        if not numbers:
            raise ConfigError("species is empty; give the elements that may occur, such as species=['H', 'C'].")
        self._numbers = np.array(numbers)

    @property
    def species(self):
        """Symbols in ascending order of their atomic numbers."""
        return symbols(self._numbers)

    def _check_species(self, frames):
        for k, atoms in enumerate(frames):
            unknown = np.setdiff1d(atoms.numbers, self._numbers)
            if len(unknown):
                raise DataError(
                    f"system {k} holds {symbols(unknown)[0]}, but species are {', '.join(self.species)}. "
                    "Add it to species."
                )

    def _frames(self, system):
        """(whether `system` is a single one, copies with the periodicity that counts)"""
        given = as_frames(system)
        single = hasattr(system, "arrays")
        frames = []
        for atoms in given:
            frame = atoms.copy()
            frame.calc = None
            frame.set_constraint()
            if not self.periodic:
                frame.pbc = False
            frames.append(frame)
        return single, frames

    def _threads(self, n_jobs):
        whole = isinstance(n_jobs, int | np.integer) and not isinstance(n_jobs, bool)
        if not whole or n_jobs == 0 or not -1 <= n_jobs < 2**31:
            raise ConfigError(f"n_jobs={show(n_jobs)}: expected a positive number of threads, or -1 for all.")
        return threads(None if n_jobs == -1 else int(n_jobs))

    def _pack(self, arrays, single):
        """One array for one system, a stack for systems of one shape, else a list."""
        arrays = [np.asarray(array, dtype=self.dtype) for array in arrays]
        same = len({array.shape for array in arrays}) == 1
        result = arrays[0] if single else np.stack(arrays) if same else arrays
        if not self.sparse:
            return result
        coo = _coo()
        return [coo.from_numpy(array) for array in result] if isinstance(result, list) else coo.from_numpy(result)


def check_method(method):
    """`method` of derivatives."""
    return check_choice(method, ("auto", "analytical", "numerical"), "method")


def select_atoms(frames, include, exclude, single):
    """Indices of the atoms to differentiate by, for every system, in the order of `include`."""
    n = len(frames)
    included, excluded = per_system(include, n, single, "include"), per_system(exclude, n, single, "exclude")
    return [_selected(len(atoms), *pair) for atoms, *pair in zip(frames, included, excluded, strict=True)]


def _selected(n_atoms, include, exclude):
    if include is not None and exclude is not None:
        raise ConfigError("include and exclude: give one of them.")
    given = include if include is not None else exclude
    if given is None:
        return np.arange(n_atoms)
    name = "include" if include is not None else "exclude"
    entries = check_items(given, name, f"different indices of the {n_atoms} atoms")
    whole = all(isinstance(index, int | np.integer) and not isinstance(index, bool) for index in entries)
    if not whole or len(set(entries)) != len(entries) or not all(0 <= index < n_atoms for index in entries):
        raise DataError(f"{name}={show(given)}: expected different indices of the {n_atoms} atoms.")
    given = np.array(entries, dtype=int)
    return given if include is not None else np.setdiff1d(np.arange(n_atoms), given)


def per_system(argument, n_systems, single, name):
    """An argument for every system: None, what holds for one, or a list with one for each."""
    if argument is None or single:
        return [argument] * n_systems
    items = argument if isinstance(argument, list | tuple | np.ndarray) else ()
    if len(items) == n_systems and all(item is None or hasattr(item, "__len__") for item in items):
        return list(items)
    raise DataError(f"{name}: expected a list with one entry for each of the {n_systems} systems.")


def differences(evaluate, atoms, indices):
    """Derivatives by the positions of some atoms: (len(indices), 3, ...), from central differences of fourth order.

    ``evaluate(frames)`` gives an array for every frame.
    """
    rows = []
    for index in indices:
        moved = []
        for axis in range(3):
            for shift in (1, -1, 2, -2):
                frame = copy.copy(atoms)
                frame.arrays = {**atoms.arrays, "positions": atoms.positions.copy()}
                frame.positions[index, axis] += shift * STEP
                moved.append(frame)
        values = np.asarray(evaluate(moved))
        near, far = values[0::4] - values[1::4], values[2::4] - values[3::4]
        rows.append((8 * near - far) / (12 * STEP))
    return np.array(rows)


def _coo():
    try:
        return import_module("sparse").COO
    except ImportError:
        raise ConfigError("sparse=True needs the package sparse (pip install sparse), or use sparse=False.") from None
