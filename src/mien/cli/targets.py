"""Files and folders that commands write to: refused, before anything is opened, where something would be lost."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.cli.csv_files import LABEL_COLUMNS, PERSON_COLUMNS, PICTURE_COLUMNS
from mien.errors import MienError, OutputError
from mien.picture_files import PICTURE_SUFFIXES, VIDEO_SUFFIXES, WRITABLE_VIDEO_SUFFIXES
from mien.signature import is_signed


@dataclass(frozen=True)
class Kind:
    """What is written to a target."""

    name: str
    is_ours: Callable[[Path], bool]
    """Whether a file that is there was written by mien, so that it may be replaced."""
    suffixes: tuple[str, ...] = ()
    """What its name must end in; by itself anything but what pictures and videos end in."""
    is_folder: bool = False


def check_targets(targets: Mapping[str, tuple[Path | None, Kind]], inputs: Iterable[str | Path | None] = ()) -> None:
    """OutputError for a target that is an input or another target, has a wrong name, or holds something else.

    targets: by option; None where it was not given. inputs: what the command reads; names of no file are passed over.
    """
    given = {option: (path, kind) for option, (path, kind) in targets.items() if path is not None}
    read = [Path(each) for each in inputs if each]
    seen: dict[Path, str] = {}
    for option, (path, kind) in given.items():
        _check_name(option, path, kind)
        if other := seen.get(path.resolve()):
            raise OutputError(f"{path}: expected another file for each output, found the same for {other} and {option}")
        seen[path.resolve()] = option
        _check_inputs(option, path, read)
        _check_what_is_there(option, path, kind)


def make_folders(targets: Mapping[str, tuple[Path | None, Kind]]) -> None:
    """Make the folders in which targets lie."""
    for path, _ in targets.values():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)


def check_copies(copies: Iterable[Path], inputs: Iterable[Path]) -> None:
    """OutputError where an annotated copy would replace a picture that is read, or a file that is none of mien's."""
    read = {each.resolve() for each in inputs}
    for copy in copies:
        if copy.resolve() in read:
            raise OutputError(f"{copy}: an annotated copy would replace it; choose another folder for --out")
        if copy.is_file() and copy.stat().st_size and not is_signed(copy):
            raise OutputError(f"{copy}: exists and is no annotated copy; choose another folder for --out")


def _check_name(option: str, path: Path, kind: Kind) -> None:
    if str(path) == "-":
        raise OutputError(f"{option}: expected the name of {kind.name}, found '-'")
    suffix = path.suffix.lower()
    if kind.suffixes and suffix not in kind.suffixes:
        raise OutputError(f"{path}: expected a name that ends in {', '.join(filter(None, kind.suffixes))} for {option}")
    if not kind.suffixes and suffix in PICTURE_SUFFIXES + VIDEO_SUFFIXES and not path.is_dir():
        raise OutputError(f"{path}: expected the name of {kind.name} for {option}, found that of a picture or video")


def _check_inputs(option: str, path: Path, inputs: list[Path]) -> None:
    for read in inputs:
        if path.resolve() == read.resolve() or (path.is_file() and read.is_file() and path.samefile(read)):
            raise OutputError(f"{read}: {option} {path} would replace it; choose another name")


def _check_what_is_there(option: str, path: Path, kind: Kind) -> None:
    if path.is_dir() != kind.is_folder and path.exists():
        found = "a folder" if path.is_dir() else "a file"
        raise OutputError(f"{path}: expected {kind.name} to write for {option}, found {found}")
    if path.is_file() and path.stat().st_size and not kind.is_ours(path):
        raise OutputError(f"{path}: exists, and not as {kind.name} that mien wrote; choose another for {option}")


def _is_own_csv(file: Path) -> bool:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            row = tuple(next(csv.reader(stream), ()))
    except (UnicodeDecodeError, csv.Error):
        return False
    return any(row[: len(columns)] == columns for columns in (PICTURE_COLUMNS, PERSON_COLUMNS, LABEL_COLUMNS))


def _is_own_json(file: Path) -> bool:
    try:
        values = json.loads(file.read_bytes())
    except ValueError:
        return False
    return isinstance(values, dict) and "protocol" in values


def _is_own_onnx(file: Path) -> bool:
    from mien.session import open_session

    try:
        open_session(file.read_bytes(), str(file), 1)
    except MienError:
        return False
    return True


def _is_own_checkpoint(file: Path) -> bool:
    from mien.training.checkpoint import read_header

    try:
        read_header(file)
    except MienError:
        return False
    return True


def _is_packed(file: Path) -> bool:
    from mien.datasets.packing import is_packed

    return is_packed(file)


def _is_own_video(file: Path) -> bool:
    from mien.video.writing import is_signed_video

    return is_signed_video(file)


def _nothing(file: Path) -> bool:
    return False


CSV = Kind("a csv file", _is_own_csv)
JSON = Kind("a JSON file", _is_own_json)
PNG = Kind("a PNG file", is_signed, (".png", ""))
ONNX = Kind("an ONNX file", _is_own_onnx)
CHECKPOINT = Kind("a checkpoint", _is_own_checkpoint)
PARQUET = Kind("a parquet file", _is_packed)
VIDEO = Kind("a video", _is_own_video, WRITABLE_VIDEO_SUFFIXES)
FOLDER = Kind("a folder", _nothing, is_folder=True)
