"""Everything of the public API that takes arguments, with arguments that are right: what tests and
bench/python/attack_api.py call with one argument replaced by a wrong one.

Classes of the registries are found by themselves; a new one needs arguments in `ARGUMENTS` only where it has fields
without default.
"""

import contextlib
import dataclasses
import functools
import inspect
import tempfile

import mercer
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from mercer import baselines, basis, dynamics, kernels, linalg, neighbors, selection, structures
from mercer.compat import dscribe
from mercer.descriptors import DESCRIPTORS, MBTRPart
from mercer.glue import Glue

GRID = {"geometry": "distance", "grid": (0, 4, 20), "sigma": 0.2, "r_cut": 3.0}

#: Arguments of classes, by name: those without default, and some that make the rest of them count.
ARGUMENTS = {
    "SOAP": {"species": ["H", "O"], "r_cut": 3.0, "n_max": 3, "l_max": 2, "sigma": 0.5},
    "AverageSOAP": {"species": ["H", "O"], "r_cut": 3.0, "n_max": 3, "l_max": 2, "sigma": 0.5},
    "RadialSpectrum": {"species": ["H", "O"], "r_cut": 3.0, "n_max": 3, "sigma": 0.5},
    "PairDistance": {"species": ["H", "O"], "r_cut": 3.0},
    "Triplet": {"species": ["H", "O"], "r_cut": 3.0},
    "ClusterDistances": {"species": ["H", "O"], "r_cut": 3.0, "order": 3},
    "CoulombMatrix": {"n_atoms_max": 4},
    "SineMatrix": {"n_atoms_max": 4},
    "EwaldMatrix": {"n_atoms_max": 4},
    "InverseDistances": {"n_atoms_max": 4},
    "BagOfBonds": {"max_atoms": {"H": 2, "O": 2}},
    "InversePowers": {"species": ["H", "O"], "r_cut": 3.0},
    "MBTR": {"species": ["H", "O"], "k2": GRID},
    "LMBTR": {"species": ["H", "O"], "k2": GRID},
    "MBTRPart": GRID,
    "Weighted": {"weights": {1: 0.5, 8: 1.0}},
    "MultiKernel": {"terms": [(0.5, kernels.Linear(), slice(0, 1)), (2.0, kernels.Gaussian(), [1])]},
}


@dataclasses.dataclass(frozen=True)
class Target:
    """A callable, its right arguments, the names of all of its arguments, and what to do with what it returns."""

    name: str
    call: object
    arguments: dict
    names: tuple
    use: object

    def run(self, **wrong):
        """Result of the call with some arguments replaced, and of what is done with it."""
        return self.use(self.call(**{**self.arguments, **wrong}))


@functools.cache
def water():
    """Three frames of water and hydrogen peroxide with labels."""
    frames = []
    for seed, name in enumerate(("H2O", "H2O2", "H2O")):
        atoms = molecule(name, vacuum=2.0)
        atoms.rattle(0.05, seed=seed)
        atoms.info["REF_energy"] = -10.0 - 0.1 * seed
        atoms.arrays["REF_forces"] = 0.1 * np.cos(np.arange(3.0 * len(atoms))).reshape(-1, 3)
        frames.append(atoms)
    return frames


@functools.cache
def crystals():
    frames = [bulk("MgO", "rocksalt", a=a) for a in (4.1, 4.2)]
    for atoms in frames:
        atoms.rattle(0.05, seed=1)
    return frames


def table():
    X = np.random.default_rng(0).normal(size=(12, 2))
    return X, np.sin(X[:, 0])


def structure_rows():
    X, _ = table()
    return kernels.StructureRows(X, [0, 4, 8, 12], np.tile([1, 8, 8], 4))


def describe(descriptor):
    periodic = type(descriptor).__name__ in ("SineMatrix", "EwaldMatrix")
    descriptor.feature_labels()
    return descriptor.transform(crystals() if periodic else water())


def compare(kernel):
    X, _ = table()
    if kernel.name == "polynomial":  # any zeta
        X = np.abs(X) / np.linalg.norm(X, axis=1, keepdims=True)
    return [kernel(X), kernel.diag(X), kernel(X, X[:3])]


def learn(model):
    X, y = table()
    return model.fit(X, y).predict(X)


def term(**options):
    soap = mercer.SOAP(["H", "O"], r_cut=3.0, n_max=3, l_max=2, sigma=0.5)
    return mercer.Term(**({"descriptor": soap, "kernel": kernels.Polynomial(zeta=2), "n_sparse": 6} | options))


