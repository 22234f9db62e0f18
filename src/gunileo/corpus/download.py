"""Published corpora from Zenodo: archives are fetched and checked, and the wanted parts unpacked.

By the standard library alone, as nothing else that reads lips needs a network.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from gunileo.corpus.archive import Target, unpack
from gunileo.corpus.finders import VIDEO_SUFFIXES
from gunileo.errors import GunileoError
from gunileo.util.files import FileError, alone, write_whole
from gunileo.util.progress import progress

ZENODO = "https://zenodo.org"
RECORDS = {"grid": 3625687, "lombard": 3736465}
CITATIONS = {
    "grid": "M. Cooke, J. Barker, S. Cunningham, X. Shao, JASA 120 (2006)",
    "lombard": "N. Alghamdi, S. Maddock, R. Marxer, J. Barker, G. Brown, JASA 143 (2018) EL523",
}
_STALL = 30.0  # seconds in which less than _SLOWEST bytes a second come
_SLOWEST = 1000
_WAITS = (1, 4, 15, 60)  # seconds before each further try that brings nothing new
_LONGEST_WAIT = 300.0  # seconds, when a server asks for patience
_STEP = 1 << 20  # bytes that are something new
_BLOCK = 1 << 16
_LONGEST_RECORD = 10_000_000  # bytes
_RECEIPTS = "downloaded.json"  # of each archive: which speakers ("talkers") are unpacked, and which files that gave

Progress = Callable[[int, int], None]


class DownloadError(GunileoError):
    """A corpus that can't be got, or isn't what its record says."""


class _Broken(Exception):
    """An answer that is worth another try."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Archive:
    """A file of a record: its size in bytes and its checksum as the record gives them."""

    name: str
    size: int
    md5: str
    url: str


def download(
    corpus: str,
    output: Path,
    speakers: Sequence[str] | None = None,
    say: Callable[[str], None] = print,
    zenodo: str | None = None,
) -> None:
    """Get a corpus, "grid" or "lombard" (Lombard GRID's front view), of some speakers or of all, into a folder.

    The folder becomes what ``find_corpus`` understands: ``s1/bbaf2n.mpg`` and ``align/s1/bbaf2n.align``, or
    ``front/s10_l_bbat9p.mov`` and ``alignment/s10_l_bbat9p.json``. GRID's alignments, of which many are filed under
    another speaker, go to the speaker whose clip has their name. Goes on where an earlier call was broken off, within
    an archive too, and passes over what is there. An archive that is unpacked in full is deleted.

    Raises ``DownloadError`` if there is no such speaker, the server can't be reached or goes on failing, or it sends
    what differs from the record's size or checksum; ``ArchiveError`` and ``FileError`` as ``unpack`` does.
    """
    with alone(output):
        title, licence, archives = _record(corpus, zenodo or ZENODO)
        say(f"{title}: {CITATIONS[corpus]}; licence {licence}")
        wanted = {speaker.lower() for speaker in speakers} if speakers else None
        plan = _grid(archives, output, wanted) if corpus == "grid" else _lombard(archives, output, wanted)
        for archive, own, target in plan:
            _get(archive, output, own, target(), say)
        if wanted and corpus == "lombard":
            there = {path.name.partition("_")[0].lower() for path in (output / "front").glob("*.mov")}
            if missing := wanted - there:
                raise DownloadError(f"speaker {min(missing)!r} isn't in the corpus; there are {_listed(there)}")


_Plan = list[
    tuple[Archive, set[str] | None, Callable[[], Target]]
]  # archive, its speakers (None: all), what goes where


def _grid(archives: dict[str, Archive], output: Path, wanted: set[str] | None) -> _Plan:
    of = {name.removesuffix(".zip"): name for name in archives if re.fullmatch(r"s\d+\.zip", name)}
    if missing := (wanted or set()) - set(of):
        raise DownloadError(f"speaker {min(missing)!r} isn't in the corpus; there are {_listed(set(of))}")
    plan: _Plan = []
    for speaker in _sorted(wanted or set(of)):
        plan.append((archives[of[speaker]], None, partial(_into, output / speaker, VIDEO_SUFFIXES)))
    if "alignments.zip" not in archives:
        raise DownloadError("the corpus's record has no alignments.zip; get it by hand, the record changed")
    plan.append((archives["alignments.zip"], wanted, partial(_to_their_speakers, output, wanted or set(of))))
    return plan


def _lombard(archives: dict[str, Archive], output: Path, wanted: set[str] | None) -> _Plan:
    plan: _Plan = []
    for part, folder, suffix in (("front", "front", ".mov"), ("alignment", "alignment", ".json")):
        found = [archive for name, archive in archives.items() if part in name]
        if len(found) != 1:
            raise DownloadError(f"the corpus's record has no archive of its {part}; get it by hand, the record changed")
        plan.append((found[0], wanted, partial(_into, output / folder, {suffix}, wanted)))
    return plan


