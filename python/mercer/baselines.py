"""Potentials that are subtracted from the labels before a fit and added back to every prediction.

A baseline gives what a term of a potential gives: energies of atoms, forces, and virials of frames. It has a `to_dict`
of plain numbers by which it is stored in the model file, and a place in `BASELINES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np

from mercer._parameters import Length, Parameters
from mercer._validation import check_items, check_length, check_mapping, nearest, show
from mercer.errors import ConfigError, DataError, MercerError
from mercer.neighbors import build_pairs
from mercer.structures import as_frames, species_numbers, symbols

__all__ = ["BASELINES", "ZBL", "Baseline", "CalculatorBaseline", "as_baselines", "baselines_from_dicts", "evaluate"]

#: Atomic numbers are below this.
_N_ELEMENTS = 128
#: name -> class of every baseline.
BASELINES = {}


class Baseline(Parameters):
    """Base of all baselines: a subclass gives `name` and `evaluate`, and is a dataclass of its parameters."""

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        BASELINES[cls.name] = cls

    @property
    def r_cut(self):
        """Distance beyond which atoms do not interact, Angstrom; 0 where there is no such distance."""
        return 0.0

    def evaluate(self, frames, forces=True):
        """Energies of atoms, and on request forces and virials.

        Parameters
        ----------
        frames : list of ase.Atoms
        forces : bool

        Returns
        -------
        energies : (n_atoms,) array
            eV.
        forces : (n_atoms, 3) array or None
            eV/Angstrom.
        virial : (n_frames, 3, 3) array or None
            -d energy / d strain, eV.
        """
        raise NotImplementedError

    def to_dict(self):
        """Plain types that the class's `from_dict` turns back into an equal baseline."""
        return {"type": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @classmethod
    def from_dict(cls, parameters):
        """The baseline whose parameters these are."""
        return cls(**parameters)


@dataclass(frozen=True)
class ZBL(Baseline):
    """Screened repulsion of the nuclei, which keeps atoms apart where there are no data.

    Every pair closer than `r_cut` has the energy

        E(r) = s(r) k Z1 Z2 / r sum_q c_q exp(-d_q r / a),   a = 0.46850 / (Z1^0.23 + Z2^0.23) Angstrom,

    with k = 14.399645 eV Angstrom, c = (0.18175, 0.50986, 0.28022, 0.02817), d = (3.19980, 0.94229, 0.40290, 0.20162),
    and s(r) = 1 - x^3 (10 - 15 x + 6 x^2), x = (r - r_inner) / (r_cut - r_inner) between r_inner and r_cut, 1 before
    and 0 beyond; half of it belongs to each of the two atoms. Energy, forces and their derivatives are continuous.

    Parameters
    ----------
    r_inner, r_outer : float
        Angstrom; r_outer is the cutoff. Take both well below the bond lengths of the data.
    pairs : mapping, optional
        {"C-H": (r_inner, r_outer)} of pairs of elements that have their own distances.

    Raises
    ------
    ConfigError
        For distances that are not positive, r_inner not below r_outer, and names that are not two elements.

    References
    ----------
    J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in Matter, vol. 1 (Pergamon, 1985).

    Examples
    --------
    >>> from ase import Atoms
    >>> energies, forces, virial = ZBL().evaluate([Atoms("Si2", [[0, 0, 0], [1.0, 0, 0]])])
    >>> energies.round(3).tolist(), forces[1].round(2).tolist()
    ([25.487, 25.487], [189.8, 0.0, 0.0])
    >>> ZBL(1.0, 2.0, pairs={"H-C": (0.5, 0.9)}).pairs
    {'C-H': (0.5, 0.9)}
    """

    r_inner: Length = 1.0
    r_outer: Length = 2.0
    pairs: Mapping | None = field(default=None, hash=False)

    name: ClassVar[str] = "zbl"
    coefficients: ClassVar[tuple] = (0.18175, 0.50986, 0.28022, 0.02817)
    exponents: ClassVar[tuple] = (3.19980, 0.94229, 0.40290, 0.20162)
    screening_length: ClassVar[float] = 0.46850
    screening_power: ClassVar[float] = 0.23
    coulomb: ClassVar[float] = 14.399645

    _prefix = "ZBL"

    def __post_init__(self):
        super().__post_init__()
        _switch_range((self.r_inner, self.r_outer), "ZBL")
        if self.pairs is not None:
            expected = "{'C-H': [r_inner, r_outer], ...}"
            pairs = check_mapping(self.pairs, "ZBL(pairs)", expected).items()
            pairs = {pair_name(name): _switch_range(ends, f"ZBL: pair {name}") for name, ends in pairs}
            object.__setattr__(self, "pairs", dict(sorted(pairs.items())))

    def to_dict(self):
        rows = [[*_pair_numbers(name), *ends] for name, ends in (self.pairs or {}).items()]
        out = {"type": self.name, "r_inner": self.r_inner, "r_outer": self.r_outer}
        return out | ({"pairs": rows} if rows else {})

    @classmethod
    def from_dict(cls, parameters):
        pairs = parameters.get("pairs")
        if isinstance(pairs, list):  # as `to_dict` writes them: atomic numbers, r_inner, r_outer
            try:
                pairs = {f"{symbols([a])[0]}-{symbols([b])[0]}": (inner, outer) for a, b, inner, outer in pairs}
            except (TypeError, ValueError) as error:
                raise ConfigError(f"baseline 'zbl': pairs: expected [Z1, Z2, r_inner, r_outer] each: {error}") from None
        return cls(**{**parameters, "pairs": pairs})

    @property
    def r_cut(self):
        return max([self.r_outer, *(outer for _, outer in (self.pairs or {}).values())])

    def range_of(self, z1, z2):
        """r_inner and r_outer of pairs of elements (atomic numbers): two arrays, Angstrom."""
        ends = np.empty((2, _N_ELEMENTS, _N_ELEMENTS))
        ends[0], ends[1] = self.r_inner, self.r_outer
        for name, own in (self.pairs or {}).items():
            a, b = _pair_numbers(name)
            ends[:, a, b] = ends[:, b, a] = own
        return ends[:, np.asarray(z1, int), np.asarray(z2, int)]

    def pair(self, z1, z2, r):
        """Energy of pairs and its derivative with respect to distance: two arrays like `r`."""
        scaled = (z1**self.screening_power + z2**self.screening_power) / self.screening_length
        screen, slope = np.zeros_like(r), np.zeros_like(r)
        for c, d in zip(self.coefficients, self.exponents, strict=True):
            part = c * np.exp(-d * scaled * r)
            screen += part
            slope -= d * scaled * part
        charge = self.coulomb * z1 * z2 / r
        energy, derivative = charge * screen, charge * (slope - screen / r)
        inner, outer = self.range_of(z1, z2)
        width = outer - inner
        x = np.clip((r - inner) / width, 0.0, 1.0)
        switch, switch_slope = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2), -30.0 * (x * (1.0 - x)) ** 2 / width
        return switch * energy, switch * derivative + switch_slope * energy

    def evaluate(self, frames, forces=True):
        return evaluate_pairs(frames, self.r_cut, self.pair, forces)


