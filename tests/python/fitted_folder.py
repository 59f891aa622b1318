"""A folder in which the command line has fitted a model, for tests that read what it wrote."""

import ase.io
import mercer
import pytest
from mercer.cli import main


def fit_in(folder, files, *arguments):
    """Write `files`, {name: frames}, into `folder`, run ``mercer fit`` there, and give the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, frames in files.items():
            ase.io.write(name, frames)
        assert main(["fit", *arguments, "-o", "run", "--quiet"]) == 0
    mercer.set_num_threads(0)
    return folder
