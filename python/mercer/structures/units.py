"""Units of labels, and their factors to eV and Angstrom."""

import re

import ase.units

from mercer.errors import ConfigError

_ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": ase.units.kcal / ase.units.mol,
    "kJ/mol": ase.units.kJ / ase.units.mol,
    "hartree": ase.units.Hartree,
    "rydberg": ase.units.Rydberg,
}
_LENGTH_UNITS = {"angstrom": 1.0, "a": 1.0, "å": 1.0, "bohr": ase.units.Bohr, "nm": 10.0}
_STRESS_UNITS = {"GPa": ase.units.GPa, "kbar": 0.1 * ase.units.GPa, "bar": 1e-4 * ase.units.GPa, "Pa": ase.units.Pascal}
_ALIASES = {"ha": "hartree", "ry": "rydberg"}


def unit_factor(kind, unit):
    """Factor from a unit of a kind of label to eV and Angstrom.

    Raises
    ------
    ConfigError
        For an unknown unit.

    Examples
    --------
    >>> round(unit_factor("energy", "kcal/mol"), 6)
    0.043364
    """

    def energy_of(text):
        text = _ALIASES.get(text.strip().lower(), text.strip())
        return {name.lower(): value for name, value in _ENERGY_UNITS.items()}.get(text.lower())

    text = str(unit).strip()
    factor = None
    if kind in ("forces", "stress"):
        numerator, _, denominator = text.rpartition("/")
        length, power = denominator.strip().lower(), 1
        if kind == "stress":
            length, power = re.sub(r"(\^|\*\*)?3$", "", length), 3 if length.endswith("3") else 0
        if energy_of(numerator) and length in _LENGTH_UNITS and power:
            factor = energy_of(numerator) / _LENGTH_UNITS[length] ** power
        if kind == "stress":
            factor = {name.lower(): value for name, value in _STRESS_UNITS.items()}.get(text.lower(), factor)
    else:
        factor = energy_of(text)
    if factor is None:
        known = ", ".join(_ENERGY_UNITS)
        if kind == "forces":
            known = f"an energy ({known}) per angstrom or bohr"
        if kind == "stress":
            known = f"{', '.join(_STRESS_UNITS)}, or an energy ({known}) per angstrom^3 or bohr^3"
        raise ConfigError(f"units: {kind} in {unit!r}; expected {known}")
    return factor
