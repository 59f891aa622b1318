"""Wrong arguments of every class of the registries, which scikit-learn's tools can take apart and change."""

import copy
import dataclasses
import pickle

import api_targets
import mercer
import numpy as np
import pytest
from ase.build import molecule
from mercer import baselines, kernels
from mercer._parameters import kinds
from mercer.descriptors import AverageSOAP, MBTRPart, PairDistance
from mercer.errors import ConfigError
from mercer.glue import Glue
from mercer.kernels import Gaussian, Polynomial, REMatch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

DATACLASSES = list(api_targets.dataclass_targets())
FIELDS = [(target, name) for target in DATACLASSES for name in target.names]
#: Nothing takes these.
NONSENSE = {
    "complex": 1 + 2j,
    "bytes": b"x",
    "nan": float("nan"),
    "not a number": np.datetime64("2020-01-01"),
    "beyond 64 bits": 10**30,
    "object": object(),
    "text": "no such thing",
    "array of text": np.array(["x", "y"]),
}


@pytest.mark.parametrize(("target", "name"), FIELDS, ids=[f"{target.name}-{name}" for target, name in FIELDS])
def test_every_field_refuses_nonsense_by_its_name(target, name):
    for value in NONSENSE.values():
        with pytest.raises(ConfigError) as caught:
            target.call(**{**target.arguments, name: value})
        assert name in str(caught.value)
        assert len(str(caught.value)) < 600


def test_every_argument_of_a_potential_refuses_nonsense_by_its_name():
    target = next(t for t in api_targets.estimator_targets() if t.name == "Potential")
    for name in target.names:
        for value in NONSENSE.values():
            with pytest.raises(ConfigError, match=name):
                target.call(**{**target.arguments, name: value})


@pytest.mark.parametrize("name", ["KRR", "GPR", "SparseGPR"])
def test_every_argument_of_an_estimator_refuses_nonsense_by_its_name(name):
    target = next(t for t in api_targets.estimator_targets() if t.name == name)
    free = {"sparse_points", "sparse_groups", "random_state"}  # arrays, whose errors are of the data
    for argument in set(target.names) - free:
        for value in NONSENSE.values():
            if not (argument == "kernel" and value is None):
                with pytest.raises(ConfigError, match=argument):
                    target.run(**{argument: value})


def test_the_registries_are_covered():
    expected = {*mercer.descriptors.DESCRIPTORS.values(), *kernels.STRUCTURE_KERNELS.values()}
    expected |= {cls for cls in kernels.KERNELS.values() if dataclasses.fields(cls)}
    expected |= set(baselines.BASELINES.values()) - {baselines.CalculatorBaseline, Glue}
    assert expected <= {target.call for target in DATACLASSES}