def pair_name(name):
    """Name of a pair of elements with the symbols in alphabetical order.

    Raises
    ------
    ConfigError
        For anything but two elements joined by a dash.

    Examples
    --------
    >>> pair_name("H-C")
    'C-H'
    """
    try:
        numbers = _pair_numbers(name)
    except (MercerError, ValueError, TypeError):
        numbers = []
    if len(numbers) != 2:
        raise ConfigError(f"pairs: {show(name)} is not a pair of elements; expected, for example, C-H")
    return "-".join(sorted(symbols([z])[0] for z in numbers))


def _pair_numbers(name):
    """Atomic numbers of the elements of a pair."""
    return [species_numbers([element])[0] for element in str(name).split("-")]


def _switch_range(ends, where):
    """(r_inner, r_outer) as floats, checked."""
    ends = check_items(ends, where, "[r_inner, r_outer]")
    if len(ends) != 2:
        raise ConfigError(f"{where}={show(ends)}: expected [r_inner, r_outer] in Angstrom")
    inner, outer = (check_length(end, f"{where}: {key}") for end, key in zip(ends, ("r_inner", "r_outer"), strict=True))
    if not inner < outer:
        raise ConfigError(f"{where}: r_inner={inner:g} must be below r_outer={outer:g}")
    return inner, outer


def evaluate_pairs(frames, r_cut, pair, forces=True):
    """Sum of a pair potential: half of the energy of a pair belongs to each atom.

    Parameters
    ----------
    frames : list of ase.Atoms
    r_cut : float
        Angstrom.
    pair : callable
        ``pair(z1, z2, r)``, three arrays, gives energies (eV) and their derivatives with respect to r.
    forces : bool

    Returns
    -------
    energies, forces, virial
        As `Baseline.evaluate`.
    """
    frames = as_frames(frames)
    numbers = np.concatenate([np.zeros(0, int), *(atoms.numbers for atoms in frames)])
    pairs = build_pairs(frames, r_cut)
    i = np.repeat(np.arange(len(numbers)), np.diff(pairs.offsets))
    energy, slope = pair(numbers[i].astype(float), numbers[pairs.neighbors].astype(float), np.array(pairs.distances))
    energies = 0.5 * np.bincount(i, energy, len(numbers))
    if not forces:
        return energies, None, None
    vectors = np.array(pairs.vectors).reshape(-1, 3)
    gradient = (slope / np.array(pairs.distances))[:, None] * vectors  # of the energy of a pair, by r_j - r_i
    # every pair is listed from both sides, half of it each
    force = np.stack([np.bincount(i, gradient[:, a], len(numbers)) for a in range(3)], axis=1)
    frame = np.repeat(np.arange(len(frames)), [len(atoms) for atoms in frames])[i]
    products = -0.5 * (vectors[:, :, None] * gradient[:, None, :]).reshape(-1, 9)
    virial = np.stack([np.bincount(frame, products[:, k], len(frames)) for k in range(9)], axis=1)
    return energies, force, virial.reshape(-1, 3, 3)


