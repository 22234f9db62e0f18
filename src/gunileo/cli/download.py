"""``gunileo download``: get a published corpus."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gunileo.errors import Stopped


class _Corpus(StrEnum):
    grid = "grid"
    lombard = "lombard"


def download(
    corpus: Annotated[_Corpus, typer.Argument(help="GRID, or the front view of Lombard GRID.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for clips and labels.")],
    speakers: Annotated[str | None, typer.Option(metavar="s1,s2", help="Speakers to get. By default all.")] = None,
) -> None:
    """Get a published corpus from Zenodo, ready for 'gunileo prepare'.

    \b
      gunileo download grid -o GRID --speakers s1

    If it was stopped, run it again to go on. Archives are checked by size and checksum. Existing files are kept.
    """
    from gunileo.corpus.download import download as run

    try:
        run(corpus.value, output, [name.strip() for name in speakers.split(",")] if speakers else None, typer.echo)
    except KeyboardInterrupt:
        raise Stopped(f"{output}: stopped; what was downloaded is kept, run the same command to go on") from None
    typer.echo(f"{output}: next, run 'gunileo prepare {output} -o CACHE'")
