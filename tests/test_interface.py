"""The Python interface: what a recogniser takes, in order and at once, and what it refuses in one line."""

import io
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from mien import Detection, Face, ImageError, InputError, MienError, ModelError, Recognizer, Video, VideoError, errors
from mien.cli.sources import expand
from mien.detection.detectors import make_detector
from mien.detection.face_finder import FaceFinder
from mien.images import read_image
from mien.preprocessing import ImageArray
from mien.weights import FOLDER, default_model


class Given:
    """A detector that was told the answer."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.threads: set[str] = set()

    def detect(self, image: ImageArray) -> Any:
        self.threads.add(threading.current_thread().name)
        return self.found


def nobody_may_look(image: ImageArray) -> list[Detection]:
    raise AssertionError


@pytest.fixture(scope="module")
def for_crops() -> Recognizer:
    return Recognizer(detector="whole-image")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Drawn pictures, each another."""
    folder = tmp_path_factory.mktemp("noise")
    files = [folder / f"{number}.png" for number in range(5)]
    for number, file in enumerate(files):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(file)
    return files


def test_the_public_names() -> None:
    told = "Recognizer Face Detection Video Camera FaceFinder FaceDetector draw_faces read_image list_models"
    kinds = [name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, MienError)]
    assert {*told.split(), "list_detectors", "to_table", *kinds} <= set(mien.__all__)
    assert all(hasattr(mien, name) for name in mien.__all__)


def test_pictures_of_every_kind_are_the_same(noise: list[Path]) -> None:
    file = noise[0]
    expected = read_image(file)
    with file.open("rb") as stream, Image.open(file) as picture:
        for source in (str(file), file.read_bytes(), bytearray(file.read_bytes()), stream, picture, expected):
            assert (read_image(source) == expected).all()  # type: ignore[arg-type]
    assert (read_image(expected[:, :, ::-1], color="bgr") == expected).all()
    grey = expected[:, :, 0]
    for image in (grey, grey[:, :, None]):
        assert (read_image(image) == grey[:, :, None]).all()
        assert read_image(image, color="bgr").shape == (20, 30, 3)


def test_a_pillow_picture_that_was_only_opened_is_turned(noise: list[Path], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("jpg", "tif"):
        with Image.open(noise[0]) as picture:
            picture.save(tmp_path / f"turned.{form}", exif=exif)
        with Image.open(tmp_path / f"turned.{form}") as turned:
            assert (read_image(turned) == read_image(tmp_path / f"turned.{form}")).all()
            assert read_image(turned).shape == (30, 20, 3)


RGB = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (RGB / 255, r"received float64 \(4, 5, 3\); \(image \* 255\)\.round\(\)"),
        (RGB + 99.0, r"float64 .*; image\.clip\(0, 255\)\.astype\(np\.uint8\)"),
        (RGB.astype(np.int64), r"int64 .*; image\.clip"),
        (RGB.astype(np.uint16), r"uint16 .*; \(image // 257\)"),
        (RGB > 0, r"bool .*; image\.astype\(np\.uint8\) \* 255"),
        (np.zeros((4, 5, 4), np.uint8), r"image\[:, :, :3\]"),
        (np.zeros((3, 4, 5), np.uint8), r"image\.transpose\(1, 2, 0\)"),
        (RGB[None], "recognize_many takes several"),
        (RGB[:0], "it has no pixels"),
        (np.zeros(4, np.uint8), "it is no picture"),
        (RGB.tolist(), r"received list; np\.asarray\(image, np\.uint8\)"),
        (None, r"received NoneType; cv2\.imread gives None"),
        (7, "received int"),
        (io.StringIO("x"), r"opened in binary mode, open\(path, 'rb'\), received one of text"),
    ],
)
def test_what_is_no_picture_is_told_how_to_convert(image: Any, hint: str, for_crops: Recognizer) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        for_crops.recognize(image)
    assert "\n" not in str(caught.value)


