"""A camera somewhere else: pictures with their times come over a WebSocket, sentences go back."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from starlette.websockets import WebSocket, WebSocketDisconnect

from gunileo.errors import GunileoError
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript, Word
from gunileo.output.writers import to_fields
from gunileo.vision.camera import Pace, Taken
from gunileo.vision.image import to_jpeg
from gunileo.vision.video import MAX_SIDE, Frame

_LARGEST = 2**20  # bytes of a message
_BREAK = 0.5  # seconds without a picture that end a sentence
_SILENCE = 30  # seconds without a message that end the connection
_SHOWN = 5  # pictures from one mouth crop shown to the next
_HEAD = struct.Struct("!d")  # a picture's time in seconds, of any clock that goes on, before its JPEG


class FeedError(GunileoError):
    """A message that is no picture."""


class Feed:
    """Reads pictures that come at any rate, as ``Live`` reads 25 a second."""

    def __init__(self, reader: Reader, decode: str | None):
        self._reader, self._decode = reader, decode
        self._live = reader.live(decode)
        self._pace = Pace()
        self._start = 0.0  # of this Live's first frame
        self._last: float | None = None  # and of the last
        self.count = 0

    def push(self, message: bytes) -> list[Transcript]:
        """Take a time, eight bytes (a big-endian double), and a JPEG; returns the sentences that end with it.

        Words have their times by the same clock. Half a second without a picture ends a sentence. Raises
        ``FeedError`` if that is something else.
        """
        time, frame = opened(message)
        read = []
        if self._last is not None and not 0 <= time - self._last < _BREAK:
            read = self.flush()
        if self._last is None:
            self._start = time
        self._last = time
        for taken in self._pace.push(Taken(frame, time)):
            read += self._timed(self._live.push(taken.frame))
        self.count += 1
        return read

    def flush(self) -> list[Transcript]:
        """The sentence that was begun."""
        read = self._timed(self._live.flush())
        self._live, self._pace, self._last = self._reader.live(self._decode), Pace(), None
        return read

    def mouth(self) -> str | None:
        """The last mouth crop as a link that holds a JPEG, or None while there is no face."""
        if self._live.mouth is None:
            return None
        return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(self._live.mouth)).decode()

    def _timed(self, read: list[Transcript]) -> list[Transcript]:
        def moved(word: Word) -> Word:
            return replace(word, start=word.start + self._start, end=word.end + self._start)

        return [replace(one, words=tuple(map(moved, one.words))) for one in read]


def opened(message: bytes) -> tuple[float, Frame]:
    """The time and the picture, RGB, in a message. Raises ``FeedError``.

    A few bytes can promise a picture of gigabytes, so its size is looked at before it is decoded.
    """
    try:
        (time,) = _HEAD.unpack_from(message)
        with Image.open(BytesIO(message[_HEAD.size :]), formats=["JPEG"]) as picture:
            if picture.width * picture.height > MAX_SIDE**2 or not math.isfinite(time):
                raise FeedError(f"pictures have up to {MAX_SIDE}x{MAX_SIDE} pixels, and their times are numbers")
            return time, np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise FeedError("no time and JPEG, or damaged; send the next") from error


async def converse(socket: WebSocket, reader: Reader, decode: str | None) -> None:
    """Read one camera until it leaves.

    Each picture is answered with ``{"face": bool}``, every fifth with ``"mouth"`` too, a sentence with
    ``{"sentence": TRANSCRIPT}``, what is no picture with ``{"error": TEXT}``. The text ``flush`` asks for what was
    begun. Pictures that come faster than they are read wait with their sender.
    """
    feed = Feed(reader, decode)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread, suppress(WebSocketDisconnect, TimeoutError):
        while True:
            async with asyncio.timeout(_SILENCE):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            for answer in await loop.run_in_executor(thread, _answers, feed, message):
                await socket.send_json(answer)


def _answers(feed: Feed, message: Any) -> list[dict[str, Any]]:
    content, text = message.get("bytes"), message.get("text")
    try:
        if text == "flush":
            read = feed.flush()
            return [*_told(read), {"flushed": len(read)}]
        if not content or len(content) > _LARGEST:
            raise FeedError(f"send a picture of up to {_LARGEST // 2**20} MB, or the text 'flush'")
        read = feed.push(content)
    except GunileoError as error:
        return [{"error": str(error)}]
    mouth = feed.mouth()
    seen: dict[str, Any] = {"face": mouth is not None}
    return [*_told(read), {**seen, "mouth": mouth} if feed.count % _SHOWN == 0 else seen]


def _told(read: list[Transcript]) -> list[dict[str, Any]]:
    return [{"sentence": to_fields(one)} for one in read]
