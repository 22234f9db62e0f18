"""``gunileo bench``: measure how fast this machine reads lips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.options import Device, Model, RunsOn
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT


def bench(
    clip: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Video of about three seconds. By default a made-up face.")
    ] = None,
    model: Model = DEFAULT,
    device: RunsOn = Device.auto,
) -> None:
    """Measure how fast this machine reads lips.

    \b
      gunileo bench --clip talk.mp4

    Measures matrix products, reading a clip, the network alone, a camera and a cold start. Prints the median and the
    range of nine runs of each. Without --clip it needs the extra "train".
    """
    from tempfile import TemporaryDirectory

    from gunileo.inference.bench import measure

    with TemporaryDirectory() as folder:
        for measurement in measure(clip or _made_up(Path(folder)), model, device.value):
            typer.echo(f"{measurement.name:<30}{measurement.median:8.3g} {measurement.unit:<12}({measurement.range})")


def _made_up(folder: Path) -> Path:
    try:
        from gunileo.corpus.synthetic import make_corpus

        return make_corpus(folder, ["bbaf2n"])[0]
    except ModuleNotFoundError as error:
        how = 'give --clip FILE, or run: pip install "gunileo[train]"'
        raise GunileoError(f"{error.name} is not installed, which making a clip needs; {how}") from error
