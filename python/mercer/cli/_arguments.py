"""Checks of command lines that typer does not make: empty words, options that contradict each other."""

import unicodedata

from mercer.errors import ConfigError

#: Options that may be empty.
_MAY_BE_EMPTY = ("--prefix",)


def check_words(arguments):
    """Refuse empty words and characters that no message could show.

    Parameters
    ----------
    arguments : list of str

    Raises
    ------
    ConfigError
    """
    for before, word in zip(["", *arguments], arguments, strict=False):
        option, equals, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        if option in _MAY_BE_EMPTY:
            continue
        if equals and not value.strip():
            place = f"{option}: its value is" if option.startswith("-") else "an argument is"
            raise ConfigError(f"{place} empty; give a value, or leave the option out")
        if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n" for letter in word):
            raise ConfigError(f"{word!r}: a character that cannot be shown; file names must be valid UTF-8")


def one_of(**given):
    """Refuse options that contradict each other.

    Parameters
    ----------
    **given : bool
        {name of the option, with underscores: whether it was given}.

    Raises
    ------
    ConfigError
        If two of them were given, naming these.
    """
    names = ["--" + name.replace("_", "-") for name, there in given.items() if there]
    if len(names) > 1:
        raise ConfigError(f"{names[0]} and {names[1]} contradict each other: give one of them")


def label_options(energy_key, keys, units, order=None, drop=None, trust=None):
    """What options about labels and frames (--key, --units, --drop, ...) say, as assignments of `load_options`.

    Raises
    ------
    ConfigError
        For another form than LABEL=VALUE, and for a label with two values.
    """
    out = [] if energy_key is None else [("--energy-key", ("keys", "energy"), energy_key)]
    for flag, section, texts in (("--key", "keys", keys), ("--units", "units", units)):
        for text in texts or ():
            label, equals, value = text.partition("=")
            if not equals or not label or not value:
                raise ConfigError(f"{flag} {text}: expected LABEL=VALUE, for example {flag} energy=...")
            for earlier, place, other in out:
                if place == (section, label) and other != value:
                    raise ConfigError(f"{earlier} ({label}={other}) and {flag} {text} contradict each other: give one")
            out.append((flag, (section, label), value))
    rest = {"--stress-order": order, "--drop": drop or None, "--trust-data": trust or None}
    out += [(flag, (flag[2:].replace("-", "_"),), value) for flag, value in rest.items() if value is not None]
    return out


def parse_e0(text):
    """The value of --e0: a method, a number, or energies of elements.

    Raises
    ------
    ConfigError
        For energies that are no numbers, and for an element with two energies.
    """
    if text is None or "=" not in text:
        return text
    out = {}
    for part in text.split(","):
        symbol, _, value = (word.strip() for word in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise ConfigError(f"--e0 {text}: expected elements and energies in eV, as Si=-0.8,O=-1.2") from None
        if out.setdefault(symbol, number) != number:
            raise ConfigError(f"--e0 {text}: {symbol} has two energies; give one of them")
    return out
