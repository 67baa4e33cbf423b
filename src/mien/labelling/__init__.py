"""Labels for faces without one."""

from mien.labelling.faces import label_faces

__all__ = ["label_faces"]
