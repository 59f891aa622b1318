"""What a check of data reports."""

from __future__ import annotations

from dataclasses import dataclass, field

#: How sure a finding is. "certain": independent evidence agrees, and training on these labels is meaningless; "likely":
#: probably a mistake, training is possible; "note": nothing wrong, but worth knowing.
LEVELS = ("certain", "likely", "note")


@dataclass(frozen=True)
class Finding:
    """Something suspicious in data, with the way out.

    Parameters
    ----------
    check : str
        Name of the check, such as "units" or "duplicates".
    message : str
        What is wrong, how large it is, and what to do; also ``str(finding)``.
    level : {"certain", "likely", "note"}, default "likely"
    remedy : tuple of str, default ()
        Options of the command line that put it right, such as ``("--units stress=kbar",)``.
    where : str, default ""
        The file, config_type or composition that is meant; empty for all frames.
    frames : tuple of int, default ()
        Indices of the frames that are meant; empty for all of `where`.
    size : float, optional
        What was measured: a factor, an offset, a distance; the message says which.

    Raises
    ------
    ValueError
        For an unknown level.

    Examples
    --------
    >>> finding = Finding("units", "stress seems to be in kbar", "certain", ("--units stress=kbar",), size=1602.2)
    >>> print(finding)
    stress seems to be in kbar
    """

    check: str
    message: str
    level: str = "likely"
    remedy: tuple = ()
    where: str = ""
    frames: tuple = field(default=(), repr=False)
    size: float | None = None

    def __post_init__(self):
        if self.level not in LEVELS:
            raise ValueError(f"level: {self.level!r}; expected one of {', '.join(LEVELS)}")
        object.__setattr__(self, "remedy", tuple(self.remedy))
        object.__setattr__(self, "frames", tuple(int(k) for k in self.frames))

    def __str__(self):
        return self.message
