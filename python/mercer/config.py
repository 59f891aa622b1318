"""The options of ``mercer fit``: one YAML file holds every one, ``--set a.b=c`` overrides any of them.

An option left out (or ``null``, or ``auto``) is chosen from the elements and the data; :mod:`mercer.defaults` says how.
"""

import copy
import dataclasses
import difflib
import re
import typing
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from mercer._threads import MOST_THREADS
from mercer._yaml import dump_value, parse_value, read_yaml
from mercer.errors import ConfigError


class Options(BaseModel):
    """Base of all sections: frozen, and unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value, info):
        """`value`, unless it is true or false (or holds one) where a number or a text is expected."""
        hint = cls.model_fields[info.field_name].annotation
        if hint is not Any and not _has(bool, hint) and _truth_in(value):
            raise ValueError(f"must not be true or false, got {str(value).lower()}")
        return value


def _has(kind, hint):
    """Whether a type is part of a type hint."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):  # which looks at its own
        return True
    return hint is kind or hint is Any or any(_has(kind, part) for part in typing.get_args(hint))


def _truth_in(value):
    """Whether a value is true or false, or a list or mapping with such a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return isinstance(value, bool) or any(_truth_in(part) for part in inner)


def _between(low, high):
    """Validator of a number in a range, both ends included."""

    def validate(value):
        """`value` if it is in the range, which NaN is not."""
        if not low <= value <= high:
            raise ValueError(f"must be from {low:.9g} to {high:.9g}")
        return value

    return pydantic.AfterValidator(validate)


def _not_blank(value):
    """`value`, if it is more than blanks."""
    if not value.strip():
        raise ValueError("must have at least 1 character that is not blank")
    return value


#: Numbers outside of these ranges are mistakes.
Text = Annotated[str, pydantic.AfterValidator(_not_blank)]
Deviation = Annotated[float, _between(1e-12, 1e6)]
Scale = Annotated[float, _between(1e-9, 1e13)]
Count = Annotated[int, _between(1, 10**8)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _elements(value):
    """`value`, if all its keys are chemical symbols."""
    from mercer.structures import species_numbers

    for symbol in value:
        try:
            species_numbers([symbol])
        except ValueError:
            raise ValueError(f"{symbol!r} is no element; expected symbols such as Si") from None
    return value


Energy = Annotated[float, _between(-1e7, 1e7)]


def _of_elements(kind):
    """Type of {element: value}."""
    return Annotated[dict[str, kind], pydantic.AfterValidator(_elements)]


class Keys(Options):
    """Names of the labels; null: REF_energy and so on, else the results that ASE has read; "none" leaves a kind out."""

    energy: Text | list[Text] | None = None
    energies: Text | list[Text] | None = None
    forces: Text | list[Text] | None = None
    stress: Text | list[Text] | None = None
    virial: Text | list[Text] | None = None
    config_type: Text | None = None


class Units(Options):
    """Units of the labels in the files; everything is converted on reading to eV and Angstrom."""

    energy: Text = "eV"
    energies: Text | None = None
    forces: Text | None = None
    stress: Text | None = None
    virial: Text | None = None
    positions: Text | None = None


class Sigma(Options):
    """Expected standard deviations of the labels (eV, eV/Angstrom); ``null`` chooses them from the data."""

    energy: Deviation | Literal["none"] | None = None
    energies: Deviation | Literal["none"] | None = None
    forces: Deviation | Literal["none"] | None = None
    virial: Deviation | Literal["none"] | None = None

    def values(self):
        """{kind: number, or None where it is not trained on} of the kinds that were given or chosen."""
        return {kind: None if value == "none" else value for kind, value in self if value is not None}


@cache
def _registered():
    """{section: {type: class}} of the parts of a term."""
    from mercer.descriptors import DESCRIPTORS
    from mercer.kernels import KERNELS

    tables = {"descriptor": DESCRIPTORS, "kernel": KERNELS}
    return {section: {_snake(cls.__name__): cls for cls in table.values()} for section, table in tables.items()}


def make_part(section, options):
    """The descriptor or kernel that the options of a section describe; what is left open takes its default."""
    given = options.model_dump(exclude_none=True)
    cls = _registered()[section][given.pop("type")]
    optional = {field.name for field in dataclasses.fields(cls) if field.default is None}
    return cls(**{name: None if value == "none" and name in optional else value for name, value in given.items()})


def build_terms(options):
    """The :class:`mercer.Term` of each section of complete options.

    Raises
    ------
    ConfigError
        For values that a descriptor, kernel or term does not take.
    """
    from mercer.models.term import Term

    terms = []
    for t, term in enumerate(options.terms):
        made = []
        for section in ("descriptor", "kernel"):
            try:
                made.append(make_part(section, getattr(term, section)))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"terms.{t}.{section}: {error}") from None
        rest = {name: getattr(term, name) for name in ("delta", "n_sparse", "selection", "match_species")}
        try:
            terms.append(Term(*made, **rest))
        except ValueError as error:
            raise ConfigError(f"terms.{t}: {error}") from None
    return terms


def _snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@cache
def _model_of(section, kind):
    """The options of a descriptor or kernel: the fields of its dataclass, all optional."""
    cls = _registered()[section][kind]
    hints = typing.get_type_hints(cls)
    fields = {"type": (Literal[kind], kind)}
    for field in dataclasses.fields(cls):
        if field.init:
            hint = _accept(hints.get(field.name, Any)) | None
            if field.default is None:  # null is: chosen from the data
                hint = hint | Literal["none"]
            fields[field.name] = (hint, _default(field))
    return pydantic.create_model(cls.__name__, __base__=Options, **fields)


def _accept(hint):
    """Type hints that pydantic can check stay; the others are left to the class itself."""
    if any(dataclasses.is_dataclass(part) or part is tuple for part in (hint, *typing.get_args(hint))):
        return Any
    try:
        pydantic.TypeAdapter(hint)
    except pydantic.PydanticSchemaGenerationError:
        return Any
    return hint


def _default(field):
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _part(section, first):
    """Validator of a descriptor or kernel section: ``type`` says which options it has."""

    def validate(value):
        """The options of one part, by its type."""
        if isinstance(value, Options):
            return value
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, dict):
            raise ValueError(f"expected a mapping with 'type', got {value!r}")
        value = _type_for_name(value)
        kind = first if value.get("type") is None else value["type"]
        if not isinstance(kind, str):
            raise ValueError(f"type must be a name, got {kind!r}")
        kind = _snake(kind)
        known = list(_registered()[section])
        if kind not in known:
            raise _Unknown("type", kind, known)
        return _model_of(section, kind).model_validate({**value, "type": kind})

    return validate


def _type_for_name(value):
    """The same mapping with "type" where "name", which means the same, was given."""
    if "name" not in value:
        return value
    rest = {key: option for key, option in value.items() if key != "name"}
    if rest.setdefault("type", value["name"]) != value["name"]:
        raise ValueError(f"type {rest['type']!r} and another name {value['name']!r}: give one of them")
    return rest


class _Unknown(ValueError):
    """A name that is not in a list, with the nearest one that is."""

    def __init__(self, what, name, known):
        super().__init__(f"unknown {what} {name!r}{_nearest(name, known)} (known: {', '.join(known)})")


def _one_of(what, module, table):
    """Validator of a name in a table of another module."""

    def validate(value):
        """`value` if the table knows it."""
        known = list(getattr(import_module(module), table))
        if value not in known:
            raise _Unknown(what, value, known)
        return value

    return pydantic.AfterValidator(validate)


def _baselines():
    """{name: class} of the baselines that a file can describe."""
    from mercer.baselines import BASELINES

    return {"zbl": BASELINES["zbl"]}


def _baseline(value):
    """A baseline by its name, or with its parameters; what is left open is chosen from the data."""
    if value is None or value == "none":
        return value
    value = {"type": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError("must be the name of a baseline, or a mapping with 'type' and its parameters")
    known = _baselines()
    if value["type"] not in known:
        raise _Unknown("baseline", value["type"], known)
    names = [field.name for field in dataclasses.fields(known[value["type"]])]
    for name in value:
        if name != "type" and name not in names:
            raise _Unknown(f"option of the baseline {value['type']}:", name, names)
    return value


def _order(value):
    """An order of components of a stress, which is known."""
    from mercer.structures import stress_order

    try:
        stress_order(value.removeprefix("matrix-"))
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("stress_order: ")) from None
    return value


def _memory(value):
    """A number of bytes, or a text such as 2GB."""
    from mercer.models.memory import parse_bytes

    parse_bytes(value)
    return value


def part_class(section, kind):
    """The class of a descriptor or kernel by the name that files use."""
    return _registered()[section][kind]


#: Descriptors of whole structures whose features are sorted; a Laplacian kernel suits them best.
_SORTED = ("coulomb_matrix", "sine_matrix", "ewald_matrix", "bag_of_bonds")


def _usual_kernel(value):
    """The term with the kernel that its descriptor is mostly used with, unless one is given."""
    kind = _kind_of(value) if isinstance(value, dict) else "soap"
    descriptors = _registered()["descriptor"]
    if kind not in descriptors or not (descriptors[kind].per_frame or kind == "lmbtr"):
        return value
    kernel = value.get("kernel") or {}
    if not isinstance(kernel, dict) or {"type", "name"} & set(kernel):
        return value
    return value | {"kernel": kernel | {"type": "laplacian" if kind in _SORTED else "gaussian"}}


class TermOptions(Options):
    """One term of the potential: a descriptor, a kernel, its scale and its sparse points."""

    _kernel = pydantic.model_validator(mode="before")(_usual_kernel)

    descriptor: Annotated[Any, pydantic.BeforeValidator(_part("descriptor", "soap"))] = Field(
        default_factory=lambda: {"type": "soap"}, validate_default=True
    )
    kernel: Annotated[Any, pydantic.BeforeValidator(_part("kernel", "polynomial"))] = Field(
        default_factory=lambda: {"type": "polynomial"}, validate_default=True
    )
    delta: Scale | None = None
    n_sparse: Count | _of_elements(Count) | Literal["all"] | None = None
    selection: Annotated[str, _one_of("method", "mercer.selection", "SELECTIONS")] = "cur"
    match_species: bool = True


def term_preset(name, where="--terms"):
    """The terms of a preset, as they stand in a file; `where` begins messages.

    Raises
    ------
    ConfigError
        For an unknown name, with the nearest one.
    """
    if name not in TERM_PRESETS:
        raise ConfigError(
            f"{where}: unknown sum of terms {name!r}{_nearest(name, TERM_PRESETS)} (known: {', '.join(TERM_PRESETS)})"
        )
    return copy.deepcopy(TERM_PRESETS[name])


_TWO_BODY = {"descriptor": {"type": "pair_distance"}, "kernel": {"type": "gaussian"}}
_THREE_BODY = {"descriptor": {"type": "triplet"}, "kernel": {"type": "gaussian"}}
_SOAP = {"descriptor": {"type": "soap"}, "kernel": {"type": "polynomial"}}

#: Sums of terms by name; what is left open is chosen from the data. Of two SOAP terms, the second one is short-ranged.
TERM_PRESETS = {
    "soap": [_SOAP],
    "two-body": [_TWO_BODY],
    "two-body+soap": [_TWO_BODY, _SOAP],
    "two-body+three-body": [_TWO_BODY, _THREE_BODY],
    "double-soap": [_SOAP, _SOAP],
    "two-body+double-soap": [_TWO_BODY, _SOAP, _SOAP],
}


class FitOptions(Options):
    """Everything that ``mercer fit`` can be told."""

    train: list[Text] = []
    test: list[Text] = []
    n_train: Count | None = None
    test_fraction: Fraction | None = None
    repeats: Annotated[int, _between(1, 10_000)] = 1
    validation: list[Text] = []
    validation_fraction: Fraction | None = None
    cross_validation: Annotated[int, _between(0, 1000)] = 10
    keys: Keys = Keys()
    units: Units = Units()
    stress_order: Annotated[str, pydantic.AfterValidator(_order)] = "ase"
    drop: list[Text] = []
    trust_data: bool = False
    e0: Energy | _of_elements(Energy) | Literal["auto", "isolated", "lstsq", "average", "none"] = "auto"
    sigma: Sigma = Sigma()
    sigma_scaling: Literal["sqrt", "per_atom", "total"] = "sqrt"
    config_type_sigma: dict[str, Sigma] = {}
    baseline: Annotated[Any, pydantic.BeforeValidator(_baseline)] = None
    repulsive: bool = True
    terms: Annotated[list[TermOptions], Field(min_length=1)] = Field(
        default_factory=lambda: [TermOptions()], validate_default=True
    )
    solver: Annotated[str, _one_of("solver", "mercer.linalg", "SOLVERS")] = "whitened"
    max_selection: Count | None = None
    max_memory: Annotated[int | float | str, pydantic.AfterValidator(_memory)] | None = None
    seed: Annotated[int, _between(0, 2**63 - 1)] = 0
    threads: Annotated[int, _between(1, MOST_THREADS)] | None = None
    error_bars: bool = True
    output: Text = "mercer-fit"


#: What the options mean, for the reference page and for the comments of a written configuration.
HELP = {
    "train": "training files (extended XYZ or anything ASE reads; wildcards allowed)",
    "test": "test files",
    "n_train": "without test files: train on this many frames, drawn by seed, and test on the others",
    "test_fraction": "without test files: keep this fraction of the frames, drawn by seed, for testing",
    "repeats": "random splits: the first gives the model, all of them mean and spread of the test errors",
    "validation": "files whose errors set the scale of predicted standard deviations",
    "validation_fraction": "without validation files: keep this fraction of the training frames for that",
    "cross_validation": "without validation frames: so many groups of training frames are predicted in turn by a model "
    "that has not learnt from them, for the scale of standard deviations and honest errors; 0 = none",
    "keys": "name of this label in the files (or several: the first that a frame has); null = REF_energy and so on, "
    "else what ASE has read; none = leave it out",
    "keys.config_type": "key in a frame's info of the name that errors and sigmas go by; null = config_type",
    "units": "unit of this label in the files, such as kcal/mol; null = from that of the energy; a minus in front "
    "reverses the sign",
    "units.positions": "unit of positions and cells: angstrom, bohr, nm; or fractional",
    "stress_order": "of stresses and virials of six numbers: ase, vasp, lammps, upper, lower, or the components; "
    "matrix-vasp: of matrices that were filled so",
    "drop": "frames or labels left out: 12,40-45 or FILE:12 or FILE:stress:12 or config_type=NAME or stress",
    "trust_data": "fit although checks of the data find a mistake, and do not run them",
    "e0": "energies of free atoms: auto, isolated, lstsq, average, none, a number, or a mapping {element: eV}",
    "sigma": "expected standard deviation of the labels; null = from the data, none = not trained on",
    "sigma.energy": "eV per atom; see sigma_scaling",
    "sigma.energies": "of energies of single atoms, eV",
    "sigma.forces": "eV/Angstrom per component",
    "sigma_scaling": "the energy sigma of a frame of n atoms: sqrt = sigma sqrt(n), per_atom = sigma n, total = sigma",
    "sigma.virial": "eV per atom; see sigma_scaling",
    "config_type_sigma": "{config_type: {energy: sigma}}: other sigmas for some frames",
    "baseline": "subtracted before the fit and added back: null = zbl with distances from the data, none, or "
    "{type: zbl, r_inner: 1.0, r_outer: 2.0, pairs: {C-H: [0.4, 0.8]}}",
    "repulsive": "with zbl: dimers and compressed crystals are followed after the fit and mended where they fall",
    "max_memory": "the fit takes no more beside the data, such as 2GB; null = what is quick",
    "max_selection": "candidates for sparse points, at most; null = 20000, or what fits into 256 MB",
    "terms": "the potential is the sum of these terms; a list, or the name of a sum such as two-body+soap",
    "terms.descriptor.r_cut": "Angstrom",
    "terms.descriptor.sigma": "width of the atomic Gaussians, Angstrom",
    "terms.descriptor": "type and parameters",
    "terms.kernel": "type and parameters",
    "terms.delta": "standard deviation of an atom's energy in this term, eV",
    "terms.selection": "how the sparse points are chosen: cur, fps, leverage, pivoted_cholesky, random",
    "terms.n_sparse": "number of sparse points, over all elements, or a mapping {element: number}, or all",
    "terms.match_species": "only atoms of the same element are compared",
    "solver": "whitened, qr or normal",
    "seed": "of every random choice",
    "threads": "null = all cores, or OMP_NUM_THREADS",
    "error_bars": "keep what predicted standard deviations need (n_sparse^2 numbers) in the model file",
    "output": "folder of the results",
}


# ---------------------------------------------------------------------------------------------- reading


def parse_assignment(text):
    """``"a.0.b=value"`` -> (("a", 0, "b"), value), the value in YAML syntax."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise ConfigError(f"--set {text}: expected option=value, for example --set terms.0.descriptor.r_cut=5.0")
    path = tuple(int(part) if re.fullmatch("[0-9]{1,6}", part) else part for part in name.strip().split("."))
    return path, parse_value(value, f"--set {text}")


