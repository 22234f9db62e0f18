"""What goes wrong, in one line each on standard error."""

from __future__ import annotations

from traceback import print_exception

import typer

verbose = False  # whether errors come with their trace; the command line's --verbose sets it


def complain(message: object, line: str = "") -> None:
    """One line on standard error, ``line`` or the message itself; with --verbose an error's trace before it."""
    if verbose and isinstance(message, BaseException):
        print_exception(message)
    typer.echo(" ".join((line or str(message)).splitlines()), err=True)
