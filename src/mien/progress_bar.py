"""Progress on stderr: a live bar on a terminal; elsewhere, as in a log, a plain line every 30 seconds."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0
COUNT, SECONDS, SECONDS_DONE, NO_COUNT = "{n_fmt}/{total_fmt}", "{n:.0f}/{total:.0f} s", "{n:.0f} s", ""
"""How much is done: of things, of seconds, of an unknown number of seconds; or only the time left."""


class ProgressBar:
    """How far a piece of work has come, and how long the rest of it takes at the pace so far.

    total: of things or seconds; None where unknown. title: what is done, or a function that says it whenever the bar is
    drawn. count: one of COUNT, SECONDS, SECONDS_DONE, NO_COUNT. There is no bar for a single thing.
    """

    def __init__(self, total: float | None, title: str | Callable[[], str], count: str = COUNT) -> None:
        single = count == COUNT and total is not None and total < 2
        self._live = sys.stderr.isatty() and not single
        left = [] if total is None else ["{left} left"]
        kind, parts = (_Bar, ["{desc}", "{bar}", count, *left]) if self._live else (_Lines, ["{desc}", count, *left])
        self._bar = kind(
            title if callable(title) else lambda: title,
            total=total,
            bar_format=("  " if kind is _Lines else " ").join(part for part in parts if part),
            mininterval=0.1 if self._live else SECONDS_BETWEEN_LINES,
            delay=0 if self._live else SECONDS_BETWEEN_LINES,
            miniters=0,
            smoothing=0,
            ncols=79,
            nrows=9,
            leave=False,
            file=sys.stderr,
            disable=single,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def advance(self, done: float | None = None) -> None:
        """One more is done, or so much of the total in all."""
        self._bar.update(1 if done is None else min(done, self._bar.total or done) - self._bar.n)

    @property
    def pace_s(self) -> float | None:
        """Seconds for one thing, on average so far; None before the first."""
        pace_s: float | None = self._bar.pace_s
        return pace_s

    def show(self, text: str) -> None:
        """Print a line of results to stdout, above the bar."""
        with standard_output():
            self._print(text, sys.stdout)

    def tell(self, text: str) -> None:
        """Print a line for people to stderr, above the bar; it stays."""
        self._print(text, sys.stderr)

    def _print(self, text: str, stream: Any) -> None:
        if self._live:
            tqdm.write(text, file=stream)
        else:
            print(text, file=stream)
        stream.flush()


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """An OSError of printing, as of a full disk or after `| head`, has a name; then nothing more is written there."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or "standard output"
        with open(os.devnull, "w") as nothing, contextlib.suppress(OSError, ValueError):
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        raise


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class _Bar(tqdm):  # type: ignore[misc]
    """A bar whose title is asked for each time that it is drawn, and which tells the time left in words."""

    disable: bool
    monitor_interval = 0  # no thread beside: what makes no progress is not drawn

    def __init__(self, title: Callable[[], str], **options: Any) -> None:
        self._title = title
        super().__init__(**options)

    @property
    def pace_s(self) -> float | None:
        done = self.n - self.initial
        return super().format_dict["elapsed"] / done if done else None

    @property
    def format_dict(self) -> dict[str, Any]:
        pace_s = self.pace_s
        left = "?" if self.total is None or pace_s is None else duration(pace_s * (self.total - self.n))
        return {**super().format_dict, "prefix": self._title(), "left": left}


class _Lines(_Bar):
    """The same as lines that stay, without control characters."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        print(str(self) if msg is None else msg, file=self.fp)
        self.fp.flush()

    def close(self) -> None:
        if not self.disable:
            self.disable = True
            self._decr_instances(self)
