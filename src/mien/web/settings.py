"""What the page is told: the packaged networks and every constant of the rules that it repeats in the browser."""

import base64
from typing import Any, Literal

import mien
from mien.detection import boxes, decoding, looks, turned_heads
from mien.detection.detectors import DEFAULT_DETECTOR
from mien.drawing import COLOURS, OTHER_COLOUR
from mien.images import MAX_PIXELS
from mien.preprocessing import FLAT_DEVIATION, LARGEST_WINDOW_PX
from mien.video import tracking
from mien.weights import default_model, packaged_file

BOXES = ("NMS_IOU", "VOTING_IOU", "VOTING_SCORE", "SHAPE", "FLATTEST", "LONGEST")
DECODING = (
    *("STRIDES", "VALUES", "SIZE", "LONGEST_PX", "MOST_ENLARGED", "NARROWEST_PX", "LARGEST_PX", "WELL_FOUND_PX"),
    *("SMALLER", "SMALLEST_AGAIN_PX", "MULTIPLE_PX"),
)
LOOKS = (
    *("WHOLE_PX", "WELL_SEEN_PX", "CONFIRMED", "ENLARGED_PX", "LEAST_FINER", "MOST_FINER", "TILE_PX", "SHARED_PX"),
    *("LARGEST_IN_TILE_PX", "SUGGESTED", "SUGGESTED_PX", "BUDGET_PX"),
)
TURNED_HEADS = ("AGAIN_PX", "SAME_PLACE", "LEAST_SCORE", "DOUBTED")
TRACKING = ("VELOCITY_HALF_LIFE_S", "REACH", "LIKE_SIZE", "FEWEST_LOOKS")


def page_settings() -> dict[str, Any]:
    """The settings of the page as plain values, ready for JSON; web/src/settings.ts reads them."""
    usual = tracking.TrackingOptions()
    options = ("memory_s", "overlap", "half_life_s", "confirmed_s")
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
        "boxes": _constants(boxes, BOXES),
        "decoding": _constants(decoding, DECODING),
        "looks": _constants(looks, LOOKS),
        "turned_heads": _constants(turned_heads, TURNED_HEADS),
        "crops": {"flat_deviation": FLAT_DEVIATION, "largest_window_px": LARGEST_WINDOW_PX},
        "tracking": {**_constants(tracking, TRACKING), **{name: getattr(usual, name) for name in options}},
        "colours": COLOURS,
        "other_colour": OTHER_COLOUR,
        "max_pixels": MAX_PIXELS,
    }


def _constants(module: object, names: tuple[str, ...]) -> dict[str, Any]:
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
    threshold: float = entry.get("score_threshold", decoding.SCORE_THRESHOLD)
    return threshold
