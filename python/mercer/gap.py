"""Reads GAP potentials as they are published: the XML file of QUIP's ``gap_fit`` with its sparse files.

The format is a fact of QUIP (https://github.com/libAtoms/QUIP); nothing of its code is used. This module parses, checks
and refuses by name; `mercer.models.gap` turns the result into a potential.
"""

import dataclasses
import hashlib
import math
import pathlib
import re
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np

from mercer.errors import ModelFileError

#: Versions (seconds since 1970) at which the meaning of a file changed.
CENTRAL_REFERENCE_OPTIONAL = 1426512068
POWER_SPECTRUM_NORMALISED = 1423143769
COMPACT_CLUSTERS_DEFAULT = 1596837814

_KEY_VALUE = re.compile(r"([A-Za-z_]\w*)\s*=\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\S+)")
_SYNONYMS = {
    "atom_gaussian_width": "atom_sigma",
    "normalize": "normalise",
    "soap_exponent": "zeta",
    "energy_scale": "delta",
    "lengthscale_factor": "theta_fac",
    "lengthscale_uniform": "theta_uniform",
}


@dataclasses.dataclass(frozen=True)
class Coordinate:
    """One ``gpCoordinates`` element: a descriptor, its kernel, and the fitted sparse points.

    Attributes
    ----------
    kind : str
        ``soap``, ``distance_2b``, ``angle_3b`` or ``distance_Nb``.
    options : dict of str to str
        The keys of the descriptor string, lower case, synonyms resolved.
    covariance : str
        ``dot_product`` or ``ard_se``.
    delta, f0, zeta : float
        k = delta^2 (x.x')^zeta, or delta^2 exp(..) + f0^2.
    theta : ndarray of shape (D,)
        Length scales of ``ard_se``.
    permutations : ndarray of shape (P, D), int
        From 0.
    sparse_x : ndarray of shape (M, D)
    sparse_cutoff, alpha : ndarray of shape (M,)
    """

    kind: str
    options: dict
    covariance: str
    delta: float
    f0: float
    zeta: float
    theta: np.ndarray
    permutations: np.ndarray
    sparse_x: np.ndarray
    sparse_cutoff: np.ndarray
    alpha: np.ndarray


@dataclasses.dataclass(frozen=True)
class GlueTable:
    """A cubic spline of ``Glue_params``: knots, values, end slopes (None: zero second derivative there)."""

    x: np.ndarray
    y: np.ndarray
    slope_first: float | None
    slope_last: float | None
    spline: bool = True


@dataclasses.dataclass(frozen=True)
class Glue:
    """A tabulated embedded-atom potential: densities and embedding per element, pair potentials per element pair."""

    density: dict
    embedding: dict
    pair: dict


@dataclasses.dataclass(frozen=True)
class GapFile:
    """A parsed GAP potential. `e0` maps atomic numbers to eV, `e0_default` holds for the others."""

    label: str
    version: int
    e0: dict
    e0_default: float
    e_scale: float
    coordinates: tuple
    glue: Glue | None


def looks_like_gap(start):
    """Whether XML that begins with these bytes is a GAP potential, or a part of one."""
    return re.search(rb"<\s*(GAP_params|gpSparse|Potential)\b", start) is not None


def parse_options(text):
    """Split ``key=value`` pairs of a QUIP argument string; later keys win, keys are case insensitive.

    Examples
    --------
    >>> parse_options("soap n_max=4 species_Z={1 6 }")
    {'n_max': '4', 'species_z': '1 6'}
    """
    options = {}
    for key, value in _KEY_VALUE.findall(text):
        value = value.strip()
        if value.startswith("{"):
            value = value[1:-1].strip()
        key = key.lower()
        options[_SYNONYMS.get(key, key)] = value
    return options


