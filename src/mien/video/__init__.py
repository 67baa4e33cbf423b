"""Videos and cameras, frame by frame."""

from mien.video.frames import Frame, Video

__all__ = ["Frame", "Video"]
