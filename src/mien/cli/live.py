"""Bars that move in the terminal while a camera runs."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from mien.tracking import TrackedFace

WIDTH = 30


@contextlib.contextmanager
def live_bars() -> Iterator[Callable[[Sequence[TrackedFace]], None]]:
    """A function that shows the people of a frame; on a stream that is no terminal, a line for each change."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(stderr=True), refresh_per_second=15, transient=True) as live:
            yield lambda faces: live.update(Text(bars(faces)))
        return
    shown: dict[int, str] = {}

    def tell(faces: Sequence[TrackedFace]) -> None:
        for each in faces:
            if shown.get(each.person) != each.expression:
                shown[each.person] = each.expression
                print(f"person {each.person}: {each.expression}", file=sys.stderr, flush=True)

    yield tell


def bars(faces: Sequence[TrackedFace]) -> str:
    """The smoothed scores of each person as text; the strongest first."""
    lines = []
    for each in faces:
        lines.append(f"person {each.person}")
        for name, score in sorted(each.scores.items(), key=lambda item: -item[1]):
            lines.append(f"  {name:<10} {'█' * round(score * WIDTH):<{WIDTH}} {score:4.0%}")
    return "\n".join(lines) or "no face"
