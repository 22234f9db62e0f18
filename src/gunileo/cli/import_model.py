"""``gunileo import``: make a published model one of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.errors import GunileoError, Stopped


def import_model(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="File, folder, zip, address, or a known name.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name for it. By default its known name, else its file's.")
    ] = None,
    lm: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Its language model: a folder or zip.")] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept its licence without being asked.")
    ] = False,
) -> None:
    """Import a model that others published: VSR-ML, Auto-AVSR, ViSpeR, LipNet for PyTorch.

    \b
      gunileo import lipnet-unseen
      gunileo import LRS3_V_WER32.3.zip --lm lm_en
      gunileo transcribe talk.mp4 --model vsr-lrs3-small

    'gunileo models --known' lists the known names. A model with a known name may be downloaded first. The licence is
    shown, and you are asked to accept it. No code in a file is run. The result is compared with the file's weights.
    """
    from gunileo.published.importing import import_model as run

    def accept(words: str) -> bool:
        typer.echo(words)
        if accept_license:
            return True
        try:
            return typer.confirm("Do you accept it?")
        except typer.Abort:
            raise GunileoError(f"{source}: its licence was not accepted; accept it with --accept-license") from None

    try:
        card = run(source, accept, name, lm, typer.echo)
    except KeyboardInterrupt:
        raise Stopped(f"{source}: stopped; nothing is installed, run the same command to go on") from None
    typer.echo(f"{card.name}: imported; go on with 'gunileo transcribe VIDEO --model {card.name}'")
