"""Faults to plant in right data: what each does, where it can be determined at all, and what finding it must give."""

from dataclasses import dataclass

import numpy as np

EV_A3_IN_KBAR = 1602.1766
HARTREE, BOHR, KCAL = 27.211386, 0.529177, 23.060548


@dataclass(frozen=True)
class Fault:
    """A mistake in a file.

    Attributes
    ----------
    name : str
    kind : str
        Findings of these checks count as having found it (a word in the name of the check).
    plant : callable
        plant(frames, rng) changes copies of the frames in place, or returns others.
    needs : callable
        needs(Facts) -> whether the data determine it: the criterion of the table.
    criterion : str
        The same in words.
    remedy : str
        Text that the remedies must contain; "" for none.
    """

    name: str
    checks: tuple
    plant: object
    needs: object
    criterion: str
    remedy: str = ""


@dataclass(frozen=True)
class Facts:
    """What decides whether a fault can be determined."""

    n_energy: int
    n_forces: int
    n_stress: int
    key: str
    moving: bool  #: forces of more than 0.01 eV/Angstrom in ten frames
    strained: bool  #: stresses that vary, in ten frames
    sheared: bool  #: off-diagonal components that vary by a tenth of the diagonal ones
    free: bool  #: frames without periodic directions
    periodic: bool
    noble: bool
    one_element: bool
    several: bool  #: forces of more than 0.01 eV/Angstrom in ten frames of more than two atoms

    @classmethod
    def of(cls, frames):
        frames = [atoms for atoms in frames if len(atoms) > 1]
        key = next((k for k in ("REF_stress", "REF_virial") if any(k in a.info for a in frames)), "")
        forces = [a.arrays["REF_forces"] for a in frames if "REF_forces" in a.arrays]
        pressed = [a for a in frames if key in a.info]
        stress = np.array([six(a, key) for a in pressed]).reshape(-1, 6)
        spread = stress.std(axis=0) if len(stress) else np.zeros(6)
        return cls(
            sum("REF_energy" in a.info for a in frames),
            len(forces),
            len(stress),
            key.removeprefix("REF_"),
            sum(np.sqrt(np.mean(f**2)) > 0.01 for f in forces) >= 10,
            len(stress) >= 10 and spread[:3].max() > 1e-3,
            len(stress) >= 10 and spread[3:].min() > 0.1 * spread[:3].max() > 0,
            any(not a.pbc.any() for a in frames),
            all(a.pbc.all() for a in frames),
            any("Ar" in a.symbols for a in frames),
            len({symbol for a in frames for symbol in a.symbols}) == 1,
            sum(np.sqrt(np.mean(f**2)) > 0.01 for f in forces if len(f) > 2) >= 10,
        )


def six(atoms, key):
    """Stress, xx yy zz yz xz xy, in eV/Angstrom^3, of either label."""
    value = np.asarray(atoms.info[key], float)
    return value if key == "REF_stress" else -value[[0, 4, 8, 5, 2, 1]] / atoms.get_volume()


def _scale(energy=1.0, forces=1.0, stress=1.0):
    def plant(frames, rng):
        for atoms in frames:
            if "REF_energy" in atoms.info:
                atoms.info["REF_energy"] *= energy
            if "REF_forces" in atoms.arrays:
                atoms.arrays["REF_forces"] *= forces
            for key in ("REF_stress", "REF_virial"):
                if key in atoms.info:
                    atoms.info[key] = np.asarray(atoms.info[key]) * stress

    return plant


def _stresses(change, key=None):
    """`change` makes of six numbers (eV/Angstrom^3), the volume and the key what is written, there or under `key`."""

    def plant(frames, rng):
        for atoms in frames:
            for name in ("REF_stress", "REF_virial"):
                if name in atoms.info:
                    value = change(six(atoms, name), atoms.get_volume(), name)
                    del atoms.info[name]
                    atoms.info[key or name] = value
                    break

    return plant


def _full(v):
    return v[[0, 5, 4, 5, 1, 3, 4, 3, 2]]


def _order(places):
    def change(s, volume, name):
        read = s[places]
        return read if name == "REF_stress" else -volume * _full(read)

    return _stresses(change)


def _pulay(frames, rng):
    for atoms in frames:
        for name in ("REF_stress", "REF_virial"):
            if name in atoms.info:
                sign = -1 / atoms.get_volume() if name == "REF_stress" else 1.0
                diagonal = [1, 1, 1, 0, 0, 0] if name == "REF_stress" else [1, 0, 0, 0, 1, 0, 0, 0, 1]
                atoms.info[name] = np.asarray(atoms.info[name]) + 0.2 * len(atoms) * sign * np.array(diagonal)


