"""`mien predict` with one process and with several on the same pictures, in turn; the last line of stdout is JSON.

    python benchmarks/workers.py [--pictures 120] [--workers 2] [--rounds 3] [--out FILE]

Machines differ and are noisy: only the ratio means something, and only where as many cores are free as there are
processes. Starting is left out: each run is timed on all pictures and on a few, and the difference is what counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
FEW = 4


def write_pictures(folder: Path, count: int) -> None:
    """The example photographs again and again, each a little smaller than the one before."""
    originals = [Image.open(file).convert("RGB") for file in sorted(EXAMPLES.glob("*.jpg"))]
    for number in range(count):
        original = originals[number % len(originals)]
        size = (original.width - number, original.height - number)
        original.resize(size).save(folder / f"{number:05}.jpg", quality=92)


def run(folder: Path, workers: int) -> tuple[float, bytes]:
    """Seconds, and the rows that were written."""
    with tempfile.TemporaryDirectory() as results:
        rows = Path(results) / "rows.csv"
        command = [sys.executable, "-m", "mien", "predict", str(folder), "--csv", str(rows), "--threads", "1"]
        began_s = time.perf_counter()
        subprocess.run([*command, "--workers", str(workers)], check=True, capture_output=True)
        return time.perf_counter() - began_s, rows.read_bytes()


def measure(pictures: int, workers: int, rounds: int) -> dict[str, object]:
    """Pictures a second of one process and of several, and their ratio."""
    rates: dict[int, list[float]] = {1: [], workers: []}
    written = set()
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as few:
        write_pictures(Path(many), pictures)
        write_pictures(Path(few), FEW)
        for _ in range(rounds):
            for count, found in rates.items():
                start_s, _ = run(Path(few), count)
                seconds, rows = run(Path(many), count)
                found.append((pictures - FEW) / (seconds - start_s))
                written.add(rows)
    one, several = (statistics.median(found) for found in rates.values())
    return {
        "pictures": pictures,
        "workers": workers,
        "pictures_a_second_one_process": round(one, 2),
        "pictures_a_second": round(several, 2),
        "ratio": round(several / one, 2),
        "same_rows": len(written) == 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the result as JSON")
    wanted = parser.parse_args()
    if wanted.workers < 2 or wanted.pictures <= FEW or wanted.rounds < 1:
        parser.error(f"expected --workers from 2, --pictures from {FEW + 1} and --rounds from 1 on")
    found = measure(wanted.pictures, wanted.workers, wanted.rounds)
    if wanted.out:
        wanted.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
