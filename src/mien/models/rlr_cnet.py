"""RLR-CNet: the clipped K5 ShuffleNetV2 with β-Mish, one path or two branches joined by cumulative learning.

Mou, Song, Wang, Tang, Xin: "Lightweight Facial Expression Recognition Based on Class-Rebalancing Fusion
Cumulative Learning", Appl. Sci. 2023, 13(15), 9029, https://doi.org/10.3390/app13159029.

The paper's text was not available; this is a reconstruction from its abstract and parameter count. Stated there:
β-Mish and the Clip_K5 block in both branches, shuffle attention in the feature-learning branch only. Inferred:
- the base is ShuffleNetV2 1.0x: the paper's 1.02 M are 17.74 % below 1.24 M, its count with 7 classes;
- depth-wise convolutions are 5x5 everywhere ("K5"), and the stride-1 units lose the 1x1 convolution after the
  depth-wise one ("Clip"): 1,018,203 convolution and linear weights for 7 classes and RGB;
- no activation follows the clipped depth-wise convolution (`clipped_activation` adds one);
- β of β-Mish is 1.5 and not learned;
- both branches share all weights and the head, which gives the whole network the paper's 1.02 M (or only one path
  was counted there);
- features are mixed as in BBN (Zhou et al., CVPR 2020, https://arxiv.org/abs/1912.02413), from where the
  other forms of head and sharing come.
Unknown and chosen here: grey 48-pixel faces, the `stride2` stem, one attention after stage 4 with 8 groups.
"""

import copy
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.attention import ShuffleAttention
from mien.models.blocks import BetaMish, Stem
from mien.models.shufflenet_v2 import FEATURES, STAGES, BasicUnit, ShuffleNetV2

Attention = Literal["none", "after-stage-4", "after-last-convolution", "after-each-stage"]
Sharing = Literal["all", "all-but-last-unit"]
Head = Literal["shared", "two", "concatenated"]

LARGEST_GROUPS = {116: 2, 232: 4, 464: 8, FEATURES: 64}
"""Largest power of two that is possible as the groups of a map with so many channels; SA-Net's default is 64."""


