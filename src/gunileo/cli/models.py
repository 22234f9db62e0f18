"""``gunileo models``: list the models that are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.inference.registry import ModelInfo


def models(
    known: Annotated[
        bool, typer.Option("--known", help="List models that others published, for 'gunileo import'.")
    ] = False,
) -> None:
    """List the models that can be used, and how well they read.

    \b
      gunileo models
      gunileo models --known

    Lists the shipped models, those that you taught, and those that you imported.
    """
    from gunileo.inference.registry import available_models, imported_models, taught_models

    if known:
        _list_known()
        return
    found = available_models()
    if not found:
        raise GunileoError("no models come with this installation; reinstall gunileo, or give --model an .onnx file")
    for info in found:
        typer.echo(
            f"{info.name}\n"
            f"  parameters          {info.parameters / 1e6:.1f} million\n"
            f"  word error rate     {info.wer_greedy:.1%} greedy, {info.wer_grammar:.1%} with the grammar\n"
            f"  character error     {info.cer_greedy:.1%} greedy, {info.cer_grammar:.1%} with the grammar\n"
            f"  measured on         {info.measured_on}\n"
            + unseen(info)
            + f"  time for a clip     {info.milliseconds:.0f} ms for three seconds, from mouth crops to words\n"
            f"  trained on          {info.trained_on}\n"
            f"  size                {info.bytes[info.file] / 1e6:.1f} MB\n"
            f"  license             {info.license}\n"
            f"  attribution         {info.attribution}"
        )
    for model in taught_models():
        typer.echo(model.summary())
    for stored in imported_models():
        typer.echo(stored.summary())


_LANGUAGES = {"en": "English", "zh": "Mandarin", "es": "Spanish", "pt": "Portuguese", "fr": "French"}


def _list_known() -> None:
    """The published models, with their authors' figures."""
    from gunileo.published.catalogue import KNOWN

    typer.echo("All figures are the authors'. None was measured with Gunileo.")
    for one in KNOWN:
        get = f"gunileo import {one.name}" if one.files else f"by hand, then gunileo import FILE --name {one.name}"
        typer.echo(
            f"{one.name}\n  reads               {'sentences of GRID' if one.grammar else _LANGUAGES[one.reads]}\n"
            f"  get it              {get}\n  page                {one.page}\n"
            f"  by its authors      {one.published}\n  size                {one.megabytes} MB\n"
            f"  license             {one.license}"
        )
        for file in (*one.files, *one.language_model):
            check = file.sha256 or file.md5_start or file.git_blob
            kind = "sha256 " if file.sha256 else "md5 begins " if file.md5_start else "git blob "
            typer.echo(
                f"  file                {file.address}" + (f"\n                      {kind}{check}" if check else "")
            )


def unseen(info: ModelInfo) -> str:
    """A line on speakers that were not trained on, if that was measured."""
    if info.unseen_wer_greedy is None:
        return ""
    rates = f"{info.unseen_wer_greedy:.1%} greedy, {info.unseen_wer_grammar:.1%} with the grammar"
    return f"  unseen speakers     {rates}, on {info.unseen_on}\n"
