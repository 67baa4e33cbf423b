"""Labels for faces without one."""

from mien.labelling.faces import label_faces
from mien.labelling.pictures import label_pictures

__all__ = ["label_faces", "label_pictures"]