def number(text, name="a value"):
    """A finite number as Fortran writes it: ``.5``, ``-.97E+000``, ``1.0D-3``; ValueError with `name` otherwise.

    Examples
    --------
    >>> number("-.5D+001", "delta")
    -5.0
    """
    if text is None:
        raise ValueError(f"{name} is missing")
    try:
        value = float(_fortran(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name}={text.strip()[:40]!r}: expected a finite number")
    return value


def integer(text, name="a value", minimum=0):
    """A whole number from `minimum` to 2^31 - 1; ValueError with `name` otherwise."""
    value = number(text, name)
    if value != int(value) or not minimum <= value < 2**31:
        raise ValueError(f"{name}={text.strip()[:40]!r}: expected an integer >= {minimum}")
    return int(value)


def _fortran(text):
    return text.strip().replace("D", "E").replace("d", "e").replace("_", "?")  # Python alone would read 1_000


def _numbers(text, name):
    """Finite numbers between blanks; what stands there instead is not shown, as it may be of any file."""
    try:
        values = np.array(_fortran(text or "").split(), dtype=float)
    except ValueError:
        raise ValueError(f"{name}: expected numbers, but something else is there") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds numbers that are not finite")
    return values


def logical(text, name=None):
    """QUIP's truth values; `name` is not needed."""
    return text.strip().lower() in ("t", "true", ".true.")


def read_gap(path):
    """Parse a GAP XML file.

    Parameters
    ----------
    path : str or Path
        The XML file; external sparse files are looked for beside it.

    Returns
    -------
    GapFile

    Raises
    ------
    ModelFileError
        For broken XML, a potential that was not fitted, missing sparse files, and everything outside what mercer
        reads (other potentials, descriptors, covariances), named.
    """
    path = pathlib.Path(path)
    try:
        return _read(path, ElementTree.parse(path).getroot())
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise ModelFileError(f"{path}: not well-formed XML ({error}); is the file complete?") from error
    except ModelFileError:
        raise
    except MemoryError as error:
        raise ModelFileError(f"{path}: larger than the memory that is free") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: a GAP potential with a missing or misspelt entry ({error}); take the file as it was published"
        ) from error


def _read(path, root):
    potential = root.find("Potential") if root.tag != "Potential" else root
    everything = list(root.iter("GAP_params"))
    if not everything:
        raise ModelFileError(f"{path}: an XML file without <GAP_params>, so not a GAP potential")
    if potential is None:
        label, glue_wanted, e_scale = everything[0].get("label", ""), False, 1.0
    else:
        label, glue_wanted, e_scale = _potential_arguments(path, potential.get("init_args", ""))
    found = [params for params in everything if not label or params.get("label") == label]
    if not found:
        labels = ", ".join(params.get("label", "?") for params in everything)
        raise ModelFileError(f"{path}: <Potential> asks for the label {label!r}, the file holds {labels}")
    params = found[0]
    version = int(number(params.get("gap_version", "0"), "gap_version"))
    e0, e0_default = _read_e0(params.find("GAP_data"))
    sparse = params.find("gpSparse")
    if sparse is None or not logical(sparse.get("fitted", "T")):
        raise ModelFileError(f"{path}: the potential {label!r} holds no fit (fitted=F)")
    coordinates = tuple(_read_coordinate(path, element) for element in sparse.findall("gpCoordinates"))
    wanted = integer(sparse.get("n_coordinate", str(len(coordinates))), "n_coordinate")
    if wanted != len(coordinates):
        raise ModelFileError(f"{path}: n_coordinate={wanted}, but {len(coordinates)} gpCoordinates are there")
    glue = None
    if glue_wanted:
        element = next(root.iter("Glue_params"), None)
        if element is None:
            raise ModelFileError(f"{path}: <Potential> asks for a Glue potential, but there are no <Glue_params>")
        glue = _read_glue(path, element)
    return GapFile(params.get("label", ""), version, e0, e0_default, e_scale, coordinates, glue)


