"""``--drop``: frames, and labels of frames, that are left out of what files hold."""

import os
import re
from dataclasses import dataclass

from mercer.errors import ConfigError, DataError
from mercer.structures import LABEL_KINDS

_FRAMES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(eq=False)
class Drop:
    """One rule: of which file, which kind of label (None: the whole frame), which frames (None: all); and whether any
    frame has been found by it."""

    text: str
    file: str | None = None
    kind: str | None = None
    frames: tuple | None = None
    config_type: str | None = None
    used: bool = False

    def matches(self, frames, config_key="config_type"):
        """Indices of the frames of a list that the rule is about."""
        found = []
        for k, source in enumerate(frames.sources):
            file, _, number = source.rpartition(", frame ")
            if self.file is not None and self.file not in (file, os.path.basename(file)):
                continue
            if self.frames is not None and not any(low <= int(number) <= high for low, high in self.frames):
                continue
            if self.config_type is not None and str(frames[k].info.get(config_key, "")) != self.config_type:
                continue
            found.append(k)
        self.used = self.used or bool(found)
        return found


def parse_drops(texts, files, unnamed):
    """Rules of ``--drop``.

    Parameters
    ----------
    texts : list of str
        ``[FILE:][KIND:]FRAMES``, where FRAMES is ``12,40,50-60`` or ``config_type=NAME``; or a KIND alone.
    files : list of str
        All files that are read.
    unnamed : list of str
        Files that a rule without a file is about.

    Returns
    -------
    list of Drop

    Raises
    ------
    ConfigError
        For another form, a file that is not read, and numbers of frames without a file where there are several.
    """
    rules = []
    for text in texts:
        *front, last = text.strip().split(":")
        frames = name = kind = None
        if _FRAMES.fullmatch(last):
            ends = (part.split("-") for part in last.split(","))
            frames = tuple((int(end[0]), int(end[-1])) for end in ends)
        elif last.startswith("config_type="):
            name = last.removeprefix("config_type=")
        elif last in LABEL_KINDS:
            front, last = [*front, last], ""
        else:
            raise ConfigError(
                f"drop: {text!r}; expected frames as 12,40,50-60 or config_type=NAME, if need be with FILE: and a kind "
                f"of label in front ({', '.join(LABEL_KINDS)}), such as train.extxyz:stress:12"
            )
        if front and front[-1] in LABEL_KINDS:
            kind = front.pop()
        file = ":".join(front) or None
        if file is not None and not any(file in (known, os.path.basename(known)) for known in files):
            raise ConfigError(f"drop: {text!r}: {file} is none of the files that are read ({', '.join(files)})")
        if file is None and frames is not None and len(unnamed) != 1:
            raise ConfigError(
                f"drop: {text!r}: frames of which file? write FILE:{text}, with one of {', '.join(unnamed)}"
            )
        if file is None and len(unnamed) == 1:
            file = unnamed[0]
        rules.append(Drop(text, file, kind, frames, name))
    return rules


def check_used(rules):
    """Refuse rules by which no frame was found, when everything has been read.

    Raises
    ------
    DataError
    """
    for rule in rules:
        if not rule.used:
            raise DataError(f"drop: no frame of {rule.file or 'the files'} is meant by {rule.text!r}")
