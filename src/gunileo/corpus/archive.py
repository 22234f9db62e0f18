"""Unpacking archives that can't be trusted: only the members asked for, each checked first."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gunileo.errors import GunileoError
from gunileo.util.files import whole

_BLOCK = 1 << 20
_RATIO = 20  # unpacked over packed size of all that is asked for; text of GRID's kind packs to a fifth, video to all
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Target = Callable[[PurePosixPath], Path | None]  # where a member goes, None to leave it out


class ArchiveError(GunileoError):
    """An archive that is damaged or packed as nothing published is."""


def unpack(archive: Path, target: Target) -> dict[Path, int]:
    """Unpack the members of a zip for which ``target`` names a place; their places and sizes in bytes.

    Of several members for one place the first is taken. Files appear whole or not at all; one that is there with the
    member's size and checksum stays. Folders, hidden files and macOS's leftovers (``__MACOSX``) are passed over.

    Raises ``ArchiveError``, before anything is written, if any member's name leads out of the archive, or is a link,
    encrypted or packed in an unusual way, or if what is asked for unpacks to over 20 times the archive's size; and
    when a member turns out to be damaged, which is then not written. ``FileError`` if a place can't be written to.
    """
    with _reading(archive), zipfile.ZipFile(archive) as packed:
        chosen: dict[Path, zipfile.ZipInfo] = {}
        for member in packed.infolist():
            path = _checked(archive, member)
            if member.is_dir() or any(part.startswith((".", "__MACOSX")) for part in path.parts):
                continue
            if place := target(path):
                chosen.setdefault(place, member)
        total, size = sum(member.file_size for member in chosen.values()), archive.stat().st_size
        if total > _RATIO * size:
            raise ArchiveError(
                f"{archive}: {size} bytes that unpack to {total}; nothing published is packed so, don't trust it"
            )
        for place, member in chosen.items():
            if not _is_there(place, member):
                with whole(place) as part, part.open("wb") as file, _reading(archive), packed.open(member) as content:
                    while block := content.read(_BLOCK):
                        file.write(block)
    return {place: member.file_size for place, member in chosen.items()}


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise ArchiveError(f"{archive}: damaged ({error}); delete it and download again") from error


def _checked(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or set(member.filename) & set("\\:\0"):
        fault = "would be unpacked outside of its folder"
    elif stat.S_ISLNK(member.external_attr >> 16):
        fault = "is a link"
    elif member.flag_bits & 1 or member.compress_type not in _METHODS:
        fault = "is encrypted or packed in an unusual way"
    else:
        return path
    raise ArchiveError(f"{archive}: {member.filename!r} {fault}; nothing published holds such a thing, don't trust it")


def _is_there(place: Path, member: zipfile.ZipInfo) -> bool:
    if not place.is_file() or place.stat().st_size != member.file_size:
        return False
    checksum = 0
    with place.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum == member.CRC
