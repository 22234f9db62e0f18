"""``gunileo forget``: remove models that you taught or imported."""

from __future__ import annotations

from typing import Annotated

import typer


def forget(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Taught or imported models.")],
) -> None:
    """Remove models that you taught or imported.

    \b
      gunileo forget mine

    This also deletes the recordings that you made for them on the page of 'gunileo serve'.
    """
    from gunileo.teaching.teach import forget as remove

    for name in names:
        remove(name)
        typer.echo(f"{name}: removed")
