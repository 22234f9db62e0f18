"""Errors, in the shape that whoever asked can read: our own, or OpenAI's on the routes that its clients call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

_OPENAI = "/v1/audio/"  # what lies below, its clients ask for


def error(scope: Scope, status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """``{"error": message}``; on OpenAI's routes ``{"error": {"message", "type", "param", "code"}}``, and 400 for 422.

    Of a request's ``scope`` its path tells which.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if not path.startswith(_OPENAI):
        return JSONResponse({"error": message}, status, headers)
    status = 400 if status == 422 else status
    told: dict[str, Any] = {
        "message": message,
        "type": "invalid_request_error" if status < 500 else "server_error",
        "param": None,
        "code": "invalid_api_key" if status == 401 else None,
    }
    return JSONResponse({"error": told}, status, headers)
