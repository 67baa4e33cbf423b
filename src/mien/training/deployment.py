"""From a checkpoint to the network that ships, and its card."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mien.models import NETWORKS, Classifier, count_multiply_adds
from mien.preprocessing import Preprocessing
from mien.training.averaged import averaged_network
from mien.training.checkpoint import Checkpoint
from mien.training.config import experiment_from_dict
from mien.training.learned_from import own_splits, recorded_splits
from mien.training.methods import method_class
from mien.weights import ModelCard


def deployable_network(checkpoint: Checkpoint, method_options: Mapping[str, Any] = MappingProxyType({})) -> Classifier:
    """The averaged network of a checkpoint as it ships, in evaluation mode; CheckpointError where weights do not fit.

    method_options: take the place of those it was trained with, such as `deployed`.
    """
    method = checkpoint.facts["experiment"]["method"]
    network = averaged_network(checkpoint)
    deployable = method_class(method["name"]).deployable(network, {**method["options"], **method_options})
    assert isinstance(deployable, Classifier)
    return deployable.eval()


def same_form(checkpoint: Checkpoint, method_options: Mapping[str, Any]) -> bool:
    """Whether a network with these method options ships in the form in which its epoch was selected."""
    method = checkpoint.facts["experiment"]["method"]
    read_options = method_class(method["name"]).read_options
    return read_options({**method["options"], **method_options}) == read_options(method["options"])


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
    facts = checkpoint.facts
    preprocessing = Preprocessing.from_dict(facts["preprocessing"])
    data, last = facts["experiment"]["data"], facts["history"][-1]
    method = method_class(facts["experiment"]["method"]["name"])
    options = {**facts["experiment"]["method"]["options"], **method_options}
    expressions, scores = method.deployed_expressions(tuple(facts["expressions"]), options), {}
    if options.get("deployed") == "votes":
        measured, column = "ferplus", "selection_votes_accuracy"
    else:
        measured, column = data["dataset"], "selection_accuracy"
        with_scores = with_scores and same_form(checkpoint, method_options)
    if with_scores and column in last:
        scores[f"{measured} {data['selection_split']} accuracy"] = round(last[column], 6)
    return ModelCard(
        name=name or facts["experiment"]["name"],
        expressions=expressions,
        preprocessing=preprocessing,
        dataset=learned_sentence(checkpoint),
        learned_from=recorded_splits(checkpoint) or own_splits(experiment_from_dict(facts["experiment"], "checkpoint")),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=count_multiply_adds(network, preprocessing.channels, preprocessing.size_px),
        scores=scores,
        licence=licence,
        paper=NETWORKS[facts["network"]].paper,
    )


def learned_sentence(checkpoint: Checkpoint) -> str:
    """What a checkpoint's own training learned from, for people, such as "fer2013 training, with FERPlus votes"."""
    experiment = checkpoint.facts["experiment"]
    parts = [f"{experiment['data']['dataset']} {experiment['data']['training_split']}"]
    if experiment["method"]["options"].get("vote_weight"):
        parts.append("with FERPlus votes")
    if joint := experiment.get("joint"):
        parts.append(
            f"with faces of {joint['unlabelled']} {joint['unlabelled_split']} labelled by {joint['labelling']}"
        )
    parts += [f"with faces of {other} all without labels" for other in experiment["data"].get("unlabelled", ())]
    if weights := experiment["network"].get("weights"):
        parts.append(f"started from {weights}")
    return ", ".join(parts)
