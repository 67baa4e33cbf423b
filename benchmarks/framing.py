"""How FER2013 frames its faces, as boxes of the default detector: where the crop rule's margin comes from.

    python benchmarks/framing.py --root fer2013.parquet

Prints, over every 40th training image on which one face is found, the median of the box's side and centre as
shares of the frame; the last line of stdout is JSON. The margin that gives the frame is (1 / side - 1) / 2.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from mien.datasets import open_dataset
from mien.haar import HaarDetector

BORDER_PX, ZOOM = 24, 3
"""The frame cuts close to the faces: a border and enlargement let the detector see them whole."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="How FER2013 frames its faces.")
    arguments.add_argument("--root", type=Path, required=True, help="FER2013, as for mien train")
    training = open_dataset("fer2013", arguments.parse_args().root, "training")
    detector = HaarDetector()
    boxes = []
    for index in range(0, len(training), 40):
        grey = training[index].image[:, :, 0]
        bordered = cv2.copyMakeBorder(grey, *[BORDER_PX] * 4, cv2.BORDER_REPLICATE)
        enlarged = cv2.resize(bordered, None, fx=ZOOM, fy=ZOOM)
        found = [face for face in detector.detect(cv2.cvtColor(enlarged, cv2.COLOR_GRAY2RGB)) if not face.roll_degrees]
        if len(found) == 1:
            boxes.append((np.array(found[0].box_xyxy) / ZOOM - BORDER_PX) / grey.shape[0])
    x0, y0, x1, y1 = np.array(boxes).T
    values = {
        "images": len(boxes),
        "side": round(float(np.median(x1 - x0)), 3),
        "centre_x": round(float(np.median((x0 + x1) / 2)), 3),
        "centre_y": round(float(np.median((y0 + y1) / 2)), 3),
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main()
