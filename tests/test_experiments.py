from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import ExperimentError, MienError
from mien.training.checkpoint import read_header
from mien.training.config import experiment_from_dict, read_experiment
from mien.training.loop import check_experiment
from mien.training.weights_file import find_initial_weights

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def made_by_an_experiment(source: str) -> bool:
    """Whether a source of weights is the checkpoint of another experiment: runs/NAME/best.safetensors, or committed."""
    file = Path(source)
    if not file.suffix:
        return False
    if file.is_relative_to("experiments"):
        assert (EXPERIMENTS.parent / file).exists()
        return True
    assert (EXPERIMENTS / file.parent.relative_to("runs")).with_suffix(".toml").exists()
    return True


@pytest.mark.parametrize(
    "file", sorted(set(EXPERIMENTS.rglob("*.toml")) - set(EXPERIMENTS.rglob("series.toml"))), ids=lambda file: file.stem
)
def test_committed_experiments_are_valid(file: Path) -> None:
    experiment = read_experiment(file)
    if made_by_an_experiment(experiment.network.weights):
        experiment = replace(experiment, network=replace(experiment.network, weights=""))
    if teachers := experiment.method.options.get("teachers"):
        found = ["mien-1m" if made_by_an_experiment(name) else name for name in teachers]
        options = {**experiment.method.options, "teachers": found}
        experiment = replace(experiment, method=replace(experiment.method, options=options))
    check_experiment(experiment)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 3", "unknown key 'colour'; known: augmentation, averaging, data, "),
        ("[schedule]\nepochs = 2\nepoch = 3", "unknown key 'schedule.epoch'; known: batch_size, epochs, "),
        ("name = 3", "name: Input should be a valid string, found 3"),
        ("[schedule]\nepochs = 0", "schedule.epochs: Input should be greater than or equal to 1, found 0"),
        ("[schedule]\nepochs = 1", "warmup_epochs .* must be smaller than epochs"),
        ("[schedule]\nepochs = 3\nprogressive_epochs = 1", "progressive_size_px and progressive_epochs go together"),
        ("[schedule]\nepochs = 3\nprogressive_epochs = 1\nprogressive_size_px = [48]", "must be smaller than"),
        ("[data.more]\nx = 1", "unknown key 'data.more'"),
        ("name =", "expected TOML"),
    ],
)
def test_wrong_experiments_are_named(tmp_path: Path, text: str, message: str) -> None:
    base = 'name = "x"\n' if not text.startswith("name") else ""
    tables = '[data]\ndataset = "folder"\n[network]\nname = "rlr-cnet"\n'
    tables += "" if "[schedule]" in text else "[schedule]\nepochs = 5\n"
    file = tmp_path / "x.toml"
    file.write_text(base + (text + "\n" + tables if not text.startswith("[") else tables + text))
    with pytest.raises(ExperimentError, match=rf"x\.toml: .*{message}") as caught:
        read_experiment(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExperimentError, match="found nothing"):
        read_experiment(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {"name": "rlr-cnet", "options": {"dropout": "a"}}},
            "dropout: .* valid number.*found 'a'",
        ),
        ({"network": {"name": "dense-face", "options": {"widths": "x"}}}, "network dense-face: widths: .* valid tuple"),
        ({"network": {"name": "dense-face", "options": {"depths": [1, "x"]}}}, r"depths\.1: .* valid integer"),
        ({"method": {"options": {"label_smoothing": "x"}}}, "method standard: label_smoothing: .* valid number"),
        ({"schedule": "x"}, "x: schedule: Input should be a dictionary or an instance of ScheduleOptions, found 'x'"),
        ({"network": {"name": "rlr-cnet", "options": {"dropout": 2.0}}}, "network rlr-cnet: dropout"),
        (
            {"network": {"name": "rlr-cnet", "options": {"attention": "all"}}},
            "network rlr-cnet: attention: Input should be 'none' or 'after-stage-4', found 'all'",
        ),
        ({"method": {"options": {"label_smooth": 0.1}}}, "method standard: unknown key 'label_smooth'"),
        ({"method": {"name": "cumulative"}}, "method cumulative: expected a network with two branches, rlr-cnet-dual"),
        ({"network": {"name": "rlr-cnet-dual", "options": {"beta": 1.0}}}, "unknown key 'beta'; known: activation, "),
        ({"augmentation": {"mask_fill": "black"}}, "mask_fill does nothing without erasing, masking or masked_copies"),
        (
            {"augmentation": {"masking": 1.0, "mask_area": [0.1, 0.3]}},
            "masking_total_area .0.25. must hold a whole mask",
        ),
        (
            {"network": {"name": "rlr-cnet", "weights": "none"}},
            r"none: expected a checkpoint or a packaged network .fer-mobilenet, mien-1m, rlr-cnet.",
        ),
        ({"augmentation": {"masks": [3, 2]}}, "masks: the first value .3. must not exceed the second"),
        (
            {"method": {"name": "magic"}},
            "unknown method 'magic'; known: cumulative, detection, distillation, joint-loss, standard",
        ),
    ],
)
def test_wrong_options_are_named_before_data_is_read(changes: dict[str, object], message: str) -> None:
    base = {"name": "x", "data": {"dataset": "folder"}, "schedule": {"epochs": 5}, "network": {"name": "rlr-cnet"}}
    with pytest.raises(MienError, match=message) as caught:
        check_experiment(experiment_from_dict({**base, **changes}, "x"))
    assert "\n" not in str(caught.value)
    assert "found {" not in str(caught.value)  # not all values where two do not go together


SHORT = 'name = "x"\n[data]\ndataset = "folder"\n[schedule]\nepochs = 5\n'


def test_single_values_take_the_place_of_those_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(SHORT + '[network]\nname = "rlr-cnet"\n')
    settings = ("schedule.epochs=2", "seed = 3", "method.name=joint-loss", "method.options.targets='label'")
    found = read_experiment(file, (*settings, "augmentation.masks=[2, 3]", "augmentation.masking=0.5"))
    assert (found.schedule.epochs, found.seed, found.augmentation.masks) == (2, 3, (2, 3))
    assert (found.method.name, found.method.options) == ("joint-loss", {"targets": "label"})
    for setting, message in (
        ("schedule.epochs", "expected KEY=VALUE, such as schedule.epochs=2, found 'schedule.epochs'"),
        ("schedule.epoch=2", "unknown key 'schedule.epoch'; known: batch_size"),
        ("schedule.epochs=two", "schedule.epochs: Input should be a valid integer, .*found 'two'"),
        ("name.first=x", "expected a table 'name', found the value 'x'"),
    ):
        with pytest.raises(ExperimentError, match=message):
            read_experiment(file, (setting,))


def test_what_fits_the_weights_comes_with_them(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(SHORT + '[network]\nweights = "mien-1m"\n')
    found = read_experiment(file)
    header = read_header(find_initial_weights("mien-1m"))
    assert found.network.name == header.experiment.network.name
    assert found.network.options == header.experiment.network.options
    assert found.data.preprocessing() == header.preprocessing
    check_experiment(found)
    found = read_experiment(file, ("network.options.dropout=0.4", "data.size_px=40"))
    assert found.network.options == {**header.experiment.network.options, "dropout": 0.4}
    assert found.data.preprocessing() == replace(header.preprocessing, size_px=40)
    with pytest.raises(MienError, match="none: expected a checkpoint or a packaged network"):
        read_experiment(file, ("network.weights=none",))
    with pytest.raises(ExperimentError, match=r"network\.name: Field required"):
        read_experiment(file, ("network.weights=",))
