"""RLR-CNet: the clipped K5 ShuffleNetV2 with β-Mish, one path or two branches joined by cumulative learning.

Mou, Song, Wang, Tang, Xin: "Lightweight Facial Expression Recognition Based on Class-Rebalancing Fusion
Cumulative Learning", Appl. Sci. 2023, 13(15), 9029, https://doi.org/10.3390/app13159029.

The paper's text was not available; this is a reconstruction from its abstract and parameter count. Stated there:
β-Mish and the Clip_K5 block in both branches, shuffle attention in the feature-learning branch only. Inferred:
- the base is ShuffleNetV2 1.0x: the paper's 1.02 M are 17.74 % below 1.24 M, its count with 7 classes;
- depth-wise convolutions are 5x5 everywhere ("K5"), and the stride-1 units lose the 1x1 convolution after the
  depth-wise one ("Clip"): 1,018,203 convolution and linear weights for 7 classes and RGB;
- no activation follows the clipped depth-wise convolution;
- β of β-Mish is 1.5 and not learned;
- both branches share all weights and the head, which gives the whole network the paper's 1.02 M (or only one path
  was counted there);
- features are mixed as in BBN (Zhou et al., CVPR 2020, https://arxiv.org/abs/1912.02413), whose two forms of a head
  of its own for each branch are options here, not run.
Unknown and chosen here: grey 48-pixel faces, the `stride2` stem, one attention after stage 4 with 8 groups. Other
places of attention, and a last unit of its own for each branch as in BBN, were not run and are not written down.
"""

from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mien.models.attention import ShuffleAttention
from mien.models.blocks import BetaMish
from mien.models.checked import STRICT
from mien.models.shufflenet_v2 import FEATURES, STAGES, ShuffleNetV2, ShuffleNetV2Options

LAST_UNIT = sum(units for _, units in STAGES) - 1
GROUPS = 8
"""Largest power of two that is possible with 464 channels; SA-Net's default is 64."""


@dataclass(frozen=True, config=STRICT)
class RlrCnetOptions(ShuffleNetV2Options):
    """Options of the feature-learning branch."""

    activation: Literal["beta-mish", "relu"] = "beta-mish"
    """β-Mish with β = 1.5, or ReLU in its place."""
    attention: Literal["none", "after-stage-4"] = "none"
    """Where shuffle attention stands."""


@dataclass(frozen=True, config=STRICT)
class RlrCnetDualOptions(RlrCnetOptions):
    """Options of both branches."""

    attention: Literal["after-stage-4"] = "after-stage-4"
    """Where shuffle attention stands in the feature-learning branch."""
    head: Literal["shared", "two", "concatenated"] = "shared"
    """For features f_c and f_r: `shared` W (α f_c + (1-α) f_r) + b; `two` α W_c f_c + (1-α) W_r f_r, as in BBN's paper;
    `concatenated` W [2 α f_c; 2 (1-α) f_r] + b, as in BBN's code. Only `shared` was run."""


class RlrCnet(ShuffleNetV2):
    """The feature-learning branch of RLR-CNet: faces (B, C, 48, 48) to features (B, 1024) to logits (B, K)."""

    paper = "https://doi.org/10.3390/app13159029"
    options_class: ClassVar[type[Any]] = RlrCnetOptions

    def __init__(self, classes: int, in_channels: int, options: RlrCnetOptions) -> None:
        activation = BetaMish if options.activation == "beta-mish" else nn.ReLU
        super().__init__(classes, in_channels, options, kernel_size=5, activation=activation, clipped=True)
        self.attentions = nn.ModuleDict()  # named by the unit that it follows, as in the packaged weights
        if options.attention == "after-stage-4":
            self.attentions[str(LAST_UNIT)] = ShuffleAttention(STAGES[-1][0], GROUPS)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to features (B, 1024)."""
        x = self.stem(x)  # (B, 24, 24, 24)
        x = self.stages(x)  # (B, 116, 12, 12), (B, 232, 6, 6), (B, 464, 3, 3)
        x = self._attend(x)
        x = self.last(x)  # (B, 1024, 3, 3)
        return x.mean(dim=(2, 3))

    def _attend(self, x: Tensor) -> Tensor:
        """Shuffle attention, where the network has it: (B, 464, 3, 3) to the same shape."""
        for attention in self.attentions.values():
            x = attention(x)
        return x


class RlrCnetDual(RlrCnet):
    """RLR-CNet with both branches: regular features go through shuffle attention, rebalanced ones do not.

    `forward` sends a face through both with α = 0.5.
    """

    options_class = RlrCnetDualOptions

    def __init__(self, classes: int, in_channels: int, options: RlrCnetDualOptions) -> None:
        super().__init__(classes, in_channels, options)
        self.head = options.head
        self._make_path = partial(RlrCnet, classes, in_channels, options)
        if self.head != "shared":
            self.feature_count = 2 * FEATURES
            self.classifier = nn.Linear(self.feature_count, classes, bias=self.head == "concatenated")

    def forward_branches(self, regular: Tensor, rebalanced: Tensor) -> tuple[Tensor, Tensor]:
        """Faces (B, C, 48, 48) of both samplers to regular and rebalanced features, each (B, 1024)."""
        x = self.stem(torch.cat((regular, rebalanced)))  # (2B, 24, 24, 24)
        x = self.stages(x)  # (2B, 464, 3, 3)
        count = regular.shape[0]
        return self._branches(x[:count], x[count:])

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to mixed features, (B, 1024) or, without a shared head, (B, 2048)."""
        x = self.stem(x)  # (B, 24, 24, 24)
        x = self.stages(x)  # (B, 464, 3, 3), the same in both branches
        return self.mix(*self._branches(x, x), 0.5)

    def _branches(self, regular: Tensor, rebalanced: Tensor) -> tuple[Tensor, Tensor]:
        """What differs: both (B, 464, 3, 3), as one batch, to features (B, 1024) each."""
        x = torch.cat((self._attend(regular), rebalanced))  # (2B, 464, 3, 3)
        features = self.last(x).mean(dim=(2, 3))  # (2B, 1024)
        count = regular.shape[0]  # slices, since the exporter takes the batch size of `chunk` for a constant
        return features[:count], features[count:]

    def mix(self, regular: Tensor, rebalanced: Tensor, alpha: float) -> Tensor:
        """Features of both branches, each (B, 1024), to what `classify` takes, (B, 1024) or (B, 2048)."""
        if self.head == "shared":
            return alpha * regular + (1 - alpha) * rebalanced
        factor = 2 if self.head == "concatenated" else 1
        return torch.cat((factor * alpha * regular, factor * (1 - alpha) * rebalanced), dim=1)

    def feature_branch(self) -> RlrCnet:
        """The feature-learning branch alone (α = 1), as a network of one path with copies of the weights."""
        weights = self.state_dict()
        if self.head != "shared":
            factor = 2 if self.head == "concatenated" else 1
            weights["classifier.weight"] = factor * weights["classifier.weight"][:, :FEATURES]
            weights.setdefault("classifier.bias", torch.zeros(len(weights["classifier.weight"])))
        path = self._make_path().to(weights["classifier.weight"].device)
        path.load_state_dict({name: weights[name] for name in path.state_dict()})
        return path.train(self.training)
