"""Model files: one safetensors file, plain arrays and a header in JSON; no code is ever read from it.

The file's metadata holds one entry, ``mercer``: a JSON object with ``format`` ("mercer-potential"), ``format_version``,
``mercer_version`` (that wrote it) and ``header``, everything that is not an array. A reader needs no other file. The
same model gives the same bytes (which is why there is one entry: the order of several is not defined).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from mercer import __version__
from mercer._files import replacing
from mercer.errors import ModelFileError

FORMAT = "mercer-potential"
#: Raised when a file could no longer be read by the releases that know the lower number. All lower ones are read.
FORMAT_VERSION = 1


def write_model(path, header, arrays):
    """Write a model file; the file that was there before stays intact until the new one is complete.

    Parameters
    ----------
    path : path-like
    header : dict
        JSON types only.
    arrays : dict of ndarray
        Numbers only, by name.

    Raises
    ------
    ModelFileError
        If the folder does not exist or cannot be written.
    """
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mercer_version": __version__,
        "header": header,
    }
    data = save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        {"mercer": json.dumps(metadata, sort_keys=True, allow_nan=False)},
    )
    write_atomically(path, data)


def write_atomically(path, data):
    """Write bytes to a temporary file, then rename it: readers see the old file or the new one."""
    remedy = "choose a folder that exists and is writable"
    try:
        with replacing(path, ModelFileError, remedy) as temporary, open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ModelFileError(f"{path}: cannot write the model ({error.strerror or error}); {remedy}") from error


def read_model(path):
    """Read a model file.

    Returns
    -------
    header : dict
    arrays : dict of ndarray
    mercer_version : str
        The version that wrote the file.

    Raises
    ------
    ModelFileError
        For a missing, truncated or foreign file, and one written in a newer format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = _metadata(path, file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ModelFileError(
            f"{path}: not a mercer model, or a truncated one ({error}); save or copy it again"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot read the model ({error.strerror or error})") from error
    return metadata["header"], arrays, metadata["mercer_version"]


def _metadata(path, entries):
    """The checked contents of the entry ``mercer``."""
    if "mercer" not in entries:
        raise ModelFileError(
            f"{path}: a safetensors file of another program (metadata: {', '.join(entries) or 'none'}); "
            f"give a model that mercer saved"
        )
    try:
        metadata = json.loads(entries["mercer"])
        name, version = metadata["format"], metadata["format_version"]
        writer, header = metadata["mercer_version"], metadata["header"]
        if name != FORMAT or not isinstance(version, int):
            raise ValueError(f"format {name!r}, version {version!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: the header of the model is damaged ({error!r})") from error
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: written by mercer {writer} in format {version}; this is mercer {__version__}, which reads up to "
            f"format {FORMAT_VERSION}. Upgrade: pip install 'mercer>={writer}'"
        )
    if not isinstance(header, dict):
        raise ModelFileError(f"{path}: the header of the model is damaged (it is a {type(header).__name__})")
    return metadata
