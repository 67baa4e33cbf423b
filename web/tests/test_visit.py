"""A whole visit: nothing leaves the machine, little is loaded, and it goes on without the server."""

import functools
import http.server
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import EXAMPLES, Visit, playwright, start_server, stop_server

from mien.web.files import page_files, write_page

FIRST_LOAD_BYTES = 7_000_000


def test_no_request_to_another_origin_and_no_upload(visit: Visit, server: str) -> None:
    visit.page.click("[data-example='examples/two-people.jpg']")
    visit.cards(2)
    visit.page.click("#close")
    visit.choose(EXAMPLES / "grace-hopper.jpg")
    visit.cards(1)
    visit.page.click("#close")
    visit.page.click("#camera")
    visit.cards(2)
    visit.page.click("#stop")
    assert len(visit.requests) > 8
    for method, address, body in visit.requests:
        assert address.startswith(("blob:", server)), address
        assert (method, body) == ("GET", None), address


def test_the_first_load_is_small(visit: Visit) -> None:
    files = page_files()
    loaded = {urlsplit(address).path.lstrip("/") or "index.html" for _, address, _ in visit.requests}
    loaded = {address for address in loaded if address in files}
    assert any(address.endswith(".wasm") for address in loaded)
    sizes = [len(files[address].compressed or files[address].content) for address in loaded]
    assert sum(sizes) <= FIRST_LOAD_BYTES


def test_it_recognises_without_the_server_even_after_a_reload(browser: "playwright.Browser") -> None:
    server, address = start_server()
    visit = Visit(browser, address)
    visit.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    stop_server(server)
    visit.choose(EXAMPLES / "grace-hopper.jpg")
    visit.cards(1)
    visit.page.reload()
    visit.page.wait_for_selector("body.ready")
    assert visit.page.evaluate("crossOriginIsolated")
    visit.page.click("[data-example='examples/two-people.jpg']")
    visit.cards(2)
    visit.context.close()


@pytest.fixture
def static_host(tmp_path: Path) -> str:
    """The files of `mien page` behind the plainest server, which knows no headers, below a folder."""
    write_page(tmp_path / "faces")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{host.server_address[1]}/faces/"
    host.shutdown()
    host.server_close()


def test_the_static_page_works_on_any_host(browser: "playwright.Browser", static_host: str) -> None:
    visit = Visit(browser, static_host)
    visit.page.click("[data-example='examples/two-people.jpg']")
    visit.cards(2)
    assert not visit.complaints
    visit.context.close()
