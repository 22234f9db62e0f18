"""A network in an ONNX file: what it says of a clip's mouths."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gunileo.decoding.ctc import DecodeError
from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.decoders import Answers
from gunileo.inference.metadata import ModelMetadata, Search
from gunileo.inference.registry import ModelError
from gunileo.inference.session import Session
from gunileo.vision.crop import normalise
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import FPS
from gunileo.vision.view import View


@dataclass(frozen=True)
class Network:
    """A loaded network, with the name that it was asked for by. Any number of threads may call it."""

    name: str
    session: Session = field(repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)  # that it names in each frame, if it has a word head
    shapes: bool = field(default=False, repr=False)  # whether it takes the mouth's shape beside the crops
    checksum: str = field(default="", repr=False)  # sha256 of the model file
    metadata: ModelMetadata = field(default_factory=ModelMetadata, repr=False)  # as the model file tells
    view: View | None = field(default=None, repr=False)  # makes the pictures that it takes, if not the mouth crops
    search: Search | None = field(default=None, repr=False)  # decodes beside CTC, if anything does

    @property
    def vocabulary(self) -> Vocabulary:
        """What its classes stand for; grammars and word lists are spelled in it."""
        return self.metadata.vocabulary

    def predict(self, clip: MouthClip) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """``log_probabilities``, and those of the word said in each frame, [T, 1 + words], silence the first.

        Both are natural logarithms, float32. The second is None of a model that names no words, such as the published
        architecture. Raises as ``log_probabilities``.
        """
        answers = self.answers(clip)
        return answers.log_probabilities, answers.named

    def answers(self, clip: MouthClip) -> Answers:
        """All that the network says of a clip. Raises as ``log_probabilities``."""
        names = ["log_probabilities", *["words"][: len(self.words)], *(["features"] if self.search else [])]
        found = dict(zip(names, self._outputs(names, clip), strict=True))
        return Answers(found["log_probabilities"], found.get("words"), found.get("features"))

    def log_probabilities(self, clip: MouthClip) -> NDArray[np.float32]:
        """Natural logarithms of the class probabilities, float32 [T, C], of a clip of T frames.

        Of an adapted model they are its new network's; ``best_prediction`` has those of the one that reads the clip.
        Raises ``ModelError`` if the network answers with what is no number, as one whose training broke does;
        ``DecodeError`` if the clip has no frames, or more than it takes at once (``ModelMetadata.longest``).
        """
        return self._outputs(["log_probabilities"], clip)[0]

    def features(self, clip: MouthClip) -> NDArray[np.float32]:
        """What the first GRU makes of each frame, float32 [T, F], of a clip of T frames.

        Raises ``ModelError`` as ``log_probabilities`` does, and if the model's file is too old to tell.
        """
        if "features" not in self.session.outputs():
            raise ModelError(f"{self.name}: made by an older version, without features; export or train it again")
        return self._outputs(["features"], clip)[0]

    def inputs(self, clip: MouthClip) -> dict[str, NDArray[np.float32]]:
        """What the network takes of a clip, by its inputs' names, each with a batch of one.

        Crops are float32 [1, 1, T, 100, 150], the mouth's shape is float32 [1, T, 12].
        Raises ``ModelError`` if it takes the pictures of a ``view``, and the clip was followed without. Raises
        ``DecodeError`` if the clip has no frames.
        """
        if not len(clip):
            raise DecodeError("the clip has no frames; give at least one")
        if self.view:
            if clip.views is None:
                raise ModelError(
                    f"{self.name}: takes other pictures than mouth crops ({self.metadata.input}); give a video"
                )
            return self.view.inputs(clip.views)
        crops = {"regions": normalise(clip.crops)[None, None]}
        return {**crops, "shape": clip.shape()[None]} if self.shapes else crops

    def too_long(self, clip: MouthClip) -> bool:
        """Whether a clip has more frames than the network takes at once."""
        return self.metadata.longest is not None and len(clip) > self.metadata.longest

    def _outputs(self, names: list[str], clip: MouthClip) -> list[NDArray[np.float32]]:
        if self.metadata.longest and self.too_long(clip):
            most = self.metadata.longest // FPS
            raise DecodeError(f"{len(clip) / FPS:.1f} s, and {self.name} takes {most} s at once; cut the clip")
        inputs = self.inputs(clip)
        try:
            outputs = [np.asarray(output[0], np.float32) for output in self.session.run(names, inputs)]
        except Exception as error:  # as in ``Session``
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.name}: the model can't be run ({reason}); train or export it again") from error
        sizes = {"log_probabilities": len(self.vocabulary), "words": 1 + len(self.words)}
        if self.view:  # some networks need more frames than a clip may have
            outputs = [output[: len(clip)] for output in outputs]
        for name, output in zip(names, outputs, strict=True):
            if output.shape != (len(clip), sizes.get(name, output.shape[-1])):
                raise ModelError(f"{self.name}: the model answers {output.shape}; train or export it again")
        if any(np.isnan(output).any() for output in outputs):
            raise ModelError(f"{self.name}: the model's output is not a number; its weights are broken, use another")
        return outputs
