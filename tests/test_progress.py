"""Progress of commands and of trainings: a bar on a terminal, lines elsewhere."""

import io
import logging
import sys

import pytest
import torch

from mien.cli.log import log_to_stderr
from mien.progress_bar import COUNT, SECONDS, ProgressBar, duration
from mien.training.progress import Progress


class Clock:
    """Tells the time that a test gives it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to stderr from now on, which is a terminal."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def train(told: Progress, clock: Clock, epoch: int, steps: range) -> None:
    """Each step takes two seconds at full cost."""
    for step in steps:
        clock.now += 2.0 if epoch else 1.0
        told.step(epoch, step, 32, torch.tensor(0.5 * (step + 1)))


def test_the_whole_time_is_estimated_after_a_few_steps(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress([1.0, 2.0], 10) as told:
        train(told, clock, 0, range(4))
        assert capsys.readouterr().err == ""
        train(told, clock, 0, range(4, 8))
    # 5 steps of the first epoch are left then, and 10 of the second, of twice the cost
    assert capsys.readouterr().err == "2 epochs of 10 steps: about 25 s\n"


def test_a_training_in_a_log_tells_a_line_in_30_seconds_and_one_an_epoch(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress([1.0, 2.0], 40) as told:
        train(told, clock, 0, range(40))
        told.epoch({"epoch": 1, "training_loss": 0.5, "selection_accuracy": 0.25, "selection_loss": 1.0})
        train(told, clock, 1, range(12))
    assert capsys.readouterr().err.splitlines() == [
        "2 epochs of 40 steps: about 2 min",
        "epoch 1/2  step 31/40  loss 0.5000  32 images/s  89 s left",
        "epoch 1/2  loss 0.5000  selection: accuracy 0.2500",
        "epoch 2/2  step 11/40  loss 0.5000  16 images/s  58 s left",
    ]


def test_a_training_on_a_terminal_has_a_live_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with Progress([1.0], 10) as told:
        train(told, clock, 0, range(10))
        told.epoch({"epoch": 1, "training_loss": 0.5})
    shown = terminal.getvalue().split("\r")
    assert any(line.startswith("epoch 1/1  step 7/10  loss 0.5000  32 images/s ") for line in shown)
    assert any(line.rstrip().endswith("3 s left") for line in shown)
    assert any("epoch 1/1  loss 0.5000\n" in line for line in shown)


def test_commands_tell_a_line_in_30_seconds_where_there_is_no_terminal(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressBar(100, "evaluate", COUNT) as bar:
        for _ in range(70):
            clock.now += 1.0
            bar.advance()
        bar.show("a result")
    found = capsys.readouterr()
    assert found.out == "a result\n"
    assert found.err == "evaluate  30/100  70 s left\nevaluate  60/100  40 s left\n"


def test_a_single_thing_has_no_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with ProgressBar(1, "predict") as bar:
        clock.now += 100.0
        bar.advance()
        bar.tell("seen")
    assert terminal.getvalue() == "seen\n"


def test_a_video_longer_than_it_says_does_not_break_its_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with ProgressBar(3.0, "video", SECONDS) as bar:
        for time_s in (1.0, 3.0, 3.6, 9.0):
            clock.now += 1.0
            bar.advance(time_s)
    assert "3/3 s" in terminal.getvalue()


def test_durations_are_told_as_people_say_them() -> None:
    assert [duration(each) for each in (0.0, 42.4, 720.0, 11_100.0)] == ["0 s", "42 s", "12 min", "3 h 05 min"]


def test_what_is_logged_is_shown_while_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("mien")
    with log_to_stderr():
        logger.info("one")
        logger.debug("two")
    logger.info("nobody listens")
    assert capsys.readouterr().err == "one\n"
