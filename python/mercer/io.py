"""Model files: one safetensors file, plain arrays and a header in JSON; no code is ever read from it.

The file's metadata holds one entry, ``mercer``: a JSON object with ``format`` ("mercer-potential"), ``format_version``,
``mercer_version`` (that wrote it) and ``header``, everything that is not an array. A reader needs no other file. The
same model gives the same bytes (which is why there is one entry: the order of several is not defined).

The last 8 bytes of a file of format 2 are the array ``checksum``: the CRC-64/XZ of all bytes before them, the most
significant byte first. Format 1 has none. There is one reader, in C++ (cpp/src/model): what it refuses, Python refuses.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from mercer import __version__
from mercer._core import core
from mercer._files import replacing
from mercer.errors import ModelFileError

FORMAT = "mercer-potential"
#: Raised when a file could no longer be read by the releases that know the lower number. All lower ones are read.
FORMAT_VERSION = 2

_CHECKSUM = "checksum"


def write_model(path, header, arrays):
    """Write a model file; the file that was there before stays intact until the new one is complete.

    Parameters
    ----------
    path : path-like
    header : dict
        JSON types only.
    arrays : dict of ndarray
        By name; float64, int64 or int32.

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
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items() if name != _CHECKSUM}
    arrays[_CHECKSUM] = np.zeros(8, np.uint8)  # safetensors puts the smallest numbers last
    data = save(arrays, {"mercer": json.dumps(metadata, sort_keys=True, allow_nan=False)})[:-8]
    write_atomically(path, data + core.crc64(data).to_bytes(8, "big"))


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
        For a missing, truncated, damaged or foreign file, one written in a newer format, and a potential with parts
        that are missing, unknown, out of their range, or do not fit together.
    """
    path = Path(path)
    if path.is_dir():
        inside = ", ".join(str(file) for file in sorted(path.glob("*.mercer"))) or "the file in it"
        raise ModelFileError(f"{path}: a folder, expected a model file; give {inside}")
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    try:
        header, arrays, version = core.read_model(os.fsencode(path))
    except MemoryError as error:
        raise ModelFileError(f"{path}: the model is larger than the memory that is free") from error
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return json.loads(header), arrays, version