@dataclass(frozen=True)
class CalculatorBaseline(Baseline):
    """Any ASE calculator, or a function that makes one.

    A model file holds the name only: whoever loads the model gives the calculator again.

    Parameters
    ----------
    calculator : ase calculator
    label : str, optional
        What the model file calls it. Default: module and class.

    Notes
    -----
    Where the calculator has no energies of atoms, its energy is shared equally by the atoms of a frame. A calculator
    without stress gives the virial of frames without periodic directions, sum_i r_i F_i; elsewhere it is an error where
    virials are asked for.
    """

    calculator: object = field(compare=False)
    label: str | None = None

    name: ClassVar[str] = "calculator"

    def __post_init__(self):
        if self.label is None:
            kind = type(self.calculator)
            object.__setattr__(self, "label", f"{kind.__module__}.{kind.__qualname__}")

    def to_dict(self):
        return {"type": self.name, "label": self.label}

    @classmethod
    def from_dict(cls, parameters):
        raise ConfigError(
            f"its baseline is the calculator {parameters['label']}, which a file cannot hold; "
            "give it again: mercer.load(path, baseline=calculator)"
        )

    def evaluate(self, frames, forces=True):
        frames = as_frames(frames)
        energies, all_forces, virial = [np.zeros(0)], [np.zeros((0, 3))], np.full((len(frames), 3, 3), np.nan)
        for k, atoms in enumerate(frames):
            atoms = atoms.copy()
            try:
                energy = float(self.calculator.get_property("energy", atoms))
                local = self._optional("energies", atoms)
                energies.append(np.full(len(atoms), energy / max(1, len(atoms))) if local is None else local)
                if forces:
                    force = np.asarray(self.calculator.get_property("forces", atoms), float)
                    all_forces.append(force)
                    virial[k] = self._virial(atoms, force)
            except Exception as error:
                raise DataError(f"{frames.where(k)}: the baseline {self.label} failed: {error}") from error
        energies = np.concatenate(energies)
        return (energies, np.concatenate(all_forces), virial) if forces else (energies, None, None)

    def _virial(self, atoms, force):
        stress = self._optional("stress", atoms) if atoms.pbc.all() else None
        if stress is not None:
            s = np.asarray(stress, float)
            s = s[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] if s.shape == (6,) else s.reshape(3, 3)
            return -atoms.get_volume() * s
        if atoms.pbc.any():
            return np.full((3, 3), np.nan)
        product = atoms.positions.T @ force
        return (product + product.T) / 2

    def _optional(self, name, atoms):
        if name not in getattr(self.calculator, "implemented_properties", ()):
            return None
        return np.asarray(self.calculator.get_property(name, atoms), float)


def as_baselines(baseline):
    """What a user gives as baseline - None, a `Baseline`, an ASE calculator, or a list of these - as a tuple.

    Raises
    ------
    ConfigError
        For anything else.

    Examples
    --------
    >>> as_baselines(ZBL(1.0, 2.0))
    (ZBL(r_inner=1.0, r_outer=2.0, pairs=None),)
    """
    if baseline is None:
        return ()
    if isinstance(baseline, list | tuple):
        return tuple(part for entry in baseline for part in as_baselines(entry))
    if isinstance(baseline, Baseline):
        return (baseline,)
    if isinstance(baseline, str | dict):
        return baselines_from_dicts([{"type": baseline} if isinstance(baseline, str) else baseline])
    if hasattr(baseline, "get_property") and not isinstance(baseline, type):
        return (CalculatorBaseline(baseline),)
    raise ConfigError(
        f"baseline={show(baseline)}: expected a baseline ({', '.join(BASELINES)}), an ASE calculator, or a list of them"
    )


def baselines_from_dicts(parameters):
    """The baselines whose `to_dict` gave these.

    Raises
    ------
    ConfigError
        For an unknown type or parameter, and for calculators, which must be given again.
    """
    found = []
    for entry in parameters:
        entry = dict(check_mapping(entry, "baseline"))
        name = entry.pop("type", None)
        if not isinstance(name, str) or name not in BASELINES:
            raise ConfigError(
                f"baseline {show(name)} is unknown; known are {', '.join(BASELINES)}.{nearest(str(name), BASELINES)}"
            )
        try:
            found.append(BASELINES[name].from_dict(entry))
        except TypeError as error:
            raise ConfigError(f"baseline {name!r}: {error}") from None
    return tuple(found)


def evaluate(baselines, frames, forces=True):
    """Sum of baselines: energies, forces and virial as `Baseline.evaluate`."""
    frames = as_frames(frames)
    n_atoms = sum(map(len, frames))
    total = [np.zeros(n_atoms), np.zeros((n_atoms, 3)), np.zeros((len(frames), 3, 3))]
    for baseline in baselines:
        for k, part in enumerate(baseline.evaluate(frames, forces)):
            if part is not None:
                total[k] += part
    return total if forces else [total[0], None, None]
