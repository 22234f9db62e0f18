"""The verbs of taught models: ``teach``, ``forget``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.arguments import complain
from gunileo.registry import DEFAULT


def teach(
    takes: Annotated[Path, typer.Argument(metavar="TAKES", help="Folder of clips with a .txt beside each.")],
    name: Annotated[str, typer.Option("-o", "--output", metavar="NAME", help="What to call the model.")],
    base: Annotated[
        str, typer.Option(metavar="MODEL|RUN", help="Shipped model or finished run to build on.")
    ] = DEFAULT,
    train: Annotated[
        bool, typer.Option("--train", help="Train the network too, in minutes: it recognises more.")
    ] = False,
) -> None:
    """Teach a model your own commands, on your own face.

    \b
      gunileo teach takes -o mine

    One take of a command is enough for it to be recognised. Clips of GRID's sentences teach the network to read
    your face, with --train. Then use --model NAME anywhere. Run it again when takes were added or changed. A clip that
    can't be used is reported on standard error, the others are taught, and the exit code is 1.
    """
    from gunileo.progress import progress
    from gunileo.teach import teach as run

    with progress("teaching") as bar:
        lesson = run(takes, name, base, train, lambda _, done, of: bar(done, of))
    typer.echo(lesson.model.summary())
    for _, reason in lesson.skipped:
        complain(reason)
    raise typer.Exit(1 if lesson.skipped else 0)


def forget(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Taught models.")],
) -> None:
    """Remove models that you taught.

    \b
      gunileo forget mine

    The takes that 'gunileo serve' recorded for them go too.
    """
    from gunileo.teach import forget as remove

    for name in names:
        remove(name)
        typer.echo(f"{name}: removed")
