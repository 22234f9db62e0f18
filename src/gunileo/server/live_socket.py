"""A camera somewhere else: pictures with their times come over a WebSocket, sentences go back.

It is read hands-free, a sentence at each rest of the mouth, or by push to talk, a sentence from ``begin`` to ``end``.
A long one is read in parts and told as one.
"""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from starlette.websockets import WebSocket, WebSocketDisconnect

from gunileo.errors import GunileoError
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript, Word, joined
from gunileo.output.whisper import to_fields
from gunileo.server.corrections import Correction, Recent, keep
from gunileo.server.dependencies import ServerState
from gunileo.server.pictures import FeedError, opened
from gunileo.vision.camera import Pace, Taken
from gunileo.vision.image import to_jpeg

_LARGEST = 2**20  # bytes of a message
_BREAK = 0.5  # seconds without a picture that end a sentence
_SILENCE = 30  # seconds without a message that end the connection
_SHOWN = 5  # pictures from one mouth crop shown to the next
_CHOICES = 3  # sentences that are told of each that is read


class Feed:
    """Reads pictures that come at any rate, as ``Live`` reads 25 a second."""

    def __init__(self, reader: Reader, decode: str | None):
        self._reader, self._decode = reader, decode
        self._talk: Literal["free", "begin", "end"] = "free"  # what was asked for last
        self._start = 0.0  # of this Live's first frame
        self._last: float | None = None  # and of the last
        self._turn: list[Transcript] = []  # parts of what is said by push to talk, read by now
        self._restart()
        self.recent = Recent()
        self.count = 0

    def push(self, message: bytes) -> list[Transcript]:
        """Take a time, eight bytes (a big-endian double), and a JPEG; returns the sentences that end with it.

        Words have their times by the same clock. Half a second without a picture ends a sentence, but none of push to
        talk, which ``end`` does. Raises ``FeedError`` if that is something else.
        """
        time, frame = opened(message)
        read = []
        if self._last is not None and not 0 <= time - self._last < _BREAK:
            read = self._ended()
        if self._last is None:
            self._start = time
        self._last = time
        for taken in self._pace.push(Taken(frame, time)):
            read += self._timed(self._live.push(taken.frame))
        self.count += 1
        self.recent.push(time, message)
        if self._talk != "begin":
            return read
        self._turn += read
        return []

    def flush(self) -> list[Transcript]:
        """The sentence that was begun."""
        return self._whole(self._ended())

    def begin(self) -> None:
        """Push to talk: from now on all is one sentence, until ``end``. What was begun before is dropped."""
        self._talk, self._turn = "begin", []
        self._live.begin()

    def end(self) -> list[Transcript]:
        """The sentence since ``begin``; nothing more is read until ``begin`` or ``free``."""
        self._talk = "end"
        return self._whole(self._timed(self._live.end()))

    def free(self) -> None:
        """Hands-free again: a sentence ends when the mouth rests. What was begun before is dropped."""
        self._talk, self._turn = "free", []
        self._restart()

    def _ended(self) -> list[Transcript]:
        """What was begun of a sentence, as no more of it will come."""
        read = self._timed(self._live.flush())
        self._restart()
        return read

    def _whole(self, last: list[Transcript]) -> list[Transcript]:
        """The last parts with those before them: of push to talk one sentence."""
        parts, self._turn = self._turn + last, []
        if self._talk == "free" or len(parts) < 2:
            return parts
        whole = joined(parts[0].file, parts[0].model, parts, language=parts[0].language)
        return [replace(whole, text=whole.text.replace("\n", " "))]

    def _restart(self) -> None:
        self._live, self._pace = self._reader.live(self._decode, alternatives=_CHOICES), Pace()
        self._last = None
        if self._talk == "begin":
            self._live.begin()
        elif self._talk == "end":
            self._live.end()

    def mouth(self) -> str | None:
        """The last mouth crop as a link that holds a JPEG, or None while there is no face."""
        if self._live.mouth is None:
            return None
        return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(self._live.mouth)).decode()

    def _timed(self, read: list[Transcript]) -> list[Transcript]:
        def moved(word: Word) -> Word:
            return replace(word, start=word.start + self._start, end=word.end + self._start)

        return [
            replace(
                one,
                words=tuple(map(moved, one.words)),
                hidden=tuple((start + self._start, end + self._start) for start, end in one.hidden),
            )
            for one in read
        ]


async def converse(socket: WebSocket, reader: Reader, decode: str | None, state: ServerState) -> None:
    """Read one camera until it leaves.

    Each picture is answered with ``{"face": bool}``, every fifth with ``"mouth"`` too, a sentence with
    ``{"sentence": TRANSCRIPT}`` with three ``alternatives``, what can't be understood with ``{"error": TEXT}``.
    Pictures that come faster than they are read wait with their sender.

    The text ``begin`` begins push to talk, ``end`` ends a sentence of it, ``free`` is hands-free again, ``flush`` asks
    for what was begun. ``end`` and ``flush`` are answered with the sentences, then ``{"flushed": COUNT}``.

    ``{"teach": NAME, "text": TEXT, "start": SECONDS, "end": SECONDS}`` keeps what was said in that time as a recording
    for a taught model. The answer comes some time later: ``{"taught": NAME, "text": TEXT}`` or ``{"refused": TEXT}``.
    """
    feed = Feed(reader, decode)
    loop = asyncio.get_running_loop()
    keeping: set[asyncio.Task[None]] = set()
    with ThreadPoolExecutor(1) as thread, suppress(WebSocketDisconnect, TimeoutError):
        while True:
            async with asyncio.timeout(_SILENCE):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if (text := message.get("text")) and text.startswith("{"):
                task = asyncio.create_task(_corrected(socket, feed.recent, text, state))
                keeping.add(task)
                task.add_done_callback(keeping.discard)
                continue
            for answer in await loop.run_in_executor(thread, _answers, feed, message):
                await socket.send_json(answer)
    await asyncio.gather(*keeping)


async def _corrected(socket: WebSocket, recent: Recent, text: str, state: ServerState) -> None:
    """Keep a recording, and tell whether that went well; beside the reading, as it takes seconds."""
    try:
        kept = await keep(Correction.parsed(text), recent, state)
        answer = {"taught": kept.name, "text": kept.text}
    except GunileoError as error:
        answer = {"refused": str(error)}
    with suppress(WebSocketDisconnect, RuntimeError):  # Starlette's, where the camera has left
        await socket.send_json(answer)


def _answers(feed: Feed, message: Any) -> list[dict[str, Any]]:
    content, text = message.get("bytes"), message.get("text")
    try:
        if text in ("flush", "end"):
            read = feed.flush() if text == "flush" else feed.end()
            return [*_told(read), {"flushed": len(read)}]
        if text in ("begin", "free"):
            feed.begin() if text == "begin" else feed.free()
            return []
        if not content or len(content) > _LARGEST:
            raise FeedError(f"send a picture of up to {_LARGEST // 2**20} MB, or 'begin', 'end', 'free' or 'flush'")
        read = feed.push(content)
    except GunileoError as error:
        return [{"error": str(error)}]
    mouth = feed.mouth()
    seen: dict[str, Any] = {"face": mouth is not None}
    return [*_told(read), {**seen, "mouth": mouth} if feed.count % _SHOWN == 0 else seen]


def _told(read: list[Transcript]) -> list[dict[str, Any]]:
    return [{"sentence": to_fields(one)} for one in read]
