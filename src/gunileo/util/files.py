"""Files that appear whole or not at all, and folders that one process at a time writes to."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gunileo.errors import GunileoError


class FileError(GunileoError):
    """A place that can't be written to."""


ESCAPED = "backslashreplace"  # how what UTF-8 can't hold is written
_LONGEST = 255  # bytes of a name in all usual file systems


def fitting(path: Path) -> Path:
    """The same path, its name cut before the suffix if it is longer than a file system takes."""
    excess = len(os.fsencode(path.name)) - _LONGEST
    if excess <= 0:
        return path
    stem = os.fsencode(path.name[: -len(path.suffix)] if path.suffix else path.name)
    return path.with_name(stem[:-excess].decode("utf-8", "ignore") + path.suffix)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """As ``whole``, but an ``OSError`` comes as it is, for callers that know better what to say."""
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path  # a pipe or a device; what /dev/stdout leads to may have no path
        return
    path = Path(os.path.realpath(path))  # a link stays, and leads to the new file
    part = fitting(path.with_name(f".{path.name}.part"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, renamed into its place at the end.

    A reader, a crash or a full disk never leaves half a file. Folders are made where missing. Where ``path`` is a link,
    the file that it leads to is replaced. A pipe or a device is written to directly. Raises ``FileError``, one line
    with the reason, when the place can't be written to; ``path`` is then as it was.
    """
    try:
        with replacing(path) as part:
            yield part
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space or choose another place" if full else "choose another place"
        raise FileError(f"{path}: can't be written ({error.strerror}); {advice}") from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text, as UTF-8, or bytes as ``whole`` does.

    Bytes of a file's name that are no UTF-8 become escapes such as ``\\udce9``, which JSON reads back as they were.
    """
    with whole(path) as part:
        part.write_bytes(content.encode(errors=ESCAPED) if isinstance(content, str) else content)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds ``folder/.lock``, so that no other process enters the same folder by this function.

    The system drops the lock when the process ends, killed too; a ``.lock`` that is left then is no lock. Raises
    ``FileError`` if another process holds it, or the folder can't be written to.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    except OSError as error:
        raise FileError(f"{folder}: can't be written ({error.strerror}); choose another place") from error
    try:
        yield
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        os.close(file)
        if sys.platform == "win32":
            with suppress(OSError):  # there no file goes that is open, in this process or in one that waits
                path.unlink()


def _locked(path: Path) -> int:
    """A descriptor of the file at ``path``, made where missing, that holds its lock."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            if not _try_lock(file):
                raise FileError(f"{path.parent}: another process is writing to it; wait until it ends, or stop it")
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the one that held it took the file away meanwhile


def _try_lock(file: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
