"""What is written of a video or camera while it is read: rows, an annotated copy, a timeline."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.drawing import draw_faces
from mien.errors import VideoError
from mien.preprocessing import ImageArray

if TYPE_CHECKING:
    from mien.video.frames import Frame, Video
    from mien.video.writing import VideoFile


class VideoOutputs:
    """What is written of a video or camera while it is read: rows, an annotated copy, a timeline."""

    def __init__(
        self,
        moving: "Video",
        csv_file: Path | None,
        out: Path | None = None,
        timeline: Path | None = None,
        all_frames: bool = False,
    ) -> None:
        from mien.cli.outputs import PersonRows
        from mien.video.timeline import Timeline

        expressions = moving.recognizer.expressions
        self.summary = Timeline(expressions, moving.start_s)
        self.copy = _copy(out, moving) if out else None
        self._rows = PersonRows(csv_file, expressions, all_frames) if csv_file else None
        self._timeline = timeline
        if timeline:
            timeline.open("ab").close()  # so that a wrong name is told now
        self._live = moving.live
        self._period_s, self._end_s = float(1 / moving.rate), moving.start_s
        self.going_on = ""
        """How to go on from the last frame, once there is one."""

    def write(self, frame: "Frame") -> None:
        """Take up the next frame."""
        from_s = math.floor(frame.time_s * 1000) / 1000
        more = "" if self._live else f", go on with --start {from_s:.3f} and other files"
        self.going_on = f"; what came before is kept{more}"
        if self._rows:
            self._rows.write(frame.number, frame.time_s, frame.faces)
        if self.copy:
            self.copy.write(frame.time_s, annotated(frame))
        self.summary.add(frame.time_s, frame.faces)
        self._end_s = frame.time_s + self._period_s

    def finish(self, failure: str) -> str:
        """Finish all, each even where another cannot be; the failure so far, or why one cannot be."""
        self.summary.finish(self._end_s)
        whole = not failure
        try:
            if self._rows:
                self._rows.close()
        except OSError as error:
            failure = failure or f"{error.filename}: {error.strerror}"
        try:
            if self.copy:
                self.copy.close(whole)
        except VideoError as error:
            failure = failure or f"{error}; what came before is kept"
        try:
            if self._timeline:
                self.summary.save(self._timeline)
        except OSError as error:
            failure = failure or f"{self._timeline}: {error.strerror or error}"
        return failure


def _copy(out: Path, moving: "Video") -> "VideoFile":
    from mien.video.writing import VideoFile

    return VideoFile(out, moving.rate, None if moving.live else moving.source, moving.start_s)


def annotated(frame: "Frame") -> ImageArray:
    """A frame with boxes, numbers of persons and charts of smoothed scores."""
    faces = [replace(each.face, scores=each.scores) for each in frame.faces]
    return draw_faces(frame.image, faces, [f"person {each.person}" for each in frame.faces])
