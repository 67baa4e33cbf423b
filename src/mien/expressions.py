"""The label sets of facial expressions, and how each data set numbers them: the only place.

mien names expressions by nouns. The basic seven stand in the order of FER2013; the eight of FERPlus
add contempt at the end, so that both agree on the first seven indices.
"""

BASIC_7 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's seven classes, in the order of its csv file (Goodfellow et al., 2013)."""

FERPLUS_8 = (*BASIC_7, "contempt")
"""FERPlus' eight classes (Barsoum et al., 2016), contempt last."""

FERPLUS_VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "nf",
)
"""The ten vote columns of fer2013new.csv, in file order; `nf` means "not a face"."""

CKPLUS_7 = (*BASIC_7[:6], "contempt")
"""CK+'s seven classes (Lucey et al., 2010): contempt, but no neutral."""

CKPLUS_ORDER = {
    1: "anger",
    2: "contempt",
    3: "disgust",
    4: "fear",
    5: "happiness",
    6: "sadness",
    7: "surprise",
}
"""The numbers in CK+'s label files."""

RAFDB_ORDER = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
"""The numbers in RAF-DB's list of labels."""

SYNONYMS = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}
"""Class names seen in the folders people hold, and the name mien uses."""


def canonical_expression(name: str) -> str:
    """The name mien uses for a class (`"Happy"` gives `"happiness"`); an own class keeps its name."""
    lowered = name.strip().lower()
    return SYNONYMS.get(lowered, lowered)


def shared_expressions(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The expressions that both label sets have, in the order of the first."""
    return tuple(expression for expression in first if expression in second)
