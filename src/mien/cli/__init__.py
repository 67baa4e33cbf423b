"""The command line, thin: results go to stdout, everything for eyes to stderr."""

import io
import sys

import click

import mien
from mien.cli.detectors import calibrate_detector, evaluate_detector
from mien.cli.evaluation import compare, evaluate
from mien.cli.finetuning import finetune
from mien.cli.laboratory import export, pack
from mien.cli.log import log_to_stderr
from mien.cli.prediction import predict
from mien.cli.recognition import label, models
from mien.cli.training import train
from mien.cli.videos import camera, video
from mien.cli.web import page, serve
from mien.errors import MienError


class _InOrder(click.Group):
    """Shows its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, no_args_is_help=True, context_settings={"show_default": True})
@click.version_option(mien.__version__, message="%(version)s")
def app() -> None:
    """Lightweight facial expression recognition."""
    click.get_current_context().with_resource(log_to_stderr())


@click.group(no_args_is_help=True)
def data() -> None:
    """Prepare data sets."""


for command in (
    *(predict, video, camera, serve, page, label, models, evaluate, evaluate_detector, compare),
    *(finetune, train, export, calibrate_detector, data),
):
    app.add_command(command)
data.add_command(pack)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # file names need not be text in the terminal's encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="mien")
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"mien: {name}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
