"""What FFmpeg calls the cameras of each platform. Needs PyAV (extra `video`)."""

from mien.errors import MissingExtraError, VideoError
from mien.video.media import NEEDS_PYAV


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
