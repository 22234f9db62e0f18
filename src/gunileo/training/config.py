"""The configuration of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from gunileo.training.augmentation import Augmentation
from gunileo.training.model import ModelConfig
from gunileo.training.shape_augmentation import ShapeAugmentation
from gunileo.training.shape_model import ShapeConfig


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a run, as RUN/settings.json holds them. Comments name the original project's values."""

    epochs: int = 60
    batch_size: int = 16  # original: 32
    learning_rate: float = 1e-3  # the peak of one cycle; original: 1e-4 throughout
    weight_decay: float = 0.01  # of AdamW, as in the original
    gradient_clip: float = 5.0  # norm; original: none
    word_weight: float = 2.0  # of the loss that names the word in each frame; original: no such loss
    curriculum: float = 0.5  # share of the run in which samples grow from word spans to whole sentences; original: none
    spans_at_end: float = 0.15  # share of samples that are word spans after that; original: none
    shapes: bool = False  # a LabialShape, which takes the mouth's shape beside its crop; original: pixels alone
    channels: tuple[int, ...] = (8, 16, 32)  # as in the original
    shrink: int = 1  # pixels, each way, averaged to one; original: none
    dropout: float = 0.5  # between the GRUs, as in the original
    self_conditioning: bool = False  # the second GRU gets the word that the first one names; original: no
    feature_dropout: float = 0.3  # of what the convolutions give; original: none
    normalise: bool = True  # batch normalisation, folded away on export; original: none
    augmentation: Augmentation = field(default_factory=Augmentation)  # original: none
    shape_augmentation: ShapeAugmentation = field(default_factory=ShapeAugmentation)
    shape_batch: int = 64  # clips of shapes alone in a batch
    crop_repeats: int = 3  # times that clips with crops are drawn in an epoch in which each shape comes once
    shapes_alone: float = 0.3  # share of the clips with crops that are given as shapes alone
    visual_rate: float = 1.0  # of the learning rate, for the convolutions over pixels
    seed: int = 0
    init: str = ""  # weights to initialise from, past the curriculum; original: none
    samples: int = 0  # in an epoch, of the speaker with the fewest clips (``sampling.balanced``); each clip once if 0
    frozen: bool = False  # the convolutions keep their first weights
    inputs_alone: bool = False  # of a LabialShape, only the layers that take crops and shape in learn
    looks: int = 0  # at each clip's crops, that frozen convolutions of a LabialShape have once; anew each time if 0
    fallback: bool = False  # the initial model stays as the new one's fallback, if all clips say GRID's sentences
    pseudo_align_from: int = 0  # after so many epochs, clips without word times get pseudo-alignments; never if 0
    keep_last: bool = False  # the last epoch's weights are the result, not the best's
    device: str = "auto"  # CUDA if there, as in the original
    precision: str = "auto"  # bfloat16 where the processor or the graphics card has it
    workers: int | None = None  # processes that load clips; by device and cores (``loaders``) if None


def loaders(device: str, cores: int, trainers: int = 1) -> int:
    """How many processes load clips for each of the ``trainers`` on a machine with so many ``cores``.

    A processor that trains needs nearly all cores itself: it takes 10 clips a second from each core, and a core that
    loads gives over 40. A graphics card takes whatever the cores give, all but one that feeds it.
    """
    mine = cores // trainers
    return max(1, mine // 4 if device == "cpu" else mine - 1)


def from_scratch(architecture: ModelConfig | ShapeConfig) -> TrainingConfig:
    """The settings to train an architecture from scratch."""
    if isinstance(architecture, ShapeConfig):
        return TrainingConfig(
            shapes=True,
            epochs=8,
            learning_rate=1.5e-3,
            word_weight=1.0,
            curriculum=0.0,
            spans_at_end=0.1,
            channels=architecture.channels,
            shrink=architecture.shrink,
            dropout=architecture.dropout,
            feature_dropout=architecture.feature_dropout,
            self_conditioning=True,
            augmentation=Augmentation(rotation=7, scale=0.12, stretch=0.07, contrast=0.15, shade=0.35, speed=0.15),
            visual_rate=0.3,
            keep_last=True,
        )
    return TrainingConfig(
        channels=architecture.channels,
        shrink=architecture.shrink,
        self_conditioning=architecture.self_conditioning,
    )
