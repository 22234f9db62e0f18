"""What a command's arguments mean: videos, clips, caches, lists, ways to decode. Heavy imports wait until used."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from glob import escape, glob, has_magic
from pathlib import Path
from traceback import print_exception
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.decoding.ctc import How
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.inference.reader import Reader
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
    typer.Option(
        metavar="FILE", help="File of sentences, one on each line: turn (on|off) the [big] light. By default GRID's."
    ),
]
Lexicon = Annotated[Path | None, typer.Option(metavar="FILE", help="Text file of all words that may be said.")]
LanguageModel = Annotated[
    Path | None, typer.Option(metavar="FILE", help="KenLM language model for the words of --lexicon.")
]
Formats = Annotated[
    str | None,
    typer.Option(
        *("-f", "--format"),
        metavar="txt,srt,...",
        help="Files to write: txt, srt, vtt, json, tsv, ctm, trn, TextGrid, or all. With -o alone: json.",
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


OfSeveral = Annotated[
    Faces, typer.Option(help="Which face to read, if there are several. all: every face, each with its own files.")
]


class Device(StrEnum):
    """Where a network runs, as the command line names it."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    coreml = "coreml"
    directml = "directml"
    openvino = "openvino"


class Engine(StrEnum):
    """Who shares out the work of many files."""

    local = "local"
    ray = "ray"


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
        help="grammar (default): always one of the grammar's sentences; greedy: what the network spells; "
        "beam (default of a model that reads any text): the likeliest text; lexicon: words of the list in --lexicon.",
    ),
]


RunsOn = Annotated[Device, typer.Option("--device", help="Where the network runs. auto: the processor.")]
By = Annotated[Engine, typer.Option("--engine", help="ray: use the machines of a Ray cluster.")]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Address of the Ray cluster. By default one is started on this machine."),
]


_SEARCH = "in an imported model's search. By default as published."
Beam = Annotated[int | None, typer.Option("--beam", min=1, help=f"Number of hypotheses that are kept {_SEARCH}")]
CtcWeight = Annotated[float | None, typer.Option("--ctc-weight", min=0, max=1, help=f"Weight of CTC {_SEARCH}")]
LmWeight = Annotated[float | None, typer.Option("--lm-weight", min=0, help=f"Weight of the language model {_SEARCH}")]
Weights = tuple[int | None, float | None, float | None]  # as ``Reader.weighted`` takes them
AS_PUBLISHED: Weights = (None, None, None)


def loaded(model: str, device: Device = Device.auto, weights: Weights = AS_PUBLISHED) -> Reader:
    """The reader of a model, with the weights that are given."""
    from gunileo.inference.load import load_model

    reader = load_model(model, device.value)
    return reader if weights == AS_PUBLISHED else reader.weighted(*weights)


def searched(decode: Decode | None, weights: Weights) -> Decode | None:
    """How to decode if weights of a search are given: by it. Another way has no use for them."""
    if weights == AS_PUBLISHED:
        return decode
    if decode not in (None, Decode.beam):
        raise typer.BadParameter(
            f"--beam, --ctc-weight and --lm-weight need --decode beam, not {decode}; leave one out"
        )
    return Decode.beam


def check_address(address: str | None, engine: Engine) -> None:
    """An address is a Ray cluster's."""
    if address and engine != Engine.ray:
        raise typer.BadParameter("this is the address of a Ray cluster; add --engine ray", param_hint="--address")


@dataclass(frozen=True)
class Job:
    """A video to read."""

    path: Path
    stem: Path  # of the files to write, below the output folder
    name: str = ""  # of the file in messages and transcripts; its path if left out

    def __str__(self) -> str:
        return self.name or str(self.path)


def find_jobs(arguments: Sequence[str], numbered: bool = False) -> tuple[list[Job], bool]:
    """The videos that files, folders and patterns name, each once; and whether an argument named none.

    With ``numbered``, a folder counts as one video, made of the numbered pictures in it.
    """
    from gunileo.corpus.finders import VIDEO_SUFFIXES
    from gunileo.vision.film import local
    from gunileo.vision.numbered import is_pattern, stem_of
    from gunileo.vision.video import VideoError

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
        if is_pattern(argument) or (numbered and os.path.isdir(argument)):
            jobs.setdefault(Path(argument), Job(Path(argument), Path(stem_of(argument))))
            continue
        found, lost = _found(argument)
        failed |= lost
        if not found:
            failed = True
            kinds = " ".join(sorted(VIDEO_SUFFIXES))
            complain(f"{argument}: no videos there; give video files ({kinds}), or --fps for a folder of pictures")
        for job in found:
            jobs.setdefault(job.path, job)
    return list(jobs.values()), failed