def test_tensors_are_told_how_to_convert() -> None:
    class Tensor:
        def detach(self) -> None: ...

    with pytest.raises(InputError, match=r"received Tensor; image\.permute\(1, 2, 0\)"):
        read_image(Tensor())  # type: ignore[arg-type]


def test_colour_is_for_arrays(noise: list[Path]) -> None:
    with pytest.raises(InputError, match="color: expected 'rgb' for all but arrays"):
        read_image(noise[0], color="bgr")
    with pytest.raises(InputError, match="color: expected 'rgb' or 'bgr', received 'BGR'"):
        read_image(RGB, color="BGR")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["iVBORw0KGgo" * 500, "data:image/png;base64," + "A" * 9000, "a/" * 3000, "n" * 300])
def test_long_strings_are_one_short_line(text: str) -> None:
    with pytest.raises(ImageError, match="characters") as caught:
        read_image(text)
    with pytest.raises(ModelError) as no_model:
        Recognizer(text)
    with pytest.raises(ModelError) as no_detector:
        make_detector(text)
    pytest.importorskip("av")
    with pytest.raises(VideoError) as no_video:
        Video(text)
    with pytest.raises(ImageError) as no_source:
        expand([text])[0].read(1)
    for error in (caught, no_model, no_detector, no_video, no_source):
        assert len(str(error.value)) < 300
        assert "\n" not in str(error.value)
    with pytest.raises(ImageError, match="download it first"):
        read_image("https://example.org/a.jpg")


def test_known_boxes_are_read_in_their_order_without_a_look(examples: Path) -> None:
    recognizer = Recognizer(detector=Given(None))
    recognizer.detector.detect = nobody_may_look  # type: ignore[method-assign]
    happy, other = (178, 65, 268, 176), np.array([10, 200, 60, 260], np.float32)
    faces = recognizer.recognize(examples / "eileen-collins.jpg", boxes_xyxy=[other, happy])
    assert [face.box_xyxy for face in faces] == [tuple(other.tolist()), happy]
    assert faces[1].expression == "happiness"
    assert faces[1].detection_score == 1
    assert recognizer.recognize(RGB, boxes_xyxy=[]) == []
    assert recognizer.recognize(RGB, boxes_xyxy=np.empty((0, 4))) == []


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        ([(5, 0, 9, 4)], r"expected a box that touches the picture of 5 x 4 pixels, received \(5.0, 0.0, 9.0, 4.0\)"),
        ([(0, -4, 9, 0)], "expected a box that touches the picture"),
        ([(3, 3, 2, 2)], "boxes_xyxy: expected .x0, y0, x1, y1. with x0 < x1"),
        ([(0, 0, 2)], "boxes_xyxy: expected .x0, y0, x1, y1."),
        ((0, 0, 2, 2), "boxes_xyxy: expected numbers, received 0"),
    ],
)
def test_boxes_that_are_none_are_refused(boxes: Any, told: str, for_crops: Recognizer) -> None:
    with pytest.raises(InputError, match=told):
        for_crops.recognize(RGB, boxes_xyxy=boxes)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([(0, 0, 2, 2)], r"expected a list of Detection objects from detect\(image\), received a tuple"),
        (None, "received a NoneType"),
        ([Detection((9, 9, 12, 12), 1)], "expected a box that touches the picture"),
    ],
)
def test_what_own_detectors_give_is_checked(found: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Recognizer(detector=Given(found)).recognize(RGB)


def test_what_is_no_detector_is_refused() -> None:
    with pytest.raises(InputError, match=r"detector: expected a name, a path or an object .*, received a function"):
        Recognizer(detector=nobody_may_look)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="received FaceFinder"):
        Recognizer(detector=FaceFinder)  # type: ignore[arg-type]


def test_faces_to_score_are_one_array(for_crops: Recognizer) -> None:
    with pytest.raises(InputError, match=r"faces: expected uint8 .*, received a list; np\.stack\(crops\)"):
        for_crops.score_faces([for_crops.crop(RGB)])  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 3])
