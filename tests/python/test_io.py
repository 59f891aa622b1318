"""The container of model files."""

import json
import os
import stat
import struct

import mercer.io
import numpy as np
import pytest
from mercer._core import core
from mercer.errors import ModelFileError
from mercer.io import FORMAT, FORMAT_VERSION, read_model, write_model
from safetensors.numpy import load_file, save_file

HEADER = {"kind": "test", "numbers": [1.5, 2], "nested": {"a": None}}
ARRAYS = {
    "plain": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
    "empty": np.zeros((0, 2)),
    "tiny": np.array([np.nextafter(0, 1), -0.0, np.pi]),
}


def test_round_trip_keeps_every_bit(tmp_path):
    path = tmp_path / "model"
    write_model(path, HEADER, ARRAYS)
    header, arrays, version = read_model(path)
    assert header == HEADER
    assert version == mercer.__version__
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()
    assert os.listdir(tmp_path) == ["model"]


def test_checksum_of_known_data():
    assert core.crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert core.crc64(b"") == 0


def test_the_file_is_safetensors_and_ends_with_its_checksum(tmp_path):
    path = tmp_path / "model"
    write_model(path, HEADER, ARRAYS)
    content, arrays = path.read_bytes(), load_file(path)
    assert arrays.keys() == ARRAYS.keys() | {"checksum"}
    assert arrays["checksum"].tobytes() == content[-8:] == core.crc64(content[:-8]).to_bytes(8, "big")


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "model"
    write_model(path, HEADER, ARRAYS)
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            read_model(path)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write_model(tmp_path / "a", HEADER, ARRAYS)
    write_model(tmp_path / "b", dict(reversed(HEADER.items())), ARRAYS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_permissions_follow_the_umask_and_the_file_replaced(tmp_path):
    path = tmp_path / "model"
    before = os.umask(0o027)
    try:
        write_model(path, HEADER, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        write_model(path, HEADER, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "model"
    write_model(path, HEADER, ARRAYS)
    content = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mercer.io.os, "replace", fail)
    with pytest.raises(ModelFileError, match="model: the disk is full"):
        write_model(path, {"kind": "other"}, {})
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["model"]


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mercer.io.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path / "model", HEADER, ARRAYS)
    assert os.listdir(tmp_path) == []


def test_headers_hold_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_model(tmp_path / "model", {"a": float("nan")}, {})
    assert os.listdir(tmp_path) == []


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ModelFileError, match="cannot write this file"):
        write_model(tmp_path / "no" / "model", HEADER, {})


def test_missing_file_and_folder(tmp_path):
    for path, message in ((tmp_path / "none", "no such model file"), (tmp_path, "folder")):
        with pytest.raises(ModelFileError, match=message):
            read_model(path)


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "model"
    write_model(path, HEADER, ARRAYS)
    content = path.read_bytes()
    for size in (0, 1, 7, 8, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ModelFileError, match="truncated"):
            read_model(path)


@pytest.mark.parametrize("content", [b"not a model at all", b"\x80\x04\x95pickle", b"PK\x03\x04" * 30, b"\xff" * 64])
def test_foreign_files(tmp_path, content):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a mercer model"):
        read_model(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_another_program(tmp_path, metadata):
    path = tmp_path / "model"
    save_file({"a": np.zeros(2)}, path, metadata)
    with pytest.raises(ModelFileError, match="another program"):
        read_model(path)


def written(path, **changes):
    """A file as format 1 had it, without a checksum."""
    metadata = {
        "format": FORMAT,
        "format_version": 1,
        "mercer_version": "9.8",
        "header": HEADER,
        **changes,
    }
    save_file({"a": np.zeros(2)}, path, {"mercer": json.dumps({k: v for k, v in metadata.items() if v != "absent"})})
    return path


def test_newer_format_says_which_version_to_install(tmp_path):
    path = written(tmp_path / "model", format_version=FORMAT_VERSION + 1)
    with pytest.raises(ModelFileError, match=r"written by mercer 9\.8 in format 3.*reads up to format 2.*mercer>=9\.8"):
        read_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "absent"},
        {"format": "other"},
        {"format_version": "one"},
        {"format_version": 0},
        {"format_version": True},
        {"format_version": 2},  # has a checksum
        {"mercer_version": 1},
        {"mercer_version": "1" * 1000},
        {"mystery": 1},
        {"format_version": "absent"},
        {"mercer_version": "absent"},
        {"header": "absent"},
        {"header": []},
    ],
)
def test_damaged_headers(tmp_path, changes):
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(written(tmp_path / "model", **changes))


def test_damaged_json(tmp_path):
    save_file({"a": np.zeros(2)}, tmp_path / "model", {"mercer": "{"})
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(tmp_path / "model")


def test_numbers_that_are_not_finite(tmp_path):
    for value in (np.nan, np.inf, -np.inf):
        write_model(tmp_path / "model", HEADER, {"a": np.array([1.0, value])})
        with pytest.raises(ModelFileError, match="array a holds numbers that are not finite"):
            read_model(tmp_path / "model")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint64, bool])
def test_numbers_of_other_types(dtype, tmp_path):
    write_model(tmp_path / "model", HEADER, {"a": np.zeros(3, dtype)})
    with pytest.raises(ModelFileError, match=r"expected F64, I64 or I32|checksum is not 8 bytes at the end"):
        read_model(tmp_path / "model")


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "1e999", "[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000]
)
def test_headers_that_no_json_reader_should_take(literal, tmp_path):
    text = f'{{"format": "{FORMAT}", "format_version": 1, "mercer_version": "1", "header": {{"kind": {literal}}}}}'
    header = json.dumps({"__metadata__": {"mercer": text}}).encode()
    (tmp_path / "model").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(tmp_path / "model")


def test_a_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="no such model file"):
        read_model(tmp_path / "pipe")
    with pytest.raises(RuntimeError, match="no such model file"):
        core.Potential.load(str(tmp_path / "pipe"))


def test_names_of_files_in_any_encoding(tmp_path):
    write_model(tmp_path / "model", HEADER, ARRAYS)
    path = (tmp_path / "model").rename(tmp_path / os.fsdecode(b"m\xf6del"))
    assert read_model(path)[0] == HEADER
    path.write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="not a mercer model"):
        read_model(path)


def test_this_format_of_another_version_is_read(tmp_path):
    header, arrays, version = read_model(written(tmp_path / "model"))
    assert (header, list(arrays), version) == (HEADER, ["a"], "9.8")
