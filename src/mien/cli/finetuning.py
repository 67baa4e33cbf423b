"""The command that trains a network for one's own classes."""

import sys
from pathlib import Path

import click

from mien.cli.laboratory import check_export, train_extra
from mien.cli.options import FILE
from mien.cli.targets import FOLDER, ONNX, check_targets


@click.command(no_args_is_help=True)
@click.argument("faces", type=FILE)
@click.option("--out", type=FILE, required=True, help="The ONNX file to write.")
@click.option("--unlabelled", type=FILE, help="A folder of more face crops, of which the network labels what it can.")
@click.option(
    "--weights", help="What to start from: a packaged network or a checkpoint; the default network's weights."
)
@click.option("--run", type=FILE, help="Folder of checkpoints, log and report; OUT without its suffix if not given.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in this folder.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Everything random derives from it.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the processor; 0 leaves it to torch.")
@click.option("--device", help="cpu or cuda; by itself: cuda if any.")
@click.option("--set", "settings", multiple=True, help="KEY=VALUE of the experiment, such as schedule.epochs=20.")
def finetune(
    faces: Path,
    out: Path,
    unlabelled: Path | None,
    weights: str | None,
    run: Path | None,
    resume: bool,
    seed: int,
    threads: int,
    device: str | None,
    settings: tuple[str, ...],
) -> None:
    """Train a network for your own classes, from the packaged weights.

    FACES: a folder with a folder of face crops for each class, some dozen in each. A fifth of them is kept out of the
    training and measured in the end.
    """
    with train_extra():
        from mien.export.finetuning import CONFUSION, PAGE
        from mien.export.finetuning import finetune as run_finetuning
        from mien.training.machine import keep_freed_memory, use_threads

    folder = run or out.with_suffix("")
    check_export(out, [faces, unlabelled])
    check_targets({"--out": (out, ONNX), "--run": (folder, FOLDER)}, [faces, unlabelled])
    _check_places(faces, out, unlabelled)
    use_threads(threads)
    keep_freed_memory()
    try:
        done = run_finetuning(faces, out, unlabelled, weights, folder, resume, seed, device, settings)
    except KeyboardInterrupt:
        print(f"\nmien: interrupted; whole epochs are kept in {folder}, go on with --resume", file=sys.stderr)
        raise click.exceptions.Exit(130) from None
    values = done.report.values
    low, high = values["accuracy_interval"]
    print(
        f"accuracy {values['accuracy']:.3f} [{low:.3f}, {high:.3f}] on {values['n']} validation faces", file=sys.stderr
    )
    for name, found in values["per_class"].items():
        low, high = found["recall_interval"]
        print(f"  {name}: {found['recall']:.3f} [{low:.3f}, {high:.3f}] of {found['n']} found", file=sys.stderr)
    for line in done.warnings:
        print(f"mien: {line}", file=sys.stderr)
    print(f"report: {folder / PAGE}, {folder / CONFUSION}", file=sys.stderr)
    print(done.model)


def _check_places(faces: Path, out: Path, unlabelled: Path | None) -> None:
    for option, path in (("--out", out), ("--unlabelled", unlabelled)):
        if path is not None and faces.resolve() in path.resolve().parents:
            raise click.BadParameter(
                f"expected {option} outside of {faces}, whose folders are all classes; found {path}"
            )