def _assign(raw, path, value, text):
    """raw[path] = value, making the sections on the way; lists grow by one entry at most."""
    for part, following in zip(path, (*path[1:], None), strict=True):
        if isinstance(part, int):
            if not isinstance(raw, list):
                raise ConfigError(f"{text}: {part} is an index, but the option before it is not a list")
            if part > len(raw):
                raise ConfigError(f"{text}: index {part}, but there are only {len(raw)} entries before it")
            if part == len(raw):
                raw.append(None)
        elif not isinstance(raw, dict):
            raise ConfigError(f"{text}: {part!r} is an option's name, but the option before it is not a section")
        if following is None:
            raw[part] = value
            return
        inner = raw[part] if isinstance(part, int) else raw.get(part)
        if isinstance(inner, str) and part in ("descriptor", "kernel"):
            inner = {"type": inner}
        if inner is None:
            inner = [] if isinstance(following, int) else {}
        raw[part] = inner
        raw = inner


def load_options(path=None, assignments=()):
    """Options from a YAML file and assignments on top of it.

    Parameters
    ----------
    path : path, optional
        A YAML file; None starts from the defaults.
    assignments : sequence of (str, path, value)
        What overrides the file, in order: where it came from (for messages), the path of the option, e.g.
        ``("terms", 0, "n_sparse")``, and its value. "soap" in the place of an index means every term of densities.

    Returns
    -------
    FitOptions

    Raises
    ------
    ConfigError
        For options that do not exist (with the nearest name) and values outside their range, with file and line.

    Examples
    --------
    >>> from mercer.config import load_options
    >>> load_options(assignments=[("--set", ("terms", 0, "n_sparse"), 500)]).terms[0].n_sparse
    500
    """
    raw, origin = ({}, {}) if path is None else read_yaml(path)
    if isinstance(raw.get("terms"), str):
        raw["terms"] = term_preset(raw["terms"], f"{origin[('terms',)]}: terms")
    raw, origin = _without_short_form(raw, origin)
    sources = {place: source for source, place, _ in assignments}
    if {("representation",), ("terms",)} <= sources.keys():
        raise ConfigError(f"{sources['representation',]} and {sources['terms',]}: give one of them")
    for source, place, value in assignments:
        if place == ("representation",):
            raw["terms"] = [{"kernel": kernel} for kernel in [_first_term(raw).get("kernel")] if kernel]
            origin = {key: where for key, where in origin.items() if key[:1] != ("terms",)}
        place = (*SHORT_FORM[place[0]], *place[1:]) if place[0] in SHORT_FORM else place
        for full in _expand(raw, place):
            _assign(raw, full, value, source)
            for known in [key for key in origin if key[: len(full)] == full]:
                del origin[known]
            origin[full] = source
    for name in ("train", "test"):
        if isinstance(raw.get(name), str):
            raw[name] = [raw[name]]
    raw = _without_auto(raw)
    _check_contradictions(raw, origin)
    try:
        return FitOptions.model_validate(raw)
    except pydantic.ValidationError as error:
        raise ConfigError(_explain(error, raw, origin)) from None


