"""The YAML of a fit: every option, overrides, messages, and the way back to text."""

from pathlib import Path

import pytest
import yaml
from mercer import config, kernels
from mercer.config import dump_options, load_options, parse_assignment
from mercer.errors import ConfigError


def options(*assignments, text=None, tmp_path=None):
    path = None
    if text is not None:
        path = tmp_path / "fit.yaml"
        path.write_text(text)
    return load_options(path, [(f"--set {a}", *parse_assignment(a)) for a in assignments])


def message(*assignments, text=None, tmp_path=None):
    with pytest.raises(ConfigError) as error:
        options(*assignments, text=text, tmp_path=tmp_path)
    return str(error.value)


def test_defaults():
    o = options()
    assert o.e0 == "auto" and o.seed == 0 and o.sigma.energy is None
    assert [t.descriptor.type for t in o.terms] == ["soap"]
    assert o.terms[0].kernel.type == "polynomial" and o.terms[0].kernel.zeta == 4
    assert o.terms[0].descriptor.r_cut is None


@pytest.mark.parametrize(
    "text, value",
    [
        ("terms.0.descriptor.r_cut=4.5", lambda o: o.terms[0].descriptor.r_cut == 4.5),
        ("terms.0.n_sparse={Si: 10, O: 20}", lambda o: o.terms[0].n_sparse == {"Si": 10, "O": 20}),
        ("terms.0.kernel=gaussian", lambda o: o.terms[0].kernel.type == "gaussian"),
        ("sigma.energy=1e-3", lambda o: o.sigma.energy == 1e-3),
        ("e0={Si: -0.8}", lambda o: o.e0 == {"Si": -0.8}),
        ("e0=-0.8", lambda o: o.e0 == -0.8),
        ("e0=none", lambda o: o.e0 == "none"),
        ("config_type_sigma.surface.energy=0.01", lambda o: o.config_type_sigma["surface"].energy == 0.01),
        ("units.energy=kcal/mol", lambda o: o.units.energy == "kcal/mol"),
        ("train=a.xyz", lambda o: o.train == ["a.xyz"]),
        ("test=[a.xyz, b.xyz]", lambda o: o.test == ["a.xyz", "b.xyz"]),
        ("terms.0.delta=auto", lambda o: o.terms[0].delta is None),
        ("seed=7", lambda o: o.seed == 7),
    ],
)
def test_set(text, value):
    assert value(options(text))


def test_set_overrides_the_file_and_later_ones_win(tmp_path):
    text = "terms:\n  - descriptor: soap\n    delta: 0.5\nsigma: {energy: 0.1}\n"
    o = options("sigma.energy=0.2", "sigma.energy=0.3", "terms.0.descriptor.r_cut=4", text=text, tmp_path=tmp_path)
    assert (o.sigma.energy, o.terms[0].delta, o.terms[0].descriptor.r_cut) == (0.3, 0.5, 4.0)


def test_second_term():
    o = options("terms.0.delta=1", "terms.1.delta=2", "terms.1.kernel={type: gaussian, length_scale: 0.5}")
    assert [t.delta for t in o.terms] == [1, 2]
    assert o.terms[1].kernel.length_scale == 0.5


def test_an_index_of_none_means_all_terms(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text("terms: [{delta: 1}, {delta: 2}]\n")
    o = load_options(path, [("--n-sparse", ("terms", "soap", "n_sparse"), 7)])
    assert [t.n_sparse for t in o.terms] == [7, 7]
    assert load_options(None, [("--n-sparse", ("terms", "soap", "n_sparse"), 7)]).terms[0].n_sparse == 7


@pytest.mark.parametrize(
    "text, parts",
    [
        ("trains: a\n", ["fit.yaml:1", "unknown option 'trains'", "did you mean 'train'"]),
        ("seed: 1\nsigma:\n  enrgy: 1\n", ["fit.yaml:3", "'sigma.enrgy'", "'energy'"]),
        ("terms:\n  - descriptor:\n      rcut: 5\n", ["fit.yaml:3", "'terms.0.descriptor.rcut'", "'r_cut'"]),
        ("terms:\n  - kernel: {type: polinomial}\n", ["fit.yaml:2", "unknown type 'polinomial'", "'polynomial'"]),
        ("r_cut: 5\n", ["fit.yaml:1", "'r_cut'", "'terms.0.descriptor.r_cut'"]),
        ("xyzzy: 5\n", ["fit.yaml:1", "'xyzzy'", "known: train"]),
        ("sigma: {energy: -1}\n", ["fit.yaml:1", "sigma.energy", "from 1e-12 to 1000000", "-1"]),
        ("terms:\n  - descriptor:\n      r_cut: wide\n", ["fit.yaml:3", "terms.0.descriptor.r_cut", "'wide'"]),
        ("e0: foo\n", ["fit.yaml:1", "e0:", "lstsq", "'foo'"]),
        ("e0: {Si: foo}\n", ["fit.yaml:1", "e0", "{element: eV}"]),
        ("solver: cg\n", ["fit.yaml:1", "solver", "known: whitened, qr, normal", "'cg'"]),
        ("terms: [{selection: fsp}]\n", ["fit.yaml:1", "terms.0.selection", "did you mean 'fps'"]),
        ("a: [1\n", ["fit.yaml:2", "not valid YAML"]),
        ("- 1\n", ["fit.yaml", "got a list"]),
        ("terms: []\n", ["fit.yaml:1", "terms", "at least 1"]),
        ("config_type_sigma: {bulk: {energi: 1}}\n", ["'config_type_sigma.bulk.energi'", "did you mean"]),
    ],
)
def test_messages_name_line_option_and_way_out(tmp_path, text, parts):
    found = message(text=text, tmp_path=tmp_path)
    for part in parts:
        assert part in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "text, parts",
    [
        ("terms.0.descriptor.rcut=5", ["--set terms.0.descriptor.rcut=5", "'r_cut'"]),
        ("terms.3.delta=1", ["index 3", "only 0"]),
        ("foo", ["expected option=value"]),
        ("seed=-1", ["--set seed=-1", "seed"]),
        ("train.0.x=1", ["--set train.0.x=1"]),
        ("seed.x.y=1", ["--set seed.x.y=1"]),
        ("terms.0.n_sparse=0", ["terms.0.n_sparse", "from 1 to 100000000, got 0"]),
        ("test_fraction=2", ["test_fraction", "less than 1"]),
        ("n_max=3", ["'terms.0.descriptor.n_max'"]),
        ("seed=[1", ["not valid YAML"]),
    ],
)
def test_messages_of_assignments(text, parts):
    found = message(text)
    for part in parts:
        assert part in found


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_options(tmp_path / "none.yaml")


