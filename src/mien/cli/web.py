"""Commands of the page in the browser; `serve` needs starlette and uvicorn (extra `web`)."""

import contextlib
import ipaddress
import os
import sys
import webbrowser
from pathlib import Path

import click

import mien
from mien.cli.options import FILE
from mien.errors import MissingExtraError
from mien.weights import default_model


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen at; others than loopback are open to the network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen at; 0 takes a free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--model", help="The network that programs get unless they name another.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Pictures at once a process; 0: one a core.")
@click.option(
    "--max-upload-mb", type=click.FloatRange(0, min_open=True), default=20.0, help="Larger uploads are refused."
)
@click.option("--max-pixels", type=click.IntRange(1), default=50_000_000, help="Larger pictures are refused.")
def serve(
    host: str,
    port: int,
    open_browser: bool,
    model: str | None,
    workers: int,
    threads: int,
    max_upload_mb: float,
    max_pixels: int,
) -> None:
    """Serve the page, and an interface for programs, until Ctrl-C."""
    try:
        from mien.web.limits import Limits
        from mien.web.serving import listen
        from mien.web.serving import serve as run
    except ImportError as error:
        raise MissingExtraError(f"mien serve needs {error.name}: pip install 'mien[web]'") from error

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = Limits(
        threads=threads or max(1, cores // workers), upload_bytes=int(max_upload_mb * 1e6), pixels=max_pixels
    )
    name = model or default_model()
    mien.Recognizer(name, threads=1)  # an unknown or damaged network is told at once
    with listen(host, port) as listening:
        shown, found = listening.getsockname()[:2]
        if not _is_loopback(shown):
            print(f"mien: {host} is open to the network: whoever reaches it can use this server", file=sys.stderr)
        address = f"http://{f'[{shown}]' if ':' in shown else shown}:{found}/"
        print(address, flush=True)
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            run(listening, name, limits, workers)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


@click.command(no_args_is_help=True)
@click.argument("out", type=FILE)
def page(out: Path) -> None:
    """Write the page as static files, for any host or a phone's home screen.

    OUT: a new or empty folder.
    """
    from mien.web.files import write_page

    written = write_page(out)
    print(f"{out}: {len(written)} files, {sum(file.stat().st_size for file in written) / 1e6:.1f} MB", file=sys.stderr)
