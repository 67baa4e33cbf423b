"""The command line: thin. Results go to stdout, everything for eyes to stderr."""

import io
import sys
from typing import Annotated

import typer

import mien
from mien.cli.laboratory import compare, evaluate, evaluate_detector, export, pack, train
from mien.cli.recognition import label, models, predict
from mien.cli.videos import camera, video
from mien.errors import MienError

app = typer.Typer(
    name="mien",
    help="Lightweight facial expression recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (predict, video, camera, label, models, evaluate, evaluate_detector, compare, train, export):
    app.command()(command)
data_app = typer.Typer(help="Prepare data sets.", no_args_is_help=True)
data_app.command()(pack)
app.add_typer(data_app, name="data")


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # file names need not be text in the terminal's encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"mien: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(mien.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
