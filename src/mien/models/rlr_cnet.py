"""RLR-CNet, one path: the clipped K5 ShuffleNetV2 with β-Mish.

Mou, Song, Wang, Tang, Xin: "Lightweight Facial Expression Recognition Based on Class-Rebalancing Fusion
Cumulative Learning", Appl. Sci. 2023, 13(15), 9029, https://doi.org/10.3390/app13159029.

The paper's text was not available; this is a reconstruction from its abstract and parameter count. Inferred:
- the base is ShuffleNetV2 1.0x: the paper's 1.02 M are 17.74 % below 1.24 M, its count with 7 classes;
- depth-wise convolutions are 5x5 everywhere ("K5"), and the stride-1 units lose the 1x1 convolution after the
  depth-wise one ("Clip"): 1,018,203 convolution and linear weights for 7 classes and RGB;
- no activation follows the clipped depth-wise convolution (`clipped_activation` adds one);
- β of β-Mish is 1.5 and not learned.
Unknown and chosen here: grey 48-pixel faces and the `stride2` stem.
"""

from functools import partial
from typing import Literal

from mien.models.blocks import BetaMish, Stem
from mien.models.shufflenet_v2 import BasicUnit, ShuffleNetV2


class RlrCnet(ShuffleNetV2):
    """The feature path of RLR-CNet: faces (B, C, 48, 48) to features (B, 1024) to logits (B, K)."""

    paper = "https://doi.org/10.3390/app13159029"

    def __init__(
        self,
        classes: int,
        in_channels: int = 1,
        stem: Stem = "stride2",
        dropout: float = 0.0,
        beta: float = 1.5,
        clipped_activation: Literal["none", "beta-mish"] = "none",
    ) -> None:
        super().__init__(
            classes,
            in_channels,
            stem,
            dropout,
            kernel_size=5,
            activation=partial(BetaMish, beta),
            clipped=True,
        )
        if clipped_activation == "beta-mish":
            for unit in self.stages:
                if isinstance(unit, BasicUnit):
                    unit.main.append(BetaMish(beta))
