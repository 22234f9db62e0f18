"""Media files as they are opened here: none that only names others, no picture over 8K, and what errors mean."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Protocol

import av

from gunileo.errors import GunileoError

MAX_PIXELS = 7680 * 4320  # 8K; a few bytes of a file can ask for a picture of gigabytes
LIMITS = {"max_pixels": str(MAX_PIXELS)}

# FFmpeg's formats whose files only name others, or addresses. Those are not a file's to choose.
_LISTS = frozenset(("concat", "dash", "hls", "imf", "rtsp", "sdp", "vobsub"))
_LISTED = (b"#EXTM3U", b"ffconcat")  # how such files begin
# What else is found under a video's name, by how it begins, in lower case; and what to do.
_OTHERS = {
    b"<!doctype html": "is a web page, as a download that failed leaves; download the video itself",
    b"<html": "is a web page, as a download that failed leaves; download the video itself",
    b"version https://git-lfs": "is a pointer of Git LFS; run git lfs pull",
    b"pk\x03\x04": "is a zip archive; unpack it",
    b"\x1f\x8b": "is packed by gzip; unpack it",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"rar!": "is a RAR archive; unpack it",
    b"%pdf": "is a PDF; give a video file",
}
_BOXES = 1000  # parts of an MP4 that are looked at
_ADVICE = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ELOOP: "correct the link",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EIO: "check its disk or its network",
    errno.EMFILE: "close some of the files that are open",
    errno.ENFILE: "close some of the files that are open",
}


class VideoError(GunileoError):
    """A file that cannot be read as video."""


class Readable(Protocol):
    """What FFmpeg can read by, in order."""

    def read(self, count: int, /) -> bytes: ...


def open_media(source: str | Readable | IO[bytes], **options: str) -> av.container.InputContainer:
    """A media file, by FFmpeg's name for it or as a file object. Raises FFmpeg's errors; ``why`` tells them."""
    given = {**LIMITS, "format_whitelist": _formats(), **options}
    return av.open(source, "r", options=given, metadata_errors="replace")


@cache
def _formats() -> str:
    return ",".join(sorted(av.formats_available - _LISTS))


def why(path: Path | str, error: av.FFmpegError | OSError, kind: str = "video") -> VideoError:
    """What an error of opening a file means: FFmpeg's own have numbers outside errno's, the file system's are both."""
    if isinstance(error, FileNotFoundError):
        return VideoError(f"{path}: no such file; check the path")
    foreign = not isinstance(error, av.FFmpegError)  # as of a socket, which can't be opened
    refused = error.errno in _ADVICE and not (error.errno == errno.EIO and _has_its_end(path))
    if isinstance(error, PermissionError | IsADirectoryError) or foreign or refused:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = _ADVICE.get(error.errno or 0, "check the path")
        if error.errno == errno.ENOSPC:  # of what is kept of a pipe, or of bytes
            advice = f"free some space in {gettempdir()}"
        return VideoError(f"{path}: can't be read ({reason}); {advice}")
    head, kinds = _begin(path)
    if head.startswith(_LISTED):
        return VideoError(f"{path}: only names other files, which are not read; give the video itself")
    if other := next((said for begin, said in _OTHERS.items() if head.lstrip().lower().startswith(begin)), None):
        return VideoError(f"{path}: {other}")
    if b"mdat" in kinds and b"moov" not in kinds:
        return VideoError(f"{path}: its index is missing, as its recording or copy was broken off; copy it again")
    check = "play" if kind == "video" else "open"
    return VideoError(f"{path}: not a {kind}, or damaged; {check} it to check, then copy it again")


def _has_its_end(path: Path | str) -> bool:
    """Whether a file can be read to its last byte. Of one that stops short FFmpeg, too, says that it can't be read."""
    try:
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return len(file.read()) == 1
    except OSError:
        return False


def _begin(path: Path | str) -> tuple[bytes, list[bytes]]:
    """The first bytes of a file, and the kinds of its boxes if it is an MP4; nothing of what is no file."""
    if not os.path.isfile(path):
        return b"", []
    try:
        with open(path, "rb") as file:
            head = file.read(32)
            return head, list(islice(boxes(file), _BOXES))
    except OSError:
        return b"", []


def boxes(file: IO[bytes]) -> Iterator[bytes]:
    """The kinds of the boxes that an MP4 or QuickTime file is made of, in their order; of another file hardly any."""
    at, size = 0, 8
    while size >= 8:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            return
        yield head[4:8]
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:]) if size == 1 else size  # 0: up to the end
        at += size
