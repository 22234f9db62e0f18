"""``gunileo train``: train a network on a cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gunileo.cli.clips import filled
from gunileo.cli.options import CacheFolder
from gunileo.errors import Stopped
from gunileo.inference.registry import FALLBACK

if TYPE_CHECKING:
    from gunileo.corpus.cache import CachedUtterance
    from gunileo.training.config import TrainingConfig


class _Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class _Architecture(StrEnum):
    labial = "labial"
    wide = "labial-wide"
    shape = "labial-shape"


_Output = Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder for the model and its logs.")]
_Split = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="List of utterances to validate on, as for evaluate. By default a tenth of each speaker's clips.",
    ),
]
_Only = Annotated[
    str | None, typer.Option(metavar="FILE", help="List of utterances to train on. By default all others.")
]
_LeaveOut = Annotated[
    str | None, typer.Option(metavar="FILE", help="List of utterances to leave out, such as test clips.")
]
_Speakers = Annotated[str | None, typer.Option(metavar="s1,s2", help="Speakers to train on. By default all.")]
_Kind = Annotated[
    _Architecture | None,
    typer.Option(help="Architecture, named as the shipped model that has it. By default labial, the published one."),
]
_Epochs = Annotated[int | None, typer.Option(min=1, help="Number of epochs; 60 by default.")]
_BatchSize = Annotated[int | None, typer.Option(min=1, help="Clips in a batch; 16 by default.")]
_LearningRate = Annotated[float | None, typer.Option(min=0, help="Peak of the learning rate; 0.001 by default.")]
_Dropout = Annotated[float | None, typer.Option(min=0, max=1, help="Dropout between the GRUs; 0.5 by default.")]
_Init = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL|RUN",
        help="Shipped model to adapt to new speakers, or a finished run to train further.",
    ),
]


def train(
    cache: CacheFolder,
    output: _Output,
    split: _Split = None,
    only: _Only = None,
    leave_out: _LeaveOut = None,
    speakers: _Speakers = None,
    architecture: _Kind = None,
    epochs: _Epochs = None,
    batch_size: _BatchSize = None,
    learning_rate: _LearningRate = None,
    dropout: _Dropout = None,
    device: Annotated[_Device, typer.Option(help="Where to train. auto: CUDA if there is any.")] = _Device.auto,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    init: _Init = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
) -> None:
    """Train a network on a cache, and test it after each epoch.

    \b
      gunileo train caches/mine -o runs/mine
      gunileo train caches/me -o runs/me --init labial-shape

    With --init labial-shape, that model learns a new face from five to twenty clips, in about a minute. With --init or
    with --architecture labial-shape, the defaults differ from those below.
    """
    from gunileo.util.cores import sleep_while_waiting

    sleep_while_waiting()
    from gunileo.corpus.split import listed, training_parts
    from gunileo.training.train import train as run

    _check(device, architecture, init)
    opened = filled(cache)
    lists = [listed(name) if name else None for name in (split, only, leave_out)]
    away = set(lists[2] or ())
    chosen = speakers.split(",") if speakers else None
    utterances = opened.utterances
    training, validation = training_parts(utterances, lists[0], lists[1], away, chosen, lambda clip: clip.has_crops)
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "dropout": dropout}
    settings = _settings(training, architecture, init, {"device": device.value, "seed": seed, **given})
    _announce(training, validation, settings)
    if leave_out:
        _say(f"{sum(not away.isdisjoint({clip.id, clip.speaker}) for clip in opened.utterances)} clips left out")
    try:
        model = run(opened, training, validation, output, settings, resume)
    except KeyboardInterrupt:
        raise Stopped(f"{output}: stopped; go on with --resume") from None
    kept = "last" if settings.keep_last else "best"
    _say(f"{model}: the {kept} epoch's model{f', with {init} as its fallback' if (output / FALLBACK).exists() else ''}")


def _check(device: _Device, architecture: _Architecture | None, init: str | None) -> None:
    import torch

    if device == _Device.cuda and not torch.cuda.is_available():
        raise typer.BadParameter("no CUDA device was found; use cpu", param_hint="--device")
    if init and architecture not in (None, _Architecture.shape):
        raise typer.BadParameter(f"{init} has its own architecture; leave this option out", param_hint="--architecture")


def _settings(
    training: Sequence[CachedUtterance], architecture: _Architecture | None, init: str | None, given: dict[str, Any]
) -> TrainingConfig:
    """The settings of an architecture, or those to train on from a model; those that are ``given`` (not None) first."""
    from gunileo.corpus.grid import is_grid
    from gunileo.inference.registry import weights_of
    from gunileo.training.config import from_scratch
    from gunileo.training.fine_tune import settings_from
    from gunileo.training.weights import ARCHITECTURES

    if init and not architecture:  # the speaker with the fewest clips says how much is learnt
        of_each = Counter(clip.speaker for clip in training)
        sentences = all(is_grid(clip.text) for clip in training)
        settings = settings_from(init, len(of_each), min(of_each.values(), default=0), sentences)
    else:
        settings = from_scratch(ARCHITECTURES[architecture or _Architecture.labial])
        settings = replace(settings, init=str(weights_of(init)) if init else "")
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _announce(
    training: Sequence[CachedUtterance], validation: Sequence[CachedUtterance], settings: TrainingConfig
) -> None:
    """Print what a run trains on."""
    _say(f"{len(training)} clips to train on, {len(validation)} to validate on")
    if shapes := sum(not clip.has_crops for clip in training):
        if settings.shapes:
            _say(f"{shapes} of the clips to train on have only the mouth's shape")
        else:
            _say(f"{shapes} clips are left out: they have no crops, and this architecture needs them")
    of_each = Counter(clip.speaker for clip in training)
    if settings.init and len(of_each) > 1:  # a stray speaker should be seen: the fewest clips decide what is learnt
        counts = ", ".join(f"{name or '-'} {count}" for name, count in of_each.items())
        _say(f"clips of each speaker to train on: {counts}")


def _say(line: str) -> None:
    """Print a line; of several processes of a run, the first alone does."""
    from gunileo.training.parallel import is_first

    if is_first():
        typer.echo(line)
