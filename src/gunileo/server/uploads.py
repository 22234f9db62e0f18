"""Uploads: the file of a multipart form, streamed to disk within a limit, and gone after use."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gunileo.corpus.finders import VIDEO_SUFFIXES
from gunileo.errors import GunileoError

_DRAINED = 64 * 2**20  # bytes of a refused body that are read and thrown away, as few clients listen while they send
_TEXTS = 64 * 1024  # bytes of a form's texts together


class UploadError(GunileoError):
    """A body that is no usable form; ``status`` is HTTP's for it."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Upload:
    """A file that was sent: where it lies for now, and how its sender named it."""

    path: Path
    name: str
    fields: dict[str, list[str]] = field(default_factory=dict)  # the form's texts, by their names


@asynccontextmanager
async def uploaded(request: Request, folder: Path, most: int, seconds: float) -> AsyncIterator[Upload]:
    """The file in the form's field ``file``, of ``most`` bytes; it is deleted at the end, whatever happens.

    Raises ``UploadError`` if the body is no form with such a file, too large, or takes over ``seconds`` to come.
    """
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
        form = _Form(Path(place), most)
        try:
            async with asyncio.timeout(seconds):
                await form.take(request)
        except TimeoutError:
            raise UploadError(f"the file didn't arrive within {seconds:.0f} s; send a smaller one", 408) from None
        except ClientDisconnect:
            raise UploadError("the connection ended before the file did; send it again") from None
        yield form.upload()


async def drain(request: Request) -> None:
    """Read and forget what a refused request still sends, up to a bound, so that its sender comes to listen."""
    left = _DRAINED
    try:
        async with asyncio.timeout(30):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # the last: all of it was read before
        return


def short(name: str) -> str:
    """A file's name as it may be shown and stored: no folders, nothing unprintable, not long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[-80:] or "upload"


@dataclass
class _Form:
    """The parts of a form as they come: the file goes to disk, texts are kept."""

    folder: Path
    most: int
    headers: dict[bytes, bytes] = field(default_factory=dict)
    header: tuple[bytes, bytes] = (b"", b"")
    fields: dict[str, list[str]] = field(default_factory=dict)
    found: Upload | None = None
    file: BinaryIO | None = None  # open while its part comes
    size: int = 0
    text: tuple[str, bytearray] | None = None  # name and content of one, while it comes
    texts: int = 0  # bytes of all

    async def take(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise UploadError("send a form (multipart/form-data) with the video in its field 'file'", 415)
        over = False

        def ended() -> None:
            nonlocal over
            over = True

        callbacks = {
            "on_part_begin": self._part,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_headers_finished": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._close,
            "on_end": ended,
        }
        try:
            parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]
            async for chunk in request.stream():
                parser.write(chunk)
        except ParseError as error:
            raise UploadError(f"the form can't be understood ({error}); send it again") from None
        except OSError as error:
            raise UploadError(
                f"the server can't store the file ({error.strerror}); free some space there", 507
            ) from None
        finally:
            self._close()
        if not over:
            raise UploadError("the form ends before its file does; send it again")

    def upload(self) -> Upload:
        if self.found is None:
            raise UploadError("no file in the form; put the video into its field 'file'")
        return self.found

    def _part(self) -> None:
        self.headers = {}

    def _name(self, data: bytes, start: int, end: int) -> None:
        self.header = (self.header[0] + data[start:end], b"")

    def _value(self, data: bytes, start: int, end: int) -> None:
        self.header = (self.header[0], self.header[1] + data[start:end])

    def _header(self) -> None:
        self.headers[self.header[0].lower()] = self.header[1]
        self.header = (b"", b"")

    def _begin(self) -> None:
        _, options = parse_options_header(self.headers.get(b"content-disposition"))
        if b"filename" not in options:
            if options.get(b"name") == b"file":
                raise UploadError(
                    "the field 'file' has no filename; send the video as a file, as curl -F file=@NAME does"
                )
            self.text = options.get(b"name", b"").decode("utf-8", "replace"), bytearray()
            return
        if options.get(b"name") != b"file" or self.found:
            return
        name = short(options[b"filename"].decode("utf-8", "replace"))
        suffix = Path(name).suffix.lower()
        path = self.folder / f"upload{suffix if suffix in VIDEO_SUFFIXES else ''}"
        self.found, self.file = Upload(path, name, self.fields), path.open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self.text:
            self.texts += end - start
            if self.texts > _TEXTS:
                raise UploadError(f"the form's texts are over {_TEXTS // 1024} kB; send less", 413)
            self.text[1].extend(data[start:end])
        if self.file is None:
            return
        self.size += end - start
        if self.size > self.most:
            raise UploadError(f"the file is over {self.most // 2**20} MB; send a smaller one", 413)
        self.file.write(data[start:end])

    def _close(self) -> None:
        if self.text:
            name, content = self.text
            self.fields.setdefault(name, []).append(content.decode("utf-8", "replace"))
            self.text = None
        if self.file is not None:
            self.file.close()
            self.file = None
