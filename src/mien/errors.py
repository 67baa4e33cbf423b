"""The errors a user can meet: what was expected, what was found, what to do, in one line."""


class MienError(Exception):
    """Base of every error mien raises on purpose: one line.

    >>> from mien import MienError, Recognizer
    >>> try:
    ...     Recognizer().recognize("nobody.jpg")
    ... except MienError as error:
    ...     print(error)
    nobody.jpg: expected an image file, found no such file
    """


class InputError(MienError, ValueError):
    """A value that was given from Python is not what is taken."""


class ImageError(MienError):
    """A picture could not be read."""


class VideoError(MienError):
    """A video or camera could not be read, or only up to a point."""


class VideoWriteError(VideoError):
    """A video cannot be written."""


class ModelError(MienError):
    """A model is unknown, damaged, or of another kind than expected."""


class DatasetError(MienError):
    """A data set is unknown, missing, or not in the expected form."""


class MissingSplitError(DatasetError):
    """A data set has no such part."""


class MissingVotesError(DatasetError):
    """A copy of FER2013 has no FERPlus votes beside it."""


class ExperimentError(MienError):
    """An experiment file does not say what training needs."""


class CheckpointError(MienError):
    """A checkpoint is missing, damaged, or belongs to another network or experiment."""


class MissingExtraError(MienError):
    """An optional dependency that this command needs is not installed."""


class OutputError(MienError):
    """A file cannot be written where it was asked for, or would replace another."""


def shortened(text: object, longest: int = 100) -> str:
    """A name as errors show it: what people gave may be a whole encoded picture."""
    name = str(text)
    return name if len(name) <= longest else f"{name[: longest // 2]}... ({len(name):,} characters)"
