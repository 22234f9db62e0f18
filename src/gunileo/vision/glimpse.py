"""Pictures from further on in a file, which tell whether it goes on in another size."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av

from gunileo.vision.container import open_media

_LOOKS = 4
_SPREAD = 0.96  # of the file's length, where the last look is
_UNINDEXED = frozenset(("mpegts", "matroska,webm", "flv"))  # of those whose pictures may change

# The sequence headers of MPEG-1 and MPEG-2: 12 bits of width and 12 of height.
_SIZES = re.compile(rb"\x00\x00\x01\xb3(...)", re.DOTALL)
_SHORT = 2**23  # bytes, in which looking for these is quicker than to decode glimpses


def may_change(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> bool:
    """Whether the pictures of a stream of the file at ``path`` may change their size: they do so at a key picture after
    the first."""
    if container.format.name == "mpeg" and _has_one_size(path):
        return False
    keys = (entry for entry in stream.index_entries if entry.is_keyframe)
    return container.format.name in _UNINDEXED or len(list(islice(keys, 2))) == 2


def _has_one_size(path: Path) -> bool:
    """Whether an MPEG program stream is short and tells one size alone."""
    return path.stat().st_size <= _SHORT and len(set(_SIZES.findall(path.read_bytes()))) == 1


def glimpses(name: str, chosen: Callable[[av.container.InputContainer], av.VideoStream | None]) -> list[av.VideoFrame]:
    """Up to four pictures of a file's ``chosen`` stream, spread over its length; none where that isn't known.

    What can't be read is left out: whoever reads the file in order will tell.
    """
    found: list[av.VideoFrame] = []
    with suppress(av.FFmpegError, OSError), open_media(name) as opened:
        stream, length = chosen(opened), opened.duration or 0
        for look in range(_LOOKS if length and stream else 0):
            with suppress(av.FFmpegError):
                opened.seek((opened.start_time or 0) + round((look + 1) / _LOOKS * _SPREAD * length))
                assert stream
                stream.codec_context.flush_buffers()
                found += islice(opened.decode(stream), 1)
    return found
