"""The interface for programs: pictures in, the JSON of `mien predict --json` out; nothing is stored."""

import threading
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import mien
from mien.errors import ImageError
from mien.images import read_image
from mien.results import to_record
from mien.web.limits import Entry, Gate, Limits, RefusalError

UNNAMED = "-"
"""What answers call a picture that came without a name, as `mien predict -` does."""


@dataclass(frozen=True)
class _Upload:
    name: str
    content: bytes


class Interface:
    """The endpoints below /v1. model: the network that is used unless a request names another."""

    def __init__(self, model: str, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.gate = Gate(limits)
        self._recognizers: dict[str, mien.Recognizer] = {}
        self._loading = threading.Lock()
        self.recognizer(model)

    @property
    def routes(self) -> list[Route]:
        """Below /v1."""
        return [Route("/models", self.models), Route("/recognize", self.recognize, methods=["POST"])]

    def recognizer(self, model: str) -> mien.Recognizer:
        """A network with the detector, loaded once."""
        with self._loading:
            if model not in self._recognizers:
                self._recognizers[model] = mien.Recognizer(model, threads=1)
            return self._recognizers[model]

    async def models(self, _: Request) -> JSONResponse:
        """GET /v1/models: the packaged networks."""
        cards = mien.list_models()
        return JSONResponse({"default": self.model, "models": [card.to_dict() for card in cards]})

    async def recognize(self, request: Request) -> JSONResponse:
        """POST /v1/recognize: one picture gives an object, several give a list."""
        model = self._model_of(request)
        self._check_length(request)
        async with self.gate.entered() as entry:
            try:
                with anyio.fail_after(self.limits.upload_s):
                    uploads = await self._uploads(request, entry)
            except TimeoutError as error:
                sentence = f"expected the whole upload in {self.limits.upload_s:.0f} s, found a part"
                raise RefusalError(408, sentence) from error
            except ClientDisconnect as error:
                raise RefusalError(400, "the connection was closed before the upload was complete") from error
            records = []
            for upload in uploads:
                if await request.is_disconnected():
                    raise RefusalError(400, "the connection was closed before the answer")
                records.append(await self._record(upload, model))
        if len(records) > 1:
            return JSONResponse(records)
        return JSONResponse(records[0], 422 if "error" in records[0] else 200)

    async def _record(self, upload: _Upload, model: str) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            image = read_image(upload.content, max_pixels=self.limits.pixels, name=upload.name)
            return to_record(upload.name, image, self.recognizer(model).recognize(image))

        try:
            return await self.gate.work(work)
        except ImageError as error:
            return {"source": upload.name, "error": str(error)}

    def _model_of(self, request: Request) -> str:
        unknown = set(request.query_params) - {"model"}
        if unknown:
            raise RefusalError(400, f"expected no parameter but model, found {', '.join(sorted(unknown))}")
        names = [card.name for card in mien.list_models()]
        model = request.query_params.get("model", self.model)
        if model not in (*names, self.model):
            raise RefusalError(400, f"unknown model {model!r}; known: {', '.join(names)}")
        return model

    def _check_length(self, request: Request) -> None:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.upload_bytes:
            raise RefusalError(413, f"expected at most {self.limits.upload_bytes:,} bytes, found {int(length):,}")

    async def _uploads(self, request: Request, entry: Entry) -> list[_Upload]:
        body = entry.limited(request.stream())
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            uploads = await self._parts(request, body)
        else:
            uploads = [_Upload(UNNAMED, b"".join([chunk async for chunk in body]))]
        if not any(upload.content for upload in uploads):
            raise RefusalError(400, "expected a picture as the body, or as files of a form, found none")
        return uploads

    async def _parts(self, request: Request, body: AsyncGenerator[bytes, None]) -> list[_Upload]:
        parser = MultiPartParser(request.headers, body, max_files=self.limits.pictures, max_fields=16)
        parser.spool_max_size = self.limits.upload_bytes + 1  # in memory, never on disk
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise RefusalError(400, f"expected a form with files: {error.message}") from error
        except (KeyError, ValueError, UnicodeError) as error:
            raise RefusalError(400, "expected a form with files, found a damaged one") from error
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        uploads = [_Upload(file.filename or UNNAMED, await file.read()) for file in files]
        await form.close()
        return uploads
