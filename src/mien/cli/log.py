"""What the library logs, as lines on stderr."""

import contextlib
import logging
import sys
from collections.abc import Iterator


class _Lines(logging.Handler):
    """A line a record; on a terminal, one that is `live` is written over by the next one."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal
        self.unfinished = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not self._terminal:
            print(text, file=sys.stderr, flush=True)
            return
        self.unfinished = getattr(record, "live", False)
        print(f"\r\x1b[K{text}", end="" if self.unfinished else "\n", file=sys.stderr, flush=True)


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Show what is logged; on a terminal also the live lines that are logged for debugging elsewhere."""
    logger, terminal = logging.getLogger("mien"), sys.stderr.isatty()
    lines, level = _Lines(terminal), logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG if terminal else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
        if lines.unfinished:
            print(file=sys.stderr)
