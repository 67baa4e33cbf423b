"""A bar on stderr for commands that go through many things."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


Bar = tuple[Callable[[str], Any], Callable[..., None]]


@contextlib.contextmanager
def progress_bar(total: int, title: str) -> Iterator[Bar]:
    """A bar on stderr where that is a terminal; gives a function to print results and one to advance."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    with _bar(total, TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as found:
        yield found


@contextlib.contextmanager
def seconds_bar(total_s: float | None, title: str) -> Iterator[Bar]:
    """The same for something that lasts so many seconds, or unknown ones: how many are done, and the time left."""
    if not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    done = TextColumn("{task.completed:.0f} s" if total_s is None else "{task.completed:.0f}/{task.total:.0f} s")
    time = TimeElapsedColumn() if total_s is None else TimeRemainingColumn()
    with _bar(total_s, TextColumn(title), BarColumn(), done, time) as found:
        yield found


@contextlib.contextmanager
def _bar(total: float | None, *columns: "ProgressColumn") -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=True) as bar:
        task = bar.add_task("", total=total)

        def show(text: str) -> None:
            if sys.stdout.isatty():  # the same terminal: the line must go above the bar
                console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, flush=True)

        def advance(done: float | None = None) -> None:
            if done is None:
                bar.advance(task)
            else:
                bar.update(task, completed=done)

        yield show, advance
