"""Units of labels and lengths, their factors to eV and Angstrom, and orders of the components of stresses."""

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
_STRESS_UNITS = {
    "GPa": ase.units.GPa,
    "MPa": 1e-3 * ase.units.GPa,
    "kbar": 0.1 * ase.units.GPa,
    "bar": 1e-4 * ase.units.GPa,
    "Pa": ase.units.Pascal,
}
_ALIASES = {"ha": "hartree", "ry": "rydberg", "ev": "eV"}
_PER_ATOM = re.compile(r"/\s*atom$", re.IGNORECASE)

#: Six components of a stress or virial in the orders of programs; "ase" is the usual (Voigt) one.
STRESS_ORDERS = {
    "ase": ("xx", "yy", "zz", "yz", "xz", "xy"),
    "voigt": ("xx", "yy", "zz", "yz", "xz", "xy"),
    "vasp": ("xx", "yy", "zz", "xy", "yz", "xz"),
    "lammps": ("xx", "yy", "zz", "xy", "xz", "yz"),
    "upper": ("xx", "xy", "xz", "yy", "yz", "zz"),
    "lower": ("xx", "xy", "yy", "xz", "yz", "zz"),
}


def stress_order(name):
    """Places of xx, yy, zz, yz, xz, xy in six numbers of another order.

    Parameters
    ----------
    name : str
        "ase" or "voigt" (xx yy zz yz xz xy), "vasp" (xx yy zz xy yz zx), "lammps" (xx yy zz xy xz yz), "upper" or
        "lower" (of the triangle of the matrix, row by row), or the six components themselves, as "xx yy zz yz zx xy".

    Returns
    -------
    list of int

    Raises
    ------
    ConfigError
        For an unknown name, or components that are not the six.

    Examples
    --------
    >>> stress_order("vasp")
    [0, 1, 2, 4, 5, 3]
    """
    text = str(name).strip().lower()
    order = STRESS_ORDERS.get(text) or tuple("".join(sorted(part)) for part in re.split(r"[\s,]+", text))
    if sorted(order) != sorted(STRESS_ORDERS["ase"]):
        known = ", ".join(f"{key} ({' '.join(parts)})" for key, parts in STRESS_ORDERS.items())
        raise ConfigError(f"stress_order: {name!r}; expected {known}, or the six components in their order")
    return [order.index(component) for component in STRESS_ORDERS["ase"]]


def length_factor(unit):
    """Factor from a unit of length to Angstrom.

    Raises
    ------
    ConfigError
        For an unknown unit.

    Examples
    --------
    >>> length_factor("nm")
    10.0
    """
    factor = _LENGTH_UNITS.get(str(unit).strip().lower())
    if factor is None:
        raise ConfigError(f"units: positions in {unit!r}; expected angstrom, bohr, nm or fractional")
    return factor


def is_per_atom(unit):
    """Whether a unit is one of energies divided by the number of atoms, as "eV/atom".

    Examples
    --------
    >>> is_per_atom("meV/atom"), is_per_atom("eV")
    (True, False)
    """
    return bool(_PER_ATOM.search(str(unit).strip()))


def unit_factor(kind, unit):
    """Factor from a unit of a kind of label to eV and Angstrom.

    Parameters
    ----------
    kind : str
        Kind of label.
    unit : str
        "kcal/mol", "hartree/bohr", "kbar", ...; a minus in front reverses the sign ("-kbar", as of programs that print
        stresses positive in compression); energies and virials may be per atom ("eV/atom"), which the factor leaves
        out.

    Raises
    ------
    ConfigError
        For an unknown unit.

    Examples
    --------
    >>> round(unit_factor("energy", "kcal/mol"), 6)
    0.043364
    >>> unit_factor("forces", "-eV/angstrom")
    -1.0
    """

    def energy_of(text):
        text = _ALIASES.get(text.strip().lower(), text.strip())
        return {name.lower(): value for name, value in _ENERGY_UNITS.items()}.get(text.lower())

    text = str(unit).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.removeprefix("-").strip()
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
        factor = energy_of(_PER_ATOM.sub("", text) if kind in ("energy", "virial") else text)
    if factor is None:
        known = ", ".join(_ENERGY_UNITS)
        if kind == "forces":
            known = f"an energy ({known}) per angstrom or bohr"
        elif kind == "stress":
            known = f"{', '.join(_STRESS_UNITS)}, or an energy ({known}) per angstrom^3 or bohr^3"
        elif kind in ("energy", "virial"):
            known += ", or one of them per atom, as eV/atom"
        raise ConfigError(f"units: {kind} in {unit!r}; expected {known}")
    return sign * factor
