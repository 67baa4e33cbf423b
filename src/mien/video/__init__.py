"""Videos and cameras, frame by frame."""

from mien.video.camera import Camera
from mien.video.frames import Frame, Video
from mien.video.tracking import TrackedFace

__all__ = ["Camera", "Frame", "TrackedFace", "Video"]
