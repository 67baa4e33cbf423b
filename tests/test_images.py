import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import ImageError
from mien.images import read_image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def gradient() -> Image.Image:
    yy, xx = np.mgrid[:40, :60]
    return Image.fromarray(np.stack([xx * 4, yy * 6, 200 - xx], axis=2).astype(np.uint8))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 100))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_from_bytes_and_path(form: str, tmp_path: Path) -> None:
    data = encoded(gradient(), form)
    image = read_image(data)
    assert image.shape == (40, 60, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    tolerance = 0 if form in ("PNG", "BMP", "TIFF") else 12
    assert abs(image.astype(int) - np.asarray(gradient())).mean() <= tolerance
    file = tmp_path / "wrong.suffix"
    file.write_bytes(data)
    assert (read_image(file) == image).all()
    assert (read_image(str(file)) == image).all()


def flat_webp(side: int, red: int, green: int) -> bytes:
    """A lossless WebP of one colour in 30 bytes: five prefix codes with one symbol each, and no pixel data."""
    bits = f"{side - 1:014b}"[::-1] * 2 + "0" + "000"  # width, height, no alpha, version 0
    bits += "000"  # no transform, no colour cache, one group of codes
    for symbol in (green, red):
        bits += "101" + f"{symbol:08b}"[::-1]  # simple code, one symbol, of eight bits
    bits += "1000" * 3  # blue, alpha, distance: simple code, the symbol 0
    payload = b"\x2f" + int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
    chunk = b"WEBPVP8L" + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


def test_a_valid_webp_of_thirty_bytes() -> None:
    # OpenCV cannot decode WebP files of under 32 bytes; flat pictures of FER2013 are such.
    data = flat_webp(48, red=200, green=10)
    assert len(data) == 30
    image = read_image(data)
    assert image.shape == (48, 48, 3)
    assert (image == (200, 10, 0)).all()


def test_a_picture_of_one_pixel() -> None:
    data = encoded(Image.new("RGB", (1, 1), (200, 10, 30)), "PNG")
    assert read_image(data).tolist() == [[[200, 10, 30]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = gradient().transpose(turns[orientation]) if orientation in turns else gradient()
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (read_image(encoded(stored, "PNG", exif=exif)) == np.asarray(gradient())).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(form: str) -> None:
    values = np.array([[0, 256, 257, 32768, 65535]], np.uint16)
    image = read_image(encoded(Image.fromarray(values), form))
    assert image[0, :, 0].tolist() == [0, 0, 1, 127, 255]


def test_grey_palette_one_bit_and_cmyk() -> None:
    grey = gradient().convert("L")
    assert (read_image(encoded(grey, "PNG")) == np.asarray(grey)[:, :, None]).all()
    assert set(np.unique(read_image(encoded(grey.convert("1"), "PNG")))) == {0, 255}
    palette = gradient().convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    assert abs(read_image(encoded(palette, "PNG")).astype(int) - np.asarray(gradient())).mean() < 5
    cmyk = read_image(encoded(gradient().convert("CMYK"), "JPEG", quality=95))
    assert abs(cmyk.astype(int) - np.asarray(gradient())).mean() < 5


def test_transparent_parts_become_white() -> None:
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, 0] = (10, 20, 30, 255)
    image = read_image(encoded(Image.fromarray(picture), "PNG"))
    assert image[0, 0].tolist() == [10, 20, 30]
    assert (image[1] == 255).all()
    grey_alpha = Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8))
    assert read_image(encoded(grey_alpha, "PNG"))[0, :, 0].tolist() == [7, 255]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 90, 90, 90])
    palette.putpixel((1, 0), 1)
    assert read_image(encoded(palette, "PNG", transparency=0))[0, :, 0].tolist() == [255, 90]


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "TIFF"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        red, _, blue = read_image(data)[2, 2]
        assert red > 240
        assert blue < 15


def test_floating_point_pictures_are_refused() -> None:
    data = encoded(Image.fromarray(np.zeros((3, 3), np.float32)), "TIFF")
    with pytest.raises(ImageError, match=r"^picture: expected 8 or 16 bits a channel, found floating-point"):
        read_image(data, name="picture")


def test_missing_empty_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg: expected an image file, found no such file"):
        read_image(tmp_path / "none.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg: expected an image, found an empty file"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match="expected an image file, found a folder"):
        read_image(tmp_path)
    (tmp_path / "text.jpg").write_text("Dear diary, this is no photograph.\n" * 20)
    with pytest.raises(ImageError, match=r"text\.jpg: expected a JPEG, PNG, .* found something else"):
        read_image(tmp_path / "text.jpg")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_files_are_named(form: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    data = encoded(noise, form)
    with pytest.raises(ImageError, match=r"^photo\.x: expected a") as caught:
        read_image(data[: int(len(data) * share)], name="photo.x")
    assert "\n" not in str(caught.value)


def test_pixel_limit_comes_before_decoding() -> None:
    with pytest.raises(ImageError, match=r"bomb: expected at most 89478485 pixels, found 60000 x 60000"):
        read_image(png_that_claims(60_000, 60_000), name="bomb")


def test_pixel_limit_is_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(gradient(), "PNG")
    with pytest.raises(ImageError, match="expected at most 2399 pixels, found 60 x 40"):
        read_image(data, max_pixels=2399)
    assert read_image(data, max_pixels=2400).shape == (40, 60, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow itself refuses twice as many
    assert read_image(data, max_pixels=2400).shape == (40, 60, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20),
    length=st.integers(0, 4000),
)
def test_damaged_files_give_an_image_or_one_line(form: str, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(encoded(gradient(), form))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        image = read_image(bytes(data[:length]), name="damaged", max_pixels=10_000_000)
        found = f"{image.dtype} in {image.ndim} dimensions"
    except ImageError as error:
        found = str(error)
    assert found == "uint8 in 3 dimensions" or ("expected" in found and "\n" not in found)
