"""From a checkpoint to the network that ships, and its card."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mien.models import NETWORKS, Classifier, count_multiply_adds
from mien.training.averaged import averaged_network
from mien.training.checkpoint import Checkpoint
from mien.training.config import Experiment
from mien.training.learned_from import own_splits
from mien.training.methods import method_class
from mien.weights import ModelCard


def deployable_network(checkpoint: Checkpoint, method_options: Mapping[str, Any] = MappingProxyType({})) -> Classifier:
    """The averaged network of a checkpoint as it ships, in evaluation mode; CheckpointError where weights do not fit.

    method_options: take the place of those it was trained with, such as `deployed`.
    """
    method = checkpoint.header.experiment.method
    network = averaged_network(checkpoint)
    deployable = method_class(method.name).deployable(network, {**method.options, **method_options})
    assert isinstance(deployable, Classifier)
    return deployable.eval()


def same_form(experiment: Experiment, method_options: Mapping[str, Any]) -> bool:
    """Whether a network with these method options ships in the form in which its epoch was selected."""
    options = experiment.method.options
    read_options = method_class(experiment.method.name).read_options
    return bool(read_options({**options, **method_options}) == read_options(options))


def make_card(
    checkpoint: Checkpoint,
    network: Classifier,
    name: str | None,
    licence: str,
    method_options: Mapping[str, Any] = MappingProxyType({}),
    with_scores: bool = True,
) -> ModelCard:
    """What the manifest says of a checkpoint's network; scores are those of its epoch on the selection split.

    method_options: see `export_checkpoint`.
    """
    header = checkpoint.header
    experiment, preprocessing, last = header.experiment, header.preprocessing, header.history[-1]
    options, scores = {**experiment.method.options, **method_options}, {}
    if options.get("deployed") == "votes":
        measured, column = "ferplus", "selection_votes_accuracy"
    else:
        measured, column = experiment.data.dataset, "selection_accuracy"
        with_scores = with_scores and same_form(experiment, method_options)
    if with_scores and column in last:
        scores[f"{measured} {experiment.data.selection_split} accuracy"] = round(last[column], 6)
    return ModelCard(
        name=name or experiment.name,
        expressions=method_class(experiment.method.name).deployed_expressions(header.expressions, options),
        preprocessing=preprocessing,
        dataset=learned_sentence(experiment),
        learned_from=header.learned_from or own_splits(experiment),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=count_multiply_adds(network, preprocessing.channels, preprocessing.size_px),
        scores=scores,
        licence=licence,
        paper=NETWORKS[experiment.network.name].paper,
    )


def learned_sentence(experiment: Experiment) -> str:
    """What a training itself learned from, for people, such as "fer2013 training, with FERPlus votes"."""
    data, joint = experiment.data, experiment.joint
    parts = [f"{data.dataset} {data.training_split}"]
    if experiment.method.options.get("vote_weight"):
        parts.append("with FERPlus votes")
    if joint:
        parts.append(f"with faces of {joint.unlabelled} {joint.unlabelled_split} labelled by {joint.labelling}")
    parts += [f"with faces of {other} all without labels" for other in data.unlabelled]
    if experiment.network.weights:
        parts.append(f"started from {experiment.network.weights}")
    return ", ".join(parts)
