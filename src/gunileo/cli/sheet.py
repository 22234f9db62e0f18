"""``gunileo sheet``: show mouth crops in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.clips import find_clips
from gunileo.cli.complaints import complain
from gunileo.errors import GunileoError

_SHEET_ROWS = 50  # clips on a contact sheet: what a screen can still show


def sheet(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|CACHE", help="Folder of clips, or a prepared cache.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.png", help="The picture to write.")],
) -> None:
    """Draw mouth crops into one picture, one clip in each row.

    \b
      gunileo sheet clips -o sheet.png

    If there are more than 50 clips, 50 of them are drawn.
    """
    from gunileo.util.files import write_whole
    from gunileo.util.progress import progress
    from gunileo.vision.crop import contact_sheet
    from gunileo.vision.image import to_png

    if not source.is_dir():
        raise GunileoError(f"{source}: no such folder; give one with clips, or a cache")
    clips, failed = find_clips(source)
    if not clips:
        raise typer.Exit(1)
    chosen = [
        clips[index * len(clips) // min(len(clips), _SHEET_ROWS)] for index in range(min(len(clips), _SHEET_ROWS))
    ]
    rows = []
    with progress("looking") as bar:
        for number, (name, load) in enumerate(chosen, 1):
            try:
                rows.append((name, load()))
            except GunileoError as error:
                failed = True
                complain(error)
            bar(number, len(chosen))
    if not rows:
        raise GunileoError(f"{source}: no mouth was found in any clip; see the messages above")
    write_whole(output, to_png(contact_sheet(rows)))
    typer.echo(f"{output}: {len(rows)} of {len(clips)} clips")
    raise typer.Exit(1 if failed else 0)
