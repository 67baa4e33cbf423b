"""What a server takes on: how large, how many at once, for how long."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, Semaphore, to_thread

Found = TypeVar("Found")


@dataclass(frozen=True)
class Limits:
    """Limits of one worker."""

    threads: int = 1
    """Pictures that are recognised at once."""
    upload_bytes: int = 20_000_000
    """Of one request."""
    pixels: int = 50_000_000
    """Of one picture."""
    pictures: int = 64
    """Of one request."""
    waiting: int = 256
    """Requests that are read, wait or are worked on at once."""
    waiting_bytes: int = 512_000_000
    """Of their bodies together."""
    upload_s: float = 30.0
    """In which a request's body must have come."""
    wait_s: float = 30.0
    """In which the recognition of a picture must begin."""


class RefusalError(Exception):
    """A request that is not served: the status of the answer and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Gate:
    """Lets in as many requests, and as much work at once, as the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting = self._bytes = 0
        self._turns = Semaphore(limits.threads)
        self._threads = CapacityLimiter(limits.threads)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator["Entry"]:
        """A request is inside until it is answered; RefusalError where there are too many."""
        if self._waiting >= self.limits.waiting:
            raise RefusalError(503, f"{self.limits.waiting} requests are being worked on; try again in a second")
        self._waiting += 1
        entry = Entry(self)
        try:
            yield entry
        finally:
            self._waiting -= 1
            self._bytes -= entry.held

    async def work(self, job: Callable[[], Found]) -> Found:
        """The result of a job in a thread, after its turn came; RefusalError where it does not come in time."""
        try:
            with anyio.fail_after(self.limits.wait_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise RefusalError(503, f"the turn did not come in {self.limits.wait_s:.0f} s; try again later") from error
        try:
            return await to_thread.run_sync(job, limiter=self._threads)
        finally:
            self._turns.release()

    def hold(self, size: int) -> None:
        """Count bytes of a body; RefusalError where all bodies are too large together."""
        if self._bytes + size > self.limits.waiting_bytes:
            raise RefusalError(503, "the uploads being worked on are too large together; try again in a second")
        self._bytes += size


class Entry:
    """A request inside, and the bytes of its body so far."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self.held = gate, 0

    async def limited(self, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """A body as it comes; RefusalError where it is too large."""
        limit = self._gate.limits.upload_bytes
        async for chunk in stream:
            if self.held + len(chunk) > limit:
                raise RefusalError(413, f"expected at most {limit:,} bytes, found more")
            self._gate.hold(len(chunk))
            self.held += len(chunk)
            yield chunk
