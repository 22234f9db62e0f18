"""The routes of Teach: sentences to say, recordings of them, and the enrolments that make a model of those."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from gunileo.corpus.grid import is_grid
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.server import recordings
from gunileo.server.dependencies import FORM, REFUSED, AnyState, AnyUpload, Going, ServerState, errors
from gunileo.server.recordings import Inspection
from gunileo.server.worker import Busy
from gunileo.teaching.teach import RecordingError, checked_name, forget

router = APIRouter(prefix="/v1")
_WRONG = errors(
    s400="The body can't be understood.",
    s403="The Host or the Origin is not this server's.",
    s413="The body is too large.",
    s422="The name or the content can't be used.",
)
_BUSY = errors(s503="Another enrolment goes on.")


@router.get("/practice", summary="Sentences to practise", responses=_WRONG)
async def practice(count: Annotated[int, Query(ge=1, le=100)] = 10) -> dict[str, list[str]]:
    """Random sentences of GRID's kind, to teach a model your face."""
    return {"sentences": recordings.practice(count)}


@router.post("/sentences", summary="The sentences of rules", responses=_WRONG)
async def sentences(text: Annotated[str, Body(embed=True, max_length=10_000)]) -> dict[str, list[str]]:
    """All sentences that rules allow, one rule on each line: `turn (on|off) the [big] light`."""
    return {"sentences": await asyncio.to_thread(recordings.sentences, text)}


@router.get("/taught", summary="What was taught")
async def taught(state: AnyState) -> dict[str, Any]:
    """All that was recorded and taught, and whether the network can be trained here."""
    names = dict.fromkeys([*recordings.recorded(), *(model.name for model in registry.taught_models())])
    return {
        "taught": [_described(state, name) for name in names],
        "can_train": recordings.can_train(),
        "folder": str(registry.home()),
    }


@router.get("/taught/{name}", summary="What was taught under a name", responses=_WRONG)
async def one(name: str, state: AnyState) -> dict[str, Any]:
    """The recordings, the model and the enrolment of one name. The recordings are empty if there are none."""
    return _described(state, name)


@router.post("/taught/{name}/recordings", summary="Add a recording", openapi_extra=FORM, responses=REFUSED)
async def record(
    name: str, upload: AnyUpload, state: AnyState, text: Annotated[str, Query(max_length=500)]
) -> dict[str, Any]:
    """Check a clip that says `text`, and keep it as a recording if it can be used."""
    (said, *others) = await asyncio.to_thread(recordings.sentences, text)
    if others:
        raise RecordingError(f"a recording says one sentence, and {text[:80]!r} means {1 + len(others)}")
    seen: Inspection = await state.worker.run(
        recordings.inspect, upload.path, upload.name, checked_name(name), state.limits
    )
    async with state.keeping:
        recording = await asyncio.to_thread(recordings.keep, upload.path, name, said)
    strip = "data:image/png;base64," + base64.b64encode(seen.strip).decode()
    return {**asdict(recording), "seconds": seen.seconds, "strip": strip, "read": seen.read}


@router.delete("/taught/{name}/recordings/{recording}", summary="Remove a recording", responses=_WRONG)
async def drop(name: str, recording: str, state: AnyState) -> dict[str, Any]:
    """Remove one recording."""
    await asyncio.to_thread(recordings.drop, name, recording)
    return _described(state, name)


@router.post("/taught/{name}/enrolment", summary="Start an enrolment", responses={**_WRONG, **_BUSY}, status_code=202)
async def begin(name: str, state: AnyState, train: bool = False) -> dict[str, Any]:
    """Start to make a model of the recordings, which takes seconds. `train` also trains the network, in minutes."""
    if not recordings.listed(name):
        raise RecordingError(f"{name}: nothing was recorded for it; record something first")
    if any(going.running for going, _ in state.enrolments.values()):
        raise Busy("another enrolment is running", 5)
    going = Going(name, train)
    state.enrolments[name] = going, asyncio.create_task(_enrolment(going, state))
    return _described(state, name)


@router.delete("/taught/{name}/enrolment", summary="Stop an enrolment", responses=_WRONG)
async def stop(name: str, state: AnyState) -> dict[str, Any]:
    """Stop the enrolment that is running. The model stays as it was before."""
    if checked_name(name) in state.enrolments:
        await _stopped(*state.enrolments[name])
    return _described(state, name)


@router.delete("/taught/{name}", summary="Forget what was taught", responses=_WRONG)
async def remove(name: str, state: AnyState) -> dict[str, bool]:
    """Remove the model and all its recordings."""
    if checked_name(name) in state.enrolments:
        await _stopped(*state.enrolments[name])
        del state.enrolments[name]
    await asyncio.to_thread(forget, name)
    return {"removed": True}


async def _enrolment(going: Going, state: ServerState) -> None:
    try:
        enrolment = await state.teacher.run(
            recordings.learn, going.name, registry.TEACHING_BASE, going.train, tell=going.tell
        )
        going.skipped = [reason for _, reason in enrolment.skipped]
        going.doing = "done"
    except GunileoError as error:
        going.error = str(error)
    except asyncio.CancelledError:
        going.doing = "stopped"
    finally:
        going.running = False


async def _stopped(going: Going, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    going.running = False


def _described(state: ServerState, name: str) -> dict[str, Any]:
    recorded = recordings.listed(checked_name(name))
    model, enrolment = registry.taught(name), state.enrolments.get(name)
    return {
        "name": name,
        "recordings": [asdict(recording) for recording in recorded],
        "practice": bool(recorded) and all(is_grid(recording.text) for recording in recorded),
        "model": asdict(model) if model else None,
        "enrolment": asdict(enrolment[0]) if enrolment else None,
    }
