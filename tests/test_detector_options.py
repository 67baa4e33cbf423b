"""Options that say how faces are looked for, and what is told where none was found."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from mien import Recognizer, Video
from mien.cli import app
from mien.cli.options import recognizer_options
from mien.cli.outputs import to_text
from mien.detection.face_finder import AUTO, FaceFinder, LongestPx
from mien.detection.options import LOOKS


@pytest.mark.parametrize("usual_px", [AUTO, 416])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (None, LOOKS.score_threshold, False)),
        (["--longest-px", "960", "--score-threshold", "0.3"], (960, 0.3, False)),
        (["--longest-px", "auto", "--any-way-up"], ("auto", LOOKS.score_threshold, True)),
    ],
)
def test_options_make_a_detector(
    usual_px: LongestPx, arguments: list[str], expected: tuple[LongestPx | None, float, bool]
) -> None:
    made: list[Recognizer] = []

    @click.command()
    @recognizer_options(usual_px)
    def command(recognizer: Recognizer) -> None:
        made.append(recognizer)

    assert CliRunner().invoke(command, arguments).exit_code == 0
    finder = made[0].detector
    assert isinstance(finder, FaceFinder)
    assert (finder.longest_px, finder.score_threshold) == (expected[0] or usual_px, expected[1])
    # By themselves, photographs are turned where they show no upright face; frames of videos never.
    assert finder.any_way_up == (expected[2] or (AUTO if usual_px == AUTO else False))
    assert CliRunner().invoke(command, ["--detector", "whole-image"]).exit_code == 0


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--longest-px", "fine", "'fine' is not a valid"),
        ("--longest-px", "20", "20 is not in the range 32<=x<=4096"),
        ("--score-threshold", "0", "0.0 is not in the range 0<x<1"),
        ("--score-threshold", "1", "1.0 is not in the range 0<x<1"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "video", "label"])
def test_options_out_of_bounds_are_refused(command: str, option: str, value: str, message: str) -> None:
    result = CliRunner().invoke(app, [command, "x", option, value])
    assert result.exit_code == 2
    assert message in result.output


def test_surer_faces_alone(examples: Path) -> None:
    portrait = str(examples / "eileen-collins.jpg")
    assert "1 face\n" in CliRunner().invoke(app, ["predict", portrait]).output
    assert "no face\n" in CliRunner().invoke(app, ["predict", portrait, "--score-threshold", "0.99"]).output


def test_no_face_in_a_large_picture_tells_how_finely_it_was_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "grey.png"
    Image.new("RGB", (3000, 900), "grey").save(file)
    told = "  looked at with 1280 of its 3000 px: faces under about 47 px may be missed; --longest-px looks more finely"
    assert CliRunner().invoke(app, ["predict", str(file)]).output.splitlines()[-1] == told
    assert "looked at" not in CliRunner().invoke(app, ["predict", str(file), "--longest-px", "3000"]).output
    assert "looked at" not in CliRunner().invoke(app, ["predict", str(file), "--json"]).output
    assert "looked at" not in to_text({"source": "x", "width": 3000, "height": 900, "faces": []})
    assert "looked at" not in to_text({"source": "x", "width": 640, "height": 480, "faces": []}, 640)


def test_how_finely_pictures_are_looked_at() -> None:
    finder = FaceFinder()
    assert [finder.looked_px(*size) for size in ((4032, 3024), (1000, 800), (640, 480), (50, 40))] == [
        *(1280, 1000, 640, 200)
    ]
    assert FaceFinder(longest_px=960).looked_px(4032, 3024) == 960


def test_videos_are_looked_at_in_one_fast_size(clip: Path) -> None:
    finder = Video(clip).recognizer.detector
    assert isinstance(finder, FaceFinder)
    assert finder.longest_px == 416