def _potential_arguments(path, init_args):
    """label, whether a Glue potential is added, E_scale out of ``init_args``."""
    text = init_args.strip()
    parts = [text]
    if text.lower().startswith("sum"):
        options = parse_options(text)
        parts = [options[key] for key in ("init_args_pot1", "init_args_pot2") if key in options]
        if len(parts) != 2:
            raise ModelFileError(f"{path}: init_args={init_args!r}: expected a Sum of two potentials")
    label, glue, e_scale, has_gap = "", False, 1.0, False
    for part in parts:
        words = part.split()
        kind = words[1].lower() if len(words) > 1 and words[0].upper() == "IP" else part
        if kind == "gap":
            options = parse_options(part)
            label, e_scale, has_gap = options.get("label", ""), number(options.get("e_scale", "1.0"), "E_scale"), True
        elif kind == "glue":
            glue = True
        else:
            raise ModelFileError(
                f"{path}: the potential {part!r} in init_args is not one that mercer reads (GAP, Glue, or their Sum)"
            )
    if not has_gap:
        raise ModelFileError(f"{path}: init_args={init_args!r} holds no GAP")
    return label, glue, e_scale


def _read_e0(data):
    if data is None:
        return {}, 0.0
    table = {integer(e.get("Z"), "Z of e0"): number(e.get("value"), "value of e0") for e in data.findall("e0")}
    return table, number(data.get("e0", "0"), "e0")


def _read_coordinate(path, element):
    label = element.get("label", "?")
    where = f"{path}: gpCoordinates {label}"
    text = element.findtext("descriptor", "").strip()
    kind = text.split()[0] if text else ""
    options = parse_options(text)
    known = {"soap": "soap", "distance_2b": "distance_2b", "angle_3b": "angle_3b", "distance_nb": "distance_Nb"}
    if kind.lower() not in known:
        raise ModelFileError(f"{where}: descriptor {kind!r} is not one that mercer reads ({', '.join(known.values())})")
    if not logical(element.get("sparsified", "T")):
        raise ModelFileError(f"{where}: not sparsified")
    covariance = {"1": "ard_se", "2": "dot_product"}.get(element.get("covariance_type", "").strip())
    if covariance is None:
        raise ModelFileError(f"{where}: covariance_type {element.get('covariance_type')} is not one that mercer reads")
    dimensions = integer(element.get("dimensions"), f"{label}: dimensions", 1)
    theta = _numbers(element.findtext("theta", ""), f"{label}: theta")
    zeta = 1.0
    if covariance == "dot_product":
        text_zeta = element.get("zeta")
        zeta = number(text_zeta, f"{label}: zeta") if text_zeta else (float(theta[0]) if theta.size else 1.0)
    elif theta.size != dimensions:
        raise ModelFileError(f"{where}: {theta.size} values of theta for {dimensions} dimensions")
    elif (theta <= 0).any():
        raise ModelFileError(f"{where}: theta holds numbers that are not positive")
    sparse = sorted(element.findall("sparseX"), key=lambda e: integer(e.get("i", "0"), f"{label}: i of sparseX"))
    n_sparse = integer(element.get("n_sparseX", str(len(sparse))), f"{label}: n_sparseX")
    if len(sparse) != n_sparse:
        raise ModelFileError(f"{where}: n_sparseX={n_sparse}, but {len(sparse)} sparse points are there")
    sparse_x = _read_sparse_x(path, where, element, sparse, dimensions)
    permutations = np.arange(dimensions)[None] if sparse else np.zeros((1, 0), int)
    if covariance == "ard_se" and element.find("permutation") is not None:
        permutations = _read_permutations(label, element, dimensions)
    return Coordinate(
        kind=known[kind.lower()],
        options=options,
        covariance=covariance,
        delta=number(element.get("signal_variance"), f"{label}: signal_variance"),
        f0=number(element.get("signal_mean", "0"), f"{label}: signal_mean"),
        zeta=zeta,
        theta=theta,
        permutations=permutations,
        sparse_x=sparse_x,
        sparse_cutoff=np.array([number(e.get("sparseCutoff", "1"), f"{label}: sparseCutoff") for e in sparse]),
        alpha=np.array([number(e.get("alpha"), f"{label}: alpha") for e in sparse]),
    )


def _read_permutations(label, element, dimensions):
    rows = [_numbers(p.text, f"{label}: permutation") - 1 for p in element.findall("permutation")]
    if any(not np.array_equal(np.sort(row), np.arange(dimensions)) for row in rows):
        raise ValueError(f"{label}: permutation: expected the numbers 1 to {dimensions} in some order")
    return np.array(rows, dtype=np.int64)


