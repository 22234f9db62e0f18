"""What a command's arguments mean: videos, clips, caches, lists, ways to decode. Heavy imports wait until used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from glob import glob, has_magic
from pathlib import Path
from traceback import print_exception
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.decoding.ctc import How
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.vision.crop import Crops

verbose = False  # whether errors come with their trace; the command line's --verbose sets it


def _model_names(incomplete: str) -> list[str]:
    from gunileo.inference.registry import all_names

    return [name for name in all_names() if name.startswith(incomplete)]


def _format_names(incomplete: str) -> list[str]:
    """Ways to go on with a list of formats: txt,s becomes txt,srt."""
    from gunileo.output.writers import WRITERS

    before, comma, begun = incomplete.rpartition(",")
    names = [*WRITERS, "all"] if not comma else [name for name in WRITERS if name not in before.split(",")]
    return [f"{before}{comma}{name}" for name in names if name.lower().startswith(begun.lower())]


Model = Annotated[
    str,
    typer.Option(
        help="Shipped, taught or imported model, a run's folder, or an .onnx file.", autocompletion=_model_names
    ),
]
CacheFolder = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder that 'gunileo prepare' made.")]
Grammar = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sentences, one a line: turn (on|off) the [big] light. GRID's if left out."),
]
Lexicon = Annotated[Path | None, typer.Option(metavar="FILE", help="Text with all words that may be said.")]
LanguageModel = Annotated[Path | None, typer.Option(metavar="FILE", help="KenLM model of the lexicon's words.")]
Formats = Annotated[
    str | None,
    typer.Option(
        *("-f", "--format"),
        metavar="txt,srt,...",
        help="Files to write: txt, srt, vtt, json, tsv, TextGrid, or all; json if only -o is given.",
        autocompletion=_format_names,
    ),
]


class Face(StrEnum):
    """Which of several faces to read, as the command line names them."""

    largest = "largest"
    left = "left"
    right = "right"


class Faces(StrEnum):
    """As ``Face``, or each of them."""

    largest = "largest"
    left = "left"
    right = "right"
    all = "all"


class Decode(StrEnum):
    """Ways to decode, as the command line names them."""

    greedy = "greedy"
    beam = "beam"
    grammar = "grammar"
    lexicon = "lexicon"


Way = Annotated[
    Decode | None,
    typer.Option(
        "--decode",
        help="grammar, if left out: always one of its sentences; greedy: whatever the likeliest path spells; "
        "beam: the likeliest text, if left out for a model that reads any; lexicon: words of a list.",
    ),
]


@dataclass(frozen=True)
class Job:
    """A video to read."""

    path: Path
    stem: Path  # of the files to write, below the output folder
    name: str = ""  # of the file in messages and transcripts; its path if left out

    def __str__(self) -> str:
        return self.name or str(self.path)


def find_jobs(arguments: Sequence[str], numbered: bool = False) -> tuple[list[Job], bool]:
    """The videos that files, folders and patterns name, each once, and whether an argument named none.

    With ``numbered``, a folder is one video of the numbered pictures in it.
    """
    from gunileo.corpus.finders import VIDEO_SUFFIXES, find_files
    from gunileo.vision.film import VideoError, local
    from gunileo.vision.numbered import is_pattern, stem_of

    jobs: dict[Path, Job] = {}
    failed = False
    for given in arguments:
        try:
            argument = local(given)
        except VideoError as error:
            complain(error)
            failed = True
            continue
        if argument == "-":
            jobs.setdefault(Path("-"), Job(Path("-"), Path("stdin")))
            continue
        if is_pattern(argument) or (numbered and Path(argument).is_dir()):
            jobs.setdefault(Path(argument), Job(Path(argument), Path(stem_of(argument))))
            continue
        matches = (
            [argument] if Path(argument).exists() or not has_magic(argument) else sorted(glob(argument, recursive=True))
        )
        found = []
        for path in map(Path, matches):
            if path.is_dir():
                inside = find_files(path, VIDEO_SUFFIXES)
                found += [Job(file, file.relative_to(path).with_suffix("")) for file in inside]
            else:
                found.append(Job(path.absolute() if path == Path("-") else path, Path(path.stem)))
        if not found:
            failed = True
            kinds = " ".join(sorted(VIDEO_SUFFIXES))
            complain(f"{argument}: no videos there; give video files ({kinds}), or --fps for a folder of pictures")
        for job in found:
            jobs.setdefault(job.path, job)
    return list(jobs.values()), failed


def find_clips(source: Path) -> list[tuple[str, Callable[[], Crops]]]:
    """Name and loader of each clip of a cache or a folder."""
    from functools import partial

    from gunileo.vision.mouth import read_mouth

    def crops_of(path: Path) -> Crops:
        return read_mouth(path).crops

    if (source / "cache.json").is_file():
        cache = filled(source)
        return [(utterance.id, partial(cache.crops, utterance)) for utterance in with_crops(cache)]
    return [(job.stem.as_posix(), partial(crops_of, job.path)) for job in find_jobs([str(source)])[0]]


def filled(path: Path) -> Cache:
    """A cache with something in it."""
    from gunileo.corpus.cache import Cache

    cache = Cache(path)
    if not cache.utterances:
        raise GunileoError(f"{path}: nothing was prepared here; run 'gunileo prepare SOURCE -o {path}'")
    return cache


def with_crops(cache: Cache) -> list[CachedUtterance]:
    """The utterances of which more than the mouth's shape is known, one at least."""
    found = [utterance for utterance in cache.utterances if utterance.has_crops]
    if not found:
        raise GunileoError(f"{cache.path}: holds shapes alone, no mouth to see; prepare videos into it")
    return found


