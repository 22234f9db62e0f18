"""The route by which OpenAI's clients transcribe, so that programs made for its speech recognition read lips here.

Requests and answers are as https://platform.openai.com/docs/api-reference/audio/createTranscription describes them;
what a lip reader has no use for (``language``, ``prompt``, ``temperature``, ``stream``, ...) is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from gunileo.inference import registry
from gunileo.output.whisper import to_fields
from gunileo.output.writers import to_srt, to_txt, to_vtt
from gunileo.server import jobs
from gunileo.server.dependencies import AnyState, AnyUpload, ServerState
from gunileo.server.jobs import Reading
from gunileo.server.uploads import UploadError

router = APIRouter(prefix="/v1")
_BUILT_IN = "whisper-1"  # the name that many programs send and can't be told to change: the server's own model
_TEXTS = {
    "text": (to_txt, "text/plain"),
    "srt": (to_srt, "application/x-subrip"),
    "vtt": (to_vtt, "text/vtt"),
}
_FORMATS = ("json", *_TEXTS, "verbose_json")
_GRANULARITIES = ("word", "segment")
_LANGUAGES = {"en": "english", "es": "spanish", "fr": "french", "pt": "portuguese", "zh": "chinese"}

_FIELDS: dict[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": "The video."},
    "model": {"type": "string", "description": f"A name of `/v1/models`; `{_BUILT_IN}` is the server's default model."},
    "response_format": {"type": "string", "enum": list(_FORMATS), "default": "json"},
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": list(_GRANULARITIES)},
        "description": "What `verbose_json` holds. By default segments.",
    },
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _FIELDS}}},
    }
}
_ERROR = {"type": "object", "required": ["message", "type", "param", "code"]}
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {
        "description": meaning,
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["error"], "properties": {"error": _ERROR}}}
        },
    }
    for status, meaning in {
        400: "The form is damaged, a field of it is wrong, or the file can't be read.",
        403: "The Host or the Origin is not this server's.",
        404: "No such model.",
        408: "The file came too slowly.",
        413: "The file is too large.",
        415: "The body is not a form.",
        503: "Too many files are waiting; Retry-After says when to send it again.",
        507: "No space to store the file.",
    }.items()
}
_ANSWERS = {kind: {"schema": {"type": "string"}} for _, kind in _TEXTS.values()}


@router.post(
    "/audio/transcriptions",
    summary="Read the lips in a video, for OpenAI's clients",
    openapi_extra=_FORM,
    responses={
        200: {
            "description": "The reading, in the format of response_format.",
            "content": {"application/json": {"schema": {"type": "object", "required": ["text"]}}, **_ANSWERS},
        },
        **_REFUSED,
    },
    response_class=Response,
)
async def transcriptions(upload: AnyUpload, state: AnyState) -> Response:
    """One file, read as `gunileo transcribe` reads it.

    `json`, `text`, `srt` and `vtt` have `not sure:` before a guess. `verbose_json` has the plain text with
    `confidence` and `sure`, and the `alternatives` of a clip. Errors are as OpenAI's.
    """
    form = upload.fields
    wanted = _chosen(form, "response_format", _FORMATS, "json")
    granularities = _granularities(form, wanted)
    model = _model(state, form)
    result: Reading = await state.worker.run(jobs.read, upload.path, upload.name, model, None, state.limits)
    if wanted in _TEXTS:
        write, kind = _TEXTS[wanted]
        return Response(write(result.transcript), media_type=kind)
    if wanted == "json":
        return JSONResponse({"text": to_txt(result.transcript).rstrip("\n")})
    return JSONResponse(_verbose(result, granularities))


def listed(state: ServerState) -> dict[str, Any]:
    """The models as OpenAI's ``GET /v1/models`` lists them; a model was created when its file came here."""
    places = {
        **{info.name: registry.WEIGHTS / info.file for info in registry.available_models()},
        **{one.name: one.folder for one in registry.taught_models()},
        **{one.name: registry.imported_folder(one.name) for one in registry.imported_models()},
    }
    places.setdefault(state.model, Path(state.model))
    data = [
        {"id": name, "object": "model", "created": int(place.stat().st_mtime), "owned_by": "gunileo"}
        for name, place in places.items()
    ]
    return {"object": "list", "data": data}


def _chosen(form: dict[str, list[str]], name: str, choices: tuple[str, ...], default: str) -> str:
    given = form.get(name, [default])[-1]
    if given not in choices:
        raise UploadError(f"{name} is {given[:80]!r}; use one of {', '.join(choices)}")
    return given


def _granularities(form: dict[str, list[str]], wanted: str) -> list[str]:
    given = [one for name in ("timestamp_granularities[]", "timestamp_granularities") for one in form.get(name, [])]
    for one in given:
        _chosen({"timestamp_granularities": [one]}, "timestamp_granularities", _GRANULARITIES, "")
    if "word" in given and wanted != "verbose_json":
        raise UploadError("only verbose_json has the times of words; ask for it with response_format")
    return given or ["segment"]


def _model(state: ServerState, form: dict[str, list[str]]) -> str:
    given = form.get("model", [_BUILT_IN])[-1]
    try:
        return state.named(None if given == _BUILT_IN else given)
    except registry.ModelError as error:
        raise UploadError(str(error), 404) from None


def _verbose(result: Reading, granularities: list[str]) -> dict[str, Any]:
    transcript = result.transcript
    fields = to_fields(transcript)
    said: dict[str, Any] = {
        "task": "transcribe",
        "language": _LANGUAGES.get(transcript.language, transcript.language),
        "duration": fields.get("duration", result.seconds),
        "text": transcript.text,
    }
    if "word" in granularities:
        words = [word for segment in fields["segments"] for word in segment["words"]]
        said["words"] = [{**word, "word": word["word"].strip()} for word in words]
    if "segment" in granularities:
        said["segments"] = [
            {name: value for name, value in segment.items() if name != "words"} for segment in fields["segments"]
        ]
    own = ("model", "confidence", "sure", "calibrated")
    ours: dict[str, Any] = {name: fields[name] for name in own if name in fields}
    return {
        **said,
        **ours,
        "alternatives": [{"text": text, "share": round(share, 4)} for text, share in result.alternatives],
    }
