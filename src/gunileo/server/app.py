"""The HTTP API and the page that uses it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from gunileo import __version__
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.server import openai_routes, read_routes, recordings, teach_routes
from gunileo.server.answers import error as told_error
from gunileo.server.auth import WEB, Guard
from gunileo.server.dependencies import ServerState
from gunileo.server.jobs import Limits
from gunileo.server.uploads import UploadError
from gunileo.server.worker import Busy, Worker

_ENROLMENT = 12 * 3600  # seconds that a training may take
_ABOUT = (
    'Reads lips: a video of a talking face goes in, the words come out. Errors are `{"error": TEXT}`, one line that '
    "says what to do. `/v1/live` is a WebSocket. Each message to it is a time in seconds (eight bytes, a big-endian "
    "double) and a JPEG. Sentences come back. Send the text `begin` before and `end` after a sentence for push to talk."
)


def create_app(
    model: str = registry.DEFAULT, limits: Limits | None = None, token: str | None = None, root_path: str = ""
) -> FastAPI:
    """The page and the HTTP API as an ASGI application, for any ASGI server. Needs the ``serve`` extra.

    ``model`` is the name of the default model, or a file. ``limits`` are those of ``gunileo serve`` if None. With a
    ``token`` the application may have a public address or stand behind a proxy, which may serve it below a
    ``root_path`` such as "/lips".
    """
    limits = limits or Limits()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(recordings.tidy)
        with tempfile.TemporaryDirectory(prefix="gunileo-serve-", ignore_cleanup_errors=True) as folder:
            worker = Worker(Path(folder), limits.work, limits.waiting, limits.memory)
            teacher = Worker(Path(folder), _ENROLMENT, 0)
            app.state.server = ServerState(model, limits, Path(folder), worker, teacher)
            try:
                yield
            finally:
                worker.close()
                teacher.close()

    app = FastAPI(title="Gunileo", version=__version__, description=_ABOUT, docs_url=None, redoc_url=None)
    app.router.lifespan_context = lifespan
    app.get("/healthz", summary="Whether the server runs")(health)
    app.head("/healthz", include_in_schema=False)(health)  # as wget --spider and some monitors ask
    app.include_router(read_routes.router)
    app.include_router(teach_routes.router)
    app.include_router(openai_routes.router)
    for path, page in (("/", "index.html"), ("/docs", "docs.html")):
        app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)(_page(page))
    app.mount("/web", StaticFiles(directory=WEB))
    app.add_exception_handler(GunileoError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _other)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(Guard, token=token, root_path=root_path)
    return app


async def health() -> dict[str, str]:
    """The version that runs."""
    return {"status": "ok", "version": __version__}


def _page(name: str) -> Callable[[], FileResponse]:
    def page() -> FileResponse:
        return FileResponse(WEB / name)

    return page


async def _failed(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, UploadError) else 503 if isinstance(error, Busy) else 422
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, Busy) else None
    return told_error(request.scope, status, str(error), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{part['loc'][-1]}: {part['msg']}" for part in error.errors())
    return told_error(request.scope, 422, f"{wrong}; see /docs")


async def _other(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return told_error(request.scope, error.status_code, f"{error.detail}; see /docs", error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    return told_error(request.scope, 500, "the server has a fault here; the terminal where it runs shows more")
