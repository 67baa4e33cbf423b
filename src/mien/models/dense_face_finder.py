"""The face detector as a plain stack of dense 3x3 convolutions: anchor-free, single shot, on three strides.

Multiply-adds are not time: for its multiply-adds, a dense 3x3 convolution with ReLU takes about half as long as
depth-wise units with 5x5 kernels do (face_finder.py), once the resolution is low. So a single convolution takes the
pixels to stride 4, as vision transformers cut patches (Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929)
but with overlap, and the blocks of dense_face.py follow, whose identities are folded away for use. Feature pyramid: Lin
et al., CVPR 2017, https://arxiv.org/abs/1612.03144. A head for each stride, as in face_finder.py. Widths and depths
were chosen by latency, side by side with face_finder.py.
"""

import copy
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.models.blocks import convolution
from mien.models.checked import STRICT, Count
from mien.models.dense_face import DenseBlock
from mien.models.face_finder import last_layer

STEM_PX = 6
"""Kernel of the first convolution, with stride 4."""


OfThreeStrides = Annotated[tuple[Count, ...], Field(min_length=3, max_length=3)]


@dataclass(frozen=True, config=STRICT)
class DenseFaceFinderOptions:
    """Options of the face detector of dense convolutions."""

    stem: Count = 16
    """Channels at stride 4."""
    widths: OfThreeStrides = (48, 64, 64)
    """Channels of the strides 8, 16 and 32."""
    depths: OfThreeStrides = (3, 3, 2)
    """Their dense blocks, of which the first halves the resolution."""
    neck: Count = 32
    """Channels of the pyramid."""
    heads: OfThreeStrides = (1, 2, 2)
    """Dense blocks of each stride's head."""


class DenseFaceFinder(nn.Module):
    """Pictures to a map for each stride: score logit, box and landmarks of each cell (mien/detection/decoding.py)."""

    paper = "https://arxiv.org/abs/2101.03697"
    bfloat16_on_cpu = True
    """As for DenseFace."""

    options_class = DenseFaceFinderOptions

    def __init__(self, options: DenseFaceFinderOptions) -> None:
        super().__init__()
        stem, widths, depths, neck = options.stem, options.widths, options.depths, options.neck
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, STEM_PX, stride=4, padding=(STEM_PX - 4) // 2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
        )
        stages = []
        for before, width, depth in zip((stem, *widths), widths, depths, strict=False):
            blocks = [DenseBlock(before, width, 2, "identity")]
            stages.append(nn.Sequential(*blocks, *(DenseBlock(width, width, 1, "identity") for _ in range(depth - 1))))
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(convolution(width, neck, 1, nn.ReLU) for width in widths)
        self.heads = nn.ModuleList(
            nn.Sequential(*(DenseBlock(neck, neck, 1, "identity") for _ in range(depth)), last_layer(neck))
            for depth in options.heads
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures float (B, 3, H, W), normalised, sides divisible by 32, to (B, 15, H/s, W/s) for s = 8, 16, 32."""
        x = self.stem(x)
        levels = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        for place in (1, 0):
            levels[place] = levels[place] + functional.interpolate(levels[place + 1], scale_factor=2.0, mode="nearest")
        return tuple(head(level) for head, level in zip(self.heads, levels, strict=True))

    def folded(self) -> "DenseFaceFinder":
        """The network in evaluation mode with each block as one convolution with bias; this one stays as it is."""
        network = copy.deepcopy(self).eval()
        for part in (network.stem, *network.laterals):
            part[0], part[1] = fuse_conv_bn_eval(part[0], part[1]), nn.Identity()
        for blocks in (*network.stages, *network.heads):
            for place, block in enumerate(blocks):
                if isinstance(block, DenseBlock):
                    blocks[place] = block.folded()
        return network
