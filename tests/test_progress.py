from itertools import count

import pytest
import torch

from mien.training import progress
from mien.training.progress import Progress


def test_the_whole_time_is_estimated_after_a_few_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = count()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(seconds)))  # each step takes a second
    with Progress([1.0, 2.0], 10) as told:
        for step in range(4):
            told.step(0, step, 32, torch.tensor(0.0))
        assert capsys.readouterr().err == ""
        for step in range(4, 8):
            told.step(0, step, 32, torch.tensor(0.0))
    # 5 steps of the first epoch are left then, and 10 of the second, of twice the cost
    assert capsys.readouterr().err == "2 epochs of 10 steps: about 25 s\n"
