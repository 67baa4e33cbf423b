"""The packaged networks and their manifest; also networks in ONNX files of one's own.

The manifest entry of a network also stands in the ONNX file itself, so that a file is complete alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.errors import ModelError, shortened
from mien.preprocessing import Preprocessing
from mien.weights.learned_from import Split, splits_from_json, splits_of_older_card, splits_to_json

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.json"
METADATA_KEY = "mien"
"""Key of the manifest entry in an ONNX file's metadata."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of a network."""

    name: str
    expressions: tuple[str, ...]
    """The classes, in the order of the network's outputs."""
    preprocessing: Preprocessing
    dataset: str
    """What it learned from, in a sentence for people."""
    parameters: int
    """All parameters of the deployed network."""
    multiply_adds: int
    """Multiplications with addition for one face, of convolutions and linear layers."""
    scores: Mapping[str, float]
    """Measured results by name, such as "fer2013 public_test accuracy"."""
    licence: str
    paper: str
    model_bytes: int = 0
    """Size of the ONNX file."""
    temperature: float = 1.0
    """What logits were divided by at export, so that scores are as sure as they are right; 1 for as they were trained.
    It stands in the weights: nothing is left to do."""
    calibration: str = ""
    """The faces that this and `unsure_below` were fitted on, such as "fer2013 tenth-of-training"; empty for none."""
    unsure_below: float = 0.0
    """The confidence below which answers are more often wrong than right (`calibration.unsure_threshold`); 0 for never,
    or not known."""
    never_answered: tuple[str, ...] = ()
    """Classes that the network gave none of these faces as its answer."""
    learned_from: tuple[Split, ...] = ()
    """All that it learned from, also what it started from and what its teachers learned from."""

    def to_dict(self) -> dict[str, Any]:
        """The entry as it stands in the manifest and in the ONNX file."""
        return {
            "name": self.name,
            "expressions": list(self.expressions),
            "preprocessing": self.preprocessing.to_dict(),
            "dataset": self.dataset,
            "learned_from": splits_to_json(self.learned_from),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "scores": dict(self.scores),
            "licence": self.licence,
            "paper": self.paper,
            "temperature": self.temperature,
            "calibration": self.calibration,
            "unsure_below": self.unsure_below,
            "never_answered": list(self.never_answered),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any], model_bytes: int, source: str) -> "ModelCard":
        """The inverse of `to_dict`; ModelError names what is missing."""
        try:
            return cls(
                name=entry["name"],
                expressions=tuple(entry["expressions"]),
                preprocessing=Preprocessing.from_dict(entry["preprocessing"]),
                dataset=entry["dataset"],
                parameters=entry["parameters"],
                multiply_adds=entry["multiply_adds"],
                scores=entry["scores"],
                licence=entry["licence"],
                paper=entry["paper"],
                model_bytes=model_bytes,
                # Files of older versions have none of these.
                temperature=float(entry.get("temperature", 1.0)),
                calibration=entry.get("calibration", ""),
                unsure_below=float(entry.get("unsure_below", 0.0)),
                never_answered=tuple(entry.get("never_answered", ())),
                learned_from=(
                    splits_from_json(entry["learned_from"])
                    if "learned_from" in entry
                    else splits_of_older_card(entry["dataset"])
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{source}: expected a complete manifest entry, missing {error}") from error


@dataclass(frozen=True)
class DetectorCard:
    """What is known of a face detector."""

    name: str
    dataset: str
    """What it learned from."""
    parameters: int
    scores: Mapping[str, float]
    """Measured results by name."""
    model_bytes: int
    """Size of the ONNX file."""


def list_detectors() -> list[DetectorCard]:
    """The packaged face detectors.

    >>> from mien import list_detectors
    >>> [card.name for card in list_detectors()]
    ['face-finder']
    """
    facts = ("name", "dataset", "parameters", "scores")
    return [
        DetectorCard(**{key: entry[key] for key in facts}, model_bytes=(FOLDER / entry["file"]).stat().st_size)
        for entry in _manifest()["detectors"].values()
    ]


def list_models() -> list[ModelCard]:
    """The packaged networks, the default first.

    >>> from mien import list_models
    >>> list_models()[0].name
    'mien-1m'
    """
    manifest = _manifest()
    entries: dict[str, dict[str, Any]] = manifest["models"]
    names = sorted(entries, key=lambda name: (name != manifest["default"], name))
    return [
        ModelCard.from_dict(entries[name], (FOLDER / entries[name]["file"]).stat().st_size, str(MANIFEST))
        for name in names
    ]


def default_model() -> str:
    """The name of the network that is used when none is named."""
    name: str = _manifest()["default"]
    return name


@dataclass(frozen=True)
class PackagedFile:
    """The ONNX file of a packaged network or face detector."""

    path: Path
    sha256: str
    entry: Mapping[str, Any]
    """Its manifest entry."""


def packaged_file(name: str, kind: Literal["models", "detectors"] = "models") -> PackagedFile:
    """The file of a packaged network or face detector, by name; KeyError where there is none such."""
    entry: dict[str, Any] = _manifest()[kind][name]
    return PackagedFile(FOLDER / entry["file"], entry["sha256"], entry)


def read_model(model: str | Path, kind: Literal["models", "detectors"] = "models") -> bytes:
    """The ONNX file of a packaged network or face detector, by name, or a file of one's own, by path.

    A name that is packaged always means what is packaged, whatever files there are; a `Path` always means a file.
    Raises ModelError when there is none such, or the packaged file is damaged.
    """
    entries = _manifest()[kind]
    if isinstance(model, Path) or model not in entries:
        if not names_file(model):
            raise ModelError(
                f"unknown model '{shortened(model)}'; packaged are {', '.join(sorted(entries))}, "
                "or give the path of an ONNX file"
            )
        return _read_file(Path(model))
    file: Path = FOLDER / entries[model]["file"]
    encoded = _read_file(file)
    expected, found = entries[model]["sha256"], hashlib.sha256(encoded).hexdigest()
    if found != expected:
        raise ModelError(f"{file}: expected sha256 {expected[:12]}, found {found[:12]}; install mien again")
    return encoded


def names_file(name: str | Path) -> bool:
    """Whether a name that is not packaged is meant for a file, there or not, rather than for a packaged one."""
    path = Path(name)
    return isinstance(name, Path) or bool(path.suffix) or len(path.parts) > 1 or os.path.exists(path)


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{shortened(file)}: expected an ONNX file, found no such file") from error
    except IsADirectoryError as error:
        raise ModelError(f"{shortened(file)}: expected an ONNX file, found a folder") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{shortened(file)}: expected a readable ONNX file: {reason}") from error


def _manifest() -> dict[str, Any]:
    try:
        text = MANIFEST.read_text(encoding="utf-8")
    except FileNotFoundError as error:  # as in programs packed with the code alone
        raise ModelError(
            f"{MANIFEST}: expected mien's networks beside its code, found none; install mien again, "
            "or pack its data files as well (PyInstaller: --collect-data mien)"
        ) from error
    manifest: dict[str, Any] = json.loads(text)
    return manifest
