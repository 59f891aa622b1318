"""Where commands write: devices and pipes stay, one run at a time, nothing is left behind, full disks are told."""

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import ase.io
import mercer
import numpy as np
import pytest
from ase.build import bulk
from fitted_folder import fit_in
from mercer import _files
from mercer.cli import main
from mercer.cli._output import output_file, output_folder
from mercer.errors import DataError, ModelFileError

SMALL = ["--n-sparse", "8", "--r-cut", "3.5", "--threads", "1", "--quiet"]
SMALL += ["--set", "terms.0.descriptor.n_max=3", "--set", "terms.0.descriptor.l_max=2"]


def make(n=5, seed=0):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        atoms.info["REF_energy"] = -40.0 + float(rng.normal())
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return fit_in(tmp_path_factory.mktemp("fitted"), {"train.extxyz": make()}, "train.extxyz", *SMALL)


@pytest.fixture
def here(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("train.extxyz", "run"):
        (shutil.copytree if name == "run" else shutil.copy)(fitted / name, tmp_path / name)
    yield tmp_path
    mercer.set_num_threads(0)


def command(name, output):
    """A command line that writes `output`."""
    return {
        "predict": ["predict", "run/model.mercer", "train.extxyz", "-o", output, "-q"],
        "convert": ["convert", "run/model.mercer", output],
        "md": ["md", "run/model.mercer", "train.extxyz", "-o", output, "-n", "2", "-q"],
    }[name]


@pytest.mark.parametrize("name", ["predict", "convert", "md"])
def test_a_pipe_is_written_to_and_stays(here, name):
    os.mkfifo("pipe")
    got = []

    def read():
        with open("pipe", "rb") as pipe:
            got.append(pipe.read())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert main(command(name, "pipe")) == 0
    reader.join(20)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert main(command(name, "file")) == 0
    assert len(got[0]) == os.path.getsize("file") > 100
    assert not list(here.glob(".unfinished-*"))


@pytest.fixture
def device(here):
    """Paths of devices: root makes its own, lest a fault destroy those of the machine; others cannot replace these."""

    def path(name, minor):
        if os.geteuid() != 0:
            return f"/dev/{name}"
        try:
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            open(name, "wb").close()
        except OSError:
            pytest.skip("no devices can be made here")
        return name

    return path


@pytest.mark.parametrize("name", ["predict", "convert", "md"])
def test_a_device_is_written_to_and_stays(device, name):
    null = device("null", 3)
    assert main(command(name, null)) == 0
    assert stat.S_ISCHR(os.stat(null).st_mode)


def test_save_writes_into_a_device(device):
    null = device("null", 3)
    mercer.load("run/model.mercer").save(null)
    assert stat.S_ISCHR(os.stat(null).st_mode)


def test_a_terminal_is_written_to():
    master, slave = os.openpty()
    with _files.replacing(os.ttyname(slave)) as temporary:
        temporary.write_text("a line\n")
    assert os.read(master, 100).strip() == b"a line"
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("name", ["predict", "convert", "md"])
def test_a_full_device(device, capsys, name):
    full = device("full", 7)
    assert main(command(name, full)) == 1
    assert f"{full}: the disk is full; nothing was written" in capsys.readouterr().err


def test_results_on_standard_output(here):
    process = subprocess.run(
        [sys.executable, "-m", "mercer", *command("predict", "/dev/fd/1")], capture_output=True, text=True, check=True
    )
    assert process.stdout.count("mercer_energy=") == 5
    with open("out.extxyz", "w") as out:
        subprocess.run([sys.executable, "-m", "mercer", *command("predict", "/dev/fd/1")], stdout=out, check=True)
    assert len(ase.io.read("out.extxyz", ":")) == 5


def test_a_link_stays_and_leads_to_the_new_file(here):
    (here / "elsewhere").mkdir()
    for target in ("elsewhere/there", "elsewhere/not-there"):
        if target == "elsewhere/there":
            (here / target).write_text("before")
        os.symlink(target, "link")
        assert main(command("predict", "link")) == 0
        assert os.readlink("link") == target and len(ase.io.read(target, ":", format="extxyz")) == 5
        os.unlink("link")


@pytest.mark.parametrize("name", ["predict", "convert", "md"])
@pytest.mark.parametrize("kind", ["folder", "socket"])
def test_what_cannot_be_written_is_refused_before_any_work(here, capsys, monkeypatch, name, kind):
    monkeypatch.setattr(mercer, "load", None)  # would fail
    if kind == "folder":
        os.mkdir("there")
        assert main(command(name, "there")) == 1
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("there")
            assert main(command(name, "there")) == 1
    assert f"there: cannot write this file (it is a {kind if kind == 'folder' else 'disk or a socket'})" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["predict", "convert", "md"])
def test_the_model_itself_is_not_replaced(here, capsys, name):
    before = (here / "run/model.mercer").read_bytes()
    os.symlink("run/model.mercer", "link")
    for output in ("link", "run/../link", "run/model.mercer")[: 3 if name == "convert" else 2]:
        assert main(command(name, output)) == 1
        assert f"{output} is the model itself" in capsys.readouterr().err
    assert (here / "run/model.mercer").read_bytes() == before


