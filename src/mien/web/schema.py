"""The schema of the interface for programs (OpenAPI), served as /openapi.json."""

from typing import Any

import mien
from mien.web.limits import Limits


def schema(limits: Limits) -> dict[str, Any]:
    """OpenAPI 3.1 as plain values, with the limits of this server."""
    error = {"description": "Refused; `error` says why in one sentence.", "content": _json({"$ref": _ref("Error")})}
    picture = {"type": "string", "format": "binary"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "mien", "version": mien.__version__, "description": "Faces and what they express."},
        "paths": {
            "/v1/recognize": {
                "post": {
                    "summary": f"Faces in pictures, up to {limits.upload_bytes:,} bytes and {limits.pixels:,} pixels",
                    "parameters": [{"name": "model", "in": "query", "schema": {"type": "string"}}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "image/*": {"schema": picture},
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "file": {"type": "array", "items": picture, "maxItems": limits.pictures}
                                    },
                                }
                            },
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "One picture gives an object; several files of a form give a list.",
                            "content": _json({"anyOf": [{"$ref": _ref("Picture")}, _list({"$ref": _ref("Result")})]}),
                        },
                        **dict.fromkeys(("400", "408", "413", "422", "503"), error),
                    },
                }
            },
            "/v1/models": {"get": {"summary": "The packaged networks", "responses": {"200": {"description": "OK"}}}},
            "/healthz": {"get": {"summary": "Whether it runs", "responses": {"200": {"description": "OK"}}}},
        },
        "components": {"schemas": _objects()},
    }


def _objects() -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    pair = {**_list(number), "minItems": 2, "maxItems": 2}
    face = {
        "box_xyxy": {**_list(number), "minItems": 4, "maxItems": 4},
        "detection_score": number,
        "landmarks_xy": {**_list(pair), "minItems": 5, "maxItems": 5},
        "expression": text,
        "confidence": number,
        "unsure": {"type": "boolean"},
        "mouth_covered": {"type": "boolean"},
        "scores": {"type": "object", "additionalProperties": number},
    }
    whole = {"type": "integer"}
    picture = {"source": text, "width": whole, "height": whole, "faces": _list({"$ref": _ref("Face")})}
    return {
        "Face": _object(face),
        "Picture": _object(picture),
        "Unreadable": _object({"source": text, "error": text}),
        "Result": {"anyOf": [{"$ref": _ref("Picture")}, {"$ref": _ref("Unreadable")}]},
        "Error": {**_object({"error": text, "source": text}), "required": ["error"]},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _json(content: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": content}}


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"
