"""The ``gunileo`` command: one verb a job. Whatever a verb needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from gunileo import cli_corpus, cli_download, cli_model, cli_read, cli_teach
from gunileo.arguments import complain
from gunileo.errors import GunileoError

app = typer.Typer(
    help="Read lips: a video of a talking face goes in, the words come out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    cli_read.transcribe,
    cli_teach.teach,
    cli_teach.forget,
    cli_model.models,
    cli_download.download,
    cli_corpus.prepare,
    cli_corpus.sheet,
    cli_model.train,
    cli_model.evaluate,
    cli_model.export,
    cli_model.summary,
    cli_model.demo,
):
    app.command()(verb)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 all done, 1 something failed, 2 wrong usage."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a damaged picture gets a line of ours
    try:
        app(args=arguments, prog_name="gunileo")
    except GunileoError as error:
        complain(error)
    except ModuleNotFoundError as error:
        if (error.name or "gunileo").startswith("gunileo"):
            raise
        complain(f'{error.name} is not installed, which this needs; run: pip install "gunileo[train]"')
    sys.exit(1)
