"""YAML of configurations: bounds, names given twice, values that survive being written."""

import math
import time

import pytest
from mercer._yaml import MOST_DEPTH, MOST_VALUES, dump_value, parse_value, read_yaml
from mercer.errors import ConfigError


def refused(tmp_path, text, *parts):
    """A file that must be refused within a second; `parts` of the message."""
    path = tmp_path / "fit.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert time.process_time() - start <= 5.0  # a second on a quiet machine
    for part in (str(path), *parts):
        assert part in str(caught.value)


def nested_aliases(start, item, levels=9):
    """Few lines that stand for 9^levels values."""
    lines = [f"x0: &x0 {start}"]
    for k in range(levels):
        lines.append(f"x{k + 1}: &x{k + 1} " + item.format(", ".join([f"*x{k}"] * 9)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        nested_aliases("[y, y, y]", "[{}]"),
        nested_aliases("{y: 1}", "{{<<: [{}]}}"),
        nested_aliases("y", "{{z: [{}]}}"),
        "train: [" + "a, " * 100_000 + "a]",
    ],
)
def test_too_many_values(tmp_path, text):
    refused(tmp_path, text, f"more than {MOST_VALUES} values")


@pytest.mark.parametrize("text", ["train: &a [*a]", "a: &a {b: *a}", "a: &a\n  b: [1, {c: *a}]", "a: &a {<<: *a}"])
def test_aliases_inside_of_themselves(tmp_path, text):
    refused(tmp_path, text, "*a is inside of what it stands for")


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000 + "a", "[" * 100 + "]" * 100])
def test_deep_nesting(tmp_path, text):
    refused(tmp_path, text, f"more than {MOST_DEPTH} sections")


def test_long_files(tmp_path):
    refused(tmp_path, "# " + "x" * 2**20, "characters")


@pytest.mark.parametrize(
    "text, parts",
    [
        ("seed: 1\nr: 2\nseed: 2\n", [":3", "'seed'", "line 1"]),
        ("seed: 1\nseed: 1\n", [":2", "'seed'"]),
        ("sigma:\n  energy: 1\n  forces: 2\n  energy: 3\n", [":4", "'energy'", "line 2"]),
        ("terms: [{delta: 1, delta: 2}]", [":1", "'delta'", "twice in this line"]),
        ("'a': 1\na: 2\n", [":2", "'a'"]),
    ],
)
def test_names_given_twice(tmp_path, text, parts):
    refused(tmp_path, text, *parts)


@pytest.mark.parametrize(
    "text, parts",
    [
        ("seed: " + "9" * 5000, [":1", "too large"]),
        ("seed: 9223372036854775808", [":1", "too large"]),
        ("sigma: {energy: 1e400}", [":1", "1e400", "too large"]),
        ("a: !!int word", [":1", "'word'"]),
        ("a: !!int 1.5", [":1", "'1.5'"]),
        ("a: !!bool word", [":1", "'word'"]),
        ("a: !!python/object/apply:os.getcwd []", [":1", "tag"]),
        ("a: !!timestamp 2001-01-01", [":1", "tag"]),
        ("a: 1\n? [b]\n: 1\n", [":2", "word"]),
        ("<<: 5", [":1", "sections only"]),
        ("a: *b", [":1", "'b'"]),
        ("a: 1\n---\na: 2", [":2", "another document"]),
        ("a: 'open\nb: 1\n", ["not valid YAML"]),
        ("a: \x01", ["not valid YAML"]),
        (b"a: \xff\xfe", ["UTF-8"]),
        ('a: "x\\0y"', [":1", "character"]),
        ('a: "\\ud800"', [":1", "character"]),
        ("- a\n- b\n", ["a list"]),
        ("word", ["a text"]),
    ],
)
def test_what_is_refused(tmp_path, text, parts):
    refused(tmp_path, text, *parts)


def test_lines_of_options(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text("a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n")
    options, origin = read_yaml(path)
    assert options == {"a": 1, "b": [{"c": 2, "d": 3}, "e"]}
    lines = {(("a",)): 1, ("b",): 2, ("b", 0): 3, ("b", 0, "c"): 3, ("b", 0, "d"): 4, ("b", 1): 5}
    assert origin == {place: f"{path}:{line}" for place, line in lines.items()}


def test_anchors_aliases_and_merged_sections(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 5}, *a]}\n")
    same = {"x": 1, "y": 2}
    assert read_yaml(path)[0] == {"a": same, "b": same, "c": {"x": 1, "y": 3}, "d": {"x": 5, "y": 2}}


def test_an_empty_file_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "fit.yaml"
    for text, expected in (("", {}), ("# nothing\n", {}), ("\ufeffseed: 1\n", {"seed": 1})):
        path.write_text(text, encoding="utf-8")
        assert read_yaml(path)[0] == expected


@pytest.mark.parametrize(
    "text, value",
    [("No", "No"), ("1e-3", 1e-3), ("010", 10), ("1:30", "1:30"), ("yes", "yes"), ("true", True), ("~", None)],
)
def test_words_and_numbers(text, value):
    found = parse_value(text, "--set")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        *("No", "010", "1e5", "1:30", "yes", "", "~", "a: b", "x #y", "é", "2001-01-01", "<<", " x ", "*a", "0x1f"),
        *("=", ".", 1e-5, 1e22, math.inf, 10**17, True, None, [1, {"a": "1.5"}], {"1": {"true": "null"}}),
    ],
)
def test_what_is_written_is_read_as_it_was(value):
    for thing in (value, {"key": value}, [value]):
        assert parse_value(dump_value(thing), "") == thing
    assert "\n" not in dump_value(value)
