"""The ``gunileo`` command: one verb a job. Whatever a verb needs is imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gunileo import arguments as shared
from gunileo import cli_corpus, cli_download, cli_live, cli_model, cli_read, cli_serve, cli_teach
from gunileo.arguments import complain
from gunileo.errors import GunileoError, Stopped

_CTRL_C = 130  # what shells report of a program that Ctrl-C ended
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Read lips": (cli_read.transcribe, cli_live.live, cli_serve.serve),
    "Teach a model your own commands": (cli_teach.teach, cli_teach.forget),
    "Train a network": (
        cli_download.download,
        cli_corpus.prepare,
        cli_corpus.sheet,
        cli_model.train,
        cli_model.evaluate,
    ),
    "Look at models": (cli_model.models, cli_model.summary, cli_model.export, cli_model.bench),
    "Without a video at hand": (cli_model.demo,),
}


class _Verbs(TyperGroup):
    """All verbs, listed by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in _PANELS.items():
            with formatter.section(title):
                commands = [self.commands[verb.__name__] for verb in verbs]
                formatter.write_dl([(command.name, command.get_short_help_str(90)) for command in commands])


app = typer.Typer(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for verb in (verb for verbs in _PANELS.values() for verb in verbs):
    app.command()(verb)


@app.callback()
def _gunileo(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show an error's trace too, for a report of it.")] = False,
) -> None:
    """Read lips: a video of a talking face goes in, the words come out. No sound is used.

    Begin with one of these; each verb tells more with --help:

    \b
      gunileo transcribe talk.mp4              print what is said
      gunileo transcribe talk.mp4 --burn       and draw it into the video
      gunileo live                             read your camera as you speak
      gunileo serve                            all that in your browser
      gunileo demo                             see it all work on a made-up face

    The models that come with it read the sentences of one talker well and strangers badly ("not sure: ..."). To read
    your own commands from your own face, film each once or twice: teach.
    """
    shared.verbose = verbose


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 all done, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--verbose" in given:  # it may come after the verb, too
        given = ["--verbose", *(argument for argument in given if argument != "--verbose")]
    try:
        app(args=given, prog_name="gunileo")
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
        complain(f'{error.name} is not installed, which this needs; run: pip install "gunileo[{extra}]"')
    except Exception as error:
        complain(error, f"{type(error).__name__}: {error}; a fault of gunileo's: report what --verbose shows of it")
    sys.exit(1)
