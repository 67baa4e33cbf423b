"""mien: lightweight facial expression recognition.

>>> from mien import Recognizer
>>> faces = Recognizer().recognize("photo.jpg")  # doctest: +SKIP
"""

from mien.recognizer import Recognizer
from mien.results import Face
from mien.video.frames import Video
from mien.weights import list_models

__version__ = "0.1.0"

__all__ = ["Face", "Recognizer", "Video", "__version__", "list_models"]
