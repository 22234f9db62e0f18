"""``gunileo transcribe``: read the lips in videos."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

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
    find_jobs,
    formats_of,
    searched,
)
from gunileo.inference.registry import DEFAULT


def transcribe(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Videos, folders of videos, patterns, or -.")],
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
    burn: Annotated[bool, typer.Option("--burn", help="Write DIR/NAME.mp4 with the words drawn in.")] = False,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1, max=1000, help="FILE is a folder of numbered pictures, or their pattern: so many a second."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to; this folder if only -f or --burn is given."),
    ] = None,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="Pass over files whose results are there, and no older.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Files read at once, each on a core; all cores if left out.")
    ] = None,
    engine: By = Engine.local,
    address: Address = None,
    device: RunsOn = Device.auto,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All results in one file: NAME.csv, .parquet, or for sclite .trn, .ctm."),
    ] = None,
) -> None:
    """Read the lips in videos.

    \b
      gunileo transcribe talk.mp4
      gunileo transcribe clips/ more/*.mp4 -f srt,json -o read
      gunileo transcribe clips/ --table results.csv
      gunileo transcribe two.mp4 --face all --burn -o read
      gunileo transcribe pictures/ --fps 30
      ffmpeg -i rtsp://camera/ -f matroska - | gunileo transcribe -

    Prints the text of each file on a line of its own, with the file's name before it when there are several. A
    text that is a guess and no reading, as of a face that the model doesn't know or that says nothing, has
    "not sure:" before it; the exit code doesn't tell.

    With -o or -f also writes DIR/NAME.json, .srt, ...; clips of a folder keep their place below it. With --face all
    the names are NAME.left.json, NAME.right.json, ... where there are several faces, and NAME.json has what all of
    them say in order of time. A file that can't be read is
    reported on standard error, the others are done, and the exit code is 1.

    Several files are read at once, and told in their order. A single one, or with --jobs 1 each, has all cores, and
    each sentence of a long video is printed as it is read. If a video is damaged, or Ctrl-C stops the work, what was
    read by then is written. --skip-done goes on afterwards: files that failed or were broken off are read again.
    """
    from gunileo.cli.batch import on_cores, on_ray, read_all
    from gunileo.cli.reading import Reading
    from gunileo.output.table import checked, open_table

    check_address(address, engine)
    wanted = formats_of(formats) if formats or (output and not burn) else []
    if skip_done and not (wanted or burn):
        raise typer.BadParameter(
            "nothing tells what is done without files; add -o, -f or --burn", param_hint="--skip-done"
        )
    if table and skip_done and "json" not in wanted:
        raise typer.BadParameter("what was done before is told by its JSON; add json to -f", param_hint="--table")
    if table:
        checked(table)
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
