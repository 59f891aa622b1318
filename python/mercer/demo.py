"""Labelled structures for a first fit, made on the spot: copper-gold alloys with the EMT potential that ASE brings."""

import numpy as np

#: Element -> (lattice constant of the fcc crystal, Angstrom).
LATTICE = {"Cu": 3.61, "Au": 4.06}

KINDS = ("bulk", "strained", "vacancy", "surface", "cluster")


def make_frames(n, seed=0, progress=None):
    """Copper-gold structures with energies and forces of effective-medium theory.

    Isolated atoms of both elements come first, then `n` frames of 12 to 32 atoms: crystals, strained crystals, crystals
    with a vacancy, slabs and clusters, of random composition and with the atoms displaced at random.

    Parameters
    ----------
    n : int
        Number of frames besides the isolated atoms.
    seed : int
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    list of ase.Atoms
        With ``REF_energy`` (eV), ``REF_forces`` (eV/Angstrom) and ``config_type``, and no calculator.

    Notes
    -----
    Effective-medium theory: K. W. Jacobsen, P. Stoltze, J. K. Norskov, Surf. Sci. 366 (1996) 394.

    Examples
    --------
    >>> from mercer.demo import make_frames
    >>> [len(frame) for frame in make_frames(1)]
    [1, 1, 32]
    """
    from ase import Atoms

    rng = np.random.default_rng(seed)
    frames = []
    for symbol in LATTICE:
        frames.append(_label(Atoms(symbol, info={"config_type": "IsolatedAtom"})))
    for i in range(n):
        kind = KINDS[i % len(KINDS)]
        frames.append(_label(_structure(kind, rng)))
        if progress is not None:
            progress(i + 1, n)
    return frames


def _structure(kind, rng):
    """One structure of a kind: lattice, composition, strain and displacements drawn from `rng`."""
    from ase.build import bulk, fcc111
    from ase.cluster import Octahedron

    share = rng.uniform()
    a = (1 - share) * LATTICE["Cu"] + share * LATTICE["Au"]
    a *= rng.normal(1.0, 0.01)
    if kind == "surface":
        atoms = fcc111("Cu", size=(2, 2, 4), a=a, vacuum=6.0)
    elif kind == "cluster":
        atoms = Octahedron("Cu", 3, cutoff=int(rng.integers(0, 2)), latticeconstant=a)
    else:
        atoms = bulk("Cu", a=a, cubic=True) * (2, 2, 2)
    if kind == "strained":
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
    if kind == "vacancy":
        del atoms[int(rng.integers(len(atoms)))]
    atoms.symbols = np.where(rng.uniform(size=len(atoms)) < share, "Au", "Cu")
    atoms.positions += rng.normal(0, rng.uniform(0.03, 0.15), atoms.positions.shape)
    atoms.info = {"config_type": kind}
    return atoms


def _label(atoms):
    """Energy and forces as plain entries, under the keys that mercer looks for."""
    from ase.calculators.emt import EMT

    atoms.calc = EMT()
    atoms.info["REF_energy"] = float(atoms.get_potential_energy())
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    return atoms
