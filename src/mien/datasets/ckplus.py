"""CK+, the Extended Cohn-Kanade set: posed expressions from neutral to their peak, 327 labelled sequences.

Lucey et al.: "The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action unit and emotion-specified
expression", CVPR Workshops 2010. It is given out for research after an agreement.

As in most work, the last three frames of a sequence carry its label (981 images), and folds are made by subject.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mien.datasets.sample import Dataset, Sample
from mien.errors import DatasetError, MissingSplitError
from mien.expressions import CKPLUS_7, CKPLUS_ORDER, FERPLUS_8, canonical_expression
from mien.images import read_image
from mien.picture_files import visible
from mien.preprocessing import ImageArray, Preprocessing, crop_face

IMAGES, LABELS = "cohn-kanade-images", "Emotion"
FRAME = re.compile(r"(?P<subject>S\d{3})_(?P<sequence>\d{3})_(?P<number>\d{8})\.png", re.IGNORECASE)
PEAK_FRAMES = 3

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """One labelled frame."""

    file: Path
    label: int
    subject: str
    sequence: tuple[Path, ...] = ()
    """First and last frames of its sequence, in which the face is found; empty where the picture is a face crop."""


class CkPlus(Dataset):
    """Frames of CK+; subjects are known, so that splits are made by them.

    In the distributed form the face is found once a sequence, in its first frame if possible, as heads hardly move.
    """

    group_is = "subject"

    def __init__(self, name: str, split: str, expressions: tuple[str, ...], frames: list[Frame]) -> None:
        self.name, self.split, self.expressions = name, split, expressions
        self._frames = frames
        self._boxes: dict[tuple[Path, ...], Box] = {}
        self._find: Callable[[ImageArray], Box | None] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def group(self, index: int) -> str:
        """The subject, such as "S005"."""
        return self._frames[index].subject

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1; ImageError when its file is damaged."""
        frame = self._frames[index]
        image = read_image(frame.file)
        if frame.sequence:
            box = self._box(frame.sequence)
            side = max(1, round(max(box[2] - box[0], box[3] - box[1])))
            image = crop_face(image, box, Preprocessing(size_px=side, channels=3))
        return Sample(image, frame.label, frame.file.name)

    def _box(self, sequence: tuple[Path, ...]) -> Box:
        if sequence not in self._boxes:
            self._find = self._find or _face_finder()
            boxes = (self._find(read_image(file)) for file in sequence)
            box = next((box for box in boxes if box is not None), None)
            if box is None:
                raise DatasetError(f"{sequence[0]}: expected a frontal face in this sequence, found none")
            self._boxes[sequence] = box
        return self._boxes[sequence]


def read_ckplus(root: Path, split: str) -> CkPlus:
    """CK+ with its seven classes, contempt among them; split `all`, or one that mien makes.

    root: the distributed folders `cohn-kanade-images/` and `Emotion/`, or the common form of 48x48 faces in one
    folder an expression, named like `S010_004_00000017.png`. Raises DatasetError with the first missing path.
    """
    return _read("ckplus", root, split, with_neutral=False)


def read_ckplus_neutral(root: Path, split: str) -> CkPlus:
    """CK+ with an eighth class: the first frame of each labelled sequence is neutral. Distributed form only."""
    return _read("ckplus-neutral", root, split, with_neutral=True)


def _read(name: str, root: Path, split: str, with_neutral: bool) -> CkPlus:
    if split != "all":
        known = "all, fold-I-of-N, random-80-20-shared-subjects"
        raise MissingSplitError(f"unknown split {split!r} of {name}; known: {known}")
    expressions = FERPLUS_8 if with_neutral else CKPLUS_7
    if (root / IMAGES).is_dir() or (root / LABELS).is_dir():
        return CkPlus(name, split, expressions, _distributed_frames(root, expressions, with_neutral))
    if with_neutral:
        raise DatasetError(f"{root / IMAGES}: expected CK+ as distributed, for neutral first frames; found nothing")
    return CkPlus(name, split, expressions, _cropped_frames(root))


def _distributed_frames(root: Path, expressions: tuple[str, ...], with_neutral: bool) -> list[Frame]:
    for folder in (root / IMAGES, root / LABELS):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected this folder of CK+, found nothing")
    frames = []
    for label_file in sorted((root / LABELS).glob("*/*/*_emotion.txt")):
        peak = label_file.name.removesuffix("_emotion.txt") + ".png"
        found = FRAME.fullmatch(peak)
        if not found:
            raise DatasetError(f"{label_file}: expected a name like S005_001_00000011_emotion.txt")
        folder = root / IMAGES / found["subject"] / found["sequence"]
        numbers = [1, *range(max(2, int(found["number"]) - PEAK_FRAMES + 1), int(found["number"]) + 1)]
        first, *peaks = (folder / f"{found['subject']}_{found['sequence']}_{number:08d}.png" for number in numbers)
        for file in (first, *peaks):
            if not file.is_file():
                raise DatasetError(f"{file}: expected this frame of a labelled sequence, found nothing")
        label = expressions.index(_expression(label_file))
        subject, sequence = found["subject"].upper(), (first, *peaks)
        if with_neutral:
            frames.append(Frame(first, expressions.index("neutral"), subject, sequence))
        frames += [Frame(file, label, subject, sequence) for file in peaks]
    if not frames:
        raise DatasetError(f"{root / LABELS}: expected files like S005/001/S005_001_00000011_emotion.txt, found none")
    return frames


def _expression(label_file: Path) -> str:
    text = label_file.read_text(encoding="utf-8", errors="replace").strip()
    try:
        return CKPLUS_ORDER[int(float(text))]
    except (ValueError, KeyError, OverflowError) as error:
        raise DatasetError(f"{label_file}: expected a label from 1 to 7, found {text[:40]!r}") from error


def _cropped_frames(root: Path) -> list[Frame]:
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder with CK+, found none")
    folders = {canonical_expression(path.name): path for path in visible(root) if path.is_dir()}
    if not set(folders) & set(CKPLUS_7):
        raise DatasetError(f"{root / IMAGES}: expected this folder of CK+, or one folder an expression; found neither")
    frames = []
    for label, expression in enumerate(CKPLUS_7):
        if expression not in folders:
            raise DatasetError(f"{root / expression}: expected a folder for this expression of CK+, found nothing")
        files = [file for file in visible(folders[expression]) if file.suffix.lower() == ".png"]
        if not files:
            raise DatasetError(f"{folders[expression]}: expected pictures like S010_004_00000017.png, found none")
        for file in files:
            found = FRAME.fullmatch(file.name)
            if not found:
                raise DatasetError(f"{file}: expected a name like S010_004_00000017.png, to know the subject")
            frames.append(Frame(file, label, found["subject"].upper()))
    return frames


def _face_finder() -> Callable[[ImageArray], Box | None]:
    from mien.detection.face_finder import FaceFinder

    detector = FaceFinder()

    def find(image: ImageArray) -> Box | None:
        detections = detector.detect(image)
        return detections[0].box_xyxy if detections else None

    return find