#: Options that say the same in two ways.
_ALTERNATIVES = (
    ("test", "n_train"),
    ("test", "test_fraction"),
    ("n_train", "test_fraction"),
    ("validation", "validation_fraction"),
)


def _check_contradictions(raw, origin):
    """Raise ConfigError for options that contradict each other, saying where they were given."""

    def told(name):
        source = origin.get((name,), "")
        return f"{source}: {name}" if source and not source.startswith("-") else source or name

    repeats = raw.get("repeats")
    if repeats not in (None, 1) and (raw.get("test") or not (raw.get("n_train") or raw.get("test_fraction"))):
        raise ConfigError(f"{told('repeats')}: random splits need n_train or test_fraction, and no test files")
    for first, second in _ALTERNATIVES:
        if raw.get(first) and raw.get(second):
            raise ConfigError(f"{told(first)} and {told(second)} contradict each other: give one of them")


#: Short forms of a file with one term.
SHORT_FORM = {"representation": ("terms", 0, "descriptor"), "kernel": ("terms", 0, "kernel")}


def _first_term(raw):
    terms = raw.get("terms")
    return terms[0] or {} if isinstance(terms, list) and terms else {}


def _without_short_form(raw, origin):
    """A file and the lines of its options, with `representation` and `kernel` as its only term."""
    given = [name for name in SHORT_FORM if name in raw]
    if not given:
        return raw, origin
    where = origin[(given[0],)]
    if "terms" in raw:
        raise ConfigError(f"{where}: {given[0]} is a short form of terms: give one of them")
    term = {SHORT_FORM[name][-1]: raw[name] for name in given}
    raw = {key: value for key, value in raw.items() if key not in given} | {"terms": [term]}
    lines = {(*SHORT_FORM.get(key[0], key[:1]), *key[1:]): line for key, line in origin.items()}
    return raw, lines | {("terms",): where, ("terms", 0): where}


