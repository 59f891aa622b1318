"""Makes data sets for bench_defaults.py from packages of PyPI: DFT crystals that these ship, molecules labelled here.

    pip install phonopy tblite
    python bench/python/public_sets.py FOLDER [NAME ...]

| name | frames (train + test) | source |
|---|---|---|
| aln | AlN, 128 atoms, small random displacements (PBEsol): 100 + 100 | source archive of phono3py 4, example/AlN-rd |
| kcl | KCl, 64 atoms, large random displacements: 80 + 40 | source archive of phonopy 4, example/KCl-SSCHA |
| si-pyxtal | Si, random crystals of 2 to 16 atoms (PBE): 600 + 300 | source archive of pyxtal_ff 0.2.3, datasets/Si |
| aspirin-xtb, ether-xtb | Langevin dynamics at 500 K, GFN2-xTB: 400 + 200 | labelled by tblite |

The archives come from ``pip download --no-deps --no-binary=NAME NAME``, unpacked in FOLDER. GFN2-xTB: C. Bannwarth et
al., J. Chem. Theory Comput. 15 (2019) 1652.
"""

import argparse
import glob
import json
import pathlib

import ase.io
import numpy as np
from ase import Atoms, units


def labelled(atoms, energy, forces, config_type=None):
    """A frame with reference labels."""
    atoms.info = {"REF_energy": float(energy)} | ({"config_type": config_type} if config_type else {})
    atoms.arrays["REF_forces"] = np.asarray(forces, float)
    return atoms


def displaced_supercells(path):
    """Frames of a file of displacements, forces and energies that phonopy writes."""
    import phonopy

    phonon = phonopy.load(path, produce_fc=False)
    cell, dataset = phonon.supercell, phonon.dataset
    for u, forces, energy in zip(*(dataset[k] for k in ("displacements", "forces", "supercell_energies")), strict=True):
        atoms = Atoms(cell.symbols, cell.positions + u, cell=cell.cell, pbc=True)
        yield labelled(atoms, energy, forces)


def random_crystals(path):
    """Frames of a data set of pyxtal_ff."""
    for entry in json.loads(pathlib.Path(path).read_text()):
        cell = np.array(entry["lattice"]["data"])
        atoms = Atoms(entry["elements"], np.array(entry["coords"]["data"]) @ cell, cell=cell, pbc=True)
        yield labelled(atoms, entry["energy"], entry["force"], f"{len(atoms)} atoms")


def dynamics(start, n_frames, temperature=500, interval=10):
    """Frames of Langevin dynamics with GFN2-xTB (0.5 fs), and the free atoms that E0 comes from."""
    from ase.md.langevin import Langevin
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from tblite.ase import TBLite

    rng = np.random.default_rng(0)
    atoms = start.copy()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    md = Langevin(atoms, 0.5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    md.run(500)
    for _ in range(n_frames):
        md.run(interval)
        frame = Atoms(atoms.numbers, atoms.positions)
        yield labelled(frame, atoms.get_potential_energy(), atoms.get_forces())


def free_atoms(symbols):
    from tblite.ase import TBLite

    for symbol in sorted(set(symbols)):
        atoms = Atoms(symbol, calculator=TBLite(method="GFN2-xTB", verbosity=0))
        energy = atoms.get_potential_energy()
        yield labelled(Atoms(symbol), energy, np.zeros((1, 3)), "IsolatedAtom")


def build(folder, name):
    """Write FOLDER/NAME/train.extxyz and test.extxyz: a random split for crystals, alternate frames of dynamics."""

    def find(pattern):
        found = glob.glob(str(folder / pattern))
        if not found:
            raise SystemExit(f"{name}: no {pattern} in {folder}; unpack the source archive there")
        return found[0]

    first = []
    if name == "aln":
        frames, n_train, n_test = list(displaced_supercells(find("phono3py-*/example/AlN-rd/*.yaml.xz"))), 100, 100
    elif name == "kcl":
        path = find("phonopy-*/example/KCl-SSCHA/phonopy_mlpsscha_params_KCl-120.yaml.xz")
        frames, n_train, n_test = list(displaced_supercells(path)), 80, 40
    elif name == "si-pyxtal":
        frames = list(random_crystals(find("pyxtal_ff-*/pyxtal_ff/datasets/Si/PyXtal/Si.json")))
        n_train, n_test = 600, 300
    else:
        from ase.build import molecule

        start = ase.io.read(find("aspirin.extxyz")) if name.startswith("aspirin") else molecule("CH3CH2OCH3")
        n_train, n_test = 400, 200
        frames, first = list(dynamics(start, n_train + n_test)), list(free_atoms(start.symbols))
    order = np.random.default_rng(0).permutation(len(frames))
    (folder / name).mkdir(exist_ok=True)
    train, test = np.sort(order[:n_train]), np.sort(order[n_train : n_train + n_test])
    ase.io.write(folder / name / "train.extxyz", first + [frames[k] for k in train])
    ase.io.write(folder / name / "test.extxyz", [frames[k] for k in test])
    print(name, len(train), len(test), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=["aln", "kcl", "si-pyxtal", "ether-xtb"])
    arguments = parser.parse_args()
    for name in arguments.names:
        build(arguments.folder, name)
