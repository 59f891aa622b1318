"""Exceptions for mistakes of the caller. The command line prints their message and exits; nothing else is hidden."""


class MercerError(Exception):
    """Base class: the message says what was expected, what came, and the way out."""


class DataError(MercerError, ValueError):
    """Structures or labels that cannot be used: missing, not finite, of the wrong shape, of unknown elements."""


class DataTypeError(DataError, TypeError):
    """Rows that hold things other than numbers; also a TypeError, which scikit-learn asks for."""


class ConfigError(MercerError, ValueError):
    """An option that does not exist or has a value outside its range."""


class ModelFileError(MercerError, ValueError):
    """A model file that is truncated, foreign, or written by a newer version."""
