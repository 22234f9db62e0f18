"""What was read from many clips in one file, whose suffix says of which kind: a table, or what NIST's sclite takes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from gunileo.errors import GunileoError
from gunileo.output.nist import to_ctm, to_trn
from gunileo.output.transcript import Segment, Transcript, spoken_segments
from gunileo.util.files import ESCAPED, whole

_GROUP = 10_000  # rows that Parquet holds back: what it writes at once


class TableError(GunileoError):
    """A table that can't be written as it is asked for."""


@dataclass(frozen=True)
class Row:
    """A clip, or one of several speakers in it: its text in one line, how sure it is, and seconds of the video.

    Of a clip that could not be read all is None but ``path`` and ``error``.
    """

    path: str
    speaker: str | None = None
    text: str | None = None
    confidence: float | None = None
    sure: bool | None = None
    seconds: float | None = None
    model: str | None = None
    error: str | None = None


class Table(Protocol):
    """Takes clip after clip, the one that could not be read with why."""

    def add(self, clip: Transcript) -> None: ...

    def fail(self, path: str, error: str) -> None: ...


def rows(clip: Transcript) -> Iterator[Row]:
    """A row for each speaker of a clip."""
    said: dict[str, list[Segment]] = {}
    for segment in spoken_segments(clip):
        said.setdefault(segment.speaker, []).append(segment)
    seconds = None if clip.duration is None else round(clip.duration, 3)
    for speaker, segments in said.items():
        text, sure = " ".join(segment.text for segment in segments), all(segment.sure for segment in segments)
        confidence = min(segment.confidence for segment in segments)
        yield Row(clip.file, speaker or None, text, round(confidence, 4), sure, seconds, clip.model)
    if not said:
        text = " ".join(clip.text.split())
        yield Row(clip.file, None, text, round(clip.confidence, 4), clip.sure, seconds, clip.model)


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A table at ``path``, which appears whole at the end, whatever ends the work: what was added by then is in it.

    ``.csv`` and ``.parquet`` have the columns of ``Row``; ``.trn`` and ``.ctm`` the clips' lines by ``output.nist``.
    A clip that could not be read is an empty line of a ``.trn``, so that sclite counts its words as deleted. Raises
    ``TableError`` for another suffix, and for Parquet without pyarrow; ``FileError`` if it can't be written.
    """
    kind = checked(path)
    ending: BaseException | None = None
    with whole(path) as part, _KINDS[kind](part) as table:
        try:
            yield table
        except BaseException as error:  # Ctrl-C too: it goes on below, once the file is whole
            ending = error
    if ending:
        raise ending


def checked(path: Path) -> str:
    """The kind of table that a path names. Raises ``TableError`` as ``open_table`` does."""
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise TableError(f"{path}: no such kind of table; name it {', '.join(f'NAME{each}' for each in _KINDS)}")
    if kind == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ModuleNotFoundError:
            missing = 'pyarrow is not installed, which Parquet needs; run: pip install "gunileo[table]", or use .csv'
            raise TableError(f"{path}: {missing}") from None
    return kind


class _Rows:
    """Clips as rows."""

    def __init__(self, write: Callable[[Row], None]):
        self._write = write

    def add(self, clip: Transcript) -> None:
        for row in rows(clip):
            self._write(row)

    def fail(self, path: str, error: str) -> None:
        self._write(Row(path, error=error))


class _Lines:
    """Clips as lines of text."""

    def __init__(self, write: Callable[[str], object], lines: Callable[[Transcript], str]):
        self._write, self._lines = write, lines

    def add(self, clip: Transcript) -> None:
        self._write(self._lines(clip))

    def fail(self, path: str, error: str) -> None:
        self.add(Transcript(path, "", (), 0.0, "", sure=False))


@contextmanager
def _csv(part: Path) -> Iterator[Table]:
    with part.open("w", encoding="utf-8", errors=ESCAPED, newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(Row))

        def write(row: Row) -> None:
            cells = asdict(row).values()
            table.writerow(str(cell).lower() if isinstance(cell, bool) else cell for cell in cells)

        yield _Rows(write)


@contextmanager
def _parquet(part: Path) -> Iterator[Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"confidence": pa.float64(), "sure": pa.bool_(), "seconds": pa.float64()}
    schema = pa.schema([(field.name, kinds.get(field.name, pa.string())) for field in fields(Row)])
    waiting: list[Row] = []
    with pq.ParquetWriter(part, schema) as file:

        def write(row: Row) -> None:
            waiting.append(row)
            if len(waiting) == _GROUP:
                flush()

        def flush() -> None:
            file.write_table(pa.Table.from_pylist([_utf8(asdict(row)) for row in waiting], schema))
            waiting.clear()

        yield _Rows(write)
        flush()


def _utf8(cells: dict[str, Any]) -> dict[str, Any]:
    """A row as UTF-8 can hold it."""
    return {
        name: cell.encode(errors=ESCAPED).decode() if isinstance(cell, str) else cell for name, cell in cells.items()
    }


@contextmanager
def _trn(part: Path) -> Iterator[Table]:
    with part.open("w", encoding="utf-8", errors=ESCAPED, newline="\n") as file:
        yield _Lines(file.write, to_trn)


@contextmanager
def _ctm(part: Path) -> Iterator[Table]:
    clips: list[str] = []
    yield _Lines(clips.append, to_ctm)
    with part.open("w", encoding="utf-8", errors=ESCAPED, newline="\n") as file:
        file.writelines(sorted(clips))  # by their ids, as sclite wants them; each is in order by itself


_KINDS = {".csv": _csv, ".parquet": _parquet, ".trn": _trn, ".ctm": _ctm}
