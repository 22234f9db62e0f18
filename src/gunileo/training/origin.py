"""The weights that a run begins with."""

from __future__ import annotations

from dataclasses import replace

from gunileo.errors import GunileoError
from gunileo.training.model import LabialCNN, ModelConfig, load_weights


def begin(weights: str, config: ModelConfig) -> LabialCNN:
    """A model of ``config`` that begins with the weights of a safetensors file.

    The head that names words is taken over if it has all of the new words, and fresh if it has not, or if the file
    has none, as published layouts shipped. Raises ``GunileoError`` if the file can't be used or has another layout.
    """
    begun = load_weights(weights)
    config = replace(config, hidden=begun.config.hidden)
    if (config.words or config.feedback) and set(config.words) <= set(begun.config.words):
        config = replace(config, words=begun.config.words)
    dropped = {name: getattr(config, name) for name in ("dropout", "feature_dropout", "words")}
    if replace(begun.config, **dropped) != config:
        raise GunileoError(f"{weights}: has another layout than this run's settings; leave it out, or give its own")
    model = LabialCNN(config)
    fresh = model.state_dict()
    for name, value in begun.state_dict().items():
        if begun.config.words == config.words or not name.startswith(("words.", "second.weight_ih")):
            fresh[name] = value
        elif name.startswith("second"):  # what it hears of the first GRU stays; what of the words begins anew
            fresh[name][:, : 2 * config.hidden] = value[:, : 2 * config.hidden]
    model.load_state_dict(fresh)
    return model
