"""Options that several subcommands take. Heavy imports wait until used."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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


def check_address(address: str | None, engine: Engine) -> None:
    """Raise ``typer.BadParameter`` if an address is given without ``--engine ray``."""
    if address and engine != Engine.ray:
        raise typer.BadParameter("this is the address of a Ray cluster; add --engine ray", param_hint="--address")


def formats_of(given: str | None) -> list[str]:
    """The formats that an option names, in any case; JSON if it names none. Raises ``typer.BadParameter``."""
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
