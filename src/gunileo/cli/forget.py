"""``gunileo forget``: remove models that you taught."""

from __future__ import annotations

from typing import Annotated

import typer


def forget(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Taught models.")],
) -> None:
    """Remove models that you taught.

    \b
      gunileo forget mine

    This also deletes the recordings for them that were made in 'gunileo serve'.
    """
    from gunileo.teaching.teach import forget as remove

    for name in names:
        remove(name)
        typer.echo(f"{name}: removed")
