"""Training on from a trained model: with a new speaker's few clips, or going on with a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gunileo.inference import registry
from gunileo.training.config import TrainingConfig, from_scratch
from gunileo.training.weights import load_weights


def settings_from(model: Path | str, speakers: int = 1, clips: int = 20, sentences: bool = True) -> TrainingConfig:
    """Settings to train on from a shipped model, by its name, or from a finished run, by its folder.

    The architecture is that of the weights. A run is trained on with the settings of any other; one of a LabialShape
    with those of ``second_stage``, and after that with those of ``third_stage``. A shipped model is adapted to a new
    speaker by five to twenty ``clips``, with the settings of ``adapting``; ``sentences`` says whether they are GRID's.

    Raises ``ModelError`` if there is no such model or a shipped file differs from its checksum, ``GunileoError``
    if the weights can't be used.
    """
    settings = initialised(model)
    if info := registry.shipped(model):
        registry.released(info, info.file)  # it is carried on: checked before any training
        return adapting(settings, speakers, clips, sentences)
    if not settings.shapes:
        return settings
    return third_stage(settings) if _is_frozen(Path(settings.init)) else second_stage(settings)


def _is_frozen(weights: Path) -> bool:
    """Whether the run that these weights are of kept its convolutions as they were: a second stage or a later one."""
    settings = weights.with_name("settings.json")
    return settings.exists() and json.loads(settings.read_text(encoding="utf-8")).get("frozen") is True


def initialised(model: Path | str) -> TrainingConfig:
    """The settings of a run from scratch, but for its first weights: a shipped model's or a run's.

    Raises as ``settings_from``, but doesn't look at a shipped model's ONNX file.
    """
    path = registry.weights_of(model)
    architecture = load_weights(path).config
    return replace(from_scratch(architecture), init=str(path), normalise=architecture.normalise)


def second_stage(settings: TrainingConfig) -> TrainingConfig:
    """The same to go on with a LabialShape whose convolutions have learnt.

    They stay as they are and look at each clip beforehand. So the layers after them see many more crops in an epoch.
    """
    return replace(
        settings,
        epochs=6,
        learning_rate=1e-3,
        frozen=True,
        looks=8,
        feature_dropout=0.2,
        batch_size=32,
        crop_repeats=8,
        shapes_alone=0.2,
    )


def third_stage(settings: TrainingConfig) -> TrainingConfig:
    """The same for a long run after the second stage, mostly of shapes.

    After the second stage the network reads shapes that it learnt from hardly better than those of other speakers. So
    it needs more epochs and less dropout. Crops are of few speakers: more draws of these would teach their faces.
    """
    return replace(second_stage(settings), epochs=20, looks=16, crop_repeats=3, dropout=0.05)


def adapting(settings: TrainingConfig, speakers: int = 1, clips: int = 20, sentences: bool = True) -> TrainingConfig:
    """The same with what so few ``clips`` of new ``speakers`` need; ``sentences`` says whether all are GRID's.

    The last epoch is kept, as one or two validation clips can't choose one. A clip is seen six times an epoch at most:
    what a few are seen more often teaches to be certain, and takes longer.

    A LabialShape knows many faces and GRID's sentences. So only the layers that take in crops and shape learn, and no
    normalisation's means change. If all weights learn, a few clips make it worse. It forgets little, and needs neither
    clips of a known speaker nor a fallback.
    """
    few = replace(
        settings,
        epochs=10,
        samples=min(60, 6 * clips),
        batch_size=10,
        learning_rate=5e-4,
        weight_decay=0.0,
        keep_last=True,
    )
    if settings.shapes and sentences:
        return replace(few, frozen=True, inputs_alone=True, looks=8)
    return _with_fallback(few, speakers, clips)


def _with_fallback(few: TrainingConfig, speakers: int, clips: int) -> TrainingConfig:
    """The same for a network that knows one face, or other sentences than those of the ``clips``.

    The weights may go anywhere, as the initial model stays as a fallback: it reads the clips that it is sure of, so the
    first speaker is not forgotten. With clips of several ``speakers``, of whom the first should be one, the new face is
    learnt better. Half-way the network is good enough for pseudo-alignments of clips that have a text alone; these then
    teach as word times do.

    The convolutions are trained too where they are as small as with ``self_conditioning``, and so is the word head.
    Those of the published architecture stay: training them made nothing better and took four times as long. It has no
    word head.
    """
    learning = replace(few, fallback=True)
    if speakers > 1:
        learning = replace(learning, epochs=12, learning_rate=1e-3)
    if few.self_conditioning and speakers > 1:
        return replace(learning, samples=min(100, 6 * clips), pseudo_align_from=5)
    if few.self_conditioning:
        return learning
    return replace(learning, word_weight=0.0, augmentation=replace(few.augmentation, concatenation=0.0), frozen=True)


def teaching(model: Path | str, recordings: int, sentences: bool = False) -> TrainingConfig:
    """Settings to learn a user's own recordings: as a few clips of a new speaker are learnt, but without a fallback
    model, as nobody else is to be read any more. ``sentences`` says whether all are GRID's.

    Raises as ``settings_from`` does.

    Clips are loaded by this process: starting another for every epoch took longer than loading does.
    """
    return replace(adapting(initialised(model), 1, recordings, sentences), fallback=False, workers=0)