def test_truth_values_are_not_text():
    for value in ("false", "no", 0, 1, "", [], None):
        with pytest.raises(ConfigError, match=r"normalize=.*: expected True or False"):
            mercer.SOAP("Si", 4.0, 3, 2, 0.5, normalize=value)
    assert mercer.SOAP("Si", 4.0, 3, 2, 0.5, normalize=np.False_).normalize is False


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mercer.SOAP(["Si1"], 4.0, 3, 2, 0.5), "species: unknown element 'Si1'"),
        (lambda: mercer.SOAP("14", 4.0, 3, 2, 0.5), "species: unknown element '14'"),
        (lambda: AverageSOAP("H", 4.0, 3, 2, 0.5, centers=["Xx"]), "centers: unknown element 'Xx'"),
        (lambda: PairDistance("H", 4.0, kinds=[("H", "Xx")]), "kinds: unknown element 'Xx'"),
        (lambda: api_targets.term(n_sparse={"Xx": 3}), "n_sparse: unknown element 'Xx'"),
        (lambda: api_targets.term(n_sparse={"H": 3, 1: 4}), "n_sparse=.*given twice"),
        (lambda: mercer.Potential(api_targets.term(), e0={"Si1": 1.0}), "e0: unknown element 'Si1'"),
        (lambda: mercer.Potential(api_targets.term(), e0={"Si": "a"}), "e0 of 14='a'"),
        (lambda: mercer.SOAP("Si", 4.0, 10**6, 2, 0.5), "n_max=1000000: expected an integer >= 1 and <= 500"),
        (lambda: mercer.SOAP(["H", "C", "N", "O"], 4.0, 500, 100, 0.5), "makes .* features; take fewer"),
        (lambda: Gaussian(1e-300), r"Gaussian\(length_scale\)=1e-300: expected a finite number > 0, 1e-20 to 1e\+20"),
        (lambda: Polynomial(zeta=2**40), r"Polynomial\(zeta\)="),
    ],
)
def test_messages(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_every_field_has_a_kind():
    """What the class itself looks at, after its fields, is named here."""
    own = {"radial_options", "radial_scaling", "channels", "correlation", "normalization", "pairs"}
    for target, name in FIELDS:
        assert name in kinds(target.call) or name in own, f"{target.name}.{name} has no type of mercer._parameters"


# --- scikit-learn


def instances():
    return [target.call(**target.arguments) for target in DATACLASSES]


@pytest.mark.parametrize("one", instances(), ids=lambda one: type(one).__name__)
def test_parameters_make_the_same_object(one):
    same = type(one)(**one.get_params(deep=False))
    assert same == one and clone(one) == one and clone(one) is not one
    assert copy.deepcopy(one) == one and pickle.loads(pickle.dumps(one)) == one
    before = repr(one)
    with pytest.raises(ConfigError, match=r"has no parameter 'no_such'"):
        one.set_params(no_such=1)
    assert one.set_params() is one and repr(one) == before


def test_set_params_forgets_what_was_made_before():
    frames = api_targets.water()
    soap, wider = (mercer.SOAP(["H", "O"], r_cut, 3, 2, 0.5) for r_cut in (2.0, 3.0))
    before = soap.transform(frames)
    other = clone(soap)
    assert soap.set_params(r_cut=3.0) == wider and hash(soap) == hash(wider)
    assert np.array_equal(soap.transform(frames), wider.transform(frames))
    assert np.array_equal(other.transform(frames), before)
    with pytest.raises(ConfigError, match="r_cut=-1"):
        soap.set_params(n_max=5, r_cut=-1)
    assert soap == wider  # nothing was changed


def test_kinds_follow_the_species():
    pairs = PairDistance(["H"], 3.0).set_params(species=["H", "O"])
    assert pairs == PairDistance(["H", "O"], 3.0)
    chosen = PairDistance(["H", "O"], 3.0, kinds=[("O", "H")])
    assert chosen.set_params(r_cut=2.0).kinds == ((8, 1),)


def test_parts_have_parameters_too():
    mbtr = mercer.MBTR(["H", "O"], k2=api_targets.GRID)
    assert mbtr.set_params(k2__sigma=0.3).k2 == MBTRPart.of(api_targets.GRID | {"sigma": 0.3})
    kernel = REMatch(Polynomial(zeta=2), gamma=0.5)
    assert kernel.set_params(local__zeta=3, gamma=2.0) == REMatch(Polynomial(zeta=3), gamma=2.0)
    assert kernel.set_params(local=Gaussian(), local__length_scale=0.5).local == Gaussian(0.5)
    with pytest.raises(ConfigError, match=r"no parameter 'gamma__x'"):
        kernel.set_params(gamma__x=1)
    potential = mercer.Potential(api_targets.term())
    assert potential.get_params()["terms__descriptor__r_cut"] == 3.0


def test_search_over_a_kernel_parameter():
    X, y = api_targets.table()
    given = Gaussian(length_scale=1.0)
    model = mercer.KRR(given, alpha=1e-6)
    search = GridSearchCV(model, {"kernel__length_scale": [0.05, 2.0, 50.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"kernel__length_scale": 2.0} and search.best_estimator_.kernel == Gaussian(2.0)
    model.set_params(kernel__length_scale=3.0)
    assert model.kernel == Gaussian(3.0) and given == Gaussian(1.0)


def test_a_descriptor_is_a_step_of_a_pipeline():
    names = ("CH4", "C2H6", "C3H8", "C2H4", "C2H2", "CH3OH", "NH3", "H2O")
    frames = [molecule(name) for name in names]
    y = np.array([len(atoms) for atoms in frames], float)
    soap = AverageSOAP(["H", "C", "N", "O"], r_cut=4.0, n_max=3, l_max=2, sigma=0.5)
    steps = Pipeline([("soap", soap), ("krr", mercer.KRR(Polynomial(zeta=2), alpha=1e-6))])
    search = GridSearchCV(steps, {"soap__r_cut": [2.0, 4.0], "krr__alpha": [1e-6, 1e-2]}, cv=4).fit(frames, y)
    best = search.best_estimator_
    expected = mercer.KRR(best["krr"].kernel, best["krr"].alpha).fit(best["soap"].transform(frames), y)
    assert np.array_equal(best.predict(frames), expected.predict(best["soap"].transform(frames)))
    assert search.best_estimator_["soap"].r_cut in (2.0, 4.0) and soap.r_cut == 4.0
    assert len(soap.get_feature_names_out()) == soap.n_features
    assert len(set(soap.get_feature_names_out())) == soap.n_features
    with pytest.raises(dataclasses.FrozenInstanceError):
        soap.r_cut = 3.0


# --- functions


def functions():
    yield from api_targets.function_targets()
    yield from api_targets.compat_targets()


@pytest.mark.parametrize("target", list(functions()), ids=lambda target: target.name)
def test_functions_raise_errors_of_mercer_only(target, tmp_path, monkeypatch):
    """Some of these values are taken; where not, nothing of NumPy or pybind11 comes through."""
    monkeypatch.chdir(tmp_path)  # the text is a good name of a file that is written
    taken = {"progress", "verbose", "only_physical_cores", "max_nbins"}  # called, or without effect
    for name in set(target.names) - taken:
        for value in NONSENSE.values():
            try:
                with np.errstate(all="ignore"):
                    target.run(**{name: value})
            except mercer.errors.MercerError as error:
                assert len(str(error)) < 1200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mercer.selection.select(np.ones((4, 2)) * 1j, 2), "X: expected an array of real numbers"),
        (lambda: mercer.selection.select(np.full((4, 2), 1e300), 2), r"X\[0, 0\] is 1e\+300; expected numbers below"),
        (lambda: mercer.GPR(noise=-1.0).fit(*api_targets.table()), r"noise=-1\.0: expected a finite number >= 0"),
        (lambda: mercer.GPR().fit(np.eye(3), [1.0, 1e300, 1.0]), r"y\[1\] is 1e\+300"),
        (lambda: mercer.SparseGPR(sparse_groups=[1]).fit(np.eye(3), np.ones(3)), "sparse_groups .* sparse_points"),
        (lambda: mercer.load("."), "a folder, expected a model file"),
        (lambda: mercer.load(3), "path=3: expected the name of a file"),
        (lambda: mercer.load("a\0b"), "path='a.*x00b': expected the name of a file"),
        (lambda: mercer.structures.read_labels(molecule("H2O"), keys="energy"), "keys='energy': expected a mapping"),
        (lambda: mercer.set_num_threads(2**40), "number of threads=1099511627776"),
        (lambda: mercer.Potential(api_targets.term()).fit(api_targets.water(), labels=3), "labels=3: expected what"),
        (
            lambda: mercer.Potential(api_targets.term()).fit(api_targets.water(), sparse_points=[]),
            "sparse_points=.*expected 1 SparsePoints",
        ),
        (lambda: mercer.descriptors.Descriptor.from_dict({"type": "SOAP"}), "descriptor SOAP: species is missing"),
    ],
)
def test_messages_of_functions(call, message):
    with pytest.raises(mercer.errors.MercerError, match=message):
        call()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("positions", np.zeros((3, 2)), r"positions are a float64 array of shape \(3, 2\)"),
        ("positions", np.zeros((3, 3), complex), "positions are a complex128 array"),
        ("numbers", np.array([8.0, 1.0, 1.0]), "numbers are a float64 array"),
        ("numbers", np.array([8, 1]), r"numbers are a int64 array of shape \(2,\)"),
        ("numbers", np.array([8, 1, -3]), "the atomic number of atom 2 is -3"),
        ("numbers", np.array([8, 2**32 + 1, 1]), "the atomic number of atom 1 is 4294967297"),
    ],
)
def test_arrays_of_frames(part, value, message):
    with pytest.raises(mercer.errors.DataError, match=f"frame 1: {message}"):
        mercer.structures.to_batch([api_targets.water()[0], api_targets.frame(**{part: value})])


def test_classes_of_dscribe_print_the_call_that_made_them():
    from mercer.compat.dscribe import SOAP, REMatchKernel

    soap = SOAP(3.0, 2, 1, species=["H"])
    assert repr(soap) == "SOAP(r_cut=3.0, n_max=2, l_max=1, species=['H'])"
    assert repr(copy.deepcopy(soap)) == repr(soap)
    assert repr(REMatchKernel(alpha=0.2)) == "REMatchKernel(alpha=0.2)"