def _expand(raw, place):
    """Paths of all SOAP terms (without one, of all) where the index of a term is "soap"."""
    if "soap" not in place:
        return [place]
    at = place.index("soap")
    terms = raw.get("terms") or [{}]
    chosen = [i for i, term in enumerate(terms) if _kind_of(term) in _DENSITIES] or range(len(terms))
    return [(*place[:at], i, *place[at + 1 :]) for i in chosen]


def _kind_of(term):
    """Type of the descriptor of a term as it stands in a file."""
    descriptor = term.get("descriptor") if isinstance(term, dict) else None
    if isinstance(descriptor, dict):
        descriptor = descriptor.get("type") or descriptor.get("name")
    return _snake(str(descriptor or "soap"))


#: Descriptors that --n-sparse and --r-cut are for.
_DENSITIES = ("soap", "radial_spectrum")


def _without_auto(value, path=()):
    """``auto`` (but for e0) and ``null`` both mean: chosen from the data, or the default."""
    if isinstance(value, dict):
        inner = {k: _without_auto(v, (*path, k)) for k, v in value.items()}
        return {k: v for k, v in inner.items() if v is not None}
    if isinstance(value, list):
        return [{} if v is None else _without_auto(v, (*path, i)) for i, v in enumerate(value)]
    return None if value == "auto" and path != ("e0",) else value