def _into(folder: Path, suffixes: Collection[str], speakers: set[str] | None = None) -> Target:
    def target(member: PurePosixPath) -> Path | None:
        asked = speakers is None or member.name.partition("_")[0].lower() in speakers
        return folder / member.name if asked and member.suffix.lower() in suffixes else None

    return target


def _to_their_speakers(output: Path, speakers: set[str]) -> Target:
    """To the speaker whose clip has a label's name; no two speakers of GRID say the same sentence."""
    owners = {
        video.stem.lower(): speaker
        for speaker in speakers
        for video in (output / speaker).iterdir()
        if video.suffix.lower() in VIDEO_SUFFIXES
    }

    def target(member: PurePosixPath) -> Path | None:
        owner = owners.get(member.stem.lower()) if member.suffix.lower() == ".align" else None
        return output / "align" / owner / member.name if owner else None

    return target


def _get(archive: Archive, output: Path, speakers: set[str] | None, target: Target, say: Callable[[str], None]) -> None:
    """Fetch an archive and unpack what is wanted of it, unless that was done before."""
    receipts = _receipts(output)
    before = receipts.get(archive.name, {"md5": "", "talkers": [], "files": {}})
    known = before["md5"] == archive.md5
    enough = before["talkers"] is None or (speakers is not None and speakers <= set(before["talkers"]))
    packed = output / "archives" / archive.name
    if known and enough and all(_has_size(output / file, size) for file, size in before["files"].items()):
        if before["talkers"] is None:
            _delete(packed)  # an earlier run may have ended just before that
        say(f"{archive.name}: there already")
        return
    if not (packed.is_file() and _md5(packed) == archive.md5):
        with progress(f"{archive.name}, MB") as bar:
            _fetch(archive, packed, bar)
    files = {path.relative_to(output).as_posix(): size for path, size in unpack(packed, target).items()}
    if known and before["talkers"] is not None and speakers is not None:
        files, speakers = before["files"] | files, speakers | set(before["talkers"])
    elif known and before["talkers"] is None:
        files, speakers = before["files"] | files, None
    receipts[archive.name] = {"md5": archive.md5, "talkers": _sorted(speakers) if speakers else None, "files": files}
    write_whole(output / _RECEIPTS, json.dumps(receipts, indent=1) + "\n")
    if speakers is None:
        _delete(packed)
    say(f"{archive.name}: {len(files)} files")


def _delete(packed: Path) -> None:
    """Delete an archive that is unpacked, and its folder once that is empty."""
    packed.unlink(missing_ok=True)
    if packed.parent.is_dir() and not any(packed.parent.iterdir()):
        packed.parent.rmdir()


def _receipts(output: Path) -> dict[str, Any]:
    path = output / _RECEIPTS
    try:
        content = json.loads(path.read_bytes())
        for receipt in content.values():
            if not all(isinstance(size, int) and ".." not in file for file, size in receipt["files"].items()):
                raise ValueError(receipt)
            set(receipt["talkers"] or ()), receipt["md5"] + ""
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FileError(f"{path}: can't be read ({error.strerror}); check its permissions") from error
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        raise DownloadError(
            f"{path} is damaged; delete it and run the same command again, other files are kept"
        ) from None
    return dict(content)


