"""Structures that ask a model what it does far from any data: free atoms, dimers, compressed frames."""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mercer.structures.frames import as_frames


def free_atoms(numbers):
    """Atoms of these elements (atomic numbers) without neighbours -> Frames, one each."""
    return as_frames([Atoms([int(z)]) for z in numbers])


def bond_length(z1, z2):
    """Sum of the covalent radii of two elements, Angstrom."""
    return float(covalent_radii[int(z1)] + covalent_radii[int(z2)])


def dimers(z1, z2, distances):
    """Two atoms of these elements at distances in Angstrom -> Frames, one each."""
    return as_frames([Atoms([int(z1), int(z2)], [[0.0, 0.0, 0.0], [r, 0.0, 0.0]]) for r in distances])


def compressed(atoms, volumes):
    """A periodic frame, uniformly scaled to these multiples of its volume -> Frames, one each."""
    scaled = []
    for volume in volumes:
        cell = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        cell.set_cell(atoms.cell.array * np.cbrt(volume), scale_atoms=True)
        scaled.append(cell)
    return as_frames(scaled)
