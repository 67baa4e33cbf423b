"""Whether a face's mouth is covered, as by a mask, told by colour: skin is redder than most cloth, and lips than skin.

Of photographs of masks (faces-dev) 92 % are told, and none of the 114 bare faces beside them; of people in all sorts of
light 2 % of the bare faces are, mostly with coloured sunglasses. A network's own doubt told 13 % of the masks and 7 %
of the bare faces. The form of the rule was chosen with these photographs in view, so its figures are a little too good.
Grey pictures, and hands before the mouth, are not told. It was not measured by skin colour.
"""

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray, Preprocessing

LOOK = Preprocessing(size_px=12, channels=3, margin=0.04)
"""How the face is cropped for it."""
ABOVE, MOUTH, LOWER = (slice(1, 6), slice(3, 9)), (slice(7, 11), slice(3, 9)), (slice(8, 11), slice(3, 9))
"""Rows and columns of the crop: forehead, eyes and the root of the nose; the mouth; mouth and chin."""
LESS_RED, APART = 0.033, 0.105
"""Covered where the reddest quarter about the mouth is so much less red than the face above, or the colours of both are
so far apart (chosen on masks drawn over LFW's portraits: 96 % are told, and each limit tells 0.5 % of bare faces)."""
DARK = 0.3
"""Added to the sum of red, green and blue on the scale 0 to 1, so that dark pixels have little colour (chosen)."""


def mouth_is_covered(face: ImageArray) -> bool:
    """Whether the mouth of a face, RGB uint8 (12, 12, 3) as cropped by `LOOK`, is covered."""
    pixels = face.astype(np.float32) / 255
    colours: NDArray[np.float32] = pixels / (pixels.sum(axis=2, keepdims=True) + DARK)
    redness = colours[:, :, 0] - colours[:, :, 1:].mean(axis=2)
    less_red = np.median(redness[ABOVE]) - np.quantile(redness[MOUTH], 0.75)
    apart = np.median(colours[ABOVE], axis=(0, 1)) - np.median(colours[LOWER], axis=(0, 1))
    return bool(less_red > LESS_RED or np.linalg.norm(apart) > APART)
