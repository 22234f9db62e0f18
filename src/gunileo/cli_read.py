"""The verbs that read lips: ``transcribe``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.arguments import Decode, Job, Model, complain, find_jobs, formats_of, way
from gunileo.errors import GunileoError
from gunileo.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.transcript import Transcript


def transcribe(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Videos, folders of videos, or patterns.")],
    model: Model = DEFAULT,
    decode: Annotated[
        Decode | None,
        typer.Option(
            help="grammar, if left out: always one of its sentences; greedy: whatever the likeliest path spells; "
            "beam: the likeliest text; lexicon: words of a list."
        ),
    ] = None,
    grammar: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sentences, one a line: turn (on|off) the [big] light. GRID's if left out."),
    ] = None,
    lexicon: Annotated[Path | None, typer.Option(metavar="FILE", help="Text with all words that may be said.")] = None,
    lm: Annotated[Path | None, typer.Option(metavar="FILE", help="KenLM model of the lexicon's words.")] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="txt,srt,...",
            help="Files to write: txt, srt, vtt, json, tsv, TextGrid, or all; json if only -o is given.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where to; this folder if only -f is given.")
    ] = None,
) -> None:
    """Read the lips in videos.

    Prints the text of each file on a line of its own, with the file's name before it when there are several. A
    text that is a guess and no reading, as of a face that the model doesn't know or that says nothing, has
    "not sure:" before it; the exit code doesn't tell.
    With -o or -f also writes DIR/NAME.json, .srt, ...; clips of a folder keep their place below it. A file that
    can't be read is reported on standard error, the others are done, and the exit code is 1.
    """
    from gunileo.engine import load_model

    wanted = formats_of(formats) if formats or output else []
    jobs, failed = find_jobs(files)
    if not jobs:
        raise typer.Exit(1)
    read = way(load_model(model), decode, grammar, lexicon, lm)
    taken: dict[Path, Path] = {}
    for job in jobs:
        try:
            if wanted and taken.setdefault(job.stem, job.path) != job.path:
                place = (output or Path()) / job.stem
                raise GunileoError(
                    f"{job.path}: {place} is {taken[job.stem]}'s; rename one of them, or give their folder"
                )
            for line in _read(read, job, wanted, output or Path()).splitlines():
                typer.echo(f"{job.path}: {line}" if len(jobs) > 1 else line)
        except GunileoError as error:
            failed = True
            complain(error)
    raise typer.Exit(1 if failed else 0)


def _read(read: Callable[[Path], Transcript], job: Job, formats: list[str], output: Path) -> str:
    from gunileo.writers import to_txt, write_transcript

    transcript = read(job.path)
    if formats:
        write_transcript(transcript, output / job.stem, formats)
    return to_txt(transcript)
