"""Pictures of high dynamic range (PQ and HLG) as ordinary ones: sRGB, with highlights compressed to fit.

ITU-R BT.2100-2 (https://www.itu.int/rec/R-REC-BT.2100) says what light their values stand for, Report ITU-R BT.2390,
section 5.4, how brighter light is compressed for a darker display, Report ITU-R BT.2408 that white paper has 203 cd/m².
"""

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray

FloatArray = NDArray[np.float32]
PQ, HLG = 16, 18
"""Transfer characteristics, by their numbers in ITU-T H.273."""
BT2020 = 9
"""Colour primaries, by their number there."""
PEAK, WHITE = 1000.0, 203.0
"""cd/m² of the brightest light that is told apart, and of white in the result."""
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
"""Constants of PQ (BT.2100, table 4; SMPTE ST 2084)."""
A, B, C = 0.17883277, 0.28466892, 0.55991073
"""Constants of HLG (BT.2100, table 5)."""
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
HLG_GAMMA = 1.2
"""Of HLG's display of 1,000 cd/m²."""
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear colours of BT.2020 in those of BT.709, which sRGB has (Report ITU-R BT.2407)."""
STEPS = 4096
"""Of the tables that curves are looked up in."""


def to_sdr(image: NDArray[np.uint16], transfer: int, primaries: int) -> ImageArray:
    """A picture RGB uint16 (H, W, 3) with PQ or HLG values as sRGB uint8 (H, W, 3)."""
    codes = np.linspace(0, 1, STEPS)
    if transfer == HLG:
        scene = _looked_up(hlg_scene(codes), image)
        luminance = np.maximum(scene @ LUMINANCE, 1e-6)[:, :, None]
        roots = np.sqrt(luminance ** (HLG_GAMMA - 1) * scene)  # of the light, as a share of the brightest
        linear = _looked_up(shown(PEAK * codes**2), (roots * 65535).astype(np.uint16))
    else:
        linear = _looked_up(shown(pq_light(codes)), image)
    if primaries == BT2020:
        linear = linear @ TO_BT709.T
    places = (np.clip(linear, 0, 1) * (STEPS - 1)).round().astype(np.uint16)
    result: ImageArray = srgb(np.linspace(0, 1, STEPS))[places]
    return result


def _looked_up(curve: NDArray[np.float64], image: NDArray[np.uint16]) -> FloatArray:
    """A curve over the values from 0 to 1, at those of a picture."""
    values: FloatArray = curve.astype(np.float32)[image >> 4]
    return values


def pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² that PQ's values from 0 to 1 stand for."""
    power = code ** (1 / M2)
    light: NDArray[np.float64] = 10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)
    return light


def pq_code(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `pq_light`."""
    power = (np.asarray(light) / 10_000) ** M1
    code: NDArray[np.float64] = ((C1 + C2 * power) / (1 + C3 * power)) ** M2
    return code


def hlg_scene(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of the scene, from 0 to 1, that HLG's values stand for."""
    scene: NDArray[np.float64] = np.where(code <= 0.5, code**2 / 3, (np.exp((code - C) / A) + B) / 12)
    return scene


def shown(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² as linear light from 0 to 1 in the result."""
    linear: NDArray[np.float64] = pq_light(compressed(pq_code(light))) / WHITE
    return linear


def compressed(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ's values for a display whose brightest light is `WHITE`: dark ones as they are, then a spline (BT.2390)."""
    peak, white = float(pq_code(np.array(PEAK))), float(pq_code(np.array(WHITE)))
    value, most = np.minimum(code / peak, 1.0), white / peak
    knee = 1.5 * most - 0.5
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    mapped: NDArray[np.float64] = np.where(value < knee, value, spline) * peak
    return mapped


def srgb(linear: NDArray[np.float64]) -> ImageArray:
    """Linear light from 0 to 1 as sRGB's values from 0 to 255 (IEC 61966-2-1)."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    values: ImageArray = (encoded * 255).round().astype(np.uint8)
    return values
