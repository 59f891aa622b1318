"""An ASE calculator for potentials."""

import copy
import threading
import warnings
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from mercer._validation import check_positive, show
from mercer.descriptors import MIN_DISTANCE, Environments
from mercer.errors import ConfigError, ModelFileError
from mercer.models import Potential, load
from mercer.neighbors import VerletPairs
from mercer.structures import as_frames, symbols

__all__ = ["PotentialCalculator"]


class PotentialCalculator(Calculator):
    """Energies, forces and stress of a potential for ASE: dynamics, relaxation, phonons.

    Properties are ``energy`` and ``free_energy`` (the same), ``energies`` (of atoms; their sum is the energy),
    ``forces``, ``stress`` (only where periodic in all three directions), and the standard deviations asked for. Results
    are kept until the atoms change.

    Parameters
    ----------
    potential : Potential or path-like
        Fitted, or a file that `mercer.load` reads.
    std : bool or collection of {"energy", "energies", "forces"}, default ()
        Standard deviations to compute with every result, as properties ``energy_std``, ``energies_std`` and
        ``forces_std``: ``atoms.calc.results["energies_std"]`` or ``atoms.calc.get_property("energies_std", atoms)``.
        True is the energies, as in `Potential.predict`.
    warn_above : float, optional
        eV. Warn when the standard deviation of the energy of an atom exceeds this: the model has not seen its
        environment. Once in the life of the calculator.
    skin : float, default 0.5
        Angstrom. Pairs are kept up to the cutoff plus `skin`, and searched again when atoms have moved by that much.

    Raises
    ------
    ModelFileError
        For standard deviations of a model that was saved without what they need.

    Notes
    -----
    A calculator may be shared by threads, which then wait for each other; separate calculators of one potential run
    side by side. A copy shares the potential. A pickle holds the path of the model file, and the arrays only where the
    potential was never saved.

    Examples
    --------
    >>> import mercer
    >>> from ase.build import bulk
    >>> frames = [bulk("Si", cubic=True) for _ in range(6)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.rattle(0.1, seed=k)
    ...     atoms.info["REF_energy"] = -4.6 * len(atoms) + float((atoms.positions**2).sum()) * 1e-3
    >>> soap = mercer.SOAP(["Si"], r_cut=4.0, n_max=4, l_max=3, sigma=0.5)
    >>> potential = mercer.Potential(mercer.Term(soap, mercer.kernels.Polynomial(zeta=4), n_sparse=20)).fit(frames)
    >>> atoms.calc = potential.calculator()
    >>> atoms.get_forces().shape, atoms.get_stress().shape
    ((8, 3), (6,))
    """

    name = "mercer"
    implemented_properties: ClassVar = ["energy", "free_energy", "energies", "forces", "stress"]
    ignored_changes: ClassVar = {"initial_charges", "initial_magmoms"}

    def __init__(self, potential, *, std=(), warn_above=None, skin=0.5):
        super().__init__()
        self.potential = load(potential) if isinstance(potential, str | Path) else potential
        if not isinstance(self.potential, Potential):
            raise ConfigError(f"potential={show(potential)}: expected a fitted Potential, or the file of one")
        std = self.potential._wanted_std(std)
        if warn_above is not None:
            warn_above = check_positive(warn_above, "warn_above")
        self.options = {
            "std": std,
            "warn_above": warn_above,
            "skin": check_positive(skin, "skin", allow_zero=True, largest=1e3),
        }
        self._kinds = tuple(dict.fromkeys(std + (() if warn_above is None else ("energies",))))
        self.potential._wanted_std(self._kinds)
        self.implemented_properties = [*type(self).implemented_properties, *(f"{kind}_std" for kind in self._kinds)]
        self._verlet = VerletPairs(self.potential.r_cut, skin, MIN_DISTANCE)
        self._lock = threading.RLock()
        self._warned = False

    def __repr__(self):
        numbers = self.potential.species_
        return (
            f"{type(self).__name__}({', '.join(symbols(numbers))}; cutoff {self.potential.r_cut:g} Angstrom, "
            + ", ".join(f"{name}={value!r}" for name, value in self.options.items())
            + ")"
        )

    def get_property(self, name, atoms=None, allow_calculation=True):
        """The named property; see `ase.calculators.calculator.BaseCalculator`.

        Raises
        ------
        ase.calculators.calculator.PropertyNotImplementedError
            For the stress of atoms that are not periodic in three directions, and what the calculator does not know.
        """
        frame = self.atoms if atoms is None else atoms
        if name == "stress" and allow_calculation and frame is not None and not frame.pbc.all():
            raise PropertyNotImplementedError(_no_stress(frame))
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        """Put energies, standard deviations and, where `properties` need them, forces and stress into `results`."""
        with self._lock:
            super().calculate(atoms, properties, system_changes)
            gradients = bool({"forces", "stress", "forces_std"} & set(properties))
            self.results = self._evaluate(gradients)

    def _evaluate(self, gradients):
        frames = as_frames(self.atoms)
        structures, pairs = self._verlet.update(frames)
        kinds = [kind for kind in self._kinds if gradients or kind != "forces"]
        predicted = self.potential.predict(Environments(frames, structures, pairs), forces=gradients, std=kinds)
        results = {"energy": float(predicted["energy"][0]), "energies": predicted["energies"]}
        results["free_energy"] = results["energy"]
        if gradients:
            results["forces"] = predicted["forces"]
            if self.atoms.pbc.all():
                results["stress"] = predicted["stress"][0]
        for kind in kinds:
            values = predicted[f"{kind}_std"]
            results[f"{kind}_std"] = float(values[0]) if kind == "energy" else values
        self._watch(results)
        return results

    def _watch(self, results):
        limit = self.options["warn_above"]
        if limit is None or self._warned or not len(self.atoms):
            return
        std = results["energies_std"]
        worst = int(np.argmax(std))
        if not std[worst] <= limit:
            self._warned = True
            warnings.warn(
                f"atom {worst} ({symbols(self.atoms.numbers[[worst]])[0]}): the standard deviation of its energy, "
                f"{std[worst]:.3g} eV, exceeds warn_above={limit:g} eV: an environment unlike those of the training "
                f"({int((std > limit).sum())} of {len(std)} atoms; this calculator does not warn again)",
                stacklevel=2,
            )

    def __copy__(self):
        return self.__deepcopy__({})

    def __deepcopy__(self, memo):
        other = type(self)(self.potential, **self.options)
        other.__dict__.update(atoms=copy.deepcopy(self.atoms, memo), results=copy.deepcopy(self.results, memo))
        return other

    def __reduce__(self):
        path = getattr(self.potential, "path_", None)
        source = _SavedPotential(path, self.potential) if path and Path(path).is_file() else self.potential
        state = {"atoms": self.atoms, "results": self.results}
        return _restore, (type(self), source, self.options), state


