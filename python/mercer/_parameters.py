"""Parameters of the frozen dataclasses: what each field takes is said by its type, and scikit-learn can set them.

A type such as ``Positive`` is ``Annotated[float, check]``; ``check(value, name)`` returns the value in its one plain
form or raises ConfigError. ``Positive | None`` takes None as well.
"""

import copy
import dataclasses
import functools
import inspect
import typing
from typing import Annotated

from mercer._validation import (
    check_amplitude,
    check_choice,
    check_count,
    check_flag,
    check_length,
    check_number,
    check_positive,
    nearest,
    positive_rows,
)
from mercer.errors import ConfigError

Number = Annotated[float, check_number]
Positive = Annotated[float, check_positive]
NotNegative = Annotated[float, functools.partial(check_positive, allow_zero=True)]
#: Angstrom.
Length = Annotated[float, check_length]
Count = Annotated[int, check_count]
Flag = Annotated[bool, check_flag]
#: Standard deviations of labels and functions, of which squares are taken.
Amplitude = Annotated[float, check_amplitude]
#: A number, or one for each row.
PositiveRows = Annotated[object, positive_rows]
NotNegativeRows = Annotated[object, functools.partial(positive_rows, allow_zero=True)]


def count(minimum=1, maximum=2**31 - 1):
    """The type of an integer within these bounds."""
    return Annotated[int, functools.partial(check_count, minimum=minimum, maximum=maximum)]


def choice(choices):
    """The type of one of some names; `choices` may be a function that gives them."""

    def check(value, name):
        return check_choice(value, choices() if callable(choices) else choices, name)

    return Annotated[str, check]


@functools.cache
def kinds(annotated):
    """{name: (whether None is allowed, check)} of the fields of a class, or the arguments of a function."""
    found = {}
    for name, hint in typing.get_type_hints(annotated, include_extras=True).items():
        parts = typing.get_args(hint)
        optional = type(None) in parts
        hint = next((part for part in parts if part is not type(None)), hint) if optional else hint
        checks = [part for part in getattr(hint, "__metadata__", ()) if callable(part)]
        if checks:
            found[name] = optional, checks[0]
    return found


def checked(annotated, values, prefix=""):
    """The values {name: value} in their plain forms, by the kinds of `annotated`; those without a kind as they are."""
    plain = dict(values)
    for name, (optional, check) in kinds(annotated).items():
        if name in plain and not (optional and plain[name] is None):
            plain[name] = check(plain[name], f"{prefix}({name})" if prefix else name)
    return plain


def checked_arguments(estimator):
    """Arguments of the constructor of an estimator, which itself checks nothing, in their plain forms."""
    names = inspect.signature(type(estimator).__init__).parameters
    given = {name: getattr(estimator, name) for name in names if name != "self"}
    return checked(type(estimator).__init__, given)


class Parameters:
    """Base of frozen dataclasses whose fields are checked by their types, and which scikit-learn can search over."""

    #: What messages put before the name of a field.
    _prefix = ""

    def __post_init__(self):
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in checked(type(self), values, self._prefix).items():
            object.__setattr__(self, name, value)

    def get_params(self, deep=True):
        """Parameters by name, as scikit-learn asks for them; with `deep` also those of parts, as ``part__name``.

        Parameters
        ----------
        deep : bool, default True

        Returns
        -------
        dict
        """
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.init}
        if deep:
            for name, value in list(own.items()):
                if isinstance(value, Parameters):
                    own |= {f"{name}__{inner}": part for inner, part in value.get_params().items()}
        return own

    def set_params(self, **parameters):
        """Change parameters in place, as scikit-learn does in its searches on copies of its own.

        Elsewhere a changed copy is better, ``dataclasses.replace(self, ...)``: whatever holds this object changes too.

        Parameters
        ----------
        **parameters
            By name, those of parts as ``part__name``.

        Returns
        -------
        self

        Raises
        ------
        ConfigError
            For an unknown name (with the nearest known one) or a value outside its range; nothing is changed then.
        """
        if parameters:
            new = self._with(parameters)
            vars(self).clear()  # what was made at first use goes too
            vars(self).update(vars(new))
        return self

    def _with(self, parameters):
        """A copy with other parameters."""
        own, parts = self.get_params(deep=False), {}
        for name, value in parameters.items():
            first, _, rest = name.partition("__")
            if first not in own or (rest and not isinstance(own[first], Parameters)):
                known = self.get_params()
                raise ConfigError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known) or 'none'}."
                    f"{nearest(name, known)}"
                )
            if rest:
                parts.setdefault(first, {})[rest] = value
            else:
                own[first] = value
        for first, inner in parts.items():
            own[first] = own[first]._with(inner)
        return type(self)(**own)

    def __sklearn_clone__(self):
        return copy.copy(self)
