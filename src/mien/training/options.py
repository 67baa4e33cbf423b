"""The tables of an experiment file: frozen, checked; the sentence under each field is its documentation."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from mien.datasets.splits import parse_split
from mien.labelling.clustering import NEIGHBOURS, THRESHOLD
from mien.labelling.guidance import Guidance
from mien.models.checked import STRICT, Count, NotNegative, Positive, Share
from mien.preprocessing import Preprocessing

Fill = Literal["mean", "black", "noise"]


def overlap(training: str, selection: str) -> bool:
    """Whether two splits of a data set may share images."""
    if selection == "none" or training == f"{selection}-training":
        return False
    made = parse_split(training)
    if parse_split(selection) or (made and made.base == "all"):
        return True
    learned = made.base if made else training
    return "all" in (learned, selection) or learned == selection


@dataclass(frozen=True, config=STRICT)
class DataOptions:
    """Which faces are learned from and selected on, and how they enter the network."""

    dataset: str
    """Name of the data set, as in `mien evaluate --dataset`."""
    training_split: str = "training"
    """The split that is learned from."""
    selection_split: str = "public_test"
    """The split on which the best epoch is chosen, never one that is reported as a test; `none` for the last epoch."""
    unlabelled: tuple[str, ...] = ()
    """Data sets whose faces are learned from without labels, as in distillation, beside the training split's."""
    folds: Annotated[int, Field(ge=0)] = 0
    """Cross-validation in so many folds instead of the two splits: a training for each, its last epoch measured."""
    size_px: Count = 48
    """Side of the square network input, in pixels."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for RGB."""
    margin: Annotated[float, Field(gt=-0.5, le=2)] = 0.0
    """Margin of the runtime's crop rule for networks trained on this data: how its faces were framed."""
    mean: float = 0.5
    """Mean intensity on the scale 0 to 1, subtracted."""
    std: Positive = 0.25
    """Standard deviation of intensities on the scale 0 to 1, divided by."""
    standardize: bool = False
    """Whether each crop is brought to its own mean and std (preprocessing.py), in the place of these two values;
    they must then be 0 and 1."""

    @model_validator(mode="after")
    def _check(self) -> "DataOptions":
        splits = self.training_split, self.selection_split
        if self.folds == 1:
            raise ValueError("folds must be 0, for none, or at least 2")
        if self.folds and splits != (DataOptions.training_split, DataOptions.selection_split):
            raise ValueError("folds take the place of training_split and selection_split; leave these out")
        if not self.folds and overlap(*splits):
            raise ValueError(
                f"selection_split {splits[1]!r} may hold images of training_split {splits[0]!r}; expected a split and "
                "the same name with -training, an official split apart from it, or 'none'"
            )
        self.preprocessing()
        return self

    def preprocessing(self) -> Preprocessing:
        """What turns a face into the input of a network trained on this data."""
        return Preprocessing(
            self.size_px, self.channels, self.margin, self.mean, self.std, standardize=self.standardize
        )


@dataclass(frozen=True, config=STRICT)
class NetworkOptions:
    """Which network is trained."""

    name: str
    """A name of `mien.models.NETWORKS`, or of `DETECTORS` for the method `detection`; that of `weights` if left out."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the network; what is left out comes with `weights`."""
    weights: str = ""
    """What to start from: the name of a packaged network or the path of a checkpoint; random weights if empty. The
    network's name and options and the pre-processing in [data] come with them where the file leaves them out."""