def train(potential):
    frames = water()
    predicted = potential.fit(frames).predict(frames, std=True)
    return [predicted[key] for key in ("energy", "energies", "forces", "energy_std")]


@functools.cache
def fitted():
    return mercer.Potential(term()).fit(water())


def evaluate(calculator):
    atoms = water()[0].copy()
    atoms.calc = calculator
    return [atoms.get_potential_energy(), atoms.get_forces()]


def move(**options):
    atoms = water()[0].copy()
    atoms.calc = fitted().calculator()
    dynamics.draw_velocities(atoms, 100.0)
    return [run.total for run in dynamics.follow(atoms, **options)][-1:]


def velocities(**options):
    atoms = water()[0].copy()
    dynamics.draw_velocities(atoms, **options)
    return atoms.get_velocities()


def frame(**parts):
    """A frame whose arrays were overwritten: ASE checks less than one thinks."""
    atoms = water()[0].copy()
    for name, value in parts.items():
        with contextlib.suppress(Exception):  # what ASE itself or NumPy refuses never comes here
            if name == "cell":
                atoms.cell = value
            elif name == "pbc":
                atoms.pbc = value
            else:
                atoms.arrays[name] = np.asarray(value)
    return atoms


def labelled(**labels):
    """A frame with labels as they may stand in a file."""
    atoms = Atoms("OH2", [[0, 0, 0], [0, 0, 1], [0, 1, 0]], cell=[5, 5, 5], pbc=True)
    atoms.info["REF_energy"] = -10.0
    for key, value in labels.items():
        (atoms.arrays if key in ("forces", "energies") else atoms.info)[f"REF_{key}"] = value
    return atoms


def labels_of(frames):
    found = structures.read_labels(frames)
    return [np.nan_to_num(getattr(found, kind), nan=0.0) for kind in ("energy", "forces", "virial", "energies")]


def nothing(result):
    return result


def radial(value):
    return basis.get_radial_basis(value).integrals([0.5, 1.0], n_max=3, l_max=1, r_cut=4.0, sigma=0.5)


def solve(**options):
    X, y = table()
    kernel = kernels.Gaussian()
    arguments = {"K_MM": kernel(X[:4]), "solver": "whitened", "jitter": "auto", "rank_tol": None, "sigma": 0.1}
    arguments |= {"K_LM": kernel(X, X[:4]), "y": y} | options
    system = linalg.SparseSystem(
        *(arguments.pop("K_MM"),), **{k: arguments[k] for k in ("solver", "jitter", "rank_tol")}
    )
    system.update(arguments["K_LM"], arguments["y"], arguments["sigma"])
    return system.solve().weights


def threads(n):
    before = mercer._core.core.fixed_num_threads()
    try:
        mercer.set_num_threads(n)
        with mercer.threads(n):
            return kernels.Linear()(np.eye(2))
    finally:
        mercer._core.core.set_num_threads(before)


def _of_fields(cls, use):
    fields = tuple(f.name for f in dataclasses.fields(cls) if f.init)
    name = f"basis.{cls.__name__}" if cls.__module__.startswith("mercer.basis") else cls.__name__
    return Target(name, cls, ARGUMENTS.get(cls.__name__, {}), fields, use)


def _of_signature(name, call, use, **arguments):
    parameters = inspect.signature(call).parameters.values()
    names = tuple(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)
    return Target(name, call, arguments, names, use)


def dataclass_targets():
    """Every class of the registries."""
    yield from (_of_fields(cls, describe) for cls in DESCRIPTORS.values())
    yield _of_fields(MBTRPart, lambda part: describe(mercer.MBTR(["H", "O"], k2=part)))
    yield from (_of_fields(cls, compare) for cls in kernels.KERNELS.values() if dataclasses.fields(cls))
    yield from (_of_fields(cls, lambda k: k(structure_rows())) for cls in kernels.STRUCTURE_KERNELS.values())
    yield _of_fields(kernels.MultiKernel, lambda kernel: kernel(table()[0]))
    cutoffs = [cls for cls in basis.CUTOFFS.values() if dataclasses.fields(cls)]
    yield from (_of_fields(cls, lambda f: f.evaluate([1.0, 3.9], 4.0)) for cls in cutoffs)
    radials = [cls for cls in basis.RADIAL_BASES.values() if dataclasses.fields(cls)]
    yield from (_of_fields(cls, radial) for cls in radials)
    yield from (_of_fields(cls, lambda f: f.evaluate([1.0, 3.9])) for cls in basis.RADIAL_SCALINGS.values())
    yield _of_fields(baselines.ZBL, lambda b: b.evaluate(water()))
    yield from (
        _of_fields(cls, lambda b: b.evaluate(water()))
        for cls in baselines.BASELINES.values()
        if cls not in (baselines.ZBL, baselines.CalculatorBaseline, Glue)
    )
    arguments = {"descriptor": term().descriptor, "kernel": kernels.Polynomial(zeta=2), "n_sparse": 6}
    names = tuple(f.name for f in dataclasses.fields(mercer.Term))
    yield Target("Term", mercer.Term, arguments, names, lambda t: train(mercer.Potential(t)))


