"""``gunileo teach``: teach a model your own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.options import complain
from gunileo.inference.registry import TEACHING_BASE


def teach(
    recordings: Annotated[Path, typer.Argument(metavar="RECORDINGS", help="Folder of clips with a .txt beside each.")],
    name: Annotated[str, typer.Option("-o", "--output", metavar="NAME", help="Name of the model.")],
    base: Annotated[
        str, typer.Option(metavar="MODEL|RUN", help="Shipped or imported model, or finished run, to build on.")
    ] = TEACHING_BASE,
    train: Annotated[
        bool, typer.Option("--train", help="Also train the network, in minutes. It then recognises a little more.")
    ] = False,
) -> None:
    """Teach a model your own commands, on your own face.

    \b
      gunileo teach recordings -o mine

    One recording of each command is enough. Afterwards use --model NAME with any subcommand that takes --model. After
    you add or change recordings, run it again. If all recordings are GRID's sentences, add --train: the network then
    learns to read your face. A clip that can't be used is named on standard error. The others are taught, and the exit
    code is 1.
    """
    from gunileo.teaching.teach import teach as run
    from gunileo.util.progress import progress

    with progress("teaching") as bar:
        enrolment = run(recordings, name, base, train, lambda _, done, of: bar(done, of))
    typer.echo(enrolment.model.summary())
    for _, reason in enrolment.skipped:
        complain(reason)
    raise typer.Exit(1 if enrolment.skipped else 0)
