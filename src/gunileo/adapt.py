"""Beginning from a trained model: with a new talker's few clips, or going on with a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gunileo import registry
from gunileo.model import load_weights
from gunileo.train import Settings, laid_out


def settings_from(model: Path | str, talkers: int = 1) -> Settings:
    """Settings to train on from a shipped model, by its name, or from a finished run, by its folder.

    The layout is that of the weights. A run is gone on with by the settings of any other. A shipped model is
    adapted, which takes five to twenty clips of a new talker, by ``adapting``.

    Raises ``ModelError`` if there is no such model or a shipped file differs from its checksum, ``GunileoError``
    if the weights can't be used.
    """
    path = registry.weights_of(model)
    layout = load_weights(path).config
    begun = replace(laid_out(layout), init=str(path), normalise=layout.normalise)
    return adapting(begun, talkers) if registry.shipped(model) else begun


def adapting(settings: Settings, talkers: int = 1) -> Settings:
    """The same with what few clips of a new talker need.

    The convolutions stay: moving them too made nothing better and took four times as long. The other weights are
    drawn back to where they began, or the talker of before would be forgotten; so they learn less of the new one.
    With clips of several ``talkers``, of whom the one of before should be one, they are left free.

    The last epoch is kept, as one or two validation clips can't choose one.
    """
    return replace(
        settings,
        epochs=10,
        samples=60,
        batch_size=10,
        learning_rate=1e-3 if talkers > 1 else 5e-4,
        weight_decay=0.0,
        anchor=0.0 if talkers > 1 else 200.0,
        word_weight=0.0,
        augmentation=replace(settings.augmentation, join=0.0),  # as it was measured
        frozen=True,
        keep_last=True,
    )
