"""Signals that ask a command to stop, so that it can end in order."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stop_signals(received: list[int]) -> Iterator[None]:
    """The list gets the number of the first SIGINT, SIGTERM or SIGHUP, so that a loop can end in order.

    A second SIGINT interrupts at once. What the process ignores, as after nohup, it goes on to ignore.
    """

    def take(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    heard = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, take) for number in heard if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
