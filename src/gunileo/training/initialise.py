"""The network of a run: from scratch, or initialised with the weights of a file."""

from __future__ import annotations

from dataclasses import replace

from gunileo.errors import GunileoError
from gunileo.training.config import TrainingConfig
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import Network, load_weights


def network(settings: TrainingConfig, words: tuple[str, ...], sentence: float | None = None) -> Network:
    """The network that a run trains, for clips that say ``words`` (those of which the times are known). A ``sentence``
    of theirs lasts so many seconds, as ``usual_sentence`` tells.

    Raises ``GunileoError`` as ``initialise`` and ``initialise_shapes`` do.
    """
    common = {
        "channels": settings.channels,
        "shrink": settings.shrink,
        "dropout": settings.dropout,
        "feature_dropout": settings.feature_dropout,
    }
    if settings.shapes:
        shapes = ShapeConfig(
            **common,  # type: ignore[arg-type]
            normalise=settings.normalise and not settings.init,
            words=words,
            sentence=sentence or 0.0,
        )
        model = initialise_shapes(settings.init, shapes) if settings.init else LabialShape(shapes)
        if sentence == 0:  # longer sentences need not be slower ones here, whatever the first weights learnt from
            model.config = replace(model.config, sentence=0.0)
        return model
    config = ModelConfig(
        **common,  # type: ignore[arg-type]
        self_conditioning=settings.self_conditioning,
        normalise=settings.normalise,
        words=words if settings.word_weight or settings.self_conditioning else (),
    )
    return initialise(settings.init, config) if settings.init else LabialCNN(config)


def initialise(weights: str, config: ModelConfig) -> LabialCNN:
    """A model of ``config``, initialised with the weights of a safetensors file.

    The word head is kept if it has all of the new words. It is fresh if it has not, or if the file has none, as the
    shipped ``labial`` has. Raises ``GunileoError`` if the file can't be used or has another architecture.
    """
    initial = load_weights(weights)
    if not isinstance(initial, LabialCNN):
        raise GunileoError(f"{weights}: takes shapes, and this run's architecture doesn't; leave it out")
    config = replace(config, hidden=initial.config.hidden)
    if (config.words or config.self_conditioning) and set(config.words) <= set(initial.config.words):
        config = replace(config, words=initial.config.words)
    dropped = {name: getattr(config, name) for name in ("dropout", "feature_dropout", "words")}
    if replace(initial.config, **dropped) != config:
        raise GunileoError(
            f"{weights}: its architecture is not that of this run's settings; leave it out, or give its settings"
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


def initialise_shapes(weights: str, config: ShapeConfig) -> LabialShape:
    """A LabialShape, initialised with the weights of another, or with the convolutions over pixels of a LabialCNN.

    The words of another LabialShape stay, and the length of its sentences, if it has one. If it has not all of the new
    words, its heads are fresh, and sentences have the new length. Raises ``GunileoError`` if the file can't be used, or
    its convolutions have other sizes.
    """
    initial = load_weights(weights)
    if (initial.config.channels, initial.config.shrink) != (config.channels, config.shrink):
        raise GunileoError(f"{weights}: its convolutions have other sizes than this architecture's; leave it out")
    if isinstance(initial, LabialCNN):
        model = LabialShape(config)
        model.load_state_dict(initial.folded_convolutions(), strict=False)
        return model
    known = set(config.words) <= set(initial.config.words)
    config = replace(config, normalise=initial.config.normalise)
    if known:
        sentence = initial.config.sentence or config.sentence
        config = replace(config, words=initial.config.words, sentence=sentence)
    model = LabialShape(config)
    state = {
        name: value for name, value in initial.state_dict().items() if known or not name.startswith(("words.", "back."))
    }
    model.load_state_dict(state, strict=known)
    return model
