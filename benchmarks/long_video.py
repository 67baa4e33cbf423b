"""Memory of `mien video` over an hour: its peak after a minute of the video and at the end.

    python benchmarks/long_video.py [--minutes 60] [--out FILE]

A generated video of 160x120 pixels with two people who come and go, read with all outputs. On Linux. The last line of
stdout is JSON.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moving_portraits import RATE, write_clip

SIZE = (160, 120)
LARGEST_GROWTH = 0.1


def write_long(folder: Path, minutes: int) -> Path:
    """A minute of the clip, over and over."""
    import av

    minute, file = folder / "minute.mp4", folder / "long.mkv"
    write_clip(minute, 60.0, "aac", size=SIZE)
    with av.open(str(file), "w") as long:
        streams = None
        for number in range(minutes):
            with av.open(str(minute)) as source:
                streams = streams or {each.index: long.add_stream_from_template(each) for each in source.streams}
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift = round(number * 60 / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    long.mux(packet)
    return file


def peak_mb(process: int) -> float:
    """The most memory that a process has held so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_long(folder, wanted.minutes)
        outputs = ("--csv", "rows.csv", "--out", "out.mp4", "--timeline", "timeline.png", "--threads", "1", "--json")
        command = [sys.executable, "-m", "mien", "video", str(file), *outputs]
        started, peaks = time.perf_counter(), []
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        last: dict[str, object] = {}
        for number, line in enumerate(process.stdout, start=1):
            last = json.loads(line)
            if number % (60 * RATE) == 0:
                peaks.append(peak_mb(process.pid))
                print(f"{number // RATE} s: {peaks[-1]:.1f} MB", file=sys.stderr, flush=True)
        status = process.wait()
        rows = (folder / "rows.csv").read_text().splitlines()
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)  # with the end of all files
        document = {
            "minutes": wanted.minutes,
            "exit_status": status,
            "peak_mb_after_a_minute": peaks[0],
            "peak_mb_at_the_end": peaks[-1],
            "growth": peaks[-1] / peaks[0] - 1,
            "rows": sum(1 for _ in csv.DictReader(rows)),
            "people": len(last["people"]),  # type: ignore[arg-type]
            "copy_bytes": (folder / "out.mp4").stat().st_size,
            "hours": (time.perf_counter() - started) / 3600,
        }
    if wanted.out:
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document))
    if status or document["growth"] > LARGEST_GROWTH:
        sys.exit(f"expected a run without error that grows by {LARGEST_GROWTH:.0%} at most")


if __name__ == "__main__":
    main()