def estimator_targets():
    """Estimators, whose arguments are checked when they are fitted at the latest."""
    yield _of_signature("KRR", mercer.KRR, learn)
    yield _of_signature("GPR", mercer.GPR, learn)
    yield _of_signature("SparseGPR", mercer.SparseGPR, learn, n_sparse=5)
    yield _of_signature("Potential", mercer.Potential, train, terms=term())


def function_targets():
    """Functions and methods."""
    X, y = table()
    soap, kernel, frames = term().descriptor, kernels.Gaussian(), water()
    arguments = {"method": "fps", "n": 3, "X": X, "kernel": kernel}
    yield _of_signature("select", selection.select, nothing, **arguments)
    yield _of_signature("neighbor_list", neighbors.neighbor_list, nothing, quantities="ijd", a=frames[0], cutoff=2.0)
    yield _of_signature(
        "VerletPairs", neighbors.VerletPairs, lambda v: v.update(frames[0])[1].distances, cutoff=2.0, skin=0.3
    )
    yield _of_signature("build_pairs", neighbors.build_pairs, lambda p: p.distances, frames=frames, cutoff=2.0)
    yield _of_signature("read_labels", structures.read_labels, lambda labels: labels.energy, frames=frames)
    yield Target("read_frames", structures.read_frames, {"path": _structures()}, ("path", "index"), len)
    right = {"path": f"{_saved()}-2.xyz", "frames": frames}
    yield Target("write_frames", structures.write_frames, right, ("path", "frames"), nothing)
    yield _of_signature("load", mercer.load, nothing, path=_saved())
    yield Target("set_num_threads", threads, {}, ("n",), nothing)
    yield Target("follow", move, {"steps": 2, "timestep": 0.5, "ensemble": "nvt", "temperature": 100.0},
                 ("steps", "timestep", "ensemble", "temperature", "friction", "seed"), nothing)  # fmt: skip
    yield Target("draw_velocities", velocities, {"temperature": 100.0}, ("temperature", "seed"), nothing)
    yield Target("calculator", fitted().calculator, {}, ("std", "warn_above", "skin"), evaluate)
    yield _of_signature("StructureRows", kernels.StructureRows, lambda r: kernels.Sum(match_groups=False)(r),
                        features=X, offsets=[0, 6, 12])  # fmt: skip
    yield Target("MultiRows", lambda a, b: kernels.MultiRows(a, b), {"a": X, "b": X}, ("a", "b"), lambda r: r.sets[0])
    yield _of_signature("kernel call", kernel.__call__, nothing, X=X, Y=X)
    yield _of_signature("kernel vjp", kernel.vjp, nothing, X=X, Y=X, dL_dK=np.ones((12, 12)))
    yield _of_signature("kernel diag", kernel.diag, nothing)
    yield _of_signature("kernel derivatives", kernel.derivatives, nothing)
    yield _of_signature("get_kernel", kernels.get_kernel, compare)
    yield _of_signature("get_cutoff", basis.get_cutoff, lambda f: f.evaluate([1.0, 3.9], 4.0))
    yield _of_signature("get_radial_basis", basis.get_radial_basis, radial)
    yield _of_signature("get_radial_scaling", basis.get_radial_scaling, lambda f: f and f.evaluate([1.0]))
    integrals = basis.GTO().integrals
    right = {"r": [0.5, 1.0], "n_max": 3, "l_max": 1, "r_cut": 4.0, "sigma": 0.5}
    yield _of_signature("integrals", integrals, nothing, **right)
    yield _of_signature("transform", soap.transform, nothing, frames=frames)
    yield _of_signature("gradients", soap.gradients, lambda g: g.values, frames=frames)
    yield _of_signature("vjp", soap.vjp, nothing, frames=frames, dY_dX=np.ones((10, soap.n_features)))
    yield _of_signature("share", soap.share, nothing, frames=frames, row_energies=np.ones(10))
    yield _of_signature("block", soap.block, nothing)
    yield _of_signature("from_dict", soap.from_dict, describe)
    yield Target("fit X, y", lambda X, y, groups: mercer.GPR(kernel).fit(X, y, groups).predict(X, groups=groups),
                 {"X": X, "y": y, "groups": None}, ("X", "y", "groups"), nothing)  # fmt: skip
    yield Target("sparse fit", lambda X, y, groups: mercer.SparseGPR(kernel, n_sparse=5).fit(X, y, groups).weights_,
                 {"X": X, "y": y, "groups": None}, ("X", "y", "groups"), nothing)  # fmt: skip
    model = mercer.GPR(kernel).fit(X, y)
    yield _of_signature("GPR.predict", model.predict, nothing, X=X)
    yield _of_signature("Potential.predict", fitted().predict, lambda r: r["energy"], frames=frames)
    yield Target("Potential.fit", lambda **a: mercer.Potential(term()).fit(**a).weights_, {"frames": frames},
                 ("frames", "labels", "sparse_points"), nothing)  # fmt: skip
    yield Target("calibrate", fitted().calibrate, {"frames": frames}, ("frames", "labels", "kinds"), nothing)
    yield Target("SparseSystem", solve, {}, ("K_MM", "solver", "jitter", "rank_tol", "K_LM", "y", "sigma"), nothing)
    names = ("positions", "numbers", "cell", "pbc")
    yield Target("frame", frame, {}, names, lambda atoms: describe(soap) if atoms is None else soap.transform(atoms))
    names = ("energy", "forces", "stress", "virial", "energies")
    yield Target("labels", labelled, {}, names, labels_of)


