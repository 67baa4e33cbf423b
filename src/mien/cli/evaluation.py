"""Commands that measure networks; they need no torch."""

from pathlib import Path

import click

from mien.cli.options import FILE
from mien.cli.targets import JSON, PNG, check_targets, make_folders
from mien.progress_bar import ProgressBar


@click.command(no_args_is_help=True)
@click.option("--dataset", required=True, help="A name such as fer2013, ferplus, rafdb, ckplus or folder.")
@click.option("--root", type=FILE, required=True, help="The file or folder that holds the data set.")
@click.option("--split", required=True, help="The part to measure on, such as public_test.")
@click.option("--model", help="A packaged network, or an ONNX file.")
@click.option("--json", "json_file", type=FILE, help="Write the report as JSON.")
@click.option("--picture", type=FILE, help="Write the confusion matrix as a PNG (needs mien[train]).")
@click.option("--reliability", type=FILE, help="Write accuracy against confidence as a PNG (needs mien[train]).")
@click.option(
    "--risk-coverage", type=FILE, help="Write the error of the most confident faces as a PNG (needs mien[train])."
)
@click.option("--corruptions", is_flag=True, help="Measure on noisy, blurred, dark, badly cut ... faces as well.")
@click.option("--corruption", multiple=True, help="Only this one, such as darkness; can be repeated.")
@click.option("--mirror", is_flag=True, help="Average each face with its mirror image, at twice the time.")
@click.option("--threads", type=click.IntRange(0), default=1, help="Threads of the network; 0: as many as allowed.")
def evaluate(
    dataset: str,
    root: Path,
    split: str,
    model: str | None,
    json_file: Path | None,
    picture: Path | None,
    reliability: Path | None,
    risk_coverage: Path | None,
    corruptions: bool,
    corruption: tuple[str, ...],
    mirror: bool,
    threads: int,
) -> None:
    """Measure a network on a labelled data set."""
    from mien.datasets import open_dataset, training_pixel_keys
    from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES
    from mien.evaluation.report import MIRRORED, NO_AUGMENTATION
    from mien.evaluation.report import evaluate as evaluate_scorer
    from mien.evaluation.robustness import measure_robustness
    from mien.scorer import OnnxScorer, mirrored
    from mien.weights import default_model

    names = tuple(dict.fromkeys(corruption)) or (tuple(CORRUPTIONS) if corruptions else ())
    pictures = {"--picture": picture, "--reliability": reliability, "--risk-coverage": risk_coverage}
    for option, wanted in pictures.items():
        if wanted and names:
            raise click.BadParameter(f"expected one of {option} and --corruptions, found both")
    targets = {"--json": (json_file, JSON)} | {option: (file, PNG) for option, file in pictures.items()}
    check_targets(targets, [root, model])
    make_folders(targets)
    scorer = OnnxScorer(model or default_model(), threads)
    samples = open_dataset(dataset, root, split)
    training_keys = training_pixel_keys(dataset, root, split, scorer.card.learned_from)
    score = mirrored(scorer.logits_and_features) if mirror else scorer
    augmentation = MIRRORED if mirror else NO_AUGMENTATION
    if names:
        with ProgressBar(len(samples) * (1 + len(SEVERITIES) * len(names)), "evaluate") as bar:
            robustness = measure_robustness(
                score, samples, scorer.card, names, training_keys, lambda done, total: bar.advance(done), augmentation
            )
        if json_file:
            robustness.write(json_file)
        print(robustness.to_markdown())
        return
    with ProgressBar(len(samples), "evaluate") as bar:
        report = evaluate_scorer(
            score, samples, scorer.card, training_keys, lambda done, total: bar.advance(done), augmentation
        )
    if json_file:
        report.write(json_file)
    if picture:
        report.draw(picture)
    if reliability or risk_coverage:
        from mien.evaluation.plots import draw_reliability, draw_risk_coverage
    if reliability:
        draw_reliability(report.values, reliability)
    if risk_coverage:
        draw_risk_coverage(report.values, risk_coverage)
    print(report.to_markdown())


@click.command(no_args_is_help=True)
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
def compare(first: Path, second: Path) -> None:
    """Tell how much better the second report is.

    FIRST, SECOND: files of mien evaluate --json, on the same images. Intervals are 95 % by paired bootstrap.
    """
    from mien.evaluation.comparison import compare as compare_reports
    from mien.evaluation.comparison import read_report
    from mien.evaluation.markdown import markdown_table

    found = compare_reports([read_report(first)], [read_report(second)])
    rows = (
        (name, f"{difference:+.4f}", f"[{low:+.4f}, {high:+.4f}]") for name, (difference, low, high) in found.items()
    )
    print(markdown_table(("measure", "second minus first", "95 % interval"), rows))