@dataclass(frozen=True, config=STRICT)
class AugmentationOptions:
    """Random changes of the training faces, drawn anew for each face and step."""

    one_of_six: Share = 0.0
    """Probability of exactly one of six changes, as published for fer_mobilenet_v3.py (augmentation.py)."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    rotation_degrees: NotNegative = 0.0
    """Largest rotation to either side, in degrees."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest relative change of size, in both directions."""
    translation: Share = 0.0
    """Largest shift in x and in y, as a share of the side."""
    brightness: NotNegative = 0.0
    """Largest shift of intensity, on the scale 0 to 1."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest relative change of contrast, in both directions."""
    gamma: NotNegative = 0.0
    """Intensities are raised to a power between 1 / (1 + gamma) and 1 + gamma, log-uniform."""
    side_light: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Light from one side: intensities are multiplied by a ramp in a random direction, from 1 - s to 1 + s over the
    face, with s up to this."""
    exposure: NotNegative = 0.0
    """Intensities are multiplied by a factor between 1 / (1 + exposure) and 1, log-uniform, and rounded to 8 bits as a
    camera's are: darkness."""
    blur: Share = 0.0
    """Probability of a Gaussian blur with a deviation of up to 1.5 pixels (chosen)."""
    noise: NotNegative = 0.0
    """Largest deviation of Gaussian noise, on the scale 0 to 1; half of the faces have none."""
    erasing: Share = 0.0
    """Probability of random erasing (Zhong et al., 2020), filled with the mean intensity."""
    erasing_area: tuple[Share, Share] = (0.02, 0.25)
    """Smallest and largest erased share of the area."""
    masking: Share = 0.0
    """Probability of improved random masking: several small rectangles (masking.py)."""
    masks: tuple[Count, Count] = (1, 4)
    """Fewest and most rectangles of a masked face."""
    mask_area: tuple[Share, Share] = (0.01, 0.06)
    """Smallest and largest share of the area that a rectangle takes."""
    masking_total_area: Share = 0.25
    """Largest share of the area that the rectangles of a face take together."""
    mask_fill: Fill = "mean"
    """What hides the face: its mean intensity, black, or uniform noise."""
    masked_copies: Annotated[int, Field(ge=0)] = 0
    """Masked copies of each training face that are added to the set before the first epoch, after the split."""

    @model_validator(mode="after")
    def _check(self) -> "AugmentationOptions":
        for name in ("erasing_area", "masks", "mask_area"):
            smallest, largest = getattr(self, name)
            if smallest > largest:
                raise ValueError(f"{name}: the first value ({smallest}) must not exceed the second ({largest})")
        if self.mask_area[1] > self.masking_total_area:
            raise ValueError(
                f"masking_total_area ({self.masking_total_area}) must hold a whole mask, up to {self.mask_area[1]}"
            )
        unused: tuple[str, ...] = () if self.erasing else ("erasing_area",)
        if not (self.masking or self.masked_copies):
            unused += ("masks", "mask_area", "masking_total_area", "mask_fill")
        for name in unused:
            if getattr(self, name) != getattr(AugmentationOptions, name):
                raise ValueError(f"{name} does nothing without erasing, masking or masked_copies")
        return self


@dataclass(frozen=True, config=STRICT)
class ScheduleOptions:
    """How long, how fast, in which order of sizes."""

    epochs: Count
    """Passes over the training split."""
    batch_size: Count = 128
    """Faces a step; the last, incomplete batch of an epoch is left out."""
    steps_per_epoch: Annotated[int, Field(ge=0)] = 0
    """Steps of an epoch, the faces in random order as often as they are needed; 0 for once through the split."""
    learning_rate: Positive = 0.002
    """The highest learning rate."""
    shape: Literal["cosine", "one-cycle", "plateau"] = "cosine"
    """`cosine`: linear warm-up, then a half cosine to 0. `one-cycle`: half cosines up and down to 0. `plateau`: linear
    warm-up, then a tenth after every 11th epoch without a lower selection loss (torch's ReduceLROnPlateau)."""
    warmup_epochs: NotNegative = 1.0
    """Epochs until the highest learning rate is reached."""
    progressive_size_px: tuple[Count, ...] = ()
    """Input sizes of equally long first phases, smaller than the network's input; the last phase has full size."""
    progressive_epochs: NotNegative = 0.0
    """Epochs that the phases of smaller sizes take together."""
    progressive_crops: bool = False
    """Whether the smaller inputs are squares cut out of the face at random places, instead of the whole face made
    smaller."""
    selection_every: Count = 1
    """Epochs from one measurement on the selection split to the next; the last epoch is always measured."""

    @model_validator(mode="after")
    def _check(self) -> "ScheduleOptions":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be smaller than epochs ({self.epochs})")
        if bool(self.progressive_size_px) != bool(self.progressive_epochs):
            raise ValueError("progressive_size_px and progressive_epochs go together")
        if self.selection_every > 1 and self.shape == "plateau":
            raise ValueError("schedule.shape 'plateau' needs selection_every = 1")
        if self.progressive_crops and not self.progressive_size_px:
            raise ValueError("progressive_crops does nothing without progressive_size_px")
        if self.progressive_epochs > self.epochs:
            raise ValueError(f"progressive_epochs ({self.progressive_epochs}) must not exceed epochs ({self.epochs})")
        return self


@dataclass(frozen=True, config=STRICT)
class OptimizerOptions:
    """Which optimizer takes the steps."""

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    """`adam`, `adamw` (betas 0.9, 0.999) or `sgd` with Nesterov momentum 0.9."""
    weight_decay: NotNegative = 0.05
    """Weight decay of convolution and linear weights; batch norm and biases have none. With `adam` a part of the
    gradient (L2), with the others of the step."""
    clip_norm: Positive | None = None
    """Largest norm of the gradient; longer ones are shortened."""