def test_many_pictures_in_order_and_in_one_batch(
    for_crops: Recognizer, noise: list[Path], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = [for_crops.recognize(file) for file in noise]
    batches: list[int] = []
    score = for_crops.score_faces
    monkeypatch.setattr(for_crops, "score_faces", lambda faces: (batches.append(len(faces)), score(faces))[1])
    together = list(for_crops.recognize_many(noise, workers))
    assert batches == [len(noise)]
    for (face,), (alone,) in zip(together, one_by_one, strict=True):
        assert list(face.scores.values()) == pytest.approx(list(alone.scores.values()), abs=1e-5)
    assert list(for_crops.recognize_many([])) == []


def test_many_pictures_are_read_as_they_are_needed() -> None:
    detector = Given([])
    taken: list[int] = []

    def endless() -> Any:
        while True:
            taken.append(len(taken))
            yield RGB

    results = Recognizer(detector=detector).recognize_many(endless(), workers=2)
    assert [next(results) for _ in range(3)] == [[], [], []]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 100
    assert all(name.startswith("mien") for name in detector.threads)


def test_a_picture_that_cannot_be_read_among_many(for_crops: Recognizer, noise: list[Path]) -> None:
    files = [noise[0], noise[0].with_name("none.png"), noise[1]]
    first, error, last = for_crops.recognize_many(files, return_exceptions=True)
    assert isinstance(error, ImageError)
    assert len(first) == len(last) == 1
    results = for_crops.recognize_many(files)
    assert len(next(results)) == 1
    with pytest.raises(ImageError, match=r"none\.png: expected an image file, found no such file"):
        next(results)
    with pytest.raises(InputError, match="workers: expected at least 1, received 0"):
        for_crops.recognize_many(files, 0)


def test_a_recognizer_is_pickled_by_its_settings(noise: list[Path]) -> None:
    finder = FaceFinder(longest_px=96, score_threshold=0.5, any_way_up=True)
    recognizer = Recognizer(Path(FOLDER / f"{default_model()}.onnx"), finder, threads=2)
    again = pickle.loads(pickle.dumps(recognizer))
    assert again.scorer.made_with == recognizer.scorer.made_with
    assert again.detector.__reduce__() == finder.__reduce__()
    for detector in ("whole-image", "haar"):
        recognizer = Recognizer(detector=detector)
        again = pickle.loads(pickle.dumps(recognizer))
        assert type(again.detector) is type(recognizer.detector)
        assert again.recognize(noise[0]) == recognizer.recognize(noise[0])


def test_a_folder_over_processes(noise: list[Path], tmp_path: Path, for_crops: Recognizer) -> None:
    """As people write it, by spawn and by fork."""
    script = tmp_path / "over.py"
    script.write_text(f"""
import multiprocessing, pickle, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from mien import Recognizer

if __name__ == "__main__":
    recognizer, files = Recognizer(detector="whole-image"), sorted(Path({str(noise[0].parent)!r}).glob("*.png"))
    results = []
    for method in {[each for each in ("spawn", "fork") if each == "spawn" or hasattr(os, "fork")]!r}:
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            results.append(list(pool.map(recognizer.recognize, files, chunksize=3)))
    sys.stdout.buffer.write(pickle.dumps(results))
""")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, timeout=300)
    assert run.returncode == 0, run.stderr.decode()
    expected = [for_crops.recognize(file) for file in noise]
    for results in pickle.loads(run.stdout):
        assert isinstance(results[0][0], Face)
        assert results == expected


def test_one_thread_unless_more_are_asked_for() -> None:
    def threads(recognizer: Recognizer) -> list[int]:
        assert isinstance(recognizer.detector, FaceFinder)
        sessions = (recognizer.scorer._session, recognizer.detector._session)
        return [each.get_session_options().intra_op_num_threads for each in sessions]

    assert threads(Recognizer()) == [1, 1]
    assert threads(Recognizer(threads=2)) == [2, 2]
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads(Recognizer(threads=0)) == [allowed, allowed]
    with pytest.raises(InputError, match=r"threads: expected 0 .* or more, received -1"):
        Recognizer(threads=-1)


