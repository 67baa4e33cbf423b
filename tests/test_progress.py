import io
import logging
import sys
from itertools import count

import pytest
import torch

from mien.cli.log import log_to_stderr
from mien.training import progress
from mien.training.progress import Progress


def test_the_whole_time_is_estimated_after_a_few_steps(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = count()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(seconds)))  # each step takes a second
    told = Progress([1.0, 2.0], 10)
    with caplog.at_level(logging.INFO, "mien"):
        for step in range(4):
            told.step(0, step, 32, torch.tensor(0.0))
        assert caplog.messages == []
        for step in range(4, 8):
            told.step(0, step, 32, torch.tensor(0.0))
        # 5 steps of the first epoch are left then, and 10 of the second, of twice the cost
        assert caplog.messages == ["2 epochs of 10 steps: about 25 s"]
    with caplog.at_level(logging.DEBUG, "mien"):
        told.step(0, 8, 32, torch.tensor(4.5))
    assert caplog.messages[1:] == ["epoch 1/2  step 9/10  loss 0.5000  32 images/s  21 s left"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "expected"), [(io.StringIO(), "one\nthree\n"), (Terminal(), "\r\x1b[Kone\n\r\x1b[Ktwo\r\x1b[Kthree\n")]
)
def test_live_lines_are_written_over_on_a_terminal(
    stream: io.StringIO, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    logger = logging.getLogger("mien")
    with log_to_stderr():
        logger.info("one")
        logger.debug("two", extra={"live": True})
        logger.info("three")
    logger.info("nobody listens")
    assert stream.getvalue() == expected
