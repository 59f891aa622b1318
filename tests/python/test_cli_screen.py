"""What has been computed is kept, whatever happens to the screen."""

import os
import subprocess
import sys

import mercer
import pytest
from mercer.demo import make_frames
from mercer.structures import write_frames

SMALL = ["--set", "terms.0.n_sparse=20", "--set", "terms.0.descriptor.n_max=3"]
FILES = {"model.mercer", "config.yaml", "fit.log", "metrics.json", "parity.png", "parity_forces.png"}


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    path = tmp_path_factory.mktemp("screen") / "train.extxyz"
    write_frames(path, make_frames(12))
    return path


def shell(command, train, tmp_path, **environment):
    """Run a line of bash in which MERCER is the command, FIT a small fit."""
    fit = f"MERCER fit {train} -o run -j 1 {' '.join(SMALL)}"
    line = command.replace("FIT", fit).replace("MERCER", f"{sys.executable} -m mercer")
    options = {"cwd": tmp_path, "env": os.environ | environment, "capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], encoding="ascii", errors="replace", **options)


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("FIT | head -1", 0, ""),
        ("FIT >&-", 0, ""),
        (
            "FIT > /dev/full",
            1,
            "could not be shown (No space left on device); files that were to be written are complete",
        ),
    ],
    ids=["pipe", "closed", "full"],
)
def test_a_fit_is_kept_when_its_table_cannot_be_printed(command, status, message, train, tmp_path):
    done = shell(command, train, tmp_path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert {file.name for file in (tmp_path / "run").iterdir()} >= FILES
    assert mercer.load(tmp_path / "run/model.mercer").fit_report_["n_training_frames"] == 12
    assert "meV/Å" in (tmp_path / "run/fit.log").read_text(encoding="utf-8")


def test_characters_that_a_terminal_lacks_are_written_plainly(train, tmp_path):
    done = shell("FIT", train, tmp_path, PYTHONIOENCODING="ascii", COLUMNS="100")
    assert done.returncode == 0, done.stderr
    assert "meV/A" in done.stdout and "?" not in done.stdout


def test_output_that_is_nowhere_else_is_missed(train, tmp_path):
    done = shell("MERCER info " + str(train) + " > /dev/full", train, tmp_path)
    assert done.returncode == 1 and "could not be shown" in done.stderr