def test_messages_of_flags_name_the_flag():
    with pytest.raises(ConfigError, match=r"^--n-sparse: terms.0.n_sparse"):
        load_options(None, [("--n-sparse", ("terms", "soap", "n_sparse"), -1)])


ALL = [
    "train=[a.xyz]",
    "terms.0.descriptor.r_cut=4.2000000000000001",
    "terms.0.descriptor.species=[Si, O]",
    "terms.0.n_sparse={Si: 10, O: 3}",
    "sigma.energy=0.1234567890123456789",
    "terms.0.delta=1.0e-07",
    "e0={Si: -0.8, O: 1.25e-3}",
    "config_type_sigma.bulk.energy=0.5",
    "terms.1.kernel={type: matern, nu: 1.5, length_scale: 0.3}",
    "output='a: b #c'",
    "keys.energy='yes'",
]


@pytest.mark.parametrize("assignments", [[], ALL])
def test_written_configuration_gives_the_same_options(tmp_path, assignments):
    o = options(*assignments)
    path = tmp_path / "again.yaml"
    path.write_text(dump_options(o, {"terms.0.descriptor.r_cut": "a reason"}, ["header"]))
    assert load_options(path) == o
    assert "# a reason" in path.read_text()
    assert path.read_text().startswith("# header\n")


def test_the_written_configuration_holds_every_option():
    written = yaml.safe_load(dump_options(options()))

    def names(tree, prefix=""):
        for key, value in tree.items():
            if isinstance(value, dict) and value:
                yield from names(value, f"{prefix}{key}.")
            elif key == "terms":
                yield from names(value[0], "terms.0.")
            else:
                yield prefix + key

    parts = set(config.all_options())
    for section in ("terms.0.descriptor.", "terms.0.kernel."):  # the written one has the options of its type only
        parts -= {n for n in parts if n.startswith(section)}
    found = set(names(written))
    assert parts <= found
    assert {"terms.0.descriptor.r_cut", "terms.0.kernel.zeta"} <= found


@pytest.mark.parametrize("kind", sorted(kernels.KERNELS))
def test_every_kernel_can_be_asked_for(kind):
    assert options(f"terms.0.kernel={kind}").terms[0].kernel.type == kind


@pytest.mark.parametrize("section", ["kernel", "descriptor"])
def test_the_type_of_a_part_may_be_called_name(section, tmp_path):
    kind = {"kernel": "matern", "descriptor": "radial_spectrum"}[section]
    texts = [f"terms: [{{{section}: {{{key}: {kind}}}}}]" for key in ("type", "name")]
    one, two = (options(text=text, tmp_path=tmp_path) for text in texts)
    assert one == two and getattr(two.terms[0], section).type == kind
    assert "give one of them" in message(
        text=f"terms: [{{{section}: {{type: {kind}, name: other}}}}]", tmp_path=tmp_path
    )
    unknown = message(text=f"terms: [{{{section}: {{name: {kind}, nuu: 2}}}}]", tmp_path=tmp_path)
    assert {"kernel": "'nu'", "descriptor": "n_max"}[section] in unknown


def test_every_option_has_help_or_an_obvious_section():
    for name in config.HELP:
        parts = name.split(".")
        assert any(full.replace(".0", "").startswith(".".join(parts)) for full in [*config.all_options(), "terms"]), (
            name
        )


