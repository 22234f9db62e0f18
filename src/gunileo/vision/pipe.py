"""Pipes: standard input, named pipes and what a shell puts in a file's place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import IO, Self

from gunileo.vision.container import VideoError, boxes, why

_BLOCK = 2**16  # bytes
_BEFORE = (b"ftyp", b"wide", b"free", b"skip", b"uuid")  # what may come before pictures and index in an MP4


def is_pipe(name: str) -> bool:
    """Whether a name is ``-``, or a path at which bytes come once and in their order."""
    if name == "-":
        return True
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


class Pipe:
    """Bytes as they come; Python's own files would wait for a whole buffer while there are frames to read.

    Until ``forget``, it keeps what was read in a temporary file, for a format that can't be read in order. Ctrl-C
    ends it.
    """

    def __init__(self, name: str) -> None:
        self.count = 0  # bytes that came
        self.fault: OSError | None = None  # why it ended early: no room to keep what came
        self._file = 0 if name == "-" else os.open(name, os.O_RDONLY)
        self._ended = False
        self._kept: IO[bytes] | None = TemporaryFile()  # noqa: SIM115  # ``forget`` closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        if self._file:
            os.close(self._file)

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes, none at the end."""
        try:
            data = b"" if self._ended else os.read(self._file, count)
        except KeyboardInterrupt:  # PyAV would pass over it and go on reading
            self._ended = True
            return b""
        self.count += len(data)
        try:
            if self._kept:
                self._kept.write(data)
        except OSError as error:  # PyAV would print it
            self._ended, self.fault = True, error
            return b""
        return data

    def index_is_last(self) -> bool:
        """Whether this is an MP4 or QuickTime file whose pictures come before their index, and more of it may come."""
        assert self._kept
        kind = next((kind for kind in boxes(self._kept) if kind not in _BEFORE), b"")
        self._kept.seek(0, os.SEEK_END)
        return kind == b"mdat" and not self._ended

    def whole(self) -> IO[bytes]:
        """All that came and will come, as a file. Raises ``OSError`` if it can't be kept."""
        assert self._kept
        while self.read(_BLOCK):
            pass
        if self.fault:
            raise self.fault
        self._kept.seek(0)
        return self._kept

    def forget(self) -> None:
        """Keep no more of what is read."""
        if self._kept:
            self._kept.close()
            self._kept = None


@contextmanager
def kept(path: Path) -> Iterator[Path]:
    """A file with all that comes through a pipe, so that it can be read again; a path of anything else as it is.

    Raises ``VideoError`` if nothing comes, or there is no room for it. One that is raised within names the pipe.
    """
    if not is_pipe(str(path)):
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "pipe"
        try:
            with Pipe(str(path)) as pipe, copy.open("wb") as file:
                pipe.forget()
                while data := pipe.read(_BLOCK):
                    file.write(data)
        except OSError as error:
            raise why(path, error) from error
        if not pipe.count:
            raise nothing_came(path)
        try:
            yield copy
        except VideoError as error:
            raise VideoError(str(error).replace(str(copy), str(path))) from error


def nothing_came(path: Path) -> VideoError:
    """What is said of a pipe without content."""
    return VideoError(f"{path}: nothing came through the pipe; check the command before it")
