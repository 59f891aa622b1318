"""A look through extended XYZ before ASE reads it, for mistakes that its reader takes for something else.

ASE's reader loops over the number of atoms that a frame claims, ends at the first empty line, keeps the last of two
equal keys, and knows the symbols of elements only.
"""

import re
from collections import Counter
from itertools import islice

from ase.data import atomic_numbers

from mercer.errors import DataError

#: Quoted values, and values in brackets, of a comment line.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\{[^}]*\}|\[[^\]]*\]')


def scan(file, path):
    """Look through an open text file of extended XYZ.

    Parameters
    ----------
    file : text file
        At its beginning; at its end afterwards.
    path : str or Path
        Name of the file in messages.

    Raises
    ------
    DataError
        For a number of atoms that is none, or that the file does not hold; for frames after an empty line; for a key or
        a column that occurs twice with different values; for species that are no elements. Names file, frame and line.
    """
    frame, line_number = 0, 0
    while header := file.readline():
        line_number += 1
        where = f"{path}, frame {frame}"
        if not header.strip():
            rest = next((k for k, line in enumerate(file, line_number + 1) if line.strip()), None)
            if rest is not None:
                raise DataError(
                    f"{where}: line {line_number} is empty where the number of atoms of the frame is expected, but the "
                    f"file goes on in line {rest}; take the empty line out"
                )
            return
        if frame and header.lstrip().startswith("VEC"):  # cell vectors after the atoms
            continue
        n_atoms = _count(header, f"{where}: cannot be read (line {line_number}")
        comment = file.readline()
        _check_comment(comment, where, line_number + 1)
        lines = list(islice(file, min(n_atoms, 1_000_000)))
        rest = sum(1 for _ in islice(file, n_atoms - len(lines))) if len(lines) == 1_000_000 else 0
        if len(lines) + rest < n_atoms:
            raise DataError(
                f"{where}: cannot be read (line {line_number} says {n_atoms} atoms, but the file ends after "
                f"{len(lines) + rest} of them)"
            )
        _check_atoms(lines, comment, where, line_number + 2)
        line_number += 1 + n_atoms
        frame += 1


def _count(header, where):
    text = header.strip()
    if not text.isascii() or not text.isdigit():
        raise DataError(f"{where} is {text[:40]!r}, expected a number of atoms)")
    if len(text) > 15:
        raise DataError(f"{where} says {text[:20]}... atoms)")
    return int(text)


def _check_comment(comment, where, line_number):
    """Keys of a comment line that come twice."""
    quoted = iter(_QUOTED.findall(comment))
    plain = _QUOTED.sub("\x00", comment)
    parts = [part.partition("=") for part in re.sub(r"\s*=\s*", "=", plain).split()]
    if comment.replace('\\"', "").count('"') % 2:
        raise DataError(f"{where}: a quote in line {line_number} has no other end, so that keys are lost; close it")
    values = {}
    for key, _, value in parts:
        full = re.sub("\x00", lambda _: next(quoted, ""), f"{key}={value}")
        key, _, value = full.partition("=")
        if values.setdefault(key, value) != value:
            raise DataError(
                f"{where}: {key} is there twice in line {line_number}, with different values; take one of them out"
            )
    if "pbc" in values:
        _check_pbc(values["pbc"], f"{where}: pbc in line {line_number}")
    if values.get("Properties", "-") in ("", '""', "''"):
        raise DataError(
            f"{where}: Properties in line {line_number} is empty; expected species:S:1:pos:R:3 and the like"
        )
    columns = values.get("Properties", "").strip("\"'").split(":")[::3]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(f"{where}: the column {twice[0]} is declared twice in Properties (line {line_number})")


def _check_pbc(value, where):
    """Anything that ASE's reader would take for three times true."""
    words = value.strip("\"'[]{}").replace(",", " ").split()
    if len(words) not in (1, 3) or not all(word.lower() in ("t", "f", "true", "false", "0", "1") for word in words):
        raise DataError(f'{where} is {value[:60]}; expected three of T and F, such as pbc="T T F"')


def _columns(comment):
    """(place of the column of species or None, number of columns or None where they are not declared)"""
    match = re.search(r"Properties\s*=\s*[\"']?([^\s\"']+)", comment)
    if not match:
        return 0, None
    fields = match[1].split(":")
    species, n_columns = None, 0
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if name in ("species", "symbols") and kind == "S" and species is None:
            species = n_columns
        n_columns += int(width) if width.isdigit() else 1
    return None if {"Z", "numbers"} & set(fields[::3]) else species, n_columns


def _check_atoms(lines, comment, where, line_number):
    """Lines with more or fewer words than columns, which would move numbers from one to the next; species that are no
    symbols, such as labels of atoms and numbers in a column of text."""
    column, n_columns = _columns(comment)
    known = set()
    for atom, line in enumerate(lines):
        words = line.split()
        if n_columns is not None and len(words) != n_columns:
            raise DataError(
                f"{where}, atom {atom}: {len(words)} columns in line {line_number + atom}, but Properties declares "
                f"{n_columns}"
            )
        species = words[column] if column is not None and len(words) > column else None
        if species is None or species in known:
            continue
        if species.capitalize() not in atomic_numbers or species.capitalize() == "X":
            raise DataError(f"{where}, atom {atom}: {species!r} is no symbol of an element{_meant(species)}")
        known.add(species)


def _meant(species):
    if species.isdigit():
        symbol = {number: name for name, number in atomic_numbers.items()}.get(int(species))
        hint = f" (write {symbol}" if symbol and symbol != "X" else " (write the symbol"
        return f"{hint}, or declare the column as Z:I:1 if it holds atomic numbers)"
    letters = re.match(r"[A-Za-z]{1,2}", species)
    for name in (letters[0], letters[0][:1]) if letters else ():
        if name.capitalize() in atomic_numbers and name.capitalize() != "X":
            return f" (write {name.capitalize()} if that is meant; labels of atoms belong in a column of their own)"
    return ", such as Si"
