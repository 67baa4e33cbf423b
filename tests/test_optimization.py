import pytest
import torch

from mien.errors import ExperimentError
from mien.training.config import experiment_from_dict
from mien.training.optimization import LearningRates, WeightAverage
from mien.training.options import ScheduleOptions


def test_learning_rates_worked_by_hand() -> None:
    schedule = ScheduleOptions(epochs=10, learning_rate=1.0, warmup_epochs=2)
    rates = [LearningRates(schedule, 10).at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[19] == rates[20] == 1
    assert rates[60] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001
    one_cycle = ScheduleOptions(epochs=10, learning_rate=1.0, warmup_epochs=2, shape="one-cycle")
    rates = [LearningRates(one_cycle, 10).at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[10] == pytest.approx(0.52)
    assert rates[20] == 1


def test_the_plateau_is_that_of_the_selection_loss() -> None:
    schedule = ScheduleOptions(epochs=40, learning_rate=1.0, warmup_epochs=0, shape="plateau")
    falling = [1 / (epoch + 1) for epoch in range(20)]
    rates, found = LearningRates(schedule, 10), []
    for epoch, loss in enumerate([*falling, *[0.5] * 12]):
        found.append(rates.at(10 * epoch))
        rates.after_epoch({"selection_loss": loss})
    assert found[:31] == [1.0] * 31
    assert found[31] == pytest.approx(0.1)
    with pytest.raises(ExperimentError, match="'plateau' needs a selection_split"):
        experiment_from_dict(
            {
                "name": "x",
                "data": {"dataset": "folder", "selection_split": "none"},
                "network": {"name": "rlr-cnet"},
                "schedule": {"epochs": 2, "shape": "plateau"},
            },
            "x",
        )


def test_weight_average_worked_by_hand() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    average = WeightAverage(layer, decay=0.5)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    average.update(0)  # decay (1 + 0) / (10 + 0)
    assert average.tensors()["weight"].item() == pytest.approx(0.1 * 1 + 0.9 * 3)
    average.update(1000)
    assert average.tensors()["weight"].item() == pytest.approx(0.5 * 2.8 + 0.5 * 3)
    none = WeightAverage(layer, decay=0)
    with torch.no_grad():
        layer.weight.fill_(7.0)
    none.update(5)
    assert none.tensors()["weight"].item() == 7