def test_figures_appear_when_they_are_complete(here, monkeypatch):
    from matplotlib.figure import Figure
    from mercer.report import learning_curve_plot, save_figure

    save_figure(Figure(), "figure.pdf")
    save_figure(Figure(), "figure")
    assert (here / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert (here / "figure").read_bytes().startswith(b"\x89PNG")

    def full(self, path, format):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (here / "figure.png").write_bytes(b"earlier")
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(DataError, match=r"figure\.png: the disk is full"):
        learning_curve_plot("figure.png", [1, 2], {"MAE": [2.0, 1.0]})
    assert (here / "figure.png").read_bytes() == b"earlier"


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "train.extxyz", "-o", None],
        ["fit", "train.extxyz", "--set", "output=''"],
        ["predict", "run/model.mercer", "train.extxyz", "-o", None],
        ["evaluate", "run/model.mercer", "train.extxyz", "-o", None],
        ["demo", "-o", None],
        ["convert", "run/model.mercer", None],
        ["fit", None],
        ["fit", "train.extxyz", "--terms", None],
        ["fit", "train.extxyz", "--kernel", None],
        ["fit", "train.extxyz", "--representation", None],
        ["fit", "train.extxyz", "--baseline", None],
        ["fit", "train.extxyz", "--baseline=" + " "],
    ],
)
def test_empty_words(here, capsys, arguments, empty):
    before = sorted(here.rglob("*"))
    assert main([empty if word is None else word for word in arguments]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and ("empty" in err or "cannot be the name" in err or "at least 1 character" in err)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\udcff", "a/" * 1500, "x" * 5000])
def test_names_that_no_file_can_have(here, name):
    for use in (output_file, output_folder):
        with pytest.raises(DataError, match="cannot be the name"), use(name):
            pass


def test_two_runs_into_one_folder(here, capsys):
    with output_folder("run"):
        before = sorted(here.rglob("*"))
        assert main(["fit", "train.extxyz", "-o", "run", *SMALL]) == 1
        assert "run: another run of mercer writes into this folder" in capsys.readouterr().err
        assert main(["evaluate", "run/model.mercer", "train.extxyz", "-o", "run", "-q"]) == 1
        assert sorted(here.rglob("*")) == before
    assert main(["evaluate", "run/model.mercer", "train.extxyz", "-o", "run", "-q"]) == 0


def start_and_kill(code):
    """Run Python code that writes into "run" and waits; kill it without a warning once it has begun."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)


WRITE = (
    "import sys, time; from mercer.cli._output import output_file, output_folder\nwith {}: print('begun', flush=1); "
)


def test_what_a_killed_run_left_is_removed_by_the_next_one(here):
    start_and_kill(WRITE.format("output_folder('run')") + "time.sleep(60)")
    assert len(list((here / "run").glob(".unfinished-*"))) == 1
    assert main(["fit", "train.extxyz", "-o", "run", *SMALL]) == 0
    assert not list((here / "run").glob(".unfinished-*"))


def test_what_a_killed_prediction_left_is_removed_but_nothing_that_is_in_use(here):
    start_and_kill(WRITE.format("output_file('out.extxyz')") + "time.sleep(60)")
    (left,) = here.glob(".unfinished-*")
    with output_file("other.extxyz") as busy:
        busy.touch()
        for file in (left, busy):
            os.utime(file, (time.time() - 1000,) * 2)
        assert main(command("predict", "out.extxyz")) == 0
        assert not left.exists() and busy.exists()


def test_what_is_no_file_in_the_output_folder_is_told_before_the_fit(here, capsys):
    os.mkdir("run2")
    os.mkfifo("run2/model.mercer")
    assert main(["fit", "train.extxyz", "-o", "run2", *SMALL]) == 1
    assert "run2/model.mercer: not a regular file" in capsys.readouterr().err
    assert stat.S_ISFIFO(os.stat("run2/model.mercer").st_mode)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(
    "writer", ["mercer.cli._fit.write_parity", "mercer.io.os.fsync", "mercer.report.write_metrics"]
)
def test_a_full_disk(here, capsys, monkeypatch, writer, number):
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}

    def full(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(writer, full)
    assert main(["fit", "train.extxyz", "-o", "run", "--seed", "3", *SMALL]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: run: ") and "nothing was written, earlier results are as they were" in err
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir()} == before


def test_saving_on_a_full_disk(here, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    potential = mercer.load("run/model.mercer")
    before = (here / "run/model.mercer").read_bytes()
    monkeypatch.setattr("mercer.io.os.fsync", full)
    with pytest.raises(ModelFileError, match=r"run/model\.mercer: the disk is full"):
        potential.save("run/model.mercer")
    assert (here / "run/model.mercer").read_bytes() == before
    assert not list((here / "run").glob(".unfinished-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file(here, capsys):
    (here / "out").write_text("kept")
    os.chmod("out", 0o444)
    assert main(command("predict", "out")) == 1
    assert "read-only" in capsys.readouterr().err and (here / "out").read_text() == "kept"


def test_permissions_of_a_file_stay(here):
    (here / "out").write_text("before")
    os.chmod("out", 0o640)
    assert main(command("predict", "out")) == 0
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        assert main(command("convert", "new")) == 0
        assert stat.S_IMODE(os.stat("new").st_mode) == 0o640
    finally:
        os.umask(mask)


def test_an_interruption_says_what_had_been_written(here, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("mercer.cli._fit.write_parity", stop)
    assert main(["fit", "train.extxyz", "-o", "run", *SMALL]) == 130
    assert capsys.readouterr().err == "error: interrupted; nothing was written, earlier results are as they were\n"
    monkeypatch.setattr("mercer.cli._demo.run_fit", stop)
    assert main(["demo", "--n-frames", "20", "-o", "alloys", "-q"]) == 130
    assert capsys.readouterr().err == "error: interrupted; alloys/ had been written\n"