def test_the_reference_page_is_up_to_date():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == config.reference_page(), "run: python -m mercer.config docs/configuration.md"
    for name in config.all_options():
        assert name.endswith(".type") or f"`{name.rsplit('.', 1)[-1]}`" in page or f"`{name}`" in page, name


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml")), ids=lambda p: p.name)
def test_examples_are_valid(path):
    options = load_options(path)
    assert options.train or path.parent.name == "published"  # there the command names the files


@pytest.mark.parametrize(
    "name, value",
    [
        *(("n_train", True), ("seed", True), ("sigma.energy", True), ("terms.0.delta", True), ("train", [True])),
        *(("terms.0.n_sparse", True), ("terms.0.n_sparse", {"Si": True}), ("e0", True), ("e0", {"Si": True})),
        *(("terms.0.descriptor.r_cut", True), ("terms.0.descriptor.n_max", True), ("max_memory", True)),
    ],
)
def test_truth_values_are_no_numbers(name, value):
    path = tuple(int(part) if part.isdigit() else part for part in name.split("."))
    with pytest.raises(ConfigError, match=f"{path[-1]}.*must not be true or false"):
        load_options(assignments=[("--set", path, value)])


@pytest.mark.parametrize(
    "assignment, parts",
    [
        ("e0={Xx: 1}", ["e0", "'Xx' is no element"]),
        ("e0={Si: 1e12}", ["e0.Si", "from -10000000 to 10000000"]),
        ("terms.0.n_sparse={Xx: 5}", ["n_sparse", "'Xx' is no element"]),
        ("terms.0.n_sparse=1000000000", ["n_sparse", "from 1 to 100000000"]),
        ("threads=99999", ["threads", "from 1 to 1024"]),
        ("seed=-1", ["seed", "from 0 to"]),
        ("sigma.energy=.inf", ["sigma.energy", "from 1e-12 to"]),
        ("sigma.forces=.nan", ["sigma.forces", "from 1e-12 to"]),
        ("terms.0.delta=.inf", ["delta", "from 1e-09 to"]),
        ("terms.0.delta=1e-300", ["delta", "from 1e-09 to"]),
        ("repeats=5", ["repeats", "n_train or test_fraction"]),
        ("max_memory=1e400", ["max_memory"]),
        ("max_memory=1e308", ["max_memory", "positive number of bytes"]),
        ("baseline={type: [a]}", ["baseline", "name of a baseline"]),
        ("output=''", ["output", "at least 1 character"]),
        ("train=['']", ["train", "at least 1 character"]),
        ("train=''", ["train", "at least 1 character"]),
        ("seed=", ["--set seed=", "expected option=value"]),
        ("terms.\u00b2.delta=1", ["terms", "list"]),
    ],
)
def test_values_outside_their_range(assignment, parts):
    with pytest.raises(ConfigError) as error:
        load_options(assignments=[(f"--set {assignment}", *parse_assignment(assignment))])
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "first, second",
    [
        ("test: [a]", "n_train: 5"),
        ("test: a", "test_fraction: 0.1"),
        ("n_train: 5", "test_fraction: 0.1"),
        ("validation: [a]", "validation_fraction: 0.1"),
    ],
)
def test_options_that_contradict_each_other(tmp_path, first, second):
    path = tmp_path / "fit.yaml"
    path.write_text(f"seed: 1\n{first}\n{second}\n")
    names = [text.split(":")[0] for text in (first, second)]
    with pytest.raises(ConfigError, match=f"fit.yaml:2: {names[0]} and .*fit.yaml:3: {names[1]} contradict"):
        load_options(path)
    path.write_text(f"{first}\n")
    flag = "--" + names[1].replace("_", "-")
    with pytest.raises(ConfigError, match=f"fit.yaml:1: {names[0]} and {flag} contradict"):
        load_options(path, [(flag, (names[1],), 5 if names[1] == "n_train" else 0.1)])
    load_options(path, [("--set", (names[1],), None)])


def test_names_of_groups_that_yaml_would_take_apart():
    groups = {"a: b": {"energy": 0.1}, "#1": {"energy": 0.2}, "1e5": {"energy": 0.3}, "- x": {"energy": 0.4}}
    options = load_options(assignments=[("--set", ("config_type_sigma",), groups)])
    text = dump_options(options)
    assert "see below" not in text
    assert yaml.safe_load(text)["config_type_sigma"].keys() == groups.keys()


@pytest.mark.parametrize("value", [{"type": {}}, {"type": ["a"]}, {"type": 5}, {"type": ""}, {"name": {}}])
@pytest.mark.parametrize("section", ["descriptor", "kernel"])
def test_types_that_are_no_names(section, value):
    with pytest.raises(ConfigError, match=section):
        load_options(assignments=[("--set", ("terms", 0, section), value)])


@pytest.mark.parametrize(
    "path", [("units", "forces"), ("units", "energy"), ("keys", "energy"), ("train",), ("output",)]
)
def test_blank_names(path):
    with pytest.raises(ConfigError, match=r"at least 1 character|empty name"):
        load_options(assignments=[("--set", path, " ")])
