"""Pictures from further on in a file, which tell whether it goes on in another size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice

import av

_LOOKS = 4
_SPREAD = 0.96  # of the file's length, where the last look is
# Formats of streams and calls, which go on in another size without a new header. In the others that is rare, and so
# only looked for where it takes no part of the time that reading takes.
_STREAMED = frozenset(("mpegts", "matroska,webm", "flv"))
_LONG = 10.0  # seconds


def glimpses(name: str, chosen: Callable[[av.container.InputContainer], av.VideoStream | None]) -> list[av.VideoFrame]:
    """Up to four pictures of a file's ``chosen`` stream, spread over its length; none where that isn't known.

    What can't be read is left out: whoever reads the file in order will tell.
    """
    found: list[av.VideoFrame] = []
    with suppress(av.FFmpegError, OSError), av.open(name, "r", metadata_errors="replace") as container:
        stream, length = chosen(container), container.duration or 0
        if stream is None or not (container.format.name in _STREAMED or length > _LONG * av.time_base):
            return []
        for look in range(_LOOKS if length else 0):
            with suppress(av.FFmpegError):
                container.seek((container.start_time or 0) + round((look + 1) / _LOOKS * _SPREAD * length))
                stream.codec_context.flush_buffers()
                found += islice(container.decode(stream), 1)
    return found
