"""Beginning from a trained model: with a new talker's few clips, or going on with a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gunileo.inference import registry
from gunileo.training.config import Settings, laid_out
from gunileo.training.model import load_weights


def settings_from(model: Path | str, talkers: int = 1, clips: int = 20) -> Settings:
    """Settings to train on from a shipped model, by its name, or from a finished run, by its folder.

    The layout is that of the weights. A run is gone on with by the settings of any other. A shipped model is
    adapted, which takes five to twenty ``clips`` of a new talker, by ``adapting``.

    Raises ``ModelError`` if there is no such model or a shipped file differs from its checksum, ``GunileoError``
    if the weights can't be used.
    """
    path = registry.weights_of(model)
    if info := registry.shipped(model):
        registry.released(info, info.file)  # which reads on beside the new one: checked before any training
    layout = load_weights(path).config
    begun = replace(laid_out(layout), init=str(path), normalise=layout.normalise)
    return adapting(begun, talkers, clips) if info else begun


def adapting(settings: Settings, talkers: int = 1, clips: int = 20) -> Settings:
    """The same with what so few ``clips`` of a new talker need.

    The weights may go anywhere, as the model that they began with reads on beside the new one: each clip is read by
    the network that it goes better with, and so the talker of before is not forgotten. With clips of several
    ``talkers``, of whom the one of before should be one, the new face is learnt better, and well enough half-way to
    hear when words are said of which the text alone is known; what is heard then teaches as word times do.

    The convolutions learn along where they are as small as with ``feedback``, and so does the head that names words.
    The published layout's stay, as moving them made nothing better and took four times as long; it has no such head.

    The last epoch is kept, as one or two validation clips can't choose one. A clip is seen six times an epoch at most:
    what a few are seen more often teaches to be certain, and takes longer.
    """
    alone = talkers == 1
    learning = replace(
        settings,
        epochs=10 if alone else 12,
        samples=min(60 if alone or not settings.feedback else 100, 6 * clips),
        batch_size=10,
        learning_rate=5e-4 if alone else 1e-3,
        weight_decay=0.0,
        beside=True,
        hear_from=5 if settings.feedback and not alone else 0,
        keep_last=True,
    )
    if settings.feedback:
        return learning
    return replace(learning, word_weight=0.0, augmentation=replace(settings.augmentation, join=0.0), frozen=True)


def teaching(model: Path | str, takes: int) -> Settings:
    """Settings by which a user's own takes are learnt: as few clips of a new talker are, but without the first model
    beside, as nobody else is to be read any more. Raises as ``settings_from`` does.

    This process loads them itself, as beginning another for every epoch took longer than loading does.
    """
    settings = settings_from(model, clips=takes)
    settings = settings if registry.shipped(model) else adapting(settings, clips=takes)
    return replace(settings, beside=False, workers=0)
