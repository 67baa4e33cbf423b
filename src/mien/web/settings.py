"""What the page is told: the packaged networks and every constant of the rules that it repeats in the browser."""

import base64
from dataclasses import asdict
from typing import Any, Literal

import mien
from mien import covered_mouth
from mien.detection import boxes, decoding, turned_heads
from mien.detection.detectors import DEFAULT_DETECTOR
from mien.detection.options import LOOKS
from mien.drawing import COLOURS, OTHER_COLOUR
from mien.images import MAX_PIXELS
from mien.preprocessing import FLAT_STD, LARGEST_WINDOW_PX
from mien.video import tracking
from mien.weights import default_model, packaged_file


def page_settings() -> dict[str, Any]:
    """The settings of the page as plain values, ready for JSON; web/src/settings.ts reads them."""
    return {
        "version": mien.__version__,
        "default_model": default_model(),
        "models": [
            {
                **_weights("models", card.name),
                "expressions": list(card.expressions),
                "preprocessing": card.preprocessing.to_dict(),
                "unsure_below": card.unsure_below,
                "parameters": card.parameters,
            }
            for card in mien.list_models()
        ],
        "detector": {**_weights("detectors", DEFAULT_DETECTOR), "score_threshold": _score_threshold()},
        "boxes": _constants(boxes, "SHAPE", "FLATTEST", "LONGEST"),
        "decoding": _constants(decoding, "STRIDES", "VALUES", "SIZE", "MULTIPLE_PX"),
        "looks": asdict(LOOKS),
        "turned_heads": _constants(turned_heads, "AT_ONCE", "COLUMNS"),
        "covered_mouth": {
            "look": covered_mouth.LOOK.to_dict(),
            **{
                name: [(part.start, part.stop) for part in getattr(covered_mouth, name.upper())]
                for name in ("above", "mouth", "lower")
            },
            **_constants(covered_mouth, "LESS_RED", "APART", "DARK"),
        },
        "crops": {"flat_std": FLAT_STD, "largest_window_px": LARGEST_WINDOW_PX},
        "tracking": {
            **_constants(tracking, "VELOCITY_HALF_LIFE_S", "REACH", "LIKE_SIZE"),
            **asdict(tracking.TrackingOptions()),
        },
        "colours": COLOURS,
        "other_colour": OTHER_COLOUR,
        "max_pixels": MAX_PIXELS,
    }


def _constants(module: object, *names: str) -> dict[str, Any]:
    return {name.lower(): getattr(module, name) for name in names}


def _weights(kind: Literal["models", "detectors"], name: str) -> dict[str, Any]:
    file = packaged_file(name, kind)
    digest = bytes.fromhex(file.sha256)
    return {
        "name": name,
        "url": f"weights/{file.path.name}?v={file.sha256[:12]}",
        "integrity": f"sha256-{base64.b64encode(digest).decode()}",
        "bytes": file.path.stat().st_size,
    }


def _score_threshold() -> float:
    entry = packaged_file(DEFAULT_DETECTOR, "detectors").entry
    threshold: float = entry.get("score_threshold", LOOKS.score_threshold)
    return threshold