# ---------------------------------------------------------------------------------------------- messages


def _nearest(name, known):
    match = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.55)
    return f"; did you mean {match[0]!r}?" if match else ""


def _dotted(path):
    return ".".join(str(part) for part in path)


def _fields_at(path, raw):
    """Names of the options of the section at `path`."""
    if path and path[-1] in ("descriptor", "kernel"):
        inner = raw
        for part in path:
            inner = inner[part]
        kind = inner.get("type") or inner.get("name") or ("soap" if path[-1] == "descriptor" else "polynomial")
        return list(_model_of(path[-1], kind).model_fields)
    sections = {"keys": Keys, "units": Units, "sigma": Sigma, "config_type_sigma": Sigma, "terms": TermOptions}
    return list(sections[path[0]].model_fields if path else FitOptions.model_fields)


def all_options():
    """Dotted names of every option, the parts of terms by their first type."""
    sections = {"keys": Keys, "units": Units, "sigma": Sigma}
    names = [n for n in FitOptions.model_fields if n not in ("terms", *sections)]
    names += [f"{section}.{n}" for section, model in sections.items() for n in model.model_fields]
    names += [f"terms.0.{n}" for n in TermOptions.model_fields if n not in _registered()]
    for section, table in _registered().items():
        for kind in table:
            names += [f"terms.0.{section}.{n}" for n in _model_of(section, kind).model_fields]
    return list(dict.fromkeys(names))


