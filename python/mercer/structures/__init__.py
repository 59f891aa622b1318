"""From ``ase.Atoms`` and files to what the core and the models take; the only reader of ``ase.Atoms``.

Lengths are in Angstrom, labels in eV and Angstrom: energy and virial in eV, forces in eV/Angstrom, stress in
eV/Angstrom^3 in ASE's order (xx, yy, zz, yz, xz, xy) and sign (tension positive), ``virial = -volume * stress``.
"""

from mercer.structures.entries import atom_numbers, info_numbers
from mercer.structures.files import check_suffix, read_frames, read_unchecked, write_frames
from mercer.structures.frames import (
    Frames,
    as_frames,
    naming_frames,
    species_numbers,
    species_of,
    symbols,
    to_batch,
)
from mercer.structures.keys import SPELLINGS
from mercer.structures.labels import LABEL_KINDS, Labels, read_labels
from mercer.structures.lengths import in_angstrom
from mercer.structures.probes import bond_length, compressed, dimers, free_atoms
from mercer.structures.units import stress_order, unit_factor

__all__ = [
    "LABEL_KINDS",
    "SPELLINGS",
    "Frames",
    "Labels",
    "as_frames",
    "atom_numbers",
    "bond_length",
    "check_suffix",
    "compressed",
    "dimers",
    "free_atoms",
    "in_angstrom",
    "info_numbers",
    "naming_frames",
    "read_frames",
    "read_labels",
    "read_unchecked",
    "species_numbers",
    "species_of",
    "stress_order",
    "symbols",
    "to_batch",
    "unit_factor",
    "write_frames",
]
