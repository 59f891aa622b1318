"""What a command shows while it runs: stages with times, progress with rate and time left, and the log of the same."""

import contextlib
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

#: Where there is no terminal, a line of progress is written this often (seconds).
LOG_INTERVAL = 10.0


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
        self.console = console or Console(highlight=False, soft_wrap=None)
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
    """Counts pieces, so that the rate can be told at the end."""

    def __init__(self, name):
        self.name, self.started, self.updated = name, time.perf_counter(), time.perf_counter()
        self.label, self.done, self.total = name, 0, None

    def update(self, label, done, total):
        if label != self.label:
            self.started = self.updated  # the piece that is reported now began with the last report
        self.label, self.done, self.total = label, done, total
        self.updated = time.perf_counter()
        self.show()

    def rate(self):
        return ""

    def speed(self):
        elapsed = time.perf_counter() - self.started
        return self.done / elapsed if elapsed > 0 else 0.0

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
        label = self.name if self.label == self.name else f"{self.name}: {self.label}"
        self.bar.update(
            self.task, description=label, completed=self.done, total=self.total, speed=f"{self.speed():.3g}/s"
        )

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()


class _Lines(_Reporter):
    """A line of text now and then, for files and pipes."""

    def __init__(self, session, name):
        super().__init__(name)
        self.session, self.last = session, time.perf_counter()

    def show(self):
        now = time.perf_counter()
        if now - self.last < LOG_INTERVAL:
            return
        self.last = now
        speed = self.speed()
        left = (self.total - self.done) / speed if speed > 0 and self.total else 0.0
        self.session.say(f"    {self.label}: {self.done}/{self.total}, {speed:.3g}/s, {seconds(left)} left")
