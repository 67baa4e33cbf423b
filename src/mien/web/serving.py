"""Runs the web application: sockets, worker processes, deadlines, a graceful stop."""

import asyncio
import functools
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from mien.errors import MienError
from mien.web.limits import Limits
from mien.web.server import application

HEADERS_S = 10.0
"""In which the head of a request must have come."""
HEADERS_BYTES = 32_768
"""Largest head of a request."""
STOP_S = 10
"""After which a stop no longer waits for requests."""


class Protocol(H11Protocol):
    """HTTP/1.1 that closes connections whose next request does not begin in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A head is expected from now on."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADERS_S, self._expire)

    def data_received(self, data: bytes) -> None:
        """The head is complete once there is a request; the next one's has its own time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._lift()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_S, self._expire)

    def on_response_complete(self) -> None:
        """Between requests, uvicorn's own limit for idle connections holds."""
        self._lift()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline outlives its connection."""
        self._lift()
        super().connection_lost(exc)

    def _lift(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. MienError where that is not possible."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise MienError(f"{host}, port {port}: {error.strerror}; --host and --port choose others") from error


def serve(listening: socket.socket, model: str, limits: Limits, workers: int) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being worked on are answered first."""
    config = uvicorn.Config(
        functools.partial(application, model, limits),
        factory=True,
        workers=workers,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=HEADERS_BYTES,
        timeout_graceful_shutdown=STOP_S,
    )
    listening.set_inheritable(True)
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listening])
    else:
        Multiprocess(config, sockets=[listening]).run()
