"""What a command's arguments mean: videos, clips, caches, lists, ways to decode. Heavy imports wait until used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.engine import Reader
    from gunileo.mouth import Regions
    from gunileo.prepare import Cache
    from gunileo.transcript import Transcript

Model = Annotated[str, typer.Option(help="Shipped or taught model, a run's folder, or an .onnx file.")]


class Decode(StrEnum):
    """Ways to decode, as the command line names them."""

    greedy = "greedy"
    beam = "beam"
    grammar = "grammar"
    lexicon = "lexicon"


@dataclass(frozen=True)
class Job:
    """A video to read."""

    path: Path
    stem: Path  # of the files to write, below the output folder


def find_jobs(arguments: Sequence[str]) -> tuple[list[Job], bool]:
    """The videos that files, folders and patterns name, each once, and whether an argument named none."""
    from gunileo.corpus import VIDEO_SUFFIXES, find_files

    jobs: dict[Path, Job] = {}
    failed = False
    for argument in arguments:
        matches = (
            [argument] if Path(argument).exists() or not has_magic(argument) else sorted(glob(argument, recursive=True))
        )
        found = []
        for path in map(Path, matches):
            if path.is_dir():
                inside = find_files(path, VIDEO_SUFFIXES)
                found += [Job(file, file.relative_to(path).with_suffix("")) for file in inside]
            else:
                found.append(Job(path, Path(path.stem)))
        if not found:
            failed = True
            complain(f"{argument}: no videos there; give video files ({' '.join(sorted(VIDEO_SUFFIXES))})")
        for job in found:
            jobs.setdefault(job.path, job)
    return list(jobs.values()), failed


def find_clips(source: Path) -> list[tuple[str, Callable[[], Regions]]]:
    """Name and loader of each clip of a cache or a folder."""
    from functools import partial

    from gunileo.mouth import read_regions

    if (source / "cache.json").is_file():
        cache = filled(source)
        return [(utterance.id, partial(cache.load, utterance)) for utterance in cache.utterances]
    return [(job.stem.as_posix(), partial(read_regions, job.path)) for job in find_jobs([str(source)])[0]]


def filled(path: Path) -> Cache:
    """A cache with something in it."""
    from gunileo.prepare import Cache

    cache = Cache(path)
    if not cache.utterances:
        raise GunileoError(f"{path}: nothing was prepared here; run 'gunileo prepare SOURCE -o {path}'")
    return cache


def listed(name: str) -> list[str]:
    """What a list file names, utterances or talkers, or a shipped list by its name."""
    from importlib.resources import as_file, files

    from gunileo.corpus import read_split

    shipped = files("gunileo") / "splits" / f"{name}.txt"
    if shipped.is_file() and not Path(name).exists():
        with as_file(shipped) as path:
            return read_split(path)
    return read_split(name)


def way(
    reader: Reader, decode: Decode | None, grammar: Path | None, lexicon: Path | None, lm: Path | None
) -> Callable[[Path], Transcript]:
    """What reads a video, as the options want it decoded."""
    from functools import partial

    from gunileo.grammar import Grammar
    from gunileo.lexicon import Lexicon

    how = decode or (Decode.lexicon if lexicon else Decode.grammar)
    if (lexicon is None) == (how == Decode.lexicon):
        raise typer.BadParameter("--lexicon FILE and --decode lexicon belong together", param_hint="--lexicon")
    if grammar and how != Decode.grammar:
        raise typer.BadParameter(f"there is no grammar in --decode {how.value}", param_hint="--grammar")
    if lm and not lexicon:
        raise typer.BadParameter("a language model needs the words that it is of: --lexicon FILE", param_hint="--lm")
    if lexicon:
        return partial(reader.transcribe, decode=Lexicon.from_file(lexicon, lm).decode)
    return partial(reader.transcribe, decode=how.value, grammar=Grammar.from_file(grammar) if grammar else None)


def formats_of(given: str | None) -> list[str]:
    """The formats that an option names, in any case; JSON if it names none."""
    from gunileo.writers import WRITERS

    known = {name.lower(): name for name in WRITERS}
    names = (given or "json").lower().replace(" ", "").split(",")
    if names == ["all"]:
        return list(WRITERS)
    for name in names:
        if name not in known:
            choices = ",".join([*WRITERS, "all"])
            raise typer.BadParameter(f"{name!r} is no format; use one or more of {choices}", param_hint="-f")
    return [known[name] for name in names]


def complain(message: object) -> None:
    """One line on standard error."""
    typer.echo(" ".join(str(message).splitlines()), err=True)