def _no_stress(atoms):
    periodic = "".join(axis for axis, flag in zip("abc", atoms.pbc, strict=True) if flag)
    text = "no stress: the structure is not periodic in all three directions, "
    if not periodic:
        return text + "but in none"
    return (
        f"{text}but in {' and '.join(periodic)} alone, so that it has no volume. To relax the cell in these directions "
        "set atoms.pbc = True (beyond a vacuum wider than the cutoff nothing else changes) and leave the other "
        "components out by a mask, as FrechetCellFilter(atoms, mask=[1, 1, 0, 0, 0, 1])"
    )


class _SavedPotential:
    """What a pickle holds in place of a potential that is in a file."""

    def __init__(self, path, potential):
        self.path = path
        self.baseline = potential.baselines_
        self.checksum = _checksum(potential)

    def load(self):
        """The potential, if the file still holds the same."""
        potential = load(self.path, baseline=self.baseline)
        if _checksum(potential) != self.checksum:
            raise ModelFileError(
                f"{self.path}: holds another potential than when the calculator was pickled; make the calculator again"
            )
        return potential


def _checksum(potential):
    return zlib.crc32(np.ascontiguousarray(potential.weights_))


def _restore(cls, source, options):
    return cls(source.load() if isinstance(source, _SavedPotential) else source, **options)
