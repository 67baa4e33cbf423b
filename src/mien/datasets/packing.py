"""FER2013 and FERPlus packed into one parquet file: a fifth of the csv's size, read in seconds."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.atomic import replacing
from mien.datasets.fer2013 import VOTES_FILE, FerTable, read_table
from mien.errors import DatasetError, MissingExtraError
from mien.expressions import FERPLUS_VOTES
from mien.preprocessing import ImageArray

FIRST_COLUMNS = ("row", "usage", "emotion", "image")
LAST_COLUMNS = ("row_exact", "label_row_exact")


def pack_fer2013(root: Path, out: Path) -> int:
    """Write the packed parquet from the Kaggle csv and `fer2013new.csv` beside it; returns the number of rows.

    root: the csv or the folder with both. The columns are those that `--dataset fer2013` and `ferplus` read.
    """
    pyarrow, parquet = _pyarrow()
    if root.suffix == ".parquet":
        raise DatasetError(f"{root}: expected the Kaggle csv (with {VOTES_FILE} beside it), found a parquet")
    table = read_table(root, "all", with_votes=True)
    columns = _columns(table)
    with replacing(out) as temporary:
        parquet.write_table(pyarrow.table(columns), temporary, compression="none", row_group_size=4096)
    return len(table.row)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("packing needs pyarrow; install it with: pip install 'mien[train]'") from error
    return pyarrow, parquet


def is_packed(file: Path) -> bool:
    """Whether a file is one that `pack_fer2013` wrote."""
    pyarrow, parquet = _pyarrow()
    try:
        found = parquet.read_schema(file).names
    except (pyarrow.ArrowException, OSError):
        return False
    return list(found) == [*FIRST_COLUMNS, *FERPLUS_VOTES, *LAST_COLUMNS]


def _columns(table: FerTable) -> dict[str, object]:
    import pyarrow

    assert table.votes is not None  # read_table was asked for them
    columns: dict[str, object] = {
        "row": pyarrow.array(table.row, pyarrow.int32()),
        "usage": pyarrow.array(list(table.usage), pyarrow.string()),
        "emotion": pyarrow.array(table.emotion, pyarrow.int8()),
        "image": pyarrow.array([_encode(image) for image in table.images], pyarrow.binary()),
    }
    for column, name in enumerate(FERPLUS_VOTES):
        columns[name] = pyarrow.array(np.ascontiguousarray(table.votes[:, column]), pyarrow.int8())
    columns["row_exact"] = pyarrow.array(np.ones(len(table.row), bool))
    columns["label_row_exact"] = pyarrow.array(_unambiguous(table))
    return columns


def _encode(image: ImageArray) -> bytes:
    """Lossless WebP of three equal channels; grey PNG for flat images, whose WebP some readers refuse."""
    grey = Image.fromarray(image[:, :, 0])
    stream = io.BytesIO()
    if image.min() == image.max():
        grey.save(stream, "PNG")
    else:
        grey.convert("RGB").save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def _unambiguous(table: FerTable) -> NDArray[np.bool_]:
    """(N,) False for images that stand in the same usage again with another emotion."""
    keys = [(usage, image.tobytes()) for usage, image in zip(table.usage, table.images, strict=True)]
    emotions: dict[tuple[str, bytes], set[int]] = {}
    for key, emotion in zip(keys, table.emotion.tolist(), strict=True):
        emotions.setdefault(key, set()).add(emotion)
    return np.array([len(emotions[key]) == 1 for key in keys])
