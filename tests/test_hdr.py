from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
from mien.images import read_image  # noqa: E402
from mien.preprocessing import ImageArray  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.video.frames import Video  # noqa: E402
from mien.video.hdr import HLG, PQ, TO_BT709, compressed, hlg_scene, pq_code, pq_light, srgb, to_sdr  # noqa: E402

BT709 = 1
GREY = np.array([[0.05, 0.05, 0.05], [0.2, 0.2, 0.2], [0.3, 0.1, 0.05], [0.05, 0.2, 0.3]])
"""Linear light against white, of four stripes."""


def encoded(linear: np.ndarray, transfer: int) -> np.ndarray:
    """PQ or HLG values uint16 in BT.2020 of linear light in BT.709, where 1 is white paper."""
    light = 203 * np.maximum(linear @ np.linalg.inv(TO_BT709).T, 0)
    if transfer == PQ:
        return (pq_code(light) * 65535).round().astype(np.uint16)
    luminance = np.maximum((light / 1000) @ [0.2627, 0.678, 0.0593], 1e-9)[..., None]
    scene = light / 1000 * luminance ** (1 / 1.2 - 1)
    codes = np.linspace(0, 1, 65536)
    return np.interp(scene, hlg_scene(codes), codes * 65535).round().astype(np.uint16)


def write_hdr(file: Path, image: np.ndarray, transfer: int) -> None:
    height, width = image.shape[:2]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(image, format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_curves_by_the_numbers_of_the_recommendations() -> None:
    assert pq_light(np.array([0.0, 1.0])) == pytest.approx([0, 10_000])
    assert pq_code(np.array([100.0, 203.0, 1000.0])) == pytest.approx([0.508, 0.581, 0.752], abs=0.001)  # BT.2408
    assert hlg_scene(np.array([0.0, 0.5, 1.0])) == pytest.approx([0, 1 / 12, 1], abs=1e-6)
    dark, white, peak, beyond = pq_light(compressed(pq_code(np.array([50.0, 203.0, 1000.0, 4000.0]))))
    assert dark == pytest.approx(50)
    assert 120 < white < 203
    assert peak == beyond == pytest.approx(203, abs=0.1)
    assert srgb(np.array([0, 0.2140, 1.0])).tolist() == [0, 127, 255]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_middle_tones_are_those_of_an_ordinary_picture(transfer: int) -> None:
    seen = to_sdr(encoded(GREY[None], transfer), transfer, 9)[0]
    assert np.abs(seen.astype(int) - srgb(GREY)).max() <= 3


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_recorded_clip(tmp_path: Path, examples: Path, transfer: int) -> None:
    """A portrait as a phone records it in high dynamic range looks like itself."""
    recognizer = Recognizer(threads=1)
    portrait: ImageArray = read_image(examples / "eileen-collins.jpg")
    values = portrait / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    write_hdr(tmp_path / "hdr.mp4", encoded(linear, transfer), transfer)
    _, seen = next(Video(tmp_path / "hdr.mp4", recognizer).images())
    assert seen.dtype == np.uint8
    off = seen.astype(float) - portrait
    assert np.abs(np.median(off, axis=(0, 1))).max() < 6
    assert np.abs(off).mean() < 12  # highlights are darker by intent
    (face,) = recognizer.recognize(seen)
    assert face.expression == "happiness"


def test_without_bt2020_colours_stay() -> None:
    red = np.zeros((1, 1, 3), np.uint16)
    red[..., 0] = 30_000
    assert to_sdr(red, PQ, BT709)[0, 0].tolist()[1:] == [0, 0]
