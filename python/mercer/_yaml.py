"""YAML of configurations: with the line of every option, within bounds, and without what is lost silently.

Numbers and truth values are those of YAML 1.2 (``No`` is text, ``1e-3`` a number, ``010`` ten). Names given twice, tags
and whole numbers beyond 64 bits are errors.
"""

import re

import yaml

from mercer.errors import ConfigError

#: More than this is no configuration: characters, values (aliases counted at every use), sections inside each other.
MOST_CHARACTERS, MOST_VALUES, MOST_DEPTH = 2**20, 10_000, 30

_TAG = "tag:yaml.org,2002:"
#: Plain words that are no text: type, first characters, form.
_PLAIN = (
    ("null", "~nN", r"~|null|Null|NULL"),
    ("null", "", r""),
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
    ("int", "-+0123456789", r"[-+]?[0-9]+"),
    ("float", "-+.0123456789", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
    ("float", "-+.", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
    ("merge", "<", r"<<"),
)


def _with_plain_words(cls):
    """Class decorator: what a loader takes for no text, and a dumper puts in quotation marks."""
    cls.yaml_implicit_resolvers = {}
    for kind, first, form in _PLAIN:
        cls.add_implicit_resolver(_TAG + kind, re.compile(rf"(?:{form})\Z"), list(first) or [""])
    return cls


class _Refused(Exception):
    """What is wrong, and the line, counted from 0."""


@_with_plain_words
class _Loader(yaml.SafeLoader):
    """Composes nodes, and counts them before a few aliases become millions of values."""

    def __init__(self, text):
        super().__init__(text)
        self.depth, self.total, self.sizes, self.unfinished = 0, 0, {}, set()

    def compose_node(self, parent, index):
        event = self.peek_event()
        line = event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.unfinished:
                raise _Refused(f"the alias *{event.anchor} is inside of what it stands for", line)
            node = super().compose_node(parent, index)
            self._count(self.sizes[id(node)], line)
            return node
        if self.depth >= MOST_DEPTH:
            raise _Refused(f"more than {MOST_DEPTH} sections inside each other", line)
        self.depth += 1
        self.unfinished.add(event.anchor)
        before = self.total
        self._count(1, line)
        node = super().compose_node(parent, index)
        self.depth -= 1
        self.unfinished.discard(event.anchor)
        self.sizes[id(node)] = self.total - before
        return node

    def _count(self, n, line):
        self.total += n
        if self.total > MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES} values, each alias counted as what it stands for", line)


@_with_plain_words
class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads."""


def read_yaml(path):
    """The options of a YAML file and where they stand.

    Parameters
    ----------
    path : path

    Returns
    -------
    options : dict
    origin : dict
        {path of an option: "file:line"}, of sections too.

    Raises
    ------
    ConfigError
        For a file that is missing or cannot be read, with the line of what is wrong in it.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise ConfigError(f"{path}: cannot be read as a configuration: {reason}") from None
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{path}: more than {MOST_CHARACTERS} characters, which is no configuration")
    options, lines = _load(text, path)
    if options is None:
        options = {}
    if not isinstance(options, dict):
        raise ConfigError(f"{path}: expected 'option: value' lines, got a {_NAMES[type(options)]}")
    return options, {place: f"{path}:{line + 1}" for place, line in lines.items()}


_NAMES = {list: "list", str: "text", int: "number", float: "number", bool: "truth value"}


def parse_value(text, where):
    """The value of a text in YAML; `where` begins messages.

    Examples
    --------
    >>> parse_value("{energy: 1e-3}", "--set")
    {'energy': 0.001}
    """
    return _load(text, where)[0]


def dump_value(value):
    """A value in one line of YAML.

    Examples
    --------
    >>> dump_value({"e0": {"No": -1.5}, "key": "1e5"})
    "{e0: {No: -1.5}, key: '1e5'}"
    """
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _load(text, where):
    """The value of a text, and {path: line, counted from 0} of what is in it."""
    lines = {}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _value(node, (), lines), lines
        finally:
            loader.dispose()
    except _Refused as problem:
        message, line = problem.args
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML: {', '.join(part for part in (error.context, error.problem) if part)}"
        line = mark and mark.line
    except yaml.YAMLError as error:
        message, line = f"not valid YAML: {getattr(error, 'reason', error)}", None
    place = f":{line + 1}" if line is not None and "--set" not in str(where) else ""
    raise ConfigError(f"{where}{place}: {message}") from None


def _value(node, path, lines):
    """The value of a node; the lines of its parts are entered into `lines`."""
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        for i, item in enumerate(node.value):
            lines[(*path, i)] = item.start_mark.line
        return [_value(item, (*path, i), lines) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and kind in ("str", "null", "bool", "int", "float", "merge"):
        return _scalar(kind, node)
    raise _Refused(f"the tag {node.tag.replace(_TAG, '!!')!r} means nothing here", node.start_mark.line)


def _mapping(node, path, lines):
    """A mapping: its own entries over those that it merges (``<<``); the keys are text as it stands there."""
    out, merged, seen = {}, {}, {}
    for key, value in node.value:
        line = key.start_mark.line
        if not isinstance(key, yaml.ScalarNode):
            raise _Refused("an option's name must be a word", line)
        name = key.value
        if name in seen:
            where = f"in line {seen[name] + 1} too" if seen[name] != line else "twice in this line"
            raise _Refused(f"{name!r} is given {where}: which one counts?", line)
        seen[name] = line
        if key.tag == _TAG + "merge":
            content = _value(value, path, lines)
            for part in reversed(content if isinstance(content, list) else [content]):
                if not isinstance(part, dict):
                    raise _Refused("'<<' merges sections only", line)
                merged |= part
            continue
        lines[(*path, name)] = line
        out[name] = _value(value, (*path, name), lines)
    return merged | out


def _scalar(kind, node):
    text, line = node.value, node.start_mark.line
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("int", "float"):
        plain = text.lower().replace(".inf", "inf").replace(".nan", "nan")
        try:
            number = float(plain)
            if kind == "int" and abs(number) < 2**63:
                return int(plain)
        except ValueError:
            raise _Refused(f"{text[:40]!r} is no number", line) from None
        if kind == "float" and (abs(number) != float("inf") or "inf" in plain):
            return number
        raise _Refused(f"the number {text[:40]}{'...' if len(text) > 40 else ''} is too large", line)
    if kind in ("str", "merge"):
        if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in text):
            raise _Refused(f"{text!r} holds a character that no text can have", line)
        return text
    raise _Refused(f"{text[:40]!r} is no truth value", line)