def _read_sparse_x(path, where, element, sparse, dimensions):
    """Sparse points (M, dimensions); how many numbers there are is known before memory is taken."""
    if not sparse:
        return np.zeros((0, 0))
    filename = element.get("sparseX_filename")
    if not filename:
        return np.array([_read_sparse_point(where, e, dimensions) for e in sparse])
    file = _sparse_file(path, where, filename)
    content = file.read_bytes()
    stated = (element.get("sparseX_md5sum") or "").strip()
    if stated and hashlib.md5(content, usedforsecurity=False).hexdigest() != stated.lower():
        warnings.warn(f"{file}: the MD5 sum differs from the one in {path.name}; is it the right file?", stacklevel=2)
    try:
        values = _numbers(content.decode("ascii"), file)
    except ValueError as error:
        reason = "it is no text" if isinstance(error, UnicodeError) else str(error)
        raise ModelFileError(f"{where}: the file of its sparse points cannot be read: {reason}") from None
    if values.size != len(sparse) * dimensions:
        raise ModelFileError(
            f"{file}: {values.size} numbers, expected {len(sparse)} sparse points x {dimensions}; is it truncated?"
        )
    return values.reshape(len(sparse), dimensions)


def _read_sparse_point(where, element, dimensions):
    name = f"sparse point {element.get('i')}"
    slices = sorted(element.findall("sparseX_slice"), key=lambda s: integer(s.get("start"), "start of sparseX_slice"))
    values = np.concatenate([_numbers(s.text, name) for s in slices or [element]])
    if values.size != dimensions:
        raise ModelFileError(f"{where}: {name} has {values.size} of {dimensions} values")
    return values


def _sparse_file(path, where, filename):
    """The file of this name in the folder of the potential: nothing else is opened."""
    relative = pathlib.PurePath(filename)
    beside = "a GAP potential is the XML file and all its .sparseX files in one folder"
    if relative.is_absolute() or ".." in relative.parts or "\0" in filename:
        raise ModelFileError(f"{where}: its sparse points are said to be in another folder; {beside}")
    file = path.parent / relative
    if not file.is_file():
        raise ModelFileError(
            f"{where}: its sparse points are in {filename!r}, which is not beside {path.name}; {beside}"
        )
    return file


def _slope(text, default):
    """An end slope; above 0.99e30, or absent where `default` is None, the end is natural."""
    slope = default if text is None else number(text, "slope at an end of a table")
    return None if slope is None or slope > 0.99e30 else slope


def _read_table(element, x, y, slope_first, slope_last, spline=True):
    points = sorted((number(p.get(x), x), number(p.get(y), y)) for p in element.findall("point"))
    columns = np.array(points, dtype=float).reshape(-1, 2)
    return GlueTable(columns[:, 0].copy(), columns[:, 1].copy(), slope_first, slope_last, spline)


def _read_glue(path, element):
    if next(element.iter("potential_neighbours"), None) is not None:
        raise ModelFileError(f"{path}: Glue_params with potential_neighbours is not one that mercer reads")
    species, density, embedding, pair = {}, {}, {}, {}
    for data in element.findall("per_type_data"):
        species[data.get("type")] = z = integer(data.get("atomic_num"), "atomic_num")
        e = data.find("density")
        density[z] = _read_table(
            e, "a", "rho", _slope(e.get("density_y1"), 0.0), _slope(e.get("density_yn"), 0.0),
            logical(e.get("do_spline", "F")),
        )  # fmt: skip
        e = data.find("potential_density")
        embedding[z] = _read_table(e, "rho", "E", _slope(e.get("y1"), None), _slope(e.get("yn"), None))
    for data in element.findall("per_pair_data"):
        e = data.find("potential_pair")
        key = tuple(sorted((species[data.get("type1")], species[data.get("type2")])))
        pair[key] = _read_table(e, "r", "E", _slope(e.get("y1"), 0.0), _slope(e.get("yn"), 0.0))
    return Glue(density, embedding, pair)
