"""``gunileo export``: write a model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL|RUN", help="Shipped model, or a finished run's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The file to write.")],
) -> None:
    """Write a model as an ONNX file that any ONNX runtime can use.

    \b
      gunileo export runs/mine -o mine.onnx

    The file's output is compared with PyTorch's. Its metadata hold classes, frame rate, crop size, normalisation, and
    facts about the model.
    """
    from gunileo.training.export import export_model

    difference = export_model(model, output)
    typer.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, differs from PyTorch by {difference:.1g} at most")
