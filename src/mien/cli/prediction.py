"""The command that says what the faces in pictures express."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

import mien
from mien.cli.options import FILE, recognizer_options
from mien.cli.targets import CSV, FOLDER, check_copies, check_targets
from mien.detection.face_finder import AUTO
from mien.errors import MienError, OutputError
from mien.images import MAX_PIXELS
from mien.progress_bar import ProgressBar

if TYPE_CHECKING:
    from mien.cli.picture_rows import CsvFile
    from mien.cli.pictures import Outcome


@click.command(no_args_is_help=True)
@click.argument("paths", nargs=-1, required=True)
@recognizer_options(AUTO)
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_file", type=FILE, help="Also write a csv file.")
@click.option("--out", type=FILE, help="Also write annotated copies to a folder.")
@click.option("--resume", is_flag=True, help="Go on after an interruption: leave out the pictures in the csv file.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    help="Processes that share the pictures, of one thread each unless --threads says otherwise.",
)
@click.option("--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, help="Larger images are refused.")
def predict(
    paths: tuple[str, ...],
    recognizer: mien.Recognizer,
    json_lines: bool,
    csv_file: Path | None,
    out: Path | None,
    resume: bool,
    workers: int,
    max_pixels: int,
) -> None:
    """Find the faces in pictures and say what each expresses.

    PATHS: images, folders, globs, or - for stdin.
    """
    from mien.cli.outputs import copy_names, to_json
    from mien.cli.picture_rows import CsvFile
    from mien.cli.pictures import Job, read_all
    from mien.cli.sources import STDIN, expand

    if resume and (csv_file is None or STDIN in paths):
        raise OutputError("expected --csv, and no picture from standard input, for --resume")
    sources = expand(paths, without=out)
    copies = copy_names(sources, out) if out else [None] * len(sources)
    inputs = [Path(source.name) for source in sources if source.error is None]
    check_targets({"--csv": (csv_file, CSV), "--out": (out, FOLDER)}, inputs)
    check_copies([copy for copy in copies if copy], inputs)
    with contextlib.ExitStack() as stack:
        table = CsvFile(csv_file, recognizer.expressions, resume) if csv_file else None
        if table:
            stack.callback(table.close)
            _tell_kept(table, resume)
        if out:
            out.mkdir(parents=True, exist_ok=True)
        pairs = zip(sources, copies, strict=True)
        jobs = [Job(source, copy) for source, copy in pairs if not (table and table.has(source.name))]
        results = stack.enter_context(contextlib.closing(read_all(jobs, recognizer, max_pixels, workers)))
        bar = stack.enter_context(ProgressBar(len(jobs), "predict"))
        tally = stack.enter_context(_told(_Tally(len(jobs)), csv_file))
        for outcome in results:
            if outcome.failure:
                bar.tell(f"mien: {outcome.failure}")
            if table:
                table.write(outcome.record)
            tally.add(outcome)
            if json_lines or outcome.text:
                bar.show(to_json(outcome.record) if json_lines else outcome.text)
            bar.advance()
    if tally.errors or (table and table.kept and any(table.kept.values())):
        raise click.exceptions.Exit(1)


@dataclass
class _Tally:
    """What was done so far."""

    total: int
    pictures: int = 0
    faces: int = 0
    errors: int = 0
    began_s: float = field(default_factory=time.monotonic)

    def add(self, outcome: "Outcome") -> None:
        """One more picture."""
        self.pictures += 1
        self.faces += len(outcome.record.get("faces", ()))
        self.errors += bool(outcome.failure)

    def __str__(self) -> str:
        counts = (_counted(self.pictures, "picture"), _counted(self.faces, "face"), _counted(self.errors, "error"))
        return f"{', '.join(counts)}, {time.monotonic() - self.began_s:.1f} s"


@contextlib.contextmanager
def _told(tally: _Tally, csv_file: Path | None) -> Iterator[_Tally]:
    """A summary at the end; after an interruption, also what is kept and how to go on."""
    kept = f"; their rows are kept in {csv_file}, go on with --resume" if csv_file else ""
    try:
        yield tally
    except BrokenPipeError:  # nobody reads on, as after `| head`
        raise
    except (KeyboardInterrupt, MienError, OSError) as error:
        print(f"mien: stopped after {tally.pictures} of {_counted(tally.total, 'picture')}{kept}", file=sys.stderr)
        if isinstance(error, KeyboardInterrupt):
            raise click.exceptions.Exit(128 + signal.SIGINT) from None
        raise
    if tally.total > 1:
        print(tally, file=sys.stderr)


def _tell_kept(table: "CsvFile", resume: bool) -> None:
    if table.kept is not None:
        count = _counted(len(table.kept), "picture")
        print(f"mien: {table.file}: has the rows of {count}, which are left out", file=sys.stderr)
    elif resume:
        print(f"mien: {table.file}: no rows yet, starting with the first picture", file=sys.stderr)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
