"""Reading packed parquet files, with errors that say what is missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import DatasetError, MissingExtraError

if TYPE_CHECKING:
    from pyarrow import Table


def read_parquet(
    file: Path, columns: Sequence[str] | None, expected: str, filters: list[tuple[str, str, list[str]]] | None = None
) -> "Table":
    """The columns of a parquet file, all with None; DatasetError says what was `expected` where it cannot be read."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(f"{file}: parquet needs pyarrow; install it with: pip install 'mien[train]'") from error
    try:
        return parquet.read_table(file, columns=columns and list(columns), filters=filters)
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{file}: expected {expected}: {str(error).splitlines()[0]}") from error
