"""Joint loss: the standard method's loss and a centre loss, so that faces of one expression lie close together.

Liang et al., IET Image Process. 2023 (fer_mobilenet_v3.py), after Wen et al., ECCV 2016. The paper describes learned
centres; the authors' published code draws them anew for every batch and compares logits instead of features with
them. `learned` is the paper's description, `as-coded` the code.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.models import Classifier
from mien.models.checked import STRICT, NotNegative
from mien.training.batches import Batch, BatchSource
from mien.training.losses import CentreLoss, noisy_logit_loss
from mien.training.methods.standard import Standard, StandardOptions


@dataclass(frozen=True, config=STRICT)
class JointLossOptions(StandardOptions):
    """Options of the joint loss."""

    centre_weight: NotNegative = 0.003
    """λ, the weight of the centre loss (0.003 in Wen et al. for `learned`, 0.4 to 0.6 in the code of `as-coded`)."""
    centres: Literal["learned", "as-coded"] = "learned"
    """Centres of the features that follow them, or random ones of the logits."""
    centre_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """α, how fast learned centres follow (0.5 in Wen et al.)."""


class JointLoss(Standard):
    """The standard method with λ times a centre loss."""

    name = "joint-loss"
    options_class = JointLossOptions
    options: JointLossOptions

    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        super().__init__(source, network, options)
        self.centre_loss: CentreLoss | None = None
        if self.options.centres == "learned":
            centre_loss = CentreLoss(source.classes, network.feature_count, self.options.centre_rate)
            self.centre_loss = centre_loss.to(source.labels.device)

    def total_loss(self, network: Classifier, features: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        loss = super().total_loss(network, features, logits, batch)
        if self.centre_loss:
            centre: Tensor = self.centre_loss(features, batch.labels)
        else:
            centre = noisy_logit_loss(logits, batch.labels)
        return loss + self.options.centre_weight * centre

    def state_dict(self) -> dict[str, Tensor]:
        centres = self.centre_loss.state_dict() if self.centre_loss else {}
        return {**super().state_dict(), **centres}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        own = self.centre_loss.state_dict().keys() if self.centre_loss else ()
        if self.centre_loss:
            self.centre_loss.load_state_dict({name: state[name] for name in own})
        super().load_state_dict({name: tensor for name, tensor in state.items() if name not in own})