class RlrCnet(ShuffleNetV2):
    """The feature-learning branch of RLR-CNet: faces (B, C, 48, 48) to features (B, 1024) to logits (B, K).

    attention: where shuffle attention stands. attention_groups: for `after-stage-4` and
    `after-last-convolution`, 0 for the largest power of two that is possible (8 and 64).
    """

    paper = "https://doi.org/10.3390/app13159029"

    def __init__(
        self,
        classes: int,
        in_channels: int = 1,
        stem: Stem = "stride2",
        dropout: float = 0.0,
        activation: Literal["beta-mish", "relu"] = "beta-mish",
        beta: float = 1.5,
        clipped_activation: Literal["none", "beta-mish"] = "none",
        attention: Attention = "none",
        attention_groups: int = 0,
    ) -> None:
        if activation == "relu" and (beta != 1.5 or clipped_activation != "none"):
            raise ValueError("beta and clipped_activation are for the activation beta-mish, not for relu")
        super().__init__(
            classes,
            in_channels,
            stem,
            dropout,
            kernel_size=5,
            activation=partial(BetaMish, beta) if activation == "beta-mish" else nn.ReLU,
            clipped=True,
        )
        if clipped_activation == "beta-mish":
            for unit in self.stages:
                if isinstance(unit, BasicUnit):
                    unit.main.append(BetaMish(beta))
        self.attentions = nn.ModuleDict(
            {
                place: ShuffleAttention(channels, attention_groups or LARGEST_GROUPS[channels])
                for place, channels in _attention_places(attention, attention_groups).items()
            }
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to features (B, 1024)."""
        x = self.stem(x)  # (B, 24, 24, 24)
        for index, unit in enumerate(self.stages):
            x = self._attend(str(index), unit(x))
        x = self._attend("last", self.last(x))  # (B, 1024, 3, 3)
        return x.mean(dim=(2, 3))

    def _attend(self, place: str, x: Tensor) -> Tensor:
        attended: Tensor = self.attentions[place](x) if place in self.attentions else x
        return attended


def _attention_places(attention: Attention, groups: int) -> dict[str, int]:
    """Channels by place: the index of the unit that attention follows, or `last`."""
    ends: dict[str, int] = {}
    position = -1
    for channels, units in STAGES:
        position += units
        ends[str(position)] = channels
    if attention == "after-each-stage":
        if groups:
            raise ValueError("attention_groups is for a single place; after each stage they are 2, 4, 8")
        return ends
    if attention == "after-stage-4":
        return {str(position): channels}
    if attention == "after-last-convolution":
        return {"last": FEATURES}
    if groups:
        raise ValueError("attention_groups needs attention")
    return {}


class RlrCnetDual(RlrCnet):
    """RLR-CNet with both branches: regular features go through shuffle attention, rebalanced ones do not.

    sharing: `all` weights, or `all-but-last-unit` of stage 4 as in BBN. head, for features f_c and f_r:
    `shared` W (α f_c + (1-α) f_r) + b; `two` α W_c f_c + (1-α) W_r f_r, BBN's paper;
    `concatenated` W [2 α f_c; 2 (1-α) f_r] + b, BBN's code. `forward` sends a face through both with α = 0.5.
    """

    def __init__(
        self,
        classes: int,
        in_channels: int = 1,
        stem: Stem = "stride2",
        dropout: float = 0.0,
        activation: Literal["beta-mish", "relu"] = "beta-mish",
        beta: float = 1.5,
        clipped_activation: Literal["none", "beta-mish"] = "none",
        attention: Attention = "after-stage-4",
        attention_groups: int = 0,
        sharing: Sharing = "all",
        head: Head = "shared",
    ) -> None:
        path = (classes, in_channels, stem, dropout, activation, beta, clipped_activation, attention, attention_groups)
        super().__init__(*path)
        self.head = head
        self._make_path = partial(RlrCnet, *path)
        self.rebalanced_unit: nn.Module | None = None
        if sharing == "all-but-last-unit":
            self.rebalanced_unit = copy.deepcopy(self.stages[-1])
        if head != "shared":
            self.feature_count = 2 * FEATURES
            self.classifier = nn.Linear(self.feature_count, classes, bias=head == "concatenated")

    def forward_branches(self, regular: Tensor, rebalanced: Tensor) -> tuple[Tensor, Tensor]:
        """Faces (B, C, 48, 48) of both samplers to regular and rebalanced features, each (B, 1024)."""
        return self._branches(torch.cat((regular, rebalanced)), len(regular), two_inputs=True)

    def mix(self, regular: Tensor, rebalanced: Tensor, alpha: float) -> Tensor:
        """Features of both branches, each (B, 1024), to what `classify` takes, (B, 1024) or (B, 2048)."""
        if self.head == "shared":
            return alpha * regular + (1 - alpha) * rebalanced
        factor = 2 if self.head == "concatenated" else 1
        return torch.cat((factor * alpha * regular, factor * (1 - alpha) * rebalanced), dim=1)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to mixed features, (B, 1024) or, without a shared head, (B, 2048)."""
        return self.mix(*self._branches(x, x.shape[0], two_inputs=False), 0.5)

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

    def _branches(self, x: Tensor, count: int, two_inputs: bool) -> tuple[Tensor, Tensor]:
        """Both branches as one batch, `count` regular faces first; a single input is doubled where they part."""
        halves = _Halves(count, two_inputs)
        x = self.stem(x)
        for index, unit in enumerate(self.stages):
            own = self.rebalanced_unit if index == len(self.stages) - 1 else None
            if own is None:
                x = unit(x)
            else:
                regular, rebalanced = halves.split(x)
                x = halves.join(unit(regular), own(rebalanced))
            x = self._attend_half(str(index), x, halves)
        x = self._attend_half("last", self.last(x), halves)
        return halves.split(x.mean(dim=(2, 3)))

    def _attend_half(self, place: str, x: Tensor, halves: "_Halves") -> Tensor:
        if place not in self.attentions:
            return x
        regular, rebalanced = halves.split(x)
        return halves.join(self.attentions[place](regular), rebalanced)


class _Halves:
    """Splits a batch into its regular and rebalanced half; as long as both are the same faces, it holds them once.

    Slices, since the exporter takes the batch size of `chunk` for a constant.
    """

    def __init__(self, count: int, apart: bool) -> None:
        self.count, self.apart = count, apart

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x[: self.count], x[self.count :]) if self.apart else (x, x)

    def join(self, regular: Tensor, rebalanced: Tensor) -> Tensor:
        self.apart = True
        return torch.cat((regular, rebalanced))
