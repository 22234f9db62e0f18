"""``gunileo train``: train a network on a cache."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.options import CacheFolder, filled, listed
from gunileo.errors import Stopped
from gunileo.inference.registry import FALLBACK


class _Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class _Architecture(StrEnum):
    labial = "labial"
    wide = "labial-wide"
    shape = "labial-shape"


def train(
    cache: CacheFolder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder for the model and its logs.")],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Utterances to validate on, a list as for evaluate; a tenth of each speaker's, by hash, if left out.",
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="FILE", help="Utterances to train on; the rest, if none.")] = None,
    leave_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Utterances to keep away from training, such as a test list.")
    ] = None,
    speakers: Annotated[str | None, typer.Option(metavar="s1,s2", help="Speakers to train on; all, if none.")] = None,
    architecture: Annotated[
        _Architecture | None,
        typer.Option(help="The published one, or that of the better shipped model; labial if left out."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="60 if left out.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="16 if left out.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak of the one cycle; 0.001 if left out.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=1, help="Between the GRUs; 0.5 if left out.")] = None,
    device: Annotated[_Device, typer.Option(help="auto: CUDA if there.")] = _Device.auto,
    seed: Annotated[int, typer.Option()] = 0,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|RUN",
            help="Shipped model to adapt to new speakers, with settings of its own; or a run to train on from.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train LabialCNN on a cache and test it after each epoch.

    \b
      gunileo train caches/mine -o runs/mine
      gunileo train caches/me -o runs/me --init labial-wide

    With --init labial that shipped model learns a face from five to twenty clips, in minutes and part of the
    way; it has settings of its own for that, where none are given.
    """
    from gunileo.util.cores import sleep_while_waiting

    sleep_while_waiting()
    from collections import Counter
    from dataclasses import replace

    import torch

    from gunileo.corpus.split import training_parts
    from gunileo.inference.registry import weights_of
    from gunileo.training.config import from_scratch
    from gunileo.training.fine_tune import settings_from
    from gunileo.training.parallel import is_first
    from gunileo.training.train import train as run
    from gunileo.training.weights import ARCHITECTURES

    if device == _Device.cuda and not torch.cuda.is_available():
        raise typer.BadParameter("no CUDA device can be used here; use cpu", param_hint="--device")
    opened = filled(cache)
    away = set(listed(leave_out)) if leave_out else set()
    training, validation = training_parts(
        opened.utterances,
        listed(split) if split else None,
        listed(only) if only else None,
        away,
        speakers.split(",") if speakers else None,
        lambda clip: clip.has_crops,
    )
    if init and architecture not in (None, _Architecture.shape):
        raise typer.BadParameter(f"{init} has an architecture of its own; leave this out", param_hint="--architecture")
    of_each = Counter(clip.speaker for clip in training)
    fewest = min(of_each.values(), default=0)
    if architecture or not init:
        settings = from_scratch(ARCHITECTURES[architecture or _Architecture.labial])
        settings = replace(settings, init=str(weights_of(init)) if init else "")
    else:
        settings = settings_from(init, len(of_each), fewest)

    def say(line: str) -> None:
        if is_first():
            typer.echo(line)

    say(f"{len(training)} clips to train on, {len(validation)} to validate on")
    if shapes := sum(not clip.has_crops for clip in training):
        used = (
            "of these, only the shape is known"
            if settings.shapes
            else "have no crops, and this architecture needs them"
        )
        say(f"{shapes} clips to train on: {used}")
    if init and len(of_each) > 1:  # the speaker with the fewest says how much is learnt: a stray one should be seen
        counts = ", ".join(f"{name or '-'} {count}" for name, count in of_each.items())
        say(f"of each speaker, to train on: {counts}")
    if leave_out:
        say(f"{sum(not away.isdisjoint({clip.id, clip.speaker}) for clip in opened.utterances)} clips left out")
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "dropout": dropout}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = replace(settings, device=device.value, seed=seed, **chosen)  # type: ignore[arg-type]
    kept = "last" if settings.keep_last else "best"
    try:
        model = run(opened, training, validation, output, settings, resume)
    except KeyboardInterrupt:
        raise Stopped(f"{output}: stopped; go on with --resume") from None
    say(f"{model}: the {kept} epoch's model{f', with {init} as its fallback' if (output / FALLBACK).exists() else ''}")
