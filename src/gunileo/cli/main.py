"""The ``gunileo`` command: one subcommand a job. Whatever one needs is imported when it runs."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gunileo import __version__
from gunileo.cli import complaints
from gunileo.cli.bench import bench
from gunileo.cli.calibrate import calibrate
from gunileo.cli.complaints import complain
from gunileo.cli.demo import demo
from gunileo.cli.download import download
from gunileo.cli.evaluate import evaluate
from gunileo.cli.export import export
from gunileo.cli.forget import forget
from gunileo.cli.import_model import import_model
from gunileo.cli.live import live
from gunileo.cli.models import models
from gunileo.cli.prepare import prepare
from gunileo.cli.serve import serve
from gunileo.cli.sheet import sheet
from gunileo.cli.summary import summary
from gunileo.cli.teach import teach
from gunileo.cli.train import train
from gunileo.cli.transcribe import transcribe
from gunileo.cli.watch import watch
from gunileo.errors import GunileoError, Stopped
from gunileo.util.interrupt import ctrl_c_stops

_CTRL_C = 130  # what shells report of a program that Ctrl-C ended
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Read lips": (transcribe, live, watch, serve),
    "Teach a model your own commands": (teach, forget),
    "Use a model that others published": (import_model,),
    "Train a network": (download, prepare, sheet, train, evaluate, calibrate),
    "Look at models": (models, summary, export, bench),
    "Try it without a video": (demo,),
}


def _called(subcommand: Callable[..., None]) -> str:
    """A subcommand's name; "import" alone can't be a function's."""
    return subcommand.__name__.removesuffix("_model")


class _Subcommands(TyperGroup):
    """All subcommands, listed by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, subcommands in _PANELS.items():
            with formatter.section(title):
                commands = [self.commands[_called(each)] for each in subcommands]
                formatter.write_dl([(command.name, command.get_short_help_str(90)) for command in commands])


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gunileo {__version__}")
        raise typer.Exit


def _gunileo(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the trace of an error, for a bug report.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Read lips: a video of a talking face goes in, the words come out. No sound is used.

    Start with one of these. Add --help to a subcommand for more:

    \b
      gunileo transcribe talk.mp4              print what is said
      gunileo transcribe talk.mp4 --burn       print it and draw it into the video
      gunileo live                             read your camera as you speak
      gunileo serve                            do all that in your browser
      gunileo demo                             see it work on a made-up face

    The shipped models read the sentences of the GRID corpus. On faces that they don't know, they make more errors. A
    guess is marked "not sure:". To read your own commands, film each of them once and use "teach".
    """
    complaints.verbose = verbose


def _app(subcommands: Iterable[Callable[..., None]]) -> typer.Typer:
    made = typer.Typer(cls=_Subcommands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback()(_gunileo)
    for subcommand in subcommands:
        made.command(_called(subcommand))(subcommand)
    return made


_ALL = tuple(chain.from_iterable(_PANELS.values()))
app = _app(_ALL)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 all done, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    rest = [argument for argument in given if argument != "--verbose"]  # it may come after the subcommand, too
    given = rest if rest == given else ["--verbose", *rest]
    # Of those that it has, typer makes all before it runs one, which takes longer than to load a network.
    one = [subcommand for subcommand in _ALL if rest and rest[0] == _called(subcommand)]
    try:
        with ctrl_c_stops():
            (_app(one) if one else app)(args=given, prog_name="gunileo")
    except SystemExit as ending:
        if ending.code == _CTRL_C:  # typer's word for it
            complain("stopped")
        raise
    except Stopped as error:
        complain(error)
        sys.exit(_CTRL_C)
    except GunileoError as error:
        complain(error)
    except ModuleNotFoundError as error:
        if (error.name or "gunileo").startswith("gunileo"):
            raise
        extra = {"ray": "ray", "PIL": "burn"}.get(error.name or "", "train")
        complain(f'{error.name} is needed and not installed; run: pip install "gunileo[{extra}]"')
    except Exception as error:
        complain(error, _fault(error))
    sys.exit(1)


def _fault(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # as of standard output
        place = error.filename or "the output"
        return f"{place}: can't be written ({error.strerror}); free some space or choose another place"
    return f"{type(error).__name__}: {error}; this is a bug in gunileo; report it with the output of --verbose"