#: What is said of options of several types, where pydantic would speak of each type.
_EXPECTED = {
    "e0": "must be auto, isolated, lstsq, average, none, a number, or a mapping {element: eV}",
    "n_sparse": "must be a positive whole number, all, or a mapping {element: number}",
}


def _in_file(loc, raw):
    """The path of an option from pydantic's, which also names the members of unions."""
    path = []
    for part in loc:
        if (isinstance(raw, dict) and part in raw) or (isinstance(raw, list) and isinstance(part, int)):
            raw = raw[part]
            path.append(part)
    return tuple(path)


def _explain(error, raw, origin):
    """One message for the first error of a validation: where it was given, which option, what was expected."""
    found = error.errors()
    own = [e for e in found if e["type"] == "value_error" and e["loc"][:1] == found[0]["loc"][:1]]
    first = (own or found)[0]
    path = _in_file(first["loc"], raw) or first["loc"]
    where = next((origin[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origin), None)
    where = where or next((source for place, source in origin.items() if place[: len(path)] == path), None)
    head = f"{where}: " if where else ""
    if first["type"] == "extra_forbidden":
        name = str(path[-1])
        known = _fields_at(path[:-1], raw)
        hint = _nearest(name, known)
        if not hint:
            elsewhere = [full for full in all_options() if full.rsplit(".", 1)[-1] == name and full != _dotted(path)]
            hint = f"; did you mean {elsewhere[0]!r}?" if elsewhere else ""
        return f"{head}unknown option {_dotted(path)!r}{hint}" + ("" if hint else f" (known: {', '.join(known)})")
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("List should", "must")
    message = message if own else next((text for name, text in _EXPECTED.items() if name in path), message)
    message = message.removeprefix(f"{path[-1]}: ")
    value = first.get("input")
    told = isinstance(value, (dict, list)) or re.search(rf"(?<![\w.]){re.escape(repr(value))}(?![\w.])", message)
    got = "" if told else f", got {value!r}"
    return f"{head}{_dotted(path)}: {message}{got}"


# ---------------------------------------------------------------------------------------------- writing


def dump_options(options, notes=None, header=()):
    """YAML text of `options`, that gives the same options when read.

    Parameters
    ----------
    options : FitOptions
    notes : dict, optional
        {dotted path: where the value came from}, written as comments.
    header : sequence of str
        Comment lines at the top.

    Returns
    -------
    str
    """
    lines = [f"# {line}" for line in header]
    _emit(options.model_dump(mode="json"), (), notes or {}, lines, "")
    return "\n".join(lines) + "\n"


def _emit(section, path, notes, lines, indent):
    """Lines of a mapping, nested ones indented, lists of mappings with a dash each."""
    for key, value in section.items():
        here = (*path, key)
        note = notes.get(_dotted(here)) or HELP.get(_dotted(p for p in here if not isinstance(p, int)))
        comment = f"  # {note}" if note else ""
        name = dump_value(key)
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{name}:{comment}")
            _emit(value, here, notes, lines, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{name}:{comment}")
            for i, entry in enumerate(value):
                start = len(lines)
                _emit(entry, (*here, i), notes, lines, indent + "    ")
                lines[start] = f"{indent}  - {lines[start].lstrip()}"
        else:
            lines.append(f"{indent}{name}: {dump_value(value)}{comment}")


# ---------------------------------------------------------------------------------------------- reference

_INTRODUCTION = """# Configuration

Every option of `mercer fit`, with its default. `mercer fit --config fit.yaml` reads them from a file,
`--set option=value` overrides any of them (the value in YAML syntax), `mercer fit --help` lists the flags of the common
ones. `null` or `auto` means: chosen from the elements and the data, with the reason in the log and in the effective
configuration, which is written into the output folder and repeats the run exactly. File names are relative to the
current folder.

This page is written by `python -m mercer.config docs/configuration.md`.
"""


def reference_page():
    """The text of docs/configuration.md: a table of all options, and one for each descriptor and kernel."""

    def rows(model, prefix):
        for name, field in model.model_fields.items():
            inner = field.get_default(call_default_factory=True)
            if isinstance(inner, Options):
                yield from rows(type(inner), f"{prefix}{name}.")
            elif name == "terms":
                yield from rows(TermOptions, "terms.0.")
            else:
                text = dump_value(inner)
                meaning = HELP.get(f"{prefix}{name}".replace(".0.", "."), "") or HELP.get(prefix[:-1], "")
                yield f"| `{prefix}{name}` | `{text}` | {meaning} |"

    lines = [_INTRODUCTION, "| option | default | meaning |", "|---|---|---|", *rows(FitOptions, "")]
    lines += ["", "## Models of whole structures", ""]
    lines += [
        "`representation: NAME` (or `{type: NAME, ...}`) and `kernel: NAME` are short for `terms` with one term of"
    ]
    lines += [
        "this descriptor and this kernel; `--representation` and `--kernel` do the same. With a descriptor of whole"
    ]
    lines += [
        "structures the fit is kernel ridge regression of energies (`n_sparse: all`); forces are not trained on, but"
    ]
    lines += [
        "predicted, where kernel and descriptor have derivatives. Without `kernel` it is the one of this table.",
        "",
    ]
    lines += ["| representation | kernel |", "|---|---|"]
    for kind, cls in _registered()["descriptor"].items():
        if cls.per_frame:
            lines.append(f"| `{kind}` | {_usual_kernel({'descriptor': kind})['kernel']['type']} |")
    lines += ["", "## Sums of terms by name", "", "`terms: NAME`, `--terms NAME`; `--two-body` is two-body+soap.", ""]
    lines += ["| name | terms |", "|---|---|"]
    for name, terms in TERM_PRESETS.items():
        parts = (f"{term['descriptor']['type']} with a {term['kernel']['type']} kernel" for term in terms)
        lines.append(f"| `{name}` | {' + '.join(parts)} |")
    for kind, cls in _baselines().items():
        fields = ", ".join(field.name for field in dataclasses.fields(cls)) + " (Angstrom)"
        lines += [
            "",
            f"## baseline: {{type: {kind}}}",
            "",
            f"Parameters of `{cls.__module__}.{cls.__name__}`: {fields}.",
        ]
    for section, table in _registered().items():
        for kind, cls in table.items():
            lines += ["", f"## {section}: {{type: {kind}}}", "", f"Parameters of `{cls.__module__}.{cls.__name__}`."]
            fields = {n: f for n, f in _model_of(section, kind).model_fields.items() if n != "type"}
            if fields:
                lines += ["", "| option | default |", "|---|---|"]
                lines += [f"| `{name}` | `{dump_value(field.default)}` |" for name, field in fields.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    Path(sys.argv[1]).write_text(reference_page(), encoding="utf-8")