def listed(name: str) -> list[str]:
    """What a list file names, utterances or speakers, or a shipped list by its name."""
    from importlib.resources import as_file, files

    from gunileo.corpus.split import read_split

    shipped = files("gunileo.corpus") / "splits" / f"{name}.txt"
    if shipped.is_file() and not Path(name).exists():
        with as_file(shipped) as path:
            return read_split(path)
    return read_split(name)


def way(
    decode: Decode | None, grammar: Path | None, lexicon: Path | None, lm: Path | None, model: str
) -> tuple[How | None, Rules | None]:
    """How to decode, as the options want it: the ``decode`` and ``grammar`` that a reader's methods take.

    Words are spelled in the tokens of the ``model``, which is loaded if there are any.
    """
    from gunileo.decoding.grammar import Grammar
    from gunileo.decoding.lexicon import Lexicon
    from gunileo.inference.reader import load_model

    how = decode or (Decode.lexicon if lexicon else Decode.grammar if grammar else None)
    if (lexicon is None) == (how == Decode.lexicon):
        raise typer.BadParameter("--lexicon FILE and --decode lexicon belong together", param_hint="--lexicon")
    if grammar and how != Decode.grammar:
        raise typer.BadParameter(f"there is no grammar in --decode {decode}", param_hint="--grammar")
    if lm and not lexicon:
        raise typer.BadParameter("a language model needs the words that it is of: --lexicon FILE", param_hint="--lm")
    if lexicon:
        return Lexicon.from_file(lexicon, lm, load_model(model).vocabulary).decode, None
    return how and how.value, Grammar.from_file(grammar, load_model(model).vocabulary) if grammar else None


def formats_of(given: str | None) -> list[str]:
    """The formats that an option names, in any case; JSON if it names none."""
    from gunileo.output.writers import WRITERS

    known = {name.lower(): name for name in WRITERS}
    names = (given or "json").lower().replace(" ", "").split(",")
    if names == ["all"]:
        return list(WRITERS)
    for name in names:
        if name not in known:
            choices = ",".join([*WRITERS, "all"])
            raise typer.BadParameter(f"{name!r} is no format; use one or more of {choices}", param_hint="-f")
    return [known[name] for name in names]


def complain(message: object, line: str = "") -> None:
    """One line on standard error, ``line`` or the message itself; with --verbose an error's trace before it."""
    if verbose and isinstance(message, BaseException):
        print_exception(message)
    typer.echo(" ".join((line or str(message)).splitlines()), err=True)