def _per_atom(frames, rng):
    for atoms in frames:
        atoms.info["REF_energy"] /= len(atoms)


def _constant(name, value):
    def plant(frames, rng):
        for atoms in frames:
            if name in atoms.info:
                atoms.info[name] = np.zeros_like(atoms.info[name]) + value
            if name in atoms.arrays:
                atoms.arrays[name] = np.zeros_like(atoms.arrays[name])

    return plant


def _stress_zero(frames, rng):
    for atoms in frames:
        for name in ("REF_stress", "REF_virial"):
            if name in atoms.info:
                atoms.info[name] = np.zeros_like(atoms.info[name])


def _fixed(frames, rng):
    for atoms in frames:
        if "REF_forces" in atoms.arrays and len(atoms) > 2:
            atoms.arrays["REF_forces"][: len(atoms) // 3] = 0.0


def _energy_of_one(frames, rng):
    several = [atoms for atoms in frames if len(atoms) > 1]
    atoms = several[len(several) // 2]
    atoms.info["REF_energy"] += 1.0 * len(atoms)


def _forces_of_one(frames, rng):
    several = [a for a in frames if len(a) > 2 and np.sqrt(np.mean(a.arrays["REF_forces"] ** 2)) > 0.01]
    atoms = several[len(several) // 2]
    size = np.sqrt(np.mean(atoms.arrays["REF_forces"] ** 2))
    forces = rng.normal(0, 3 * max(size, 0.3), (len(atoms), 3))
    atoms.arrays["REF_forces"] = forces - forces.mean(axis=0)


def _contradiction(frames, rng):
    again = frames[-1].copy()
    again.info["REF_energy"] += 0.3 * len(again)
    frames.append(again)


def _turned(frames, rng):
    for atoms in frames:
        if not atoms.pbc.any():
            atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"][:, [1, 2, 0]]


def _lengths(factor):
    def plant(frames, rng):
        for atoms in frames:
            atoms.set_cell(atoms.cell.array * factor)
            atoms.positions *= factor

    return plant


def _fractional(frames, rng):
    for atoms in frames:
        atoms.positions = atoms.get_scaled_positions()


def _twice(frames, rng):
    """Energies less those of the free atoms, beside which the free atoms still stand."""
    free = {"config_type": "isolated_atom", "REF_energy": -100.0}
    element = frames[0].symbols[0]
    frames[:] = [atoms for atoms in frames if len(atoms) > 1]
    lone = frames[0][:1].copy()
    lone.set_cell(None)
    lone.pbc = False
    lone.info = free
    lone.symbols = [element]
    for name in list(lone.arrays):
        if name.startswith("REF"):
            del lone.arrays[name]
    frames.append(lone)


def _half(plant):
    def change(frames, rng):
        for atoms in frames:
            atoms.info.setdefault("config_type", "first")
        second = [atoms for k, atoms in enumerate(frames) if k % 2 and len(atoms) > 1]
        for atoms in second:
            atoms.info["config_type"] = "second"
        plant(second, rng)

    return change


def _both(f):
    return f.n_energy >= 10 and f.n_forces >= 10 and f.moving


def _with_stress(f):
    return f.n_stress >= 10 and f.n_energy >= 10 and f.strained


_EF = "energies and forces of ten frames, forces above 0.01 eV/Angstrom in ten"
_S = "energies and stresses of ten frames, stresses that vary by 0.001 eV/Angstrom^3"
_GPA = EV_A3_IN_KBAR / 10

FAULTS = [
    Fault("energies in kcal/mol", ("units",), _scale(energy=KCAL), _both, _EF, "energy=kcal/mol"),
    Fault("energies in kJ/mol", ("units",), _scale(energy=4.184 * KCAL), _both, _EF, "energy=kJ/mol"),
    Fault("energies in hartree", ("units",), _scale(energy=1 / HARTREE), _both, _EF, "energy=hartree"),
    Fault("energies in rydberg", ("units",), _scale(energy=2 / HARTREE), _both, _EF, "energy=rydberg"),
    Fault("energies in meV", ("units",), _scale(energy=1000), _both, _EF, "energy=meV"),
    Fault("forces in hartree/bohr", ("units",), _scale(forces=BOHR / HARTREE), _both, _EF, "forces=hartree/bohr"),
    Fault("forces in kcal/mol/Angstrom", ("units",), _scale(forces=KCAL), _both, _EF, "forces=kcal/mol/angstrom"),
    Fault("forces in eV/bohr", ("units",), _scale(forces=BOHR), _both, _EF),
    Fault("hartree and hartree/bohr", ("units",), _scale(1 / HARTREE, BOHR / HARTREE), _both, _EF, "hartree"),
    Fault("gradients for forces", ("units",), _scale(forces=-1), _both, _EF, "forces=-eV/angstrom"),
    Fault("energies per atom", ("units",), _per_atom, _both, _EF, "energy=eV/atom"),
    Fault("stress in GPa", ("stress", "virial"), _stresses(lambda s, v, n: s * _GPA, "REF_stress"), _with_stress, _S,
          "stress=GPa"),
    Fault("stress in kbar", ("stress", "virial"), _stresses(lambda s, v, n: s * EV_A3_IN_KBAR, "REF_stress"),
          _with_stress, _S, "stress=kbar"),
    Fault("stress in kbar, opposite sign", ("stress", "virial"),
          _stresses(lambda s, v, n: -s * EV_A3_IN_KBAR, "REF_stress"), _with_stress, _S, "stress=-kbar"),
    Fault("stress in hartree/bohr^3", ("stress", "virial"),
          _stresses(lambda s, v, n: s / HARTREE * BOHR**3, "REF_stress"), _with_stress, _S, "stress=hartree/bohr^3"),
    Fault("opposite sign of stress or virial", ("stress", "virial"), _scale(stress=-1), _with_stress, _S, "=-eV"),
    Fault("stress named virial", ("stress", "virial"), _stresses(lambda s, v, n: _full(s), "REF_virial"),
          _with_stress, _S),
    Fault("stress in kbar named virial", ("stress", "virial"),
          _stresses(lambda s, v, n: -_full(s) * EV_A3_IN_KBAR, "REF_virial"), _with_stress, _S),
    Fault("virial named stress", ("stress", "virial"), _stresses(lambda s, v, n: -v * s, "REF_stress"),
          _with_stress, _S),
    Fault("components in VASP's order", ("stress", "virial"), _order([0, 1, 2, 5, 3, 4]),
          lambda f: _with_stress(f) and f.sheared,
          f"{_S}, off-diagonal components that vary by a tenth of that", "vasp"),
    Fault("components row by row", ("stress", "virial"), _order([0, 5, 4, 1, 3, 2]),
          lambda f: _with_stress(f) and f.sheared, "as above", "upper"),
    Fault("all energies zero", ("equal_energies",), _constant("REF_energy", 0.0), lambda f: f.n_energy > 2,
          "three frames with energies", "energy=none"),
    Fault("all forces zero", ("zero_forces",), _constant("REF_forces", 0.0), lambda f: f.n_forces > 2,
          "three frames with forces", "forces=none"),
    Fault("all stresses zero", ("zero_virial",), _stress_zero, lambda f: f.n_stress > 2,
          "three periodic frames with stresses", "=none"),
    Fault("forces of a third of the atoms zeroed", ("net_forces",), _fixed, lambda f: f.n_forces > 0 and f.moving,
          "forces above 0.01 eV/Angstrom in ten frames"),
    Fault("forces turned against positions", ("net_torque", "units"), _turned,
          lambda f: f.free and f.moving and f.n_forces > 0, "frames that are not periodic, forces as above"),
    Fault("energy of one frame off by 1 eV per atom", ("outliers",), _energy_of_one,
          lambda f: _both(f), _EF),
    Fault("forces of one frame random", ("outliers",), _forces_of_one, lambda f: _both(f) and f.several,
          f"{_EF}, in frames of more than two atoms"),
    Fault("a frame twice with two energies", ("duplicates",), _contradiction, lambda f: f.n_energy > 2,
          "three frames with energies"),
    Fault("positions in nm", ("distances",), _lengths(0.1), lambda f: True, "always", "positions=nm"),
    Fault("positions in bohr", ("distances", "units"), _lengths(1 / BOHR), lambda f: not f.noble, "no noble gas",
          "positions=bohr"),
    Fault("fractional coordinates", ("distances",), _fractional, lambda f: f.periodic, "periodic frames",
          "positions=fractional"),
    Fault("free atoms of another reference", ("reference",), _twice, lambda f: f.n_energy > 2 and f.one_element,
          "three frames with energies, one element"),
    Fault("stress in kbar in one of two config_types", ("stress", "virial"),
          _half(_stresses(lambda s, v, n: s * EV_A3_IN_KBAR, "REF_stress")),
          lambda f: _with_stress(f) and f.key == "stress" and f.n_stress >= 20,
          f"{_S}, ten frames of each config_type"),
    Fault("energies in kcal/mol in one of two config_types", ("units",), _half(_scale(energy=KCAL)),
          lambda f: _both(f) and f.n_forces >= 20, f"{_EF}, of each config_type"),
    Fault("Pulay stress of 0.2 eV per atom", ("pulay",), _pulay, lambda f: False, "several volumes"),
]  # fmt: skip
