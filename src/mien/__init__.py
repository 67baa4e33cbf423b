"""mien: lightweight facial expression recognition.

>>> from mien import Recognizer
>>> faces = Recognizer().recognize("photo.jpg")  # doctest: +SKIP
"""

from mien.detection import Detection, FaceDetector, FaceFinder
from mien.drawing import draw_faces
from mien.errors import (
    CheckpointError,
    DatasetError,
    ExperimentError,
    ImageError,
    InputError,
    MienError,
    MissingExtraError,
    MissingSplitError,
    MissingVotesError,
    ModelError,
    OutputError,
    VideoError,
    VideoWriteError,
)
from mien.images import read_image
from mien.recognizer import Recognizer
from mien.results import Face
from mien.table import to_table
from mien.video import Camera, Video
from mien.weights import list_detectors, list_models

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "CheckpointError",
    "DatasetError",
    "Detection",
    "ExperimentError",
    "Face",
    "FaceDetector",
    "FaceFinder",
    "ImageError",
    "InputError",
    "MienError",
    "MissingExtraError",
    "MissingSplitError",
    "MissingVotesError",
    "ModelError",
    "OutputError",
    "Recognizer",
    "Video",
    "VideoError",
    "VideoWriteError",
    "__version__",
    "draw_faces",
    "list_detectors",
    "list_models",
    "read_image",
    "to_table",
]
