"""What a phone developer ports beside a network, as JSON: every step and number, and vectors to prove the port by.

The vectors' pictures are drawn by formulas, so that they can be made in any language and checked by hand. All numbers
come from mien's own functions (preprocessing.py, detection/decoding.py), or from the network in ONNX Runtime.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mien.detection.boxes import FLATTEST, LONGEST, SHAPE, roll_degrees, upright_box
from mien.detection.decoding import SIZE, STRIDES, VALUES, decode
from mien.detection.options import LOOKS
from mien.export.phones.fixed import FixedNetwork, FloatArray
from mien.preprocessing import FLAT_STD, ImageArray, Preprocessing, crop_face, to_network_input
from mien.scorer import softmax

FORM = "mien phone specification 1"
PIXELS: dict[str, Callable[[ImageArray, ImageArray, ImageArray, int], ImageArray]] = {
    "(7 * x + 5 * y + 40 * channel) % 256": lambda x, y, channel, size: (7 * x + 5 * y + 40 * channel) % 256,
    "255 * x / (size - 1), rounded down": lambda x, y, channel, size: 255 * x // (size - 1),
    "128": lambda x, y, channel, size: np.full_like(x, 128),
}
"""Pictures by formula: x counts columns, y rows, both from 0; channels are red, green, blue, or grey alone."""
SCORING = [
    "roll_degrees = degrees(atan2(y1 - y0, x1 - x0)) of landmarks 0 and 1, the eyes",
    "box of the face stood upright: see upright_box in the detector's specification",
    "square around the box's centre with side = longer side of the box * (1 + 2 * margin), in floating point",
    "outside of the picture, the nearest pixel of its edge is repeated",
    "turned by -roll_degrees around its centre (bicubic), so that the face stands upright; not where roll_degrees is 0",
    "scaled to size_px by a triangle filter as wide as the shrinking, at least one pixel (Pillow's BILINEAR)",
    "one channel: grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16, before scaling",
    "v = pixel / 255",
    "if standardize: input = (v - mean of the crop) / (std of the crop + flat_std); std divides by the count of pixels",
    "otherwise: input = (v - mean) / std",
    "scores = softmax(logits); the answer is unsure where the largest is below unsure_below",
]
FINDING = [
    "the picture is scaled until its longer side has size_px pixels and lies in the top left corner; the rest is 0",
    "input = pixels as they are, red, green, blue, 0 to 255",
    "cell (row, column) of the map with stride s has 15 values v0 ... v14",
    "score = 1 / (1 + exp(-v0)); cells below score_threshold are left out",
    "centre x = (column + 0.5) * s + v1 * s, centre y = (row + 0.5) * s + v2 * s",
    "half width = exp(min(v3, 5)) * s * 2, half height = exp(min(v4, 5)) * s * 2",
    "landmark k = centre + (v[5 + 2k] * half width, v[6 + 2k] * half height); left eye, right eye, nose tip, left and "
    "right mouth corner, as seen in the picture",
    "non-maximum suppression: the surest first, others with iou above nms_iou are left out",
    "landmarks are means by score over candidates with iou of at least voting_iou with the surest and a score of at "
    "least voting_score",
    "boxes and landmarks are divided by the scale of the picture",
]


def specification(network: FixedNetwork) -> dict[str, Any]:
    """The specification of a network, without its artefacts."""
    entry = network.entry
    answers = network.expected(_network_input(network, 0))
    common = {
        "specification": FORM,
        "network": entry["name"],
        "source_sha256": hashlib.sha256(network.source).hexdigest(),
        "licence": entry["licence"],
        "input": {"name": "pixels" if network.is_detector else "faces", "shape": list(network.shape)},
        "layout": "float32; batch, channel, row, column",
        "outputs": [
            {"name": name, "shape": list(answer.shape), "ncnn": f"out{number}", "litert": f"output_{number}"}
            for number, (name, answer) in enumerate(zip(network.outputs, answers, strict=True))
        ],
    }
    return common | (_of_detector(network) if network.is_detector else _of_recogniser(network))


def _of_recogniser(network: FixedNetwork) -> dict[str, Any]:
    entry = network.entry
    values = Preprocessing.from_dict(entry["preprocessing"])
    return {
        "expressions": entry["expressions"],
        "unsure_below": entry.get("unsure_below", 0.0),
        "preprocessing": values.to_dict() | {"flat_std": FLAT_STD},
        "steps": SCORING,
        "vectors": {
            "faces": [_face_vector(network, number) for number in range(len(PIXELS))],
            "crops": [_crop_vector(values, roll) for roll in (0.0, 30.0)],
        },
    }


def _face_vector(network: FixedNetwork, number: int) -> dict[str, Any]:
    """A face crop by formula, what the network is given, and what it answers."""
    given = _network_input(network, number)
    logits = network.expected(given)[0]
    return {
        "pixels": list(PIXELS)[number],
        "input_mean": _rounded(given.mean()),
        "input_std": _rounded(given.std()),
        "input_first_row": _rounded(given[0, 0, 0, :8]),
        "logits": _rounded(logits[0]),
        "scores": _rounded(softmax(logits)[0]),
    }


def _crop_vector(values: Preprocessing, roll: float) -> dict[str, Any]:
    """A box in a picture by formula, and the pixels of its crop."""
    picture, box = _drawn(0, 120, 90, 3), (30.25, 20.5, 75.75, 85.0)
    crop = crop_face(picture, box, values, roll)
    middle = values.size_px // 2
    return {
        "picture": {"width": 120, "height": 90, "pixels": next(iter(PIXELS))},
        "box_xyxy": box,
        "roll_degrees": roll,
        "first_row": crop[0, :, 0].tolist(),
        "middle_row": crop[middle, :, 0].tolist(),
    }


def _of_detector(network: FixedNetwork) -> dict[str, Any]:
    size_px = network.shape[3]
    return {
        "size_px": size_px,
        "strides": list(STRIDES),
        "size_in_strides": SIZE,
        "score_threshold": network.entry.get("score_threshold", LOOKS.score_threshold),
        "nms_iou": LOOKS.nms_iou,
        "voting_iou": LOOKS.voting_iou,
        "voting_score": LOOKS.voting_score,
        "upright_box": {"usual_height_over_width": SHAPE, "flattest": FLATTEST, "longest": LONGEST},
        "steps": FINDING,
        "vectors": {
            "maps": [_maps_vector(network, number) for number in range(len(PIXELS))],
            "decoding": _decoding_vector(),
            "upright_boxes": [_upright_vector(roll) for roll in (0.0, 10.0, 20.0, 30.0, 80.0)],
        },
    }


def _maps_vector(network: FixedNetwork, number: int) -> dict[str, Any]:
    answers = network.expected(_network_input(network, number))
    return {
        "pixels": list(PIXELS)[number],
        "first_cells": [_rounded(answer[0, :, 0, 0]) for answer in answers],
        "mean_of_v0": [_rounded(answer[0, 0].mean()) for answer in answers],
    }


def _decoding_vector() -> dict[str, Any]:
    """One cell of the map with stride 16, decoded."""
    values = np.array([2, 0.5, -0.25, 0, 0.5, -0.4, -0.3, 0.4, -0.3, 0, 0.1, -0.3, 0.5, 0.3, 0.5], np.float32)
    maps = [np.full((VALUES, 64 // stride, 64 // stride), -9, np.float32) for stride in STRIDES]
    maps[1][:, 2, 1] = values
    found = decode(maps, 0.5)
    return {
        "stride": 16,
        "row": 2,
        "column": 1,
        "values": _rounded(values),
        "score": _rounded(found.scores[0]),
        "box_xyxy": _rounded(found.boxes_xyxy[0]),
        "landmarks_xy": _rounded(found.landmarks_xy[0]),
    }


def _upright_vector(roll: float) -> dict[str, Any]:
    """Eyes that lean by `roll` degrees, and the box of the face stood upright."""
    angle = np.radians(roll)
    eyes = np.array([[50, 60], [50 + 20 * np.cos(angle), 60 + 20 * np.sin(angle)]], np.float32)
    box = np.array([30, 30, 90, 110], np.float32)
    found = roll_degrees(eyes)
    return {
        "eyes_xy": _rounded(eyes),
        "box_xyxy": _rounded(box),
        "roll_degrees": _rounded(found),
        "upright_box_xyxy": _rounded(upright_box(box, found)),
    }


def _network_input(network: FixedNetwork, number: int) -> FloatArray:
    """The network's input (1, C, H, W) for a picture by formula."""
    _, channels, _, size_px = network.shape
    picture = _drawn(number, size_px, size_px, channels)[None]
    if network.is_detector:
        return np.ascontiguousarray(picture.transpose(0, 3, 1, 2)).astype(np.float32)
    return to_network_input(picture, Preprocessing.from_dict(network.entry["preprocessing"]))


def _drawn(number: int, width: int, height: int, channels: int) -> ImageArray:
    y, x, channel = np.indices((height, width, channels))
    return list(PIXELS.values())[number](x, y, channel, width).astype(np.uint8)


def _rounded(values: Any) -> Any:
    """Numbers with seven digits, which is what fp32 has."""
    array = np.asarray(values, np.float64)
    rounded = [float(f"{value:.7g}") for value in array.ravel()]
    return rounded[0] if array.ndim == 0 else np.array(rounded).reshape(array.shape).tolist()
