"""The weights that a run is initialised with."""

from __future__ import annotations

from dataclasses import replace

from gunileo.errors import GunileoError
from gunileo.training.model import LabialCNN, ModelConfig, load_weights


def initialise(weights: str, config: ModelConfig) -> LabialCNN:
    """A model of ``config``, initialised with the weights of a safetensors file.

    The word head is kept if it has all of the new words. It is fresh if it has not, or if the file has none, as the
    shipped ``labial`` has. Raises ``GunileoError`` if the file can't be used or has another architecture.
    """
    initial = load_weights(weights)
    config = replace(config, hidden=initial.config.hidden)
    if (config.words or config.self_conditioning) and set(config.words) <= set(initial.config.words):
        config = replace(config, words=initial.config.words)
    dropped = {name: getattr(config, name) for name in ("dropout", "feature_dropout", "words")}
    if replace(initial.config, **dropped) != config:
        raise GunileoError(
            f"{weights}: has another architecture than this run's settings; leave it out, or give its own"
        )
    model = LabialCNN(config)
    fresh = model.state_dict()
    for name, value in initial.state_dict().items():
        if initial.config.words == config.words or not name.startswith(("words.", "second.weight_ih")):
            fresh[name] = value
        elif name.startswith("second"):  # its weights of the first GRU stay; those of the words are fresh
            fresh[name][:, : 2 * config.hidden] = value[:, : 2 * config.hidden]
    model.load_state_dict(fresh)
    return model