@functools.cache
def _saved():
    folder = tempfile.mkdtemp(prefix="mercer-api-")
    fitted().save(f"{folder}/model")
    return f"{folder}/model"


@functools.cache
def _structures():
    structures.write_frames(f"{_saved()}.extxyz", water())
    return f"{_saved()}.extxyz"


def compat_targets():
    """Classes with the arguments of DScribe."""
    system = water()[0]
    part = {"geometry": {"function": "distance"}, "grid": {"min": 0, "max": 4, "sigma": 0.2, "n": 20},
            "weighting": {"function": "exp", "scale": 1.0, "threshold": 1e-3}}  # fmt: skip
    right = {
        dscribe.SOAP: {"species": ["H", "O"], "r_cut": 3.0, "n_max": 3, "l_max": 2},
        dscribe.MBTR: {"species": ["H", "O"], **part},
        dscribe.LMBTR: {"species": ["H", "O"], **part},
        dscribe.ValleOganov: {"species": ["H", "O"], "function": "distance", "sigma": 0.2, "n": 20, "r_cut": 3.0},
        dscribe.CoulombMatrix: {"n_atoms_max": 4},
        dscribe.SineMatrix: {"n_atoms_max": 4},
        dscribe.EwaldSumMatrix: {"n_atoms_max": 4},
    }
    for cls, arguments in right.items():
        sites = {} if cls is not dscribe.SOAP else {"centers": [0]}
        cell = bulk("MgO", "rocksalt", a=4.2) if "Sine" in cls.__name__ or "Ewald" in cls.__name__ else system
        use = functools.partial(lambda d, s, k: d.create(s, **k), s=cell, k=sites)
        yield _of_signature(f"dscribe.{cls.__name__}", cls, use, **arguments)
    soap = dscribe.SOAP(**right[dscribe.SOAP])
    yield _of_signature("dscribe create", soap.create, nothing, system=system)
    yield _of_signature("dscribe derivatives", soap.derivatives, nothing, system=system)
    yield _of_signature("dscribe get_location", soap.get_location, nothing)
    rows = [table()[0], table()[0][:5]]
    for cls in (dscribe.AverageKernel, dscribe.REMatchKernel):
        arguments = {"metric": "linear"}
        yield _of_signature(f"dscribe.{cls.__name__}", cls, lambda k: k.create(rows), **arguments)
    yield _of_signature("dscribe kernel create", dscribe.AverageKernel("linear").create, nothing, x=rows)


def all_targets():
    yield from dataclass_targets()
    yield from estimator_targets()
    yield from function_targets()
    with contextlib.suppress(ImportError):
        yield from compat_targets()
