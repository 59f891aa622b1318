"""From a name, a dictionary or an instance to an instance, and arguments on their way to the core."""

import contextlib
import dataclasses

from mercer._validation import as_numbers, check_choice, check_finite
from mercer.errors import ConfigError, DataError


def build(cls, options, what):
    """An instance of the dataclass `cls` from a dictionary of its fields; ConfigError with the nearest for others."""
    fields = [field.name for field in dataclasses.fields(cls)]
    for key in options:
        if key not in fields:
            if not fields:
                raise ConfigError(f"{what} takes no options, got {key!r}; leave it out.")
            check_choice(key, fields, f"option of {what}")
    return cls(**options)


def choose(value, classes, base, what):
    """The instance of `base` that `value` means; `classes` are those known by name."""
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        return classes[check_choice(value, classes, what)]()
    if isinstance(value, dict):
        if "name" not in value:
            raise ConfigError(f"{what}={value!r}: expected a key 'name', one of {', '.join(classes)}.")
        options = {key: option for key, option in value.items() if key != "name"}
        name = check_choice(value["name"], classes, what)
        return build(classes[name], options, f"{what} {name!r}")
    raise ConfigError(
        f"{what}={value!r}: expected a name ({', '.join(classes)}), a dictionary with 'name', or a {base.__name__}."
    )


def distances(r):
    """Distances as a finite, contiguous float64 vector; DataError otherwise."""
    r = as_numbers(r, "r")
    if r.ndim != 1:
        raise DataError(f"r has shape {r.shape}; expected a vector of distances (Angstrom).")
    return check_finite(r, "r")


@contextlib.contextmanager
def refusals():
    """The core's refusals as ConfigError."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(str(error)) from None
