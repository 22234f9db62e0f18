"""The routes of reading: the models, a video, a video that browsers play, and a camera."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Response, WebSocket
from fastapi.responses import FileResponse, StreamingResponse

from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.output.transcript import Transcript
from gunileo.output.whisper import to_fields
from gunileo.output.writers import WRITERS
from gunileo.server import jobs, openai_routes
from gunileo.server.dependencies import FORM, REFUSED, AnyState, AnyUpload, ServerState
from gunileo.server.jobs import Reading
from gunileo.server.live_socket import converse
from gunileo.server.uploads import UploadError
from gunileo.server.worker import Worker

router = APIRouter(prefix="/v1")
Decode = Literal["grammar", "greedy", "beam"]

_STORY = "application/x-ndjson"  # progress, then all that the page shows
_KINDS = {
    "application/json": "json",
    "text/plain": "txt",
    "application/x-subrip": "srt",
    "text/vtt": "vtt",
    "text/tab-separated-values": "tsv",
}


def _answers() -> dict[str, Any]:
    """The answers of ``transcribe`` by their media types, for the API's description."""
    kinds: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in [*_KINDS, _STORY]}
    times = {"start": {"type": "number"}, "end": {"type": "number"}}
    word = {"word": {"type": "string"}, **times, "probability": {"type": "number"}}
    words = {"type": "array", "items": {"type": "object", "properties": word}}
    judged = {"confidence": {"type": "number"}, "sure": {"type": "boolean"}}
    whispers = {
        "tokens": {"type": "array", "items": {"type": "integer"}},
        **{name: {"type": "number"} for name in ("temperature", "avg_logprob", "compression_ratio", "no_speech_prob")},
    }
    head = {"id": {"type": "integer"}, "seek": {"type": "integer"}, **times, "text": {"type": "string"}}
    segment = {**head, **whispers, **judged, "words": words}
    kinds["application/json"] = {
        "schema": {
            "type": "object",
            "required": ["text", "language", "segments", "file", "model", "confidence", "sure"],
            "properties": {
                "text": {"type": "string"},
                "language": {"type": "string"},
                "segments": {"type": "array", "items": {"type": "object", "properties": segment}},
                "file": {"type": "string"},
                "model": {"type": "string"},
                **judged,
                "duration": {"type": "number"},
            },
        }
    }
    return kinds


@router.get("/models", summary="The models that can be used")
async def models(state: AnyState) -> dict[str, Any]:
    """The models, what each was trained on, its word error rates (0.05 = 5 %), and the server's limits.

    `object` and `data` are for OpenAI's clients.
    """
    listed = [
        {
            "name": info.name,
            "parameters": info.parameters,
            "trained_on": info.trained_on,
            "measured_on": info.measured_on,
            "wer_greedy": info.wer_greedy,
            "wer_grammar": info.wer_grammar,
            "unseen_wer_grammar": info.unseen_wer_grammar,
            "unseen_on": info.unseen_on,
            "bytes": info.bytes[info.file],
            "license": info.license,
        }
        for info in sorted(registry.available_models(), key=lambda info: info.wer_grammar)
    ]
    yours = [{"name": one.name, "taught": asdict(one)} for one in registry.taught_models()]
    yours += [{"name": one.name, "license": one.license, "imported": asdict(one)} for one in registry.imported_models()]
    told = {"default": state.model, "models": [*listed, *yours], "limits": asdict(state.limits)}
    return {**told, **openai_routes.listed(state)}


@router.post(
    "/transcribe",
    summary="Read the lips in a video",
    openapi_extra=FORM,
    responses={200: {"description": "The reading, in the format that Accept names.", "content": _answers()}, **REFUSED},
    response_class=Response,
)
async def transcribe(
    upload: AnyUpload,
    state: AnyState,
    model: str | None = None,
    decode: Decode | None = None,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """One file, read as `gunileo transcribe` reads it.

    `Accept` chooses the answer: JSON, plain text, SubRip, WebVTT or a table; or `application/x-ndjson`, a line of
    JSON each time there is progress (`{"frames", "of"}`), and one at the end with everything (`{"reading"}`) or with
    the `{"error"}`.
    """
    kind = _wanted(accept, [*_KINDS, _STORY])
    work = (jobs.read, upload.path, upload.name, state.named(model), decode, state.limits)
    if kind == _STORY:
        return StreamingResponse(_story(state.worker, work), media_type=_STORY)
    result: Reading = await state.worker.run(*work)
    return Response(WRITERS[_KINDS[kind]](result.transcript), media_type=kind)


@router.post(
    "/preview",
    summary="The same video in a format that browsers play",
    openapi_extra=FORM,
    responses={200: {"description": "H.264, without sound.", "content": {"video/mp4": {}}}, **REFUSED},
    response_class=Response,
)
async def preview(upload: AnyUpload, state: AnyState) -> Response:
    """For formats such as MPEG-1, which no browser plays."""
    target = upload.path.with_name("preview.mp4")
    await state.worker.run(jobs.preview, upload.path, upload.name, target, state.limits)
    return FileResponse(target, media_type="video/mp4")


@router.websocket("/live")
async def live(socket: WebSocket, model: str | None = None, decode: Decode | None = None) -> None:
    """Pictures in, sentences out."""
    state: ServerState = socket.app.state.server
    await socket.accept()
    try:
        with state.camera():
            reader = await asyncio.to_thread(jobs.reader_of, state.named(model))
            await socket.send_json({"ready": reader.name})
            await converse(socket, reader, decode, state)
    except GunileoError as error:
        await socket.send_json({"error": str(error)})
        await socket.close(1013)


async def _story(worker: Worker, work: tuple[Any, ...]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def tell(frames: int, of: int | None) -> None:
        loop.call_soon_threadsafe(told.put_nowait, {"frames": frames, "of": of})

    task = asyncio.create_task(worker.run(*work, tell=tell))
    task.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (progress := await told.get()) is not None:
            yield json.dumps(progress) + "\n"
        yield json.dumps({"reading": _shown(task.result())}) + "\n"
    except GunileoError as error:
        yield json.dumps({"error": str(error)}) + "\n"
    finally:
        task.cancel()


def _shown(result: Reading) -> dict[str, Any]:
    """All that the page shows of a clip."""
    return {
        "transcript": to_fields(result.transcript),
        "alternatives": [{"text": text, "share": round(share, 4)} for text, share in result.alternatives],
        "strip": "data:image/png;base64," + base64.b64encode(result.strip).decode(),
        "seconds": result.seconds,
        "files": _files(result.transcript),
    }


def _files(transcript: Transcript) -> dict[str, str]:
    return {name: WRITERS[name](transcript) for name in ("txt", "srt", "vtt", "json")}


def _wanted(accept: str, kinds: list[str]) -> str:
    """The media type that an Accept header likes best; of those that it likes the same the first."""
    liked: dict[str, float] = {}
    for choice in accept.split(","):
        pattern, _, parameters = choice.strip().partition(";")
        weight = parameters.replace(" ", "").rpartition("q=")[2]
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        for kind in kinds:
            if pattern.strip() in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
                liked[kind] = max(quality, liked.get(kind, 0.0))
    best = max(kinds, key=lambda kind: liked.get(kind, 0.0))
    if not liked.get(best):
        raise UploadError(f"no such format here; accept one of {', '.join(kinds)}", 406)
    return best
