"""Pictures to results, in one process or several, in the order in which they were given."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mien
from mien.cli.outputs import to_text, write_copy
from mien.cli.sources import Source
from mien.detection.face_finder import FaceFinder
from mien.errors import ImageError, MienError
from mien.results import to_record

AHEAD = 4
"""Pictures for each process that are given out before their turn (chosen: a large one then stops no other)."""


@dataclass(frozen=True)
class Job:
    """A picture, and where its annotated copy goes, if anywhere."""

    source: Source
    copy: Path | None


@dataclass(frozen=True)
class Outcome:
    """What became of a picture."""

    record: dict[str, Any]
    """Its JSON object."""
    text: str = ""
    """The same for people; empty where it could not be read."""
    failure: str = ""
    """What went wrong; of a copy, the record has its faces all the same."""


class Reader:
    """Reads pictures, recognises their faces, and writes annotated copies."""

    def __init__(self, recognizer: mien.Recognizer, max_pixels: int) -> None:
        self._recognizer, self._max_pixels = recognizer, max_pixels
        self._finder = recognizer.detector if isinstance(recognizer.detector, FaceFinder) else None

    def __call__(self, job: Job) -> Outcome:
        """What became of a picture."""
        source = job.source
        try:
            image = source.read(self._max_pixels)
            faces = self._recognizer.recognize(image)
        except ImageError as error:
            return Outcome({"source": source.name, "error": str(error)}, failure=str(error))
        record = to_record(source.name, image, faces)
        height, width = image.shape[:2]
        text = to_text(record, self._finder.looked_px(width, height) if self._finder else None)
        failure = ""
        if job.copy:
            try:
                write_copy(job.copy, image, faces)
            except OSError as error:
                failure = f"{source.name}: expected to write {job.copy}: {error.strerror or error}"
        return Outcome(record, text, failure)


def read_all(
    jobs: Iterable[Job], recognizer: mien.Recognizer, max_pixels: int, workers: int
) -> Generator[Outcome, None, None]:
    """What became of each picture, in order; MienError where one of several processes is killed."""
    if workers == 1:
        yield from map(Reader(recognizer, max_pixels), jobs)
        return
    spawning = multiprocessing.get_context("spawn")  # a fork would share ONNX Runtime's threads
    with ProcessPoolExecutor(workers, spawning, _start, (recognizer, max_pixels)) as pool:
        waiting: deque[Future[Outcome]] = deque()
        try:
            for job in jobs:
                with _unheard_interrupt():
                    waiting.append(pool.submit(_read, job))
                if len(waiting) == AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise MienError(
                "one of the processes was ended from outside, perhaps for want of memory; try fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _unheard_interrupt() -> Iterator[None]:
    """Processes that are started within leave Ctrl-C, which reaches all of them, to this one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_reader: Reader
"""Of this process."""


def _start(recognizer: mien.Recognizer, max_pixels: int) -> None:
    global _reader
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _reader = Reader(recognizer, max_pixels)
    if "cv2" in sys.modules:
        from mien.detection.haar import use_one_thread

        use_one_thread()


def _end_with_parent() -> None:
    """A process waits for work for ever where the one that gives it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read(job: Job) -> Outcome:
    return _reader(job)