# What lies beside videos: labels, and what was read of them.
_BESIDE = (".txt", ".align", ".lab", ".srt", ".vtt", ".json", ".tsv", ".ctm", ".trn", ".textgrid", ".csv", ".parquet")


def _found(argument: str) -> tuple[list[Job], bool]:
    """The videos of one file, folder or pattern, and whether some of a folder can't be reached. A file that isn't there
    is one too, to be told when it is read."""
    from gunileo.corpus.walk import VIDEO_SUFFIXES, walk

    is_pattern = has_magic(argument) and not os.path.exists(argument)
    folder, name = os.path.split(argument)
    if is_pattern and os.path.isdir(folder):  # whose own name may have brackets
        argument = os.path.join(escape(folder), name)
    jobs, lost = list[Job](), False
    for path in map(Path, sorted(glob(argument, recursive=True)) if is_pattern else [argument]):
        if os.path.isdir(path):
            inside = walk(path, VIDEO_SUFFIXES)
            jobs += [Job(file, file.relative_to(path).with_suffix("")) for file in inside.files]
            for place, reason in inside.lost:
                complain(f"{place}: {reason}")
                lost = True
            if inside.files and (passed := inside.others - Counter(dict.fromkeys(_BESIDE, inside.others.total()))):
                kinds = ", ".join(f"{count} {kind}" for kind, count in passed.most_common())
                complain(f"{path}: files of other kinds passed over: {kinds}")
        else:
            jobs.append(Job(path.absolute() if path == Path("-") else path, Path(path.stem)))
    return jobs, lost


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
    """Open a cache. Raises ``GunileoError`` if it is empty."""
    from gunileo.corpus.cache import Cache

    cache = Cache(path)
    if not cache.utterances:
        raise GunileoError(f"{path}: nothing was prepared here; run 'gunileo prepare SOURCE -o {path}'")
    return cache


def with_crops(cache: Cache) -> list[CachedUtterance]:
    """The utterances that have crops. Raises ``GunileoError`` if there are none."""
    found = [utterance for utterance in cache.utterances if utterance.has_crops]
    if not found:
        raise GunileoError(f"{cache.path}: holds only mouth shapes and no crops; prepare videos into it")
    return found


def listed(name: str) -> list[str]:
    """The utterances or speakers in a list: a file, or a list that comes with the package, by its name."""
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
    """The options of decoding as the arguments ``decode`` and ``grammar`` of a reader's methods.

    Words are spelled in the tokens of the ``model``, which is loaded if there are any.
    """
    from gunileo.decoding.grammar import Grammar
    from gunileo.decoding.lexicon import Lexicon
    from gunileo.inference.load import load_model

    how = decode or (Decode.lexicon if lexicon else Decode.grammar if grammar else None)
    if (lexicon is None) == (how == Decode.lexicon):
        raise typer.BadParameter(
            "--lexicon FILE and --decode lexicon need each other; add one, or leave the other out",
            param_hint="--lexicon",
        )
    if grammar and how != Decode.grammar:
        raise typer.BadParameter(f"--decode {decode} takes no grammar; leave one of them out", param_hint="--grammar")
    if lm and not lexicon:
        raise typer.BadParameter("a language model needs its words; add --lexicon FILE", param_hint="--lm")
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
            raise typer.BadParameter(f"{name!r} is not a format; use one or more of {choices}", param_hint="-f")
    return [known[name] for name in names]


def complain(message: object, line: str = "") -> None:
    """One line on standard error, ``line`` or the message itself; with --verbose an error's trace before it."""
    if verbose and isinstance(message, BaseException):
        print_exception(message)
    typer.echo(" ".join((line or str(message)).splitlines()), err=True)
