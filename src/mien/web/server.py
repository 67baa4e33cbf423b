"""The web application: the page's files with the headers it needs, and the interface for programs."""

import logging

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.web.files import PageFile, page_files
from mien.web.interface import Interface
from mien.web.limits import Limits, RefusalError
from mien.web.schema import schema

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: nothing from other hosts, and shared memory for threads (cross-origin isolation)."""
FOR_GOOD = "public, max-age=31536000, immutable"

logger = logging.getLogger(__name__)


def application(model: str, limits: Limits) -> ASGIApp:
    """The application; MienError where the page was not built or the model is unknown."""
    interface = Interface(model, limits)
    described = schema(limits)
    files = page_files()

    async def file(request: Request) -> Response:
        address = request.path_params.get("address") or "index.html"
        if address not in files:
            raise HTTPException(404, f"there is nothing at /{address}")
        return _answer(files[address], request)

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def openapi(_: Request) -> JSONResponse:
        return JSONResponse(described)

    routes = [
        Route("/healthz", healthz),
        Route("/openapi.json", openapi),
        Mount("/v1", routes=interface.routes),
        Route("/", file),
        Route("/{address:path}", file),
    ]
    handlers = {RefusalError: _refused, HTTPException: _http_error, Exception: _failed}
    return _WithHeaders(Starlette(routes=routes, exception_handlers=handlers))


def _answer(file: PageFile, request: Request) -> Response:
    headers = {"Cache-Control": FOR_GOOD if file.stays else "no-cache", "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")]
    compressed = file.compressed if "gzip" in accepted else None
    if compressed is None:
        return Response(file.content, headers=headers, media_type=file.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(compressed, headers=headers, media_type=file.media_type)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    headers = {"Retry-After": "1"} if error.status == 503 else {}
    if error.status in (408, 413, 503):  # the rest of the body is not read
        headers["Connection"] = "close"
    return JSONResponse({"error": error.sentence}, error.status, headers)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = error.detail
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        sentence = f"expected {allowed}, found {request.method}"
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


def _failed(_: Request, error: Exception) -> Response:
    logger.error("a request failed", exc_info=error)
    return JSONResponse({"error": "the server failed at this request; its log says more"}, 500)


class _WithHeaders:
    """Adds the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
