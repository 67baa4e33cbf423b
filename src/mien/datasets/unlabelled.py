"""Faces without labels: a folder of face crops, Labeled Faces in the Wild, and people in photographs.

LFW: Huang et al., "Labeled Faces in the Wild", 2007: news photographs, several of a person, 250x250 pixels
(deep-funneled), here as a parquet file with the face boxes that a detector found. People: photographs of groups, sports
and streets, as a parquet file with boxes that two detectors or a detector and a person agree on.
"""

from pathlib import Path

from mien.datasets.parquet_file import read_parquet
from mien.datasets.sample import Dataset, Sample
from mien.errors import DatasetError, ImageError, MissingSplitError
from mien.images import read_image
from mien.picture_files import picture_suffixes, pictures_below
from mien.preprocessing import Preprocessing, crop_face

NO_LABEL = -1
CROP = Preprocessing(size_px=96, channels=1)
"""Faces of photographs as they are read: grey, no margin around the box, about as large as LFW's are."""
SMALLEST_PX = 40
"""Side (the root of the area) from which faces of photographs are read; smaller ones show little (chosen)."""
UNLICENSED = ("facecount",)
"""Sources of photographs whose faces are left out, since nobody states a licence for them."""


class Faces(Dataset):
    """Pictures below a folder, each a face crop."""

    name, split, expressions = "faces", "all", ()
    split_is = "Folder without labels"

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1; ImageError when its file is damaged."""
        return Sample(read_image(self._files[index]), NO_LABEL, str(self._files[index]))


class Lfw(Dataset):
    """The main face of each picture of LFW."""

    name, split, expressions = "lfw", "all", ()
    split_is = "All pictures"

    def __init__(self, files: list[str], encoded: list[bytes], boxes: list[list[float]]) -> None:
        """boxes: of each picture the main one x0, y0, x1, y1 in pixels, empty where there is none."""
        self._files, self._encoded, self._boxes = files, encoded, boxes

    def __len__(self) -> int:
        return len(self._files)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1: a grey crop of 96 x 96 pixels.

        ImageError for a damaged picture, and for one without a face box.
        """
        image, box = read_image(self._encoded[index], name=self._files[index]), self._boxes[index]
        if not box:
            raise ImageError(f"{self._files[index]}: expected a face box x0, y0, x1, y1, found none")
        return Sample(crop_face(image, (box[0], box[1], box[2], box[3]), CROP), NO_LABEL, self._files[index])


class People(Dataset):
    """The faces of photographs, several of each."""

    name, split, expressions = "people", "all", ()
    split_is = "All faces of 40 pixels and more"

    def __init__(self, faces: list[tuple[str, bytes, list[float]]]) -> None:
        """faces: name and encoded bytes of the photograph, and the box x0, y0, x1, y1 in pixels."""
        self._faces = faces

    def __len__(self) -> int:
        return len(self._faces)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1, cropped as LFW's; ImageError for a damaged picture."""
        file, encoded, (x0, y0, x1, y1) = self._faces[index]
        return Sample(crop_face(read_image(encoded, name=file), (x0, y0, x1, y1), CROP), NO_LABEL, file)


def read_faces(root: Path, split: str) -> Faces:
    """Open all pictures below a folder; the only split is `all`."""
    _only_all("faces", split)
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder of face pictures, found none")
    files = pictures_below(root)
    if not files:
        raise DatasetError(f"{root}: expected pictures ({', '.join(picture_suffixes())}) in this folder, found none")
    return Faces(files)


def read_lfw(root: Path, split: str) -> Lfw:
    """Open `lfw.parquet`, or a folder with it; the only split is `all`.

    The main face is the largest box around the picture's centre.
    """
    _only_all("lfw", split)
    table = read_parquet(_in_folder(root, "lfw.parquet"), ["file", "image", "boxes_xyxy"], "lfw.parquet")
    files, boxes = table["file"].to_pylist(), table["boxes_xyxy"].to_pylist()
    return Lfw(files, table["image"].to_pylist(), [_main_box(found) for found in boxes])


def read_people(root: Path, split: str) -> People:
    """Open `people.parquet`, or a folder with it; the only split is `all`: sure faces of 40 pixels and more."""
    _only_all("people", split)
    columns = ["file", "source", "image", "boxes_xyxy"]
    table = read_parquet(_in_folder(root, "people.parquet"), columns, "people.parquet")
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return People(
        [
            (file, encoded, box)
            for file, source, encoded, boxes in rows
            if source not in UNLICENSED
            for box in boxes
            if len(box) == 4 and (box[2] - box[0]) * (box[3] - box[1]) >= SMALLEST_PX**2
        ]
    )


def _in_folder(root: Path, name: str) -> Path:
    return root / name if root.is_dir() else root


def _main_box(boxes: list[list[float]]) -> list[float]:
    boxes = [box for box in boxes if len(box) == 4 and box[0] < box[2] and box[1] < box[3]]

    def size(box: list[float]) -> tuple[bool, float]:
        x0, y0, x1, y1 = box
        return x0 < 125 < x1 and y0 < 125 < y1, (x1 - x0) * (y1 - y0)

    return max(boxes, key=size, default=[])


def _only_all(name: str, split: str) -> None:
    if split != "all":
        raise MissingSplitError(f"{name}: expected the split 'all', not {split!r}")
