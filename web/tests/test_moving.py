"""Videos and the camera: people keep their numbers, time is drawn, downloads hold it."""

import json
from pathlib import Path

from conftest import Visit, read_csv

import mien


def wait_for_frames(visit: Visit, count: int) -> None:
    """Until so many changes of the speed were shown, at most one a drawing."""
    script = """count => { const now = document.querySelector('#speed').textContent;
        const told = window.told ??= []; if (told.at(-1) !== now) told.push(now); return told.length > count; }"""
    visit.page.evaluate("window.told = []")
    visit.wait(f"({script})({count})")


def people_of(file: Path) -> dict[str, int]:
    counted: dict[str, int] = {}
    for row in read_csv(file):
        counted[row["person"]] = counted.get(row["person"], 0) + 1
    return counted


def test_two_people_before_the_camera_keep_their_numbers(visit: Visit, tmp_path: Path) -> None:
    visit.page.click("#camera")
    first, second = visit.cards(2)
    assert first.startswith("Person 1:")
    assert second.startswith("Person 2:")
    before = visit.page.get_attribute("#timeline", "aria-label")
    wait_for_frames(visit, 6)
    assert visit.page.get_attribute("#timeline", "aria-label") != before
    live = "document.querySelector('#video').srcObject?.getTracks().map(each => each.readyState)"
    visit.page.evaluate(f"window.tracks = document.querySelector('#video').srcObject.getTracks(); {live}")
    rows = people_of(visit.download("#csv", tmp_path))
    assert rows.keys() == {"1", "2"}
    assert abs(rows["1"] - rows["2"]) <= 2
    visit.page.click("#stop")
    assert visit.page.evaluate("window.tracks.map(each => each.readyState)") == ["ended"]
    assert visit.page.evaluate("document.querySelector('#video').srcObject") is None
    assert people_of(visit.download("#csv", tmp_path)).keys() == {"1", "2"}  # what was found stays


def test_a_video_gives_rows_as_mien_video_does(visit: Visit, clip: Path, tmp_path: Path) -> None:
    visit.choose(clip)
    visit.cards(2)
    wait_for_frames(visit, 3)
    rows = read_csv(visit.download("#csv", tmp_path))
    file = visit.download("#json", tmp_path)
    assert file.name == "people.jsonl"
    frames = [json.loads(line) for line in file.read_text().splitlines()]
    assert {face["person"] for frame in frames for face in frame["faces"]} >= {1, 2}
    times = [frame["time_s"] for frame in frames]
    assert times == sorted(set(times))
    expected = {person.person: person for frame in mien.Video(clip) for person in frame.faces}
    assert {int(row["person"]) for row in rows} >= set(expected)
    for row in rows[:2]:
        twin = min(expected.values(), key=lambda each: abs(each.face.box_xyxy[0] - float(row["x0"])))
        assert row["expression"] == twin.expression
        assert abs(sum(float(row[name]) for name in twin.scores) - 1) < 1e-3


def test_an_annotated_video_can_be_kept(visit: Visit, clip: Path, tmp_path: Path) -> None:
    import av

    visit.choose(clip)
    visit.cards(2)
    file = visit.download("#record", tmp_path)  # once it was played through
    assert file.name.startswith("people-annotated.")
    with av.open(str(file)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert frames
    assert frames[-1].shape == (480, 640, 3)


def test_a_video_that_is_none(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "broken.mp4"
    file.write_bytes(b"no video at all")
    visit.choose(file)
    visit.wait("document.querySelector('#count').textContent.includes('broken.mp4 cannot be read')")
    visit.page.click("#close")
    visit.page.click("[data-example='examples/grace-hopper.jpg']")
    visit.cards(1)
