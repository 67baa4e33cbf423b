"""What gives frames as time goes by: only the newest are taken, and waiting for one can end."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from mien.preprocessing import ImageArray

Made = TypeVar("Made")
ASKED_AFTER_S = 0.1
"""How often it is asked, while a camera gives nothing, whether to go on waiting."""


def newest(
    images: Iterator[tuple[float, ImageArray]], stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[float, ImageArray]]:
    """A camera's images as they come; those that came while the one before was looked at are left out, but the last.

    Another thread reads them, so that waiting for a silent camera can end. stop: asked while waiting.
    """
    slot: queue.Queue[tuple[float, ImageArray] | BaseException | None] = queue.Queue(1)
    left = threading.Event()

    def read() -> None:
        end = None
        try:
            for image in images:
                if left.is_set():
                    return
                with contextlib.suppress(queue.Empty):
                    slot.get_nowait()
                slot.put(image)
        except BaseException as error:
            end = error
        told = False
        while not told and not left.is_set():  # the last image is taken first
            with contextlib.suppress(queue.Full):
                slot.put(end, timeout=ASKED_AFTER_S)
                told = True

    threading.Thread(target=read, daemon=True).start()
    try:
        while not stop():
            try:
                found = slot.get(timeout=ASKED_AFTER_S)
            except queue.Empty:
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        left.set()


def unless_stopped(make: Callable[[], Made], stop: Callable[[], bool]) -> Made | None:
    """What a function makes, or None once `stop` says so; another thread runs it, since opening a camera may hang."""
    made: list[Made] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(make())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive() and not stop():
        thread.join(ASKED_AFTER_S)
    if failed:
        raise failed[0]
    return made[0] if made else None
