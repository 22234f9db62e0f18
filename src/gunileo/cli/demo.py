"""``gunileo demo``: the whole job on a made-up talking face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.errors import Stopped


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for what it makes.")] = Path(
        "demo"
    ),
) -> None:
    """Do the whole job on a made-up talking face.

    \b
      gunileo demo -o demo

    Makes clips of an animated portrait, prepares them, trains a network, tests it, and reads clips that it was not
    trained on.
    """
    from gunileo.demo.run import run

    try:
        run(output)
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"{output}: stopped; run the same command to start over") from None
