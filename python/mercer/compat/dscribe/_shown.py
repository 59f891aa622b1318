"""How objects of these classes print themselves: as the call that made them."""

import inspect

from mercer._validation import show


class Shown:
    """Base of classes whose objects say with which arguments they were made."""

    def __new__(cls, *args, **options):
        self = super().__new__(cls)
        try:
            given = inspect.signature(cls.__init__).bind_partial(None, *args, **options).arguments
        except TypeError:  # __init__ says it better
            given = {}
        self._given = {name: value for name, value in given.items() if name != "self"}
        return self

    def __repr__(self):
        given = ", ".join(f"{name}={show(value)}" for name, value in self._given.items())
        return f"{type(self).__name__}({given})"
