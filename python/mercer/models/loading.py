"""`mercer.load`: a model from a file, whatever kind of model the file holds."""

from mercer._validation import check_path
from mercer.errors import ModelFileError
from mercer.io import read_model
from mercer.models.gap import load_gap
from mercer.models.potential import Potential
from mercer.models.potential_file import potential_from_file


def load(path, *, baseline=None):
    """Read a model.

    Parameters
    ----------
    path : path-like
        A file that `Potential.save` wrote, or the XML file of a published GAP potential with its sparse files beside
        it; the content decides, not the name.
    baseline : optional
        As given to `Potential`; needed where it was an ASE calculator, which a file cannot hold.

    Returns
    -------
    Potential
        Fitted; it predicts bit for bit what the saved one did. One from a GAP file has no standard deviations.

    Raises
    ------
    ModelFileError
        For a missing, truncated, damaged or foreign file, one in a newer format, and one with parts that are missing,
        out of their range, or unknown to this version. For GAP files, everything that is not read is refused by name.
    """
    path = check_path(path)
    if _starts_with_xml(path):
        potential = load_gap(Potential, path)
        potential.path_ = str(path.resolve())
        return potential
    header, arrays, version = read_model(path)
    if header.get("kind") != "potential":
        raise ModelFileError(
            f"{path}: holds a {header.get('kind')!r}, written by mercer {version}; expected a potential"
        )
    potential = potential_from_file(Potential, path, header, arrays, version, baseline)
    potential.path_ = str(path.resolve())
    return potential


def _starts_with_xml(path):
    try:
        with open(path, "rb") as file:
            return file.read(64).lstrip().startswith(b"<")
    except OSError:
        return False  # read_model says what is wrong
