import io
import logging
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

import mien.picture_files
from mien.cli.sources import expand
from mien.datasets import open_dataset
from mien.errors import ImageError
from mien.images import read_image
from mien.picture_files import picture_suffixes, pictures_below

HIDDEN = (".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git")


def save(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "red").save(file, "PNG")


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".mpo", ".avif"])
def test_folders_give_pictures_of_less_usual_suffixes(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / f"x{suffix}", "AVIF" if suffix == ".avif" else "JPEG")
    (source,) = expand([str(tmp_path)])
    assert source.read(10_000).shape == (32, 32, 3)


def test_all_usual_kinds_are_read() -> None:
    usual = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"}
    assert usual <= set(picture_suffixes())


def test_hidden_files_and_folders_are_passed_over_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [tmp_path / split / name / "x.png" for split in ("all", "other") for name in ("happy", "sad")]
    save(*kept)
    for folder in (tmp_path, tmp_path / "all", tmp_path / "all" / "happy"):
        save(*(folder / name / "x.png" for name in HIDDEN), folder / "._x.png")
    assert pictures_below(tmp_path) == kept
    assert [source.name for source in expand([str(tmp_path)])] == list(map(str, kept))
    monkeypatch.chdir(tmp_path / "all")
    assert [source.name for source in expand(["*"])] == ["happy/x.png", "sad/x.png"]
    assert [source.name for source in expand(["**/*.png"])] == ["happy/x.png", "sad/x.png"]
    assert [source.name for source in expand(["../all/happy/*.png"])] == ["../all/happy/x.png"]
    assert [source.name for source in expand(["@eaDir/*.png"])] == ["@eaDir/x.png"]  # it was asked for
    assert len(open_dataset("faces", tmp_path, "all")) == 4
    assert open_dataset("folder", tmp_path, "other").expressions == ("happiness", "sadness")
    assert len(open_dataset("folder", tmp_path / "all", "all")) == 2


def test_pictures_of_other_kinds_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "happy" / "a.png", tmp_path / "sad" / "b.png")
    for name in ("c.CR2", "d.cr2", "e.psd", "notes.txt", ".hidden.nef"):
        (tmp_path / "sad" / name).touch()
    told = "left out pictures of other kinds: 2 .cr2, 1 .psd"
    with caplog.at_level(logging.WARNING, "mien"):
        expand([str(tmp_path)])
        assert caplog.messages == [f"{tmp_path}: {told}"]
        open_dataset("folder", tmp_path, "all")
        assert caplog.messages[1:] == [f"{tmp_path / 'sad'}: {told}"]


def test_a_link_to_nowhere_and_a_locked_folder_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    good, lost, locked = expand([str(tmp_path)])
    assert good.read(1000).shape == (20, 20, 3)
    for source, reason in ((lost, "found no such file"), (locked, "expected a readable folder: Permission denied")):
        with pytest.raises(ImageError, match=reason):
            source.read(1000)


def heic() -> bytes:
    """What a telephone writes begins so."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_heic_files_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    mien.picture_files._register_openers.cache_clear()
    (tmp_path / "a.heic").write_bytes(heic())
    assert ".heic" not in picture_suffixes()
    with pytest.raises(ImageError, match=r"found a HEIC file; to read these: pip install 'mien\[heic\]'"):
        read_image(tmp_path / "a.heic")


def test_heic_is_read_where_an_opener_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(stream: io.BytesIO, name: str) -> Image.Image:
        return Image.new("RGB", (7, 5), "red")

    monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda prefix: prefix[4:8] == b"ftyp"))
    (tmp_path / "a.heic").write_bytes(heic())
    (source,) = expand([str(tmp_path)])
    assert source.read(1000).shape == (5, 7, 3)


def test_the_extra_reads_heic() -> None:
    pi_heif = pytest.importorskip("pi_heif")
    mien.picture_files._register_openers.cache_clear()
    assert ".heic" in picture_suffixes()
    assert pi_heif.__version__


def test_a_video_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    (source,) = expand([str(tmp_path / "clip.mp4")])
    with pytest.raises(ImageError, match=r"clip.mp4: expected a picture, found a video; `mien video` reads these"):
        source.read(1000)
