"""What a command shows while it runs: stages with times, progress with rate and time left, and the log of the same."""

import codecs
import contextlib
import errno
import os
import sys
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

#: Where there is no terminal, a line of progress is written this often (seconds).
LOG_INTERVAL = 10.0


class Stopped(Exception):
    """A command that the user has stopped, and that keeps what it has done: the message says what is where."""


#: How characters are written that an encoding lacks.
_PLAIN = {"Å": "A", "±": "+-", "×": "x", "—": "-", "–": "-", "─": "-", "━": "-", "│": "|", "…": "...", "≥": ">="}


def _plainly(error):
    """Error handler of encodings: the nearest plain characters."""
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("mercer", _plainly)


class _Screen(Console):
    """A console that outlives its screen: work goes on when nobody reads, or the device is full."""

    #: What the first attempt failed with that could not be written, of any screen of this process.
    problem = None

    def on_broken_pipe(self):
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")

    def print(self, *objects, **options):
        if self.problem is not None:
            return
        with contextlib.suppress(AttributeError, OSError, ValueError):  # not a text file that can be changed
            if sys.stdout.errors == "strict":
                sys.stdout.reconfigure(errors="mercer")
        try:
            super().print(*objects, **options)
            self.file.flush()
        except (OSError, ValueError) as error:  # ValueError: a closed file
            self.give_up(error)

    def give_up(self, error):
        """Write nowhere from now on; else Python would try again at its end."""
        _Screen.problem = error
        if self.file is sys.stdout:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")


def screen_problem(reset=False):
    """Why the screen could not be written to, or None; nobody reading any more is no problem."""
    problem = _Screen.problem
    if reset:
        _Screen.problem = None
    return None if isinstance(problem, BrokenPipeError) else problem


class Session:
    """Screen and log of one command.

    Parameters
    ----------
    quiet : bool
        Show warnings only.
    console : rich.console.Console, optional

    Attributes
    ----------
    times : dict
        Seconds per stage, in the order of the run.
    """

    def __init__(self, quiet=False, console=None):
        self.console = console or _Screen(highlight=False, soft_wrap=None)
        self.quiet = quiet
        self.times = {}
        self._log = None
        self._waiting = []
        self._progress = None

    def open_log(self, path):
        """Write everything said so far, and from now on, into a text file too."""
        self._log = Console(file=open(path, "w", encoding="utf-8"), width=110, highlight=False, no_color=True)
        for objects in self._waiting:
            self._log.print(*objects, markup=False, soft_wrap=True)
        self._waiting = []

    def close_log(self):
        """Close the log file, if there is one."""
        if self._log is not None:
            self._log.file.close()
            self._log = None

    def say(self, *objects, style=None):
        """Show text or a table, and log it."""
        if not self.quiet:
            plain = all(isinstance(o, str) for o in objects)
            self.console.print(*objects, style=style, markup=False, soft_wrap=plain)
        self.log(*objects)

    def warn(self, text):
        """Show and log a warning, also when quiet."""
        self.console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
        self.log(f"warning: {text}")

    def log(self, *objects):
        """Only log."""
        if self._log is None:
            self._waiting.append(objects)
        else:
            self._log.print(*objects, markup=False, soft_wrap=all(isinstance(o, str) for o in objects))
            self._log.file.flush()

    @contextlib.contextmanager
    def stage(self, name):
        """Time a stage; inside it, :meth:`progress` shows how far it is."""
        start = time.perf_counter()
        live = self.console.is_terminal and not self.quiet
        reporter = _Bar(self.console, name) if live else _Lines(self, name)
        outer, self._progress = self._progress, reporter
        try:
            with reporter:
                yield reporter
        finally:
            self._progress = outer
            self.times[name] = self.times.get(name, 0.0) + time.perf_counter() - start
        self.say(f"  {name + ' ':.<34s} {seconds(self.times[name]):>8s}{reporter.rate()}")

    def progress(self, stage, done, total):
        """Callback of fits and predictions: `done` of `total` pieces of `stage`."""
        if self._progress is not None:
            self._progress.update(stage, done, total)


def seconds(value):
    """A duration for people: 0.21 s, 12.3 s, 4 min 05 s."""
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


class _Reporter:
    """Counts the pieces of a stage, for the rate and the time left."""

    def __init__(self, name):
        self.name, self.label = name, name
        self.done, self.total = 0, None
        self.first = self.start = time.perf_counter()
        self.skipped = 0

    def update(self, label, done, total):
        if label != self.label or done < self.done:
            self.first, self.skipped = time.perf_counter(), done  # the rate counts from the first report of a label
        self.label, self.done, self.total = label, done, total
        self.show()

    def speed(self):
        """Pieces per second; 0 while unknown."""
        elapsed = time.perf_counter() - self.first
        return (self.done - self.skipped) / elapsed if elapsed > 0 else 0.0

    def rate(self):
        """What the line at the end of the stage says beside the time."""
        speed = self.speed()
        return f"  ({self.total} {self.label})" if speed and self.label in ("frames", "fits") else ""

    def title(self):
        return self.name if self.label == self.name else f"{self.name}: {self.label}"

    def show(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class _Bar(_Reporter):
    """A live bar on a terminal."""

    def __init__(self, console, name):
        super().__init__(name)
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task(name, total=None, speed="")

    def show(self):
        speed = self.speed()
        text = f"{speed:.3g}/s" if speed else ""
        self.bar.update(self.task, description=self.title(), completed=self.done, total=self.total, speed=text)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()


class _Lines(_Reporter):
    """A line of text every few seconds, for files and pipes, written by a thread: the stage may be deep in the core."""

    def __init__(self, session, name):
        super().__init__(name)
        self.session = session
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._tell, daemon=True)

    def _tell(self):
        while not self.ended.wait(LOG_INTERVAL):
            self.session.say(f"    {self.title()}{self.state()}, {seconds(time.perf_counter() - self.start)} so far")

    def state(self):
        """How far it is, with rate and time left where they are known."""
        if not self.total or self.done == self.total:
            return ""
        speed = self.speed()
        text = f" {self.done}/{self.total}"
        return text + (f", {speed:.3g}/s, {seconds((self.total - self.done) / speed)} left" if speed else "")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()
