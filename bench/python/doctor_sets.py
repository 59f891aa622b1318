"""Sets of frames whose labels are right by construction: classical potentials, on what people train on.

Energies, forces and stresses of each set come from one smooth potential, so every relation between them holds.
"""

import itertools

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.neighborlist import neighbor_list


class _PairwiseStress(Calculator):
    """A potential that gives energies of atoms and, for vectors between atoms, the derivative of the energy."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, r, vectors = neighbor_list("ijdD", self.atoms, self.cutoff)
        energy, slopes = self.evaluate(i, j, r, vectors, len(self.atoms))
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, slopes)
        np.add.at(forces, j, -slopes)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if self.atoms.pbc.all():
            stress = vectors.T @ slopes / self.atoms.get_volume()
            self.results["stress"] = (0.5 * (stress + stress.T)).ravel()[[0, 4, 8, 5, 2, 1]]


class Gupta(_PairwiseStress):
    """Second-moment (embedded-atom) potential, F. Cleri and V. Rosato, Phys. Rev. B 48, 22 (1993)."""

    def __init__(self, A, xi, p, q, r0):
        super().__init__()
        self.A, self.xi, self.p, self.q, self.r0, self.cutoff = A, xi, p, q, r0, 2.1 * r0

    def evaluate(self, i, j, r, vectors, n):
        x = r / self.r0 - 1
        smooth, slope = (1 - (r / self.cutoff) ** 2) ** 2, -4 * r / self.cutoff**2 * (1 - (r / self.cutoff) ** 2)
        pair = self.A * np.exp(-self.p * x)
        hop = self.xi**2 * np.exp(-2 * self.q * x)
        density = np.bincount(i, hop * smooth, n)
        root = np.sqrt(np.maximum(density, 1e-12))
        dr = pair * (slope - self.p / self.r0 * smooth)
        dr -= 0.5 / root[i] * hop * (slope - 2 * self.q / self.r0 * smooth)
        return float(np.sum(pair * smooth) - np.sum(np.sqrt(density))), (dr / r)[:, None] * vectors


class StillingerWeber(_PairwiseStress):
    """Silicon of F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985)."""

    epsilon, sigma, a, lam, gamma, A, B, p, q = 2.1683, 2.0951, 1.8, 21.0, 1.2, 7.049556277, 0.6022245584, 4, 0
    cutoff = a * sigma - 1e-6

    def evaluate(self, i, j, r, vectors, n):
        s = r / self.sigma
        tail = np.exp(1 / (s - self.a))
        core = self.B * s**-self.p - 1
        pair = 0.5 * self.A * self.epsilon * core * tail
        dr = 0.5 * self.A * self.epsilon * tail * (-self.p * self.B * s ** (-self.p - 1) - core / (s - self.a) ** 2)
        slopes = (dr / self.sigma / r)[:, None] * vectors
        energy = pair.sum()
        weight = np.exp(self.gamma / (s - self.a))
        decay = -self.gamma / (s - self.a) ** 2 / self.sigma
        units = vectors / r[:, None]
        for atom in range(n):
            mine = np.flatnonzero(i == atom)
            if len(mine) < 2:
                continue
            a, b = (mine[index] for index in np.triu_indices(len(mine), 1))
            cosine = np.sum(units[a] * units[b], axis=1)
            both = self.lam * self.epsilon * weight[a] * weight[b]
            energy += np.sum(both * (cosine + 1 / 3) ** 2)
            bend = 2 * both * (cosine + 1 / 3)
            for one, other in ((a, b), (b, a)):
                radial = both * (cosine + 1 / 3) ** 2 * decay[one]
                turn = (units[other] - cosine[:, None] * units[one]) / r[one][:, None]
                np.add.at(slopes, one, radial[:, None] * units[one] + bend[:, None] * turn)
        return float(energy), slopes


def _tersoff():
    silicon = TersoffParameters(
        3, 1, 0, 1.0039e5, 16.217, -0.59825, 0.78734, 1.1e-6, 1.7322, 471.18, 2.85, 0.15, 2.4799, 1830.8
    )
    carbon = TersoffParameters(
        3, 1, 0, 38049, 4.3484, -0.57058, 0.72751, 1.5724e-7, 2.2119, 346.74, 1.95, 0.15, 3.4879, 1393.6
    )
    return {"Si": Tersoff({("Si",) * 3: silicon}), "C": Tersoff({("C",) * 3: carbon})}


_TERSOFF = _tersoff()

#: name: (calculator, element, crystal, lattice constant, nearest distance)
MATERIALS = {
    "Al, EMT": (EMT(), "Al", "fcc", 4.0, 2.83),
    "Cu, EMT": (EMT(), "Cu", "fcc", 3.6, 2.55),
    "Au, EMT": (EMT(), "Au", "fcc", 4.06, 2.87),
    "Ni, EMT": (EMT(), "Ni", "fcc", 3.49, 2.47),
    "Ar, Lennard-Jones": (LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True), "Ar", "fcc", 5.26, 3.72),
    "Ag, Morse": (MorsePotential(epsilon=0.33, rho0=5.2, r0=3.0, rcut1=1.6, rcut2=2.2), "Ag", "fcc", 4.1, 2.9),
    "Si, Tersoff": (_TERSOFF["Si"], "Si", "diamond", 5.43, 2.35),
    "C, Tersoff": (_TERSOFF["C"], "C", "diamond", 3.57, 1.55),
    "Si, Stillinger-Weber": (StillingerWeber(), "Si", "diamond", 5.43, 2.35),
    "Cu, Gupta": (Gupta(0.0855, 1.224, 10.960, 2.278, 2.556), "Cu", "fcc", 3.62, 2.56),
    "Au, Gupta": (Gupta(0.2061, 1.790, 10.229, 4.036, 2.884), "Au", "fcc", 4.08, 2.88),
}


def _crystal(material, scale=1.0, repeat=1):
    _, element, kind, a, _ = MATERIALS[material]
    return bulk(element, kind, a=a * scale, cubic=True) * (repeat if np.iterable(repeat) else (repeat, 1, 1))


def _rattled(atoms, rng, size):
    atoms = atoms.copy()
    atoms.positions += rng.normal(0, size, atoms.positions.shape)
    return atoms


def _strained(atoms, rng, size):
    atoms = atoms.copy()
    strain = rng.normal(0, size, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    return atoms


def _size(material):
    return 0.03 * MATERIALS[material][4]


def rattled(m, rng):
    """Rattled crystals of one cell."""
    return [_rattled(_crystal(m, repeat=2), rng, _size(m)) for _ in range(20)]


def volume_scan(m, rng):
    """A perfect crystal at 16 volumes."""
    return [_crystal(m, 0.94 + 0.008 * k) for k in range(16)]


def rattled_volumes(m, rng):
    """Rattled crystals at 16 volumes."""
    return [_rattled(_crystal(m, 0.96 + 0.005 * k), rng, _size(m)) for k in range(16)]


def strained(m, rng):
    """Strained cells, atoms in place."""
    return [_strained(_crystal(m), rng, 0.02) for _ in range(24)]


def strained_rattled(m, rng):
    """Strained and rattled cells."""
    return [_rattled(_strained(_crystal(m), rng, 0.03), rng, _size(m)) for _ in range(24)]


def dimers_and_crystals(m, rng):
    """A dimer curve and rattled crystals."""
    _, element, _, _, d = MATERIALS[m]
    dimers = [Atoms(element + "2", [[0, 0, 0], [d * (0.8 + 0.05 * k), 0, 0]]) for k in range(12)]
    return dimers + [_rattled(_crystal(m), rng, _size(m)) for _ in range(12)]


def dimers(m, rng):
    """A dimer curve alone."""
    _, element, _, _, d = MATERIALS[m]
    return [Atoms(element + "2", [[0, 0, 0], [d * (0.8 + 0.04 * k), 0, 0]]) for k in range(18)]


def _cluster(m, rng, n):
    _, element, _, _, d = MATERIALS[m]
    places = [np.zeros(3)]
    while len(places) < n:
        base = places[rng.integers(len(places))]
        step = rng.normal(size=3)
        place = base + d * step / np.linalg.norm(step)
        if min(np.linalg.norm(place - other) for other in places) > 0.85 * d:
            places.append(place)
    return Atoms(f"{element}{n}", places)


def clusters(m, rng):
    """Compact clusters of 3 to 12 atoms, without a cell."""
    return [_rattled(_cluster(m, rng, int(rng.integers(3, 13))), rng, 0.5 * _size(m)) for _ in range(30)]


def one_cluster(m, rng):
    """Rattled copies of one cluster in a box that is not periodic."""
    base = _cluster(m, rng, 8)
    base.set_cell([15, 15, 15])
    return [_rattled(base, rng, _size(m)) for _ in range(24)]


def _slab(m, layers=4):
    material = MATERIALS[m]
    if material[2] == "fcc":
        return fcc111(material[1], (2, 2, layers), a=material[3], vacuum=6.0)
    atoms = _crystal(m, repeat=(1, 1, 2))
    atoms.center(vacuum=6.0, axis=2)
    atoms.pbc = (True, True, False)
    return atoms


def slabs(m, rng):
    """Rattled slabs, periodic in the plane."""
    return [_rattled(_slab(m), rng, _size(m)) for _ in range(16)]


def bulk_and_slab(m, rng):
    """Rattled crystals, and slabs that are periodic in three directions with vacuum between them."""
    frames = [_rattled(_crystal(m), rng, _size(m)) for _ in range(16)]
    for _ in range(10):
        atoms = _rattled(_slab(m), rng, _size(m))
        atoms.pbc = True
        frames.append(atoms)
    return frames


def wires(m, rng):
    """Rattled wires, periodic in one direction."""
    frames = []
    for _ in range(16):
        atoms = _rattled(_crystal(m, repeat=(1, 1, 2)), rng, _size(m))
        atoms.center(vacuum=6.0, axis=(0, 1))
        atoms.pbc = (False, False, True)
        frames.append(atoms)
    return frames


def walk(m, rng):
    """Small random steps from frame to frame, as in dynamics."""
    frames = [_rattled(_crystal(m, repeat=2), rng, _size(m))]
    for _ in range(24):
        frames.append(_rattled(frames[-1], rng, 0.015))
    return frames


def disordered(m, rng):
    """Cells with large displacements, of three volumes and two sizes."""
    return [_rattled(_crystal(m, (0.98, 1.01, 1.04)[k % 3], 1 + k % 2), rng, 2.5 * _size(m)) for k in range(24)]


def vacancies(m, rng):
    """Crystals with up to two atoms missing."""
    frames = []
    for k in range(20):
        atoms = _rattled(_crystal(m, repeat=(2, 2, 1)), rng, _size(m))
        del atoms[sorted(rng.permutation(len(atoms))[: k % 3].tolist())]
        frames.append(atoms)
    return frames


def mixed(m, rng):
    """Several kinds of frames with config_types, and the free atom."""
    parts = {"rattled": rattled, "strained": strained, "volumes": rattled_volumes, "slab": bulk_and_slab}
    frames = [Atoms(MATERIALS[m][1], info={"config_type": "isolated_atom"})]
    for name, make in parts.items():
        for atoms in make(m, rng)[:10]:
            atoms.info["config_type"] = name
            frames.append(atoms)
    return frames


FAMILIES = (
    rattled, volume_scan, rattled_volumes, strained, strained_rattled, dimers_and_crystals, dimers, clusters,
    one_cluster, slabs, bulk_and_slab, wires, walk, disordered, vacancies, mixed,
)  # fmt: skip

#: Families with atoms of one neighbour, for which ASE's Tersoff divides by zero.
_LONE = (dimers, dimers_and_crystals, clusters, one_cluster, wires)

#: Totals of a pseudopotential or all-electron code per element, added to alloys and molecules (eV).
_TOTALS = {
    "H": -13.6,
    "C": -1030.0,
    "N": -1485.0,
    "O": -2042.0,
    "Al": -56.2,
    "Ni": -1350.5,
    "Cu": -1305.1,
    "Au": -905.3,
}


def _alloy(pair, rng, cell):
    symbols = rng.choice(pair, size=len(cell))
    symbols[:2] = pair
    cell.symbols = symbols
    return cell


def alloy(pair, rng):
    """Rattled cells of two elements in any proportion and several volumes."""
    return [
        _rattled(_alloy(pair, rng, bulk("Cu", a=a, cubic=True) * (2, 1, 1 + k % 2)), rng, 0.08)
        for k, a in enumerate(rng.uniform(3.6, 3.95, 24))
    ]


def ordered_alloy(pair, rng):
    """One composition of two elements, rattled and strained."""
    frames = []
    for _ in range(20):
        atoms = bulk("Cu", a=3.75, cubic=True) * (2, 1, 1)
        atoms.symbols = [pair[k % 2] for k in range(len(atoms))]
        frames.append(_rattled(_strained(atoms, rng, 0.02), rng, 0.07))
    return frames


def molecules(names, rng):
    """Rattled molecules of several kinds."""
    return [_rattled(molecule(names[k % len(names)]), rng, 0.06) for k in range(36)]


def molecules_in_a_box(names, rng):
    """Rattled molecules of one kind, in a periodic box."""
    frames = []
    for _ in range(24):
        atoms = _rattled(molecule(names[0]), rng, 0.06)
        atoms.set_cell([10, 10, 10])
        atoms.center()
        atoms.pbc = True
        frames.append(atoms)
    return frames


_PAIRS = (("Cu", "Au"), ("Ni", "Al"), ("Ag", "Pd"))
_MOLECULES = (("CH3OH", "H2O", "CH4"), ("C2H6", "C6H6", "CH4"), ("NH3", "N2H4", "HCN"), ("CH3CH2OH", "CO2", "CH3OCH3"))


def label(frames, calculator, rng, *, kinds=("energy", "forces", "stress"), key="stress", noise=0.0, totals=False):
    """The frames with labels REF_energy, REF_forces and REF_stress or REF_virial.

    `noise`: of forces (eV/Angstrom); a hundredth of it per atom (eV) goes to energies. `totals`: energies as of an
    electronic-structure code, with large energies of free atoms.
    """
    done = []
    for atoms in frames:
        atoms = atoms.copy()
        atoms.calc = calculator
        frame = atoms.copy()
        n = len(atoms)
        if "energy" in kinds:
            energy = atoms.get_potential_energy() + 0.01 * noise * n * rng.normal()
            frame.info["REF_energy"] = energy + (sum(_TOTALS[s] for s in atoms.symbols) if totals else 0.0)
        if "forces" in kinds:
            forces = atoms.get_forces() + noise * rng.normal(size=(n, 3))
            frame.arrays["REF_forces"] = forces - forces.mean(axis=0)
        if "stress" in kinds and atoms.pbc.all():
            stress = atoms.get_stress()
            if key == "stress":
                frame.info["REF_stress"] = stress
            else:
                frame.info["REF_virial"] = -atoms.get_volume() * stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
        done.append(frame)
    return done


def right_sets(only=None):
    """Yield (name, frames): sets whose labels are right by construction."""
    kinds = itertools.cycle([("energy", "forces", "stress")] * 5 + [("energy", "forces"), ("energy", "stress")])
    keys, noises = itertools.cycle(["stress", "virial", "virial"]), itertools.cycle([0.0, 0.0, 0.01])
    makers = [
        (m, family, m, MATERIALS[m][0], False)
        for m in MATERIALS
        for family in FAMILIES
        if not ("Tersoff" in m and family in _LONE)
    ]
    makers += [
        (f"{'-'.join(pair)}, EMT", family, pair, EMT(), pair != ("Ag", "Pd"))
        for pair in _PAIRS
        for family in (alloy, ordered_alloy)
    ]
    makers += [
        (f"{', '.join(names)}, EMT", family, names, EMT(), True)
        for names in _MOLECULES
        for family in (molecules, molecules_in_a_box)
    ]
    again = rattled_volumes, clusters, strained_rattled, dimers_and_crystals, bulk_and_slab, disordered, mixed
    makers += [
        (f"{m}, again", family, m, MATERIALS[m][0], False)
        for m in ("Cu, EMT", "Si, Stillinger-Weber", "Au, Gupta")
        for family in again
    ]
    for k, (of, family, material, calculator, totals) in enumerate(makers):
        name = f"{of}: {family.__name__}"
        options = {"kinds": next(kinds), "key": next(keys), "noise": next(noises), "totals": totals}
        if only is not None and only not in name:
            continue
        rng = np.random.default_rng(k)
        yield name, label(family(material, rng), calculator, rng, **options)
