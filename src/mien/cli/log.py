"""What the library logs, as lines on stderr."""

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Show what is logged from level INFO on."""
    logger, lines = logging.getLogger("mien"), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
