"""Files that are whole at every moment: written under another name beside their place, then moved into it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Another name in the folder of a file, to write to; it becomes the file when the block ends.

    A block that raises leaves the old file, or none. A kill, or power that fails, leaves the old file or the new one.
    """
    temporary = file.with_name(f"part-{file.name}")
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(temporary, file)
