"""A bar on stderr for commands that go through many things."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

Bar = tuple[Callable[[str], Any], Callable[..., None]]


@contextlib.contextmanager
def progress_bar(total: int, title: str) -> Iterator[Bar]:
    """A bar on stderr where that is a terminal; gives a function to print results and one to advance."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    with _bar(total, "{desc} {bar} {n_fmt}/{total_fmt} {remaining}", title) as found:
        yield found


@contextlib.contextmanager
def seconds_bar(total_s: float | None, title: str) -> Iterator[Bar]:
    """The same for something that lasts about so many seconds, or unknown ones: those done, and the time left."""
    if not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    known = "{desc} {bar} {n:.0f}/{total:.0f} s {remaining}"
    with _bar(total_s, "{desc} {n:.0f} s {elapsed}" if total_s is None else known, title) as found:
        yield found


@contextlib.contextmanager
def _bar(total: float | None, form: str, title: str) -> Iterator[Bar]:
    from tqdm import tqdm
    from tqdm.contrib import DummyTqdmFile

    terminal = sys.stderr
    with (
        tqdm(total=total, desc=title, bar_format=form, ncols=79, nrows=2, leave=False, file=terminal) as bar,
        contextlib.redirect_stderr(DummyTqdmFile(terminal)),  # lines go above the bar
    ):

        def show(text: str) -> None:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

        def advance(done: float | None = None) -> None:
            bar.update(1 if done is None else min(done, bar.total or done) - bar.n)

        yield show, advance
