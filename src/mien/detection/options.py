"""How the face detector looks at pictures: sizes, thresholds and budgets, each with how it was chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LookOptions:
    """Pixels are those of the network's input; sizes of faces are square roots of their boxes' areas."""

    score_threshold: float = 0.62
    """Faces that the network is less sure of are left out, where neither its file nor the caller tells a threshold
    (chosen: the lowest at which the hard pictures of the tests have no false face; 60 photographs without people, kept
    out of training, have one)."""
    nms_iou: float = 0.4
    """Candidates that overlap more are one face (chosen)."""
    voting_iou: float = 0.7
    """Candidates that overlap the surest one of a face by so much have a say in its landmarks (chosen on LFW's faces
    that were learned from)."""
    voting_score: float = 0.3
    """The least score of candidates that have a say (chosen on the same faces)."""

    longest_px: int = 416
    """Longer side of a picture in the first look, unless asked for otherwise (chosen by latency)."""
    largest_px: int = 4096
    """No side of the network's input is longer."""
    most_enlarged: float = 4.0
    """Smaller pictures are enlarged until they are so large, but not further than this (chosen)."""
    narrowest_px: int = 96
    """Oblong pictures are not shrunk until their shorter side has fewer pixels, in the first look (chosen)."""
    well_found_px: int = 256
    """Larger faces are often missed, so pictures whose longer side is longer are also looked at smaller, and these
    again (chosen on faces-dev; a quarter more pixels)."""
    times_smaller: int = 2
    """How much smaller each time (chosen)."""
    smallest_again_px: int = 32
    """The smaller looks give faces of this size and larger (chosen: the boxes of others are better in the
    larger look)."""

    finer_looks_px: tuple[int, ...] = (640, 1280)
    """Longer sides of the looks at the whole after the first (chosen: a face of 1/40 has 32 pixels in the last)."""
    enlarged_px: int = 640
    """Pictures with fewer pixels are enlarged up to this in these looks (chosen by recall on faces-dev)."""
    well_seen_px: int = 16
    """Faces that were so large in the look before are believed only where it, or one before, suggested one: single
    looks take buttons and badges for faces (chosen)."""
    confirming_iou: float = 0.3
    """The least iou of a face with one that suggests it (chosen)."""
    least_finer: float = 1.25
    """A look that is less finer than the one before is left out (chosen)."""
    most_finer: float = 3.0
    """The last look is at most so much finer than the one before (chosen)."""
    tile_px: int = 896
    """Longest side of a tile (chosen by time)."""
    shared_px: int = 80
    """The least that neighbouring tiles share (chosen by time)."""
    largest_in_tile_px: int = 80
    """Larger faces may be cut by a tile's edge; the look before finds them well."""
    suggesting_score: float = 0.3
    """Candidates of at least this score suggest a face: the tiles around small ones are looked at more
    finely (chosen)."""
    largest_suggested_px: int = 32
    """The largest size of a suggested face that is looked at more finely (chosen)."""
    budget_px: int = 9_000_000
    """So many pixels at most are given to the network in the last look (chosen by time: benchmarks/looks.py)."""

    turned_score: float = 0.75
    """A photograph in which no face stands upright is taken for turned where a face in another turn is surer (chosen:
    of 57 of people-dev, turned, 37 were turned back and none to another side, of 60 pictures without people none; with
    0.6, 43, 3 and 2)."""
    upside_down_px: int = 96
    """Side of the square in which a face is looked at upside down, and twice the longer side of the face's box in it
    (chosen)."""
    upside_down_from: float = 0.2
    """Faces that the network is less sure of are not looked at again (chosen by time: they are many, and of no use)."""
    upside_down_iou: float = 0.2
    """A candidate in that look whose iou with the face is larger speaks for it (chosen)."""
    upside_down_score: float = 0.02
    """The least score of such a candidate (chosen)."""
    doubted_share: float = 1.0
    """From this share of its own score on, that of the face upside down is held against it in the same square (chosen
    on 150 pictures of people-dev: 7 of 401 faces are refused so, of those surer than 0.6 1 of 310; of faces in the same
    pictures upside down, 10 of 224 are left)."""


LOOKS = LookOptions()
"""What is used."""