def _record(corpus: str, zenodo: str) -> tuple[str, str, dict[str, Archive]]:
    """Title, licence and archives that a corpus's record lists."""
    address = f"{zenodo}/api/records/{RECORDS[corpus]}"
    content = b""

    def ask() -> bool:
        nonlocal content
        with _open(address) as answer, _reading():
            content = answer.read(_LONGEST_RECORD + 1)
        return True

    _patiently(address, ask, lambda: 0)
    try:
        if len(content) > _LONGEST_RECORD:
            raise ValueError("too long")
        record = json.loads(content)
        archives = [_entry(entry, zenodo) for entry in record["files"] if str(entry["key"]).endswith(".zip")]
        title, licence = record["metadata"]["title"], record["metadata"]["license"]["id"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DownloadError(f"{address}: answers with no record of a corpus ({error}); try again later") from None
    return _printable(title), _printable(licence), {archive.name: archive for archive in archives}


def _entry(entry: Any, zenodo: str) -> Archive:
    name, size, url = entry["key"], entry["size"], entry["links"]["self"]
    md5 = re.fullmatch(r"md5:([0-9a-f]{32})", entry["checksum"])
    if not (md5 and re.fullmatch(r"\w[\w.-]*", name) and type(size) is int and size > 0):
        raise ValueError(f"{name!r} has no name, size and md5")
    if not url.startswith(f"{zenodo}/"):
        raise ValueError(f"{name!r} lies elsewhere, at {url!r}")
    return Archive(name, size, md5[1], url)


def fetch_file(address: str, path: Path, right: Callable[[Path], bool], bar: Progress, size: int | None = None) -> None:
    """Fetch a file of ``size`` bytes (what the server says, if None) to a path, going on with what is in its ``.part``
    file, and check it: ``right`` tells of the finished file whether it is the one that was published.

    Raises ``DownloadError`` if the server can't be reached, goes on failing, or sends another file; ``FileError`` if
    the path can't be written to.
    """
    if size is None:
        size = _told_size(address)
    _fetch(Archive(path.name, size, "", address), path, bar, right)


def _told_size(address: str) -> int:
    """How many bytes the server says that a file has."""
    told = ""

    def ask() -> bool:
        nonlocal told
        with _open(address) as answer:
            told = answer.headers.get("Content-Length", "")
        return True

    _patiently(address, ask, lambda: 0)
    if not told.isdecimal() or not int(told):
        raise DownloadError(f"{address}: doesn't say how long the file is; get it by hand")
    return int(told)


def _fetch(archive: Archive, path: Path, bar: Progress, right: Callable[[Path], bool] | None = None) -> None:
    """Fetch an archive to a path, going on with what is in its ``.part`` file, and check it."""
    part = path.with_name(f"{path.name}.part")
    for _ in range(2):  # what an earlier, broken call left may be damaged
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            _patiently(archive.url, lambda: _go_on(archive, part, bar), lambda: _size(part))
            if right(part) if right else _md5(part) == archive.md5:
                part.replace(path)
                return
            part.unlink()
        except OSError as error:
            reason = f"can't be written ({error.strerror}); free some space and run the same command again to go on"
            raise FileError(f"{path}: {reason}") from error
    raise DownloadError(f"{archive.url}: differs from its record's checksum, twice; try again later")


def _patiently(address: str, attempt: Callable[[], bool], reached: Callable[[], int]) -> None:
    """Repeat until an attempt says that it is done; give up when some in a row get no further.

    ``reached`` tells how many bytes are there.
    """
    furthest, waits = reached(), iter(_WAITS)
    while True:
        try:
            if attempt():
                return
            fault = _Broken("broke off")
        except _Broken as error:
            fault = error
        if reached() >= furthest + _STEP:
            furthest, waits = reached(), iter(_WAITS)
        wait = next(waits, None)
        if wait is None:
            reason = f"{fault}, {len(_WAITS) + 1} times in a row"
            raise DownloadError(f"{address}: {reason}; check the connection and run the same command again to go on")
        time.sleep(max(wait, min(fault.wait, _LONGEST_WAIT)))


def _go_on(archive: Archive, part: Path, bar: Progress) -> bool:
    """Fetch what is missing of an archive; whether all of it is there."""
    there = _size(part)
    if there > archive.size:
        part.unlink()
        there = 0
    if there < archive.size:
        with _open(archive.url, there) as answer:
            begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if answer.status != 206 or not begins or int(begins[1]) != there:
                if answer.status == 206:
                    raise _Broken("answers with another part than was asked for")
                there = 0  # it sends all of it, whatever part is asked for
            with part.open("r+b" if there else "wb") as file:
                file.seek(there)
                _pour(answer, file, there, archive.size, bar)
    return _size(part) == archive.size


def _pour(answer: http.client.HTTPResponse, file: Any, there: int, size: int, bar: Progress) -> None:
    """Write what comes, up to ``size`` bytes."""
    since, before = time.monotonic(), there
    while True:
        with _reading():
            block = answer.read1(_BLOCK)
        if not block:
            return
        if there + len(block) > size:
            raise DownloadError(f"{answer.url}: is longer than its record says; try again later")
        file.write(block)
        there += len(block)
        bar(there // 1_000_000, size // 1_000_000)
        if (now := time.monotonic()) - since > _STALL:
            if there - before < _SLOWEST * _STALL:
                raise _Broken("hardly sends anything")
            since, before = now, there


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"broke off ({_printable(error) or type(error).__name__})") from error


def _open(address: str, start: int = 0) -> Any:
    """The answer to a request for a file from byte ``start`` on; ``_Broken`` if it may be another at another time."""
    headers = {"User-Agent": "gunileo", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=_STALL)
    except urllib.error.HTTPError as error:
        if error.code in (408, 416, 429) or error.code >= 500:
            patience = error.headers.get("Retry-After", "")
            raise _Broken(f"answers {error.code}", float(patience) if patience.isdecimal() else 0.0) from error
        advice = "check the address" if error.code in (404, 410) else "try again later"
        raise DownloadError(f"{address}: answers {error.code} {_printable(error.reason)}; {advice}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _Broken(f"can't be reached ({_printable(reason) or type(error).__name__})") from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _printable(text: object) -> str:
    """Text from elsewhere without what a terminal would obey."""
    return "".join(letter for letter in str(text) if letter.isprintable())


def _sorted(speakers: set[str]) -> list[str]:
    return sorted(speakers, key=lambda speaker: (len(speaker), speaker))


def _listed(speakers: set[str]) -> str:
    return ", ".join(_sorted(speakers)) or "none"
