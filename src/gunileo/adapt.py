"""Beginning from a trained model: with a new talker's few clips, or going on with a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gunileo import registry
from gunileo.model import load_weights
from gunileo.registry import ModelError
from gunileo.train import Settings


def settings_from(model: Path | str) -> Settings:
    """Settings to train on from a shipped model, by its name, or from a finished run, by its folder.

    The layout is that of the weights. A run is gone on with by the settings of any other. A shipped model is
    adapted, which takes five to twenty clips of a new talker; see ``adapting``.

    Raises ``ModelError`` if there is no such model or a shipped file differs from its checksum, ``GunileoError``
    if the weights can't be used.
    """
    info = registry.shipped(model)
    if info:
        registry.released(info, info.weights)
    path = registry.WEIGHTS / info.weights if info else Path(model) / "model.safetensors"
    if not path.is_file():
        names = registry.names()
        raise ModelError(
            f"{model}: no model to begin from; give a shipped one's name ({names}) or a finished run's folder"
        )
    layout = load_weights(path).config
    begun = Settings(init=str(path), channels=layout.channels, crop=layout.crop, normalise=layout.normalise)
    return adapting(begun) if info else begun


def adapting(settings: Settings) -> Settings:
    """The same with what few clips of a new talker need."""
    return replace(
        settings,
        epochs=15,
        samples=60,
        batch_size=10,
        learning_rate=3e-4,
        weight_decay=0.0,
        anchor=1.0,
        word_weight=0.0,
        frozen=True,
        keep_last=True,
    )
