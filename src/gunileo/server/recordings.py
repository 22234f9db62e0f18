"""Recordings made in the page: what to say, the check of each, and their files."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gunileo.corpus.finders import VIDEO_SUFFIXES
from gunileo.corpus.grid import SLOTS
from gunileo.corpus.labels import CorpusError
from gunileo.corpus.transcripts import read_text
from gunileo.decoding.grammar import Grammar
from gunileo.inference import registry
from gunileo.inference.reader import Reader
from gunileo.server.jobs import Limits, check, named, reader_of, tiled
from gunileo.server.worker import Tell
from gunileo.teaching import teach
from gunileo.teaching.teach import Enrolment, RecordingError, check_recording, recordings_folder
from gunileo.util.files import FileError, alone, whole, write_whole
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import FPS

_MOST = 200  # sentences that can be taught at once


@dataclass(frozen=True)
class Recording:
    """A recorded clip and what it says."""

    id: str
    text: str


@dataclass(frozen=True)
class Inspection:
    """What a recording shows: the mouth, as a PNG, from its first movement to its last; for how many seconds it moves;
    and what a model that knows the commands takes it for."""

    strip: bytes
    seconds: float
    read: str | None


def sentences(text: str) -> list[str]:
    """All that rules say, in their order: a line is a sentence, and ``turn (on|off) it`` two of them.

    Raises ``GrammarError`` with the number of the line that can't be used, ``RecordingError`` if there are too many.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(text.splitlines()):
        if line.partition("#")[0].strip():
            rule = Grammar.from_text("\n" * number + line, "your sentences")
            for sentence in _said(rule, 0):
                found[sentence] = None
                if len(found) > _MOST:
                    raise RecordingError(f"over {_MOST} sentences; teach fewer at once")
    if not found:
        raise RecordingError("no sentence was given; write one on each line, such as: turn (on|off) the light")
    return list(found)


def _said(grammar: Grammar, place: int) -> Iterator[str]:
    if place in grammar.accepting:
        yield ""
    for word, target in grammar.arcs[place].items():
        for rest in _said(grammar, target):
            yield f"{word} {rest}".rstrip()


def practice(count: int) -> list[str]:
    """Random sentences of GRID's kind."""
    return [" ".join(map(random.choice, SLOTS)) for _ in range(count)]


def recorded() -> list[str]:
    """The names under which something was recorded."""
    folder = registry.home() / "recordings"
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in found if path.is_dir() and not path.name.startswith("."))


def listed(name: str) -> list[Recording]:
    """The recordings for a model, the oldest first."""
    found = []
    for video in sorted(recordings_folder(name).glob("recording-*")):
        if video.suffix in VIDEO_SUFFIXES:
            try:
                found.append(Recording(video.stem, read_text(video.with_suffix(".txt"))))
            except CorpusError:  # recording broke off between the two
                continue
    return found


def inspect(path: Path, file: str, model: str, limits: Limits, tell: Tell) -> Inspection:
    """Inspect a recording that was sent as ``file``; a ``Worker``'s work. Raises what ``check_recording`` does."""
    with named(path, file):
        check(path, limits)
        reader = reader_of(model) if registry.taught(model) else None
        clip = check_recording(path, reader.view if reader else None)
    return Inspection(tiled(clip.crops), len(clip) / FPS, _read(reader, clip) if reader else None)


def _read(reader: Reader, clip: MouthClip) -> str | None:
    return reader.matches(clip)[0].text if reader.templates else None


def keep(path: Path, name: str, text: str) -> Recording:
    """Keep a clip that was inspected as a recording for a model; raises ``FileError`` if there is no room.

    The text comes first: a clip without one would be no recording, a text without a clip is nothing.
    """
    folder = recordings_folder(name)
    with alone(folder):
        numbers = [path.stem.removeprefix("recording-") for path in folder.glob("recording-*")]
        number = 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)
        place = folder / f"recording-{number:04}{path.suffix or '.mp4'}"
        write_whole(place.with_suffix(".txt"), text + "\n")
        with whole(place) as part:
            shutil.copyfile(path, part)
    return Recording(place.stem, text)


def tidy() -> None:
    """Remove what recordings and enrolments have left whose server was killed: texts without a clip, parts of files."""
    teach.tidy()
    for name in recorded():
        folder = registry.home() / "recordings" / name
        with suppress(FileError), alone(folder):  # another server's, if any, is at work there
            clips = {path.stem for path in folder.glob("recording-*") if path.suffix in VIDEO_SUFFIXES}
            for path in [*folder.glob("recording-*.txt"), *folder.glob(".recording-*.part")]:
                if path.stem not in clips:
                    path.unlink(missing_ok=True)


def drop(name: str, recording: str) -> None:
    """Remove one recording; raises ``RecordingError`` if there is none of that number, or it can't be removed."""
    paths = [path for path in recordings_folder(name).glob("recording-*") if path.stem == recording]
    if not paths:
        raise RecordingError(f"{recording[:80]}: no such recording of {name}")
    try:
        for path in sorted(paths, key=lambda path: path.suffix == ".txt"):  # the clip first: see ``keep``
            path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordingError(f"{error.filename}: can't be removed ({error.strerror})") from error


def can_train() -> bool:
    """Whether the ``train`` extra is installed."""
    return find_spec("torch") is not None and find_spec("lightning") is not None


def learn(name: str, base: str, train: bool, tell: Tell) -> Enrolment:
    """Teach a model from its recordings; a ``Worker``'s work. Raises what ``teach`` does."""
    if train and not can_train():
        raise RecordingError('training needs PyTorch; run: pip install "gunileo[train]"')
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # training's bars
        return teach.teach(recordings_folder(name), name, base, train, tell)
