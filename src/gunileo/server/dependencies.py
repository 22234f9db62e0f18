"""What the server's routes share: models, limits, workers, and the uploaded file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from gunileo.inference import registry
from gunileo.server.jobs import Limits
from gunileo.server.uploads import Upload, UploadError, drain, uploaded
from gunileo.server.worker import Busy, Worker

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "The video."}},
                }
            }
        },
    }
}
_ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
        }
    }
}


def errors(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can fail: s422="what that means", ..."""
    return {int(code[1:]): {"description": meaning, **_ERROR} for code, meaning in meanings.items()}


REFUSED = errors(
    s400="The form is damaged or has no file.",
    s403="The Host or the Origin is not this server's.",
    s406="Accept names no format that this route has.",
    s408="The file came too slowly.",
    s413="The file is too large.",
    s415="The body is not a form.",
    s422="The file can't be read, or a parameter is wrong.",
    s503="Too many files are waiting; Retry-After says when to send it again.",
    s507="No space to store the file.",
)


@dataclass
class Going:
    """An enrolment that goes on, or how the last one ended."""

    name: str
    train: bool
    doing: str = "waiting"
    done: int = 0
    of: int = 0
    error: str | None = None
    skipped: list[str] = field(default_factory=list)
    running: bool = True

    def tell(self, doing: str, done: int, of: int) -> None:
        """Note how far it has come."""
        self.doing, self.done, self.of = doing, done, of


@dataclass
class ServerState:
    """What a running server shares among its routes: models, limits, workers and what they are doing."""

    model: str  # where none is asked for
    limits: Limits
    folder: Path  # of uploads
    worker: Worker  # reads them
    teacher: Worker  # trains, which takes longer
    cameras: int = 0  # that are read live now
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)  # one recording after the other gets its number
    enrolments: dict[str, tuple[Going, asyncio.Task[None]]] = field(default_factory=dict)  # the last of each name

    def named(self, model: str | None) -> str:
        """A model that may be used, by its name; never a path, which would open any file of this machine."""
        names = [self.model, *registry.all_names()]
        if model and model not in names:
            raise registry.ModelError(f"no model {model[:80]!r} here; use one of {', '.join(dict.fromkeys(names))}")
        return model or self.model

    @contextmanager
    def camera(self) -> Iterator[None]:
        """Room for a camera that is read live. Raises ``Busy`` if there is none."""
        if self.cameras >= self.limits.cameras:
            raise Busy(f"{self.cameras} cameras are being read", 10)
        self.cameras += 1
        try:
            yield
        finally:
            self.cameras -= 1


def state_of(request: Request) -> ServerState:
    """The state of the running server."""
    state: ServerState = request.app.state.server
    return state


async def upload_of(request: Request, state: Annotated[ServerState, Depends(state_of)]) -> AsyncIterator[Upload]:
    """The file that a request sends, for as long as it is answered; its place in the line comes first."""
    try:
        async with (
            state.worker.place(),
            uploaded(request, state.folder, state.limits.upload, state.limits.work) as upload,
        ):
            yield upload
    except (Busy, UploadError):
        await drain(request)
        raise


AnyState = Annotated[ServerState, Depends(state_of)]
AnyUpload = Annotated[Upload, Depends(upload_of)]
