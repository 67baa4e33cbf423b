"""`mien serve` under load: many clients for a while with good, broken and oversized pictures, slow and huge heads.

`python benchmarks/server_load.py [SECONDS] [CLIENTS]`; the last line of stdout is one JSON document. Processor time is
told beside time, since it hardly depends on what else the machine does: `share_of_in_process` compares pictures a
second of processor time with the same recogniser called in a loop.
"""

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import mien

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURE = (EXAMPLES / "eileen-collins.jpg").read_bytes()
KINDS = {"good": PICTURE, "broken": b"no picture" * 100, "cut": PICTURE[:20_000], "oversized": b"x" * 21_000_000}
SHARES = {"good": 0.8, "broken": 0.1, "cut": 0.07, "oversized": 0.03}
STATUS = {"good": {200, 503}, "broken": {422, 503}, "cut": {422, 503}, "oversized": {413}}


async def ask(port: int, content: bytes) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; an early answer ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    try:
        writer.write(head.encode())
        if len(content) < 1_000_000:
            writer.write(content)
        found = await reader.read()
    finally:
        writer.close()
    answer, _, body = found.partition(b"\r\n\r\n")
    return int(answer.split()[1]), body


async def client(port: int, until: float, counts: Counter[str], expected: str, seed: int) -> None:
    chance = random.Random(seed)
    while time.monotonic() < until:
        (kind,) = chance.choices(list(SHARES), list(SHARES.values()))
        status, body = await ask(port, KINDS[kind])
        counts[f"{kind} {status}"] += 1
        right = status in STATUS[kind] and (status != 200 or json.loads(body)["faces"][0]["expression"] == expected)
        counts["wrong"] += not right


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def load(port: int, pid: int, seconds: float, clients: int, expected: str) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"POST /v1/recognize HTTP/1.1\r\nX: ")
    await asyncio.gather(*(client(port, time.monotonic() + 5, counts, expected, seed) for seed in range(clients)))
    counts.clear()
    before, began_s, start = resident_mb(pid), processor_s(pid), time.monotonic()
    await asyncio.gather(*(client(port, start + seconds, counts, expected, seed) for seed in range(clients)))
    passed = time.monotonic() - start
    for connection in slow:
        connection.close()
    good = counts["good 200"]
    return {
        "seconds": round(passed, 1),
        "counts": dict(counts),
        "pictures_per_s": round(good / passed, 2),
        "pictures_per_processor_s": round(good / (processor_s(pid) - began_s), 2),
        "memory_mb": [round(before, 1), round(resident_mb(pid), 1)],
    }


def in_process(pictures: int = 20) -> tuple[float, str]:
    recognizer = mien.Recognizer(threads=1)
    (face,) = recognizer.recognize(PICTURE)
    start = time.process_time()
    for _ in range(pictures):
        recognizer.recognize(PICTURE)
    return pictures / (time.process_time() - start), face.expression


def main() -> None:
    seconds, clients = (float(sys.argv[1]) if len(sys.argv) > 1 else 60.0), int((sys.argv[2:] or ["200"])[0])
    alone, expected = in_process()
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        found = asyncio.run(load(port, server.pid, seconds, clients, expected))
        alive = server.poll() is None
        server.terminate()
    share = found["pictures_per_processor_s"] / alone
    print(json.dumps({**found, "alive": alive, "in_process": round(alone, 2), "share_of_in_process": round(share, 3)}))


if __name__ == "__main__":
    main()
