"""A bar on stderr for commands that go through many things."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def progress_bar(total: int, title: str) -> Iterator[tuple[Callable[[str], Any], Callable[..., None]]]:
    """A bar on stderr where that is a terminal; gives a function to print results and one to advance."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=True) as bar:
        task = bar.add_task(title, total=total)

        def show(text: str) -> None:
            if sys.stdout.isatty():  # the same terminal: the line must go above the bar
                console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, flush=True)

        def advance(done: int | None = None) -> None:
            if done is None:
                bar.advance(task)
            else:
                bar.update(task, completed=done)

        yield show, advance
