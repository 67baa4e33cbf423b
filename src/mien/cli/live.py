"""Bars that move in the terminal while a camera runs."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import click

from mien.video.tracking import TrackedFace

WIDTH = 30
REDRAWN_AFTER_S = 1 / 15


@contextlib.contextmanager
def live_bars() -> Iterator[Callable[[Sequence[TrackedFace]], None]]:
    """A function that shows the people of a frame; on a stream that is no terminal, a line for each change."""
    if not sys.stderr.isatty():
        yield _changes()
        return
    shown, drawn_s = 0, 0.0

    def draw(lines: list[str]) -> None:
        nonlocal shown
        above = f"\x1b[{shown}A" if shown else ""
        click.echo(f"{above}\r\x1b[J" + "".join(f"{line}\n" for line in lines), nl=False, err=True)
        shown = len(lines)

    def show(faces: Sequence[TrackedFace]) -> None:
        nonlocal drawn_s
        if time.monotonic() - drawn_s >= REDRAWN_AFTER_S:
            drawn_s = time.monotonic()
            columns, rows = shutil.get_terminal_size()
            draw([line[: columns - 1] for line in bars(faces).splitlines()[: rows - 1]])

    try:
        yield show
    finally:
        draw([])


def _changes() -> Callable[[Sequence[TrackedFace]], None]:
    shown: dict[int, str] = {}

    def tell(faces: Sequence[TrackedFace]) -> None:
        for each in faces:
            if shown.get(each.person) != each.expression:
                shown[each.person] = each.expression
                print(f"person {each.person}: {each.expression}", file=sys.stderr, flush=True)

    return tell


def bars(faces: Sequence[TrackedFace]) -> str:
    """The smoothed scores of each person as text; the strongest first."""
    lines = []
    for each in faces:
        lines.append(f"person {each.person}")
        for name, score in sorted(each.scores.items(), key=lambda item: -item[1]):
            lines.append(f"  {name:<10} {'█' * round(score * WIDTH):<{WIDTH}} {score:4.0%}")
    return "\n".join(lines) or "no face"
