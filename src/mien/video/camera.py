"""Cameras, and what FFmpeg calls those of each platform. Needs PyAV (extra `video`)."""

import sys
from collections.abc import Callable

from mien.errors import MissingExtraError, VideoError
from mien.recognizer import Recognizer
from mien.video.frames import Video
from mien.video.media import NEEDS_PYAV
from mien.video.tracking import TrackingOptions


class Camera(Video):
    """The frames of a camera with the people in them, as time goes by: `for frame in Camera(0): ...`.

    device: the number of the camera, from 0, or its name (on Linux such as "/dev/video0").
    recognizer, every, tracking, stop: see `Video`.

    Frames that come while one is looked at are left out, but the newest. Raises VideoError where there is no such
    camera, or it goes away.
    """

    def __init__(
        self,
        device: int | str = 0,
        recognizer: Recognizer | None = None,
        every: int = 1,
        tracking: TrackingOptions | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        source, form = camera_source(str(device), sys.platform)
        try:
            super().__init__(source, recognizer, every, tracking, form=form, stop=stop, live=True)
        except VideoError as error:
            raise VideoError(f"camera {device}: expected a camera, found none ({error})") from error


def camera_source(device: str, platform: str) -> tuple[str, str]:
    """What FFmpeg calls a camera on a platform, and the format it is read with."""
    if platform == "darwin":
        return device, "avfoundation"
    if platform == "win32":
        return f"video={windows_camera(int(device)) if device.isdigit() else device}", "dshow"
    return (f"/dev/video{device}" if device.isdigit() else device), "v4l2"


def windows_camera(number: int) -> str:
    """The name of a camera by number, counted from 0; VideoError where there is none, or PyAV cannot list them."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(NEEDS_PYAV) from error
    if not hasattr(av, "enumerate_input_devices"):  # before PyAV 17
        raise VideoError(f"camera {number}: expected its name, as the Device Manager shows it; see --device")
    names = [
        each.description or each.name for each in av.enumerate_input_devices("dshow") if "video" in each.media_types
    ]
    if number >= len(names):
        raise VideoError(f"camera {number}: expected one of {len(names)} cameras ({', '.join(names) or 'none'})")
    name: str = names[number]
    return name
