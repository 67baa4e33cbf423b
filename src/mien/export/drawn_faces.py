"""Drawn faces on which two forms of one network are compared."""

import numpy as np

from mien.preprocessing import ImageArray, Preprocessing


def drawn_faces(preprocessing: Preprocessing, count: int = 64) -> ImageArray:
    """Random smooth pictures uint8 (count, S, S, C), whose statistics are closer to faces than noise."""
    generator = np.random.default_rng(0)
    coarse = generator.uniform(0, 255, (count, 6, 6, preprocessing.channels))
    repeats = -(-preprocessing.size_px // 6)
    fine = coarse.repeat(repeats, axis=1).repeat(repeats, axis=2)
    return fine[:, : preprocessing.size_px, : preprocessing.size_px].astype(np.uint8)