def test_back_ends_are_chosen() -> None:
    chosen = Recognizer(providers=[("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})])
    assert isinstance(chosen.detector, FaceFinder)
    assert chosen.detector._session.get_providers() == ["CPUExecutionProvider"]
    assert chosen.scorer._session.get_provider_options()
    for wrong in (["NoSuchProvider"], "NoSuchProvider"):
        with pytest.raises(InputError, match=r"providers: expected some of .*CPUExecution.*, received NoSuchProvider"):
            Recognizer(providers=wrong)
    with pytest.raises(InputError, match="received none"):
        Recognizer(providers=[])


def test_a_file_does_not_change_what_a_name_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("haar", "whole-image", "face-finder", default_model()):
        Path(name).write_text("no network")
    assert type(make_detector("haar")).__name__ == "HaarDetector"
    assert type(make_detector("whole-image")).__name__ == "WholeImage"
    assert isinstance(make_detector("face-finder"), FaceFinder)
    Recognizer(default_model(), "whole-image")
    for named in (Path("haar"), Path("face-finder"), "./haar"):
        with pytest.raises(ModelError, match="expected an ONNX network, found a damaged file"):
            make_detector(named)
    with pytest.raises(ModelError, match="expected an ONNX network, found a damaged file"):
        Recognizer(Path(default_model()))
    assert isinstance(Recognizer(detector=FOLDER / "face-finder.onnx").detector, FaceFinder)


def test_models_that_are_none_are_named(tmp_path: Path) -> None:
    for detector in (False, True):
        open_model: Any = make_detector if detector else Recognizer
        with pytest.raises(ModelError, match=r"nope\.onnx: expected an ONNX file, found no such file"):
            open_model("nope.onnx")
        with pytest.raises(ModelError, match="expected an ONNX file, found a folder"):
            open_model(str(tmp_path))
        checkpoint = FOLDER / f"{default_model()}.safetensors"
        with pytest.raises(ModelError, match="found a checkpoint; `mien export` makes a network of it"):
            open_model(checkpoint)


def test_a_program_packed_without_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.weights.MANIFEST", tmp_path / "manifest.json")
    with pytest.raises(ModelError, match=r"manifest\.json: expected mien's networks .*--collect-data mien"):
        Recognizer()


def test_pyinstaller_finds_its_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for PyInstaller."""
    from importlib.metadata import EntryPoint
    from types import SimpleNamespace

    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    ((name, value),) = project["entry-points"]["pyinstaller40"].items()
    (folder,) = EntryPoint(name, value, "pyinstaller40").load()()
    stand_in = SimpleNamespace(collect_data_files=lambda package, excludes: [package])
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", stand_in)  # type: ignore[arg-type]
    hook: dict[str, Any] = {}
    exec((Path(folder) / "hook-mien.py").read_text(), hook)
    assert hook["datas"] == ["mien"]


def test_pillows_limit_stands_while_a_picture_is_opened(noise: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opener, accepts = Image.OPEN["PNG"]
    limits = []

    def watched(*given: Any) -> Any:
        limits.append(Image.MAX_IMAGE_PIXELS)
        return opener(*given)

    monkeypatch.setitem(Image.OPEN, "PNG", (watched, accepts))
    before = Image.MAX_IMAGE_PIXELS
    read_image(noise[0])
    assert limits == [before]
    assert before is not None


@pytest.mark.parametrize("lacking", ["CascadeClassifier", "data"])
def test_opencv_without_its_cascades_is_one_line(lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 has none."""
    cv2 = pytest.importorskip("cv2")
    if lacking == "data":
        monkeypatch.setattr(cv2, "__file__", str(tmp_path / "cv2.so"))
    else:
        monkeypatch.delattr(cv2, lacking)
    with pytest.raises(mien.MissingExtraError, match=r"pip install 'mien\[haar\]'") as caught:
        make_detector("haar")
    assert "\n" not in str(caught.value)
