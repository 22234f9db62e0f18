"""``gunileo transcribe``: read the lips in videos."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.decoding import searched
from gunileo.cli.jobs import find_jobs
from gunileo.cli.options import (
    Address,
    Beam,
    By,
    CtcWeight,
    Device,
    Engine,
    Faces,
    Formats,
    Grammar,
    LanguageModel,
    Lexicon,
    LmWeight,
    Model,
    OfSeveral,
    RunsOn,
    Way,
    check_address,
    formats_of,
)
from gunileo.inference.registry import DEFAULT

_Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Videos, folders of videos, patterns, or - for a pipe.")
]
_Burn = Annotated[bool, typer.Option("--burn", help="Write DIR/NAME.mp4 with the words drawn in.")]
_Fps = Annotated[
    float | None,
    typer.Option(min=1, max=1000, help="Frame rate of numbered pictures. FILE is their folder or pattern."),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="DIR", help="Folder for the files. With -f or --burn, by default the current one."
    ),
]
_SkipDone = Annotated[
    bool, typer.Option("--skip-done", help="Skip files that have results, unless they changed since.")
]
_Jobs = Annotated[
    int | None, typer.Option(min=1, help="Files to read at once, each on one core. By default one for each core.")
]
_Table = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write all results into one file: NAME.csv or .parquet; .trn or .ctm for sclite."
    ),
]


def transcribe(
    files: _Files,
    model: Model = DEFAULT,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    beam: Beam = None,
    ctc_weight: CtcWeight = None,
    lm_weight: LmWeight = None,
    face: OfSeveral = Faces.largest,
    formats: Formats = None,
    burn: _Burn = False,
    fps: _Fps = None,
    output: _Output = None,
    skip_done: _SkipDone = False,
    jobs: _Jobs = None,
    engine: By = Engine.local,
    address: Address = None,
    device: RunsOn = Device.auto,
    table: _Table = None,
) -> None:
    """Read the lips in videos.

    \b
      gunileo transcribe talk.mp4
      gunileo transcribe clips/ more/*.mp4 -f srt,json -o read
      gunileo transcribe clips/ --table results.csv
      gunileo transcribe two.mp4 --face all --burn -o read
      gunileo transcribe pictures/ --fps 30
      ffmpeg -i rtsp://camera/ -f matroska - | gunileo transcribe -

    Prints the text of each file on a line of its own. If there are several files, the file's name comes first. A guess
    is marked "not sure:", such as the reading of a face that the model doesn't know. The exit code stays 0.

    -o and -f also write files: DIR/NAME.json, .srt, ... Results of clips in a folder keep the folders within it. With
    --face all, each face has its own files: NAME.left.json, NAME.right.json, ... NAME.json then has the sentences of
    all faces, in order of time. A file that can't be read is named on standard error. The others are read, and the
    exit code is 1.

    Several files are read at once, each on one core. Their texts are printed in order. A single file uses all cores.
    With --jobs 1, files are read one after the other, each with all cores. Then each sentence of a long video is
    printed as it is read. If a video is damaged, or if you press Ctrl-C, what was read by then is written. Run the
    command again with --skip-done to go on. Files that failed or were interrupted are read again.
    """
    from gunileo.cli.batch import on_cores, on_ray, read_all
    from gunileo.cli.reading import Reading
    from gunileo.output.table import open_table

    check_address(address, engine)
    wanted = formats_of(formats) if formats or (output and not burn) else []
    _check(wanted, burn, skip_done, table)
    found, failed = find_jobs(files, fps is not None)
    if not found:
        raise typer.Exit(1)
    weights = (beam, ctc_weight, lm_weight)
    how = (searched(decode, weights), grammar, lexicon, lm)
    where = (face, tuple(wanted), burn, output or Path())
    reading = Reading(model, device, *how, *where, fps or 25, len(found), weights)
    reading.check()
    run = on_ray(address, jobs) if engine == Engine.ray else on_cores(found, jobs)
    with open_table(table) if table else nullcontext() as rows:
        failed |= read_all(reading, found, run, skip_done, rows)
    raise typer.Exit(1 if failed else 0)


def _check(formats: list[str], burn: bool, skip_done: bool, table: Path | None) -> None:
    """``typer.BadParameter`` if options don't go together; ``TableError`` for a table that can't be written."""
    from gunileo.output.table import checked

    if skip_done and not (formats or burn):
        raise typer.BadParameter(
            "it looks for files that an earlier run wrote; add -o, -f or --burn", param_hint="--skip-done"
        )
    if table and skip_done and "json" not in formats:
        raise typer.BadParameter(
            "with --skip-done, earlier results are read from their JSON; add json to -f", param_hint="--table"
        )
    if table:
        checked(table)
