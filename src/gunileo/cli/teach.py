"""``gunileo teach``: teach a model your own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.options import complain
from gunileo.inference.registry import TEACHING_BASE


def teach(
    recordings: Annotated[Path, typer.Argument(metavar="RECORDINGS", help="Folder of clips with a .txt beside each.")],
    name: Annotated[str, typer.Option("-o", "--output", metavar="NAME", help="What to call the model.")],
    base: Annotated[
        str, typer.Option(metavar="MODEL|RUN", help="Shipped model or finished run to build on.")
    ] = TEACHING_BASE,
    train: Annotated[
        bool, typer.Option("--train", help="Train the network too, in minutes: it recognises more.")
    ] = False,
) -> None:
    """Teach a model your own commands, on your own face.

    \b
      gunileo teach recordings -o mine

    One recording of a command is enough for it to be recognised. Clips of GRID's sentences teach the network to read
    your face, with --train. Then use --model NAME anywhere. Run it again when recordings were added or changed.
    A clip that can't be used is reported on standard error, the others are taught, and the exit code is 1.
    """
    from gunileo.teaching.teach import teach as run
    from gunileo.util.progress import progress

    with progress("teaching") as bar:
        enrolment = run(recordings, name, base, train, lambda _, done, of: bar(done, of))
    typer.echo(enrolment.model.summary())
    for _, reason in enrolment.skipped:
        complain(reason)
    raise typer.Exit(1 if enrolment.skipped else 0)
