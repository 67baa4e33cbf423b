"""The server: headers, files, and the interface for programs, its limits and its errors."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import mien
from mien.images import read_image
from mien.results import to_record

pytest.importorskip("starlette", reason="needs the extra `web`")
from starlette.testclient import TestClient

from mien.web import serving
from mien.web.limits import Gate, Limits, RefusalError
from mien.web.server import application

EXAMPLES = Path(__file__).parents[1] / "examples"
PORTRAIT = (EXAMPLES / "eileen-collins.jpg").read_bytes()
LIMITS = Limits(upload_bytes=300_000, pixels=1_000_000, pictures=3, waiting=2, upload_s=0.3)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(application(mien.weights.default_model(), LIMITS), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return to_record("-", read_image(PORTRAIT), mien.Recognizer(threads=1).recognize(PORTRAIT))


def test_one_picture_gives_what_predict_gives(client: TestClient, expected: dict[str, Any]) -> None:
    answer = client.post("/v1/recognize", content=PORTRAIT)
    assert (answer.status_code, answer.json()) == (200, expected)


def test_a_form_with_one_file_gives_an_object_and_with_several_a_list(
    client: TestClient, expected: dict[str, Any]
) -> None:
    answer = client.post("/v1/recognize", files={"file": ("me.jpg", PORTRAIT)})
    assert answer.json() == {**expected, "source": "me.jpg"}
    files = [("file", ("me.jpg", PORTRAIT)), ("file", ("notes.txt", b"no picture"))]
    first, second = client.post("/v1/recognize", files=files).json()
    assert first == {**expected, "source": "me.jpg"}
    assert second["source"] == "notes.txt"
    assert second["error"].startswith("notes.txt: expected a JPEG")


def test_another_network(client: TestClient) -> None:
    other = mien.list_models()[1]
    (face,) = client.post(f"/v1/recognize?model={other.name}", content=PORTRAIT).json()["faces"]
    assert face["scores"].keys() == set(other.expressions)
    listed = client.get("/v1/models").json()
    assert [card["name"] for card in listed["models"]] == [card.name for card in mien.list_models()]


@pytest.mark.parametrize(
    ("status", "sentence", "request_"),
    [
        (400, "expected a picture as the body, or as files of a form, found none", {"content": b""}),
        (
            400,
            "found none",
            {"data": {"a": "b"}, "files": {}, "headers": {"content-type": "multipart/form-data; boundary=x"}},
        ),
        (400, "Missing boundary", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        (400, "Too many files", {"files": [("file", (f"{i}.jpg", b"x")) for i in range(4)]}),
        (400, "unknown model 'nobody'; known: ", {"content": PORTRAIT, "params": {"model": "nobody"}}),
        (400, "expected no parameter but model, found modle", {"content": PORTRAIT, "params": {"modle": "x"}}),
        (413, "expected at most 300,000 bytes, found 300,001", {"content": b"x" * 300_001}),
        (413, "expected at most 300,000 bytes, found more", {"content": iter([b"x" * 200_000] * 2)}),
        (422, "-: expected a JPEG", {"content": b"no picture"}),
        (422, "damaged", {"content": PORTRAIT[:3000]}),
    ],
)
def test_bad_requests_are_told_why(client: TestClient, status: int, sentence: str, request_: dict[str, Any]) -> None:
    if request_.get("headers", {}).get("content-type", "").endswith("boundary=x"):
        request_ = {"content": b"--x--\r\n", "headers": request_["headers"]}
    answer = client.post("/v1/recognize", **request_)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert answer.json()["error"].count("\n") == 0


def test_too_many_pixels(client: TestClient) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (1200, 1000)).save(stream, "PNG")
    answer = client.post("/v1/recognize", content=stream.getvalue())
    assert answer.status_code == 422
    assert "expected at most 1000000 pixels, found 1200 x 1000" in answer.json()["error"]


def test_wrong_addresses_and_methods(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/v1/nothing").json()["error"]
    answer = client.get("/v1/recognize")
    assert (answer.status_code, answer.json()) == (405, {"error": "expected POST, found GET"})
    assert client.get("/../pyproject.toml").status_code == 404
    assert client.get("/%2e%2e/files.py").status_code == 404


def test_answers_fit_the_schema(client: TestClient, expected: dict[str, Any]) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["Picture"]["required"] == list(expected)
    assert schemas["Face"]["required"] == list(expected["faces"][0])


def test_headers_of_all_answers(client: TestClient) -> None:
    for answer in (client.get("/"), client.get("/nothing"), client.post("/v1/recognize", content=b"x")):
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert "script-src 'self' 'wasm-unsafe-eval';" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_runtime_comes_compressed_and_is_kept_for_good(client: TestClient) -> None:
    (wasm,) = (file for file in json.loads(client.get("/runtime.json").text)["files"] if "wasm" in file["address"][-5:])
    with client.stream("GET", f"/{wasm['address']}", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-type"] == "application/wasm"
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert len(raw) < 3_800_000
    plain = client.get(f"/{wasm['address']}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress(raw)


def test_what_a_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/settings.json")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/settings.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_failure_inside_is_an_answer_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("mien.web.interface.to_record", fail)
    answer = client.post("/v1/recognize", content=PORTRAIT)
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_no_more_are_let_in_than_the_limits_allow() -> None:
    async def three_at_once() -> None:
        gate = Gate(Limits(waiting=2, waiting_bytes=10, wait_s=0.05))
        async with gate.entered(), gate.entered():
            with pytest.raises(RefusalError, match="2 requests") as refusal:
                async with gate.entered():
                    pass
            assert refusal.value.status == 503
        async with gate.entered() as entry:  # who has left is not counted
            with pytest.raises(RefusalError, match="too large together"):
                async for _ in entry.limited(chunks(b"x" * 6, b"x" * 6)):
                    pass
            async with anyio.create_task_group() as group:
                group.start_soon(gate.work, lambda: time.sleep(0.3))
                await anyio.sleep(0.05)
                with pytest.raises(RefusalError, match="the turn did not come"):
                    await gate.work(lambda: None)

    async def chunks(*parts: bytes) -> Any:
        for part in parts:
            yield part

    anyio.run(three_at_once)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-c", SHORT_DEADLINE, "serve", "--port", "0", "--workers", "1", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    yield process, int(address.rstrip("/").rpartition(":")[2])
    process.kill()
    process.communicate()


SHORT_DEADLINE = "import mien.web.serving as it; it.HEADERS_S = 1.0; from mien.cli import main; main()"


def ask(port: int, head: bytes, wait_s: float = 60.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        connection.sendall(head)
        found = b""
        while chunk := connection.recv(65_536):
            found += chunk
    return found


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_slow_heads_huge_heads_and_a_graceful_stop(server: tuple["subprocess.Popen[str]", int]) -> None:
    process, port = server
    assert b'{"status":"ok"}' in ask(port, HEALTH)
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    assert b'{"status":"ok"}' in ask(port, HEALTH)  # others are served meanwhile
    started = time.monotonic()
    assert slow[0].recv(1000) == b""
    assert time.monotonic() - started < 30
    for connection in slow:
        connection.close()
    huge = ask(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 2 * serving.HEADERS_BYTES)
    assert huge == b"" or b" 400 " in huge or b" 431 " in huge
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(PORTRAIT)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + PORTRAIT)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        found = b""
        while chunk := connection.recv(65_536):
            found += chunk
    assert b'"expression":"' in found
    process.wait(60)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_two_workers_serve_and_stop() -> None:
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "2", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
    assert b'{"status":"ok"}' in ask(port, HEALTH, 120)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    with pytest.raises(OSError):  # noqa: PT011
        ask(port, HEALTH, 1)


def test_a_port_that_is_taken_is_told(server: tuple["subprocess.Popen[str]", int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "mien", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(f"mien: 127.0.0.1, port {port}: ")
    assert len(done.stderr.splitlines()) == 1


def test_other_interfaces_are_warned_of() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--port", "0", "--host", "0.0.0.0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    assert "open to the network" in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=60)