@dataclass(frozen=True, config=STRICT)
class MethodOptions:
    """How the loss is made."""

    name: str = "standard"
    """A name of `mien.training.methods.METHODS`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the method."""


@dataclass(frozen=True, config=STRICT)
class JointOptions:
    """Rounds of labelling unlabelled faces and fine-tuning with them (rounds.py), after the training itself."""

    unlabelled: str
    """Name of the data set whose labels are not looked at."""
    unlabelled_split: str = "all"
    """Its part."""
    rounds: Count = 2
    """How often faces are labelled and the network is fine-tuned."""
    epochs: Count = 4
    """Epochs of each fine-tuning. Smaller inputs first take the same share of them as of the schedule's."""
    learning_rate: Positive = 0.0003
    """The highest learning rate of a fine-tuning."""
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Faces of each step of a fine-tuning; 0 for as many as before."""
    networks: Count = 1
    """Networks of each round but the last, from different seeds, whose mean answers and features side by side make the
    labels of the next one."""
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Weight of a face that was labelled so, against 1 of the others, in the softmax loss (not in the centre loss)."""
    soft: bool = False
    """Whether a new face is learned with a distribution over the classes instead of its label alone: the mean of the
    network's answers in its rank-order cluster, labelled members counting with their label, else the network's own.
    Rounds with such labels do without label smoothing, unless the experiment's method names it."""
    own_share: Share = 0.0
    """In the last round, share of a new face's distribution that the average of the network answers anew in each step,
    to the hardly changed face; what is likeliest is learned, weighted by how sure it is (teachers.py). It grows to
    that share in the first 45 % of the round, all of which is at full size: averages of networks that learn from small
    faces answer badly."""
    labelled_own_share: Share = 0.0
    """The same share in the targets of the labelled faces, whose labels may be wrong."""
    aligned: bool = False
    """Whether the answers to new faces are scaled so that their mean has the class shares of the labelled ones: right
    where both are of the same kind."""
    labelled_repeats: Count = 1
    """How often each labelled face stands in the enlarged set."""
    augmentation: AugmentationOptions | None = None
    """How faces are changed in the fine-tunings; as in the training before them if left out."""
    labelling: Literal["rank-order", "seeded-k-means", "confidence"] = "rank-order"
    """Guided rank-order clusters; seeded k-means (guidance.py); or the network's own answers where it is sure."""
    neighbours: Count = NEIGHBOURS
    """Length of the neighbour lists of rank-order clustering; at most a third of the faces."""
    threshold: Positive = THRESHOLD
    """Rank-order distance below which two faces are linked; linked ones make a cluster."""
    fewest_labelled: Count = Guidance.fewest_labelled
    """Labelled members a cluster needs to be named after them."""
    purity: Share = Guidance.purity
    """Share of its labelled members that must agree."""
    similarity: Annotated[float, Field(ge=-1, le=1)] = Guidance.similarity
    """Cosine to the nearest class centre that a cluster needs otherwise."""
    margin: NotNegative = Guidance.margin
    """How much nearer than the second class centre it must be."""
    kept_share: Share = 0.2
    """Share of the faces nearest to each centre that seeded k-means keeps."""
    confidence: Share = 0.9
    """Probability from which the network's own answer is taken."""
    cap_share: NotNegative = 0.0
    """Most new faces of a class, as a multiple of its labelled ones, the surest first; 0 for no limit."""
    check: bool = False
    """Whether each round also labels the faces of the selection split, with their labels hidden, and tells how many got
    the right one, and what the packaged network says of the new faces of classes that it knows (label_check.py)."""

    @model_validator(mode="after")
    def _check(self) -> "JointOptions":
        if self.own_share and not self.soft:
            raise ValueError("own_share does nothing without soft labels")
        for name in ("labelled_own_share", "aligned"):
            if getattr(self, name) and not self.own_share:
                raise ValueError(f"{name} does nothing without own_share")
        for labelling, names in LABELLING_OPTIONS.items():
            for name in names if labelling != self.labelling else ():
                if getattr(self, name) != getattr(JointOptions, name):
                    raise ValueError(f"{name} does nothing with labelling {self.labelling!r}, only with {labelling!r}")
        return self


LABELLING_OPTIONS = {
    "rank-order": ("neighbours", "threshold", "fewest_labelled", "purity", "similarity", "margin"),
    "seeded-k-means": ("kept_share",),
    "confidence": ("confidence",),
}
