"""Load a model once, read many clips: ONNX Runtime, without PyTorch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import CLASSES
from gunileo.decoding.ctc import DECODERS, Decoded, DecodeError, Floats, How, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.inference import registry, templates, timing
from gunileo.inference.confidence import Calibrations, confidence_features, from_json, negative_log_likelihood
from gunileo.inference.inputs import Source, frames_of, name_of
from gunileo.inference.live import Live, moved, sentences
from gunileo.inference.registry import ModelError, content_of
from gunileo.inference.session import Session
from gunileo.inference.templates import Match, Templates
from gunileo.output.transcript import Transcript, Word, joined
from gunileo.util.onnx import Device
from gunileo.vision.crop import HEIGHT, WIDTH, normalise
from gunileo.vision.face import Face
from gunileo.vision.mouth import Mouth, MouthClip, MouthError, mouth_stream, stretches, unreadable
from gunileo.vision.speech_activity import LONGEST, moving
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, ahead

# How an ONNX file names another that holds its weights (onnx.proto: external_data, key "location"); none of ours does,
# and one from elsewhere could name any file of the working folder.
_OUTSIDE = re.compile(rb"\n(?:\x08|\x88\x80{0,8}\x00)location")


@dataclass(frozen=True)
class Reader:
    """A loaded model, called as it was asked for; ``load_model`` makes one.

    Any number of threads may read with one at the same time, and so may processes that are forked after it was loaded
    or used. It pickles as the place of its model's file, which has to be the same where it is unpickled
    (``ModelError`` if not); a copy shares the network.
    """

    name: str
    session: Session = field(repr=False)
    calibrations: Calibrations = field(default_factory=dict, repr=False)  # as the model file carries them, or none
    timing: timing.Timing | None = field(default=None, repr=False)  # as the model file carries it
    words: tuple[str, ...] = field(default=(), repr=False)  # that it names in each frame, if it has a word head
    shapes: bool = field(default=False, repr=False)  # whether it takes the mouth's shape beside the crops
    checksum: str = field(default="", repr=False)  # sha256 of the model file
    templates: Templates | None = field(default=None, repr=False)  # of a taught model: its commands are its grammar
    fallback: Reader | None = field(default=None, repr=False)  # reads what it is sure of

    def transcribe(
        self,
        source: Source,
        decode: How = "grammar",
        grammar: Grammar | None = None,
        face: Face = "largest",
        fps: float | None = None,
        times: Iterable[float] | None = None,
    ) -> Transcript:
        """Read the lips in a video: its path, its bytes, a file object opened with "rb", or its frames.

        Frames are arrays in RGB, uint8 [height, width, 3], grey ones [height, width] or with alpha [height, width, 4],
        or tensors of PyTorch's or pictures of PIL's, in any iterable. They come at ``fps`` a second (25 if None), or
        at ``times`` in seconds, one for each.

        A video of up to ten seconds is one sentence, said where there is a face; one that is longer, or in which the
        face is lost for over half a second, is read as ``stream`` does, and all its sentences
        are in one transcript. ``decode`` is "grammar" (always a sentence of ``grammar``; of GRID's if none is given, or
        of a taught model's commands the nearest), "greedy" or "beam" (whatever the network spells), or a decoder such
        as ``Lexicon.decode``. ``face`` is the one to read of several: "largest", "left" or "right" in the picture, or a
        place of ``find_faces``.

        Raises ``InputError`` with what is taken, if it is anything else.
        ``VideoError`` if the file can't be decoded, ``MouthError`` if no face can be followed, ``DecodeError``
        if it is too short for a sentence, or says no command as the mouth hardly moves; each names the file.
        ``ModelError`` if the model is broken, ``ValueError`` if ``decode`` is something else, or has no use for a
        ``grammar`` that is given.
        """
        _decoder(decode, grammar)  # before minutes of face tracking
        timeline = Timeline()
        stream = mouth_stream(ahead(frames_of(source, fps, times, timeline)), face)
        return self.transcribe_stream(stream, name_of(source), decode, grammar, timeline=timeline)

    def transcribe_stream(
        self,
        stream: Iterator[Mouth | None],
        file: str,
        decode: How = "grammar",
        grammar: Grammar | None = None,
        on_segment: Callable[[Transcript], None] = lambda _: None,
        timeline: Timeline | None = None,
    ) -> Transcript:
        """As ``transcribe``, from what ``mouth_stream`` makes of the frames of ``file``.

        ``on_segment`` is called with each sentence of a long video as it is read. ``timeline`` is the one that
        ``read_frames`` was given.
        """
        timeline = timeline or Timeline()
        first = list(islice(stream, LONGEST + 1))
        found = sum(mouth is not None for mouth in first)
        seen = stretches(first)
        if len(first) <= LONGEST and len(seen) == 1:
            start, mouths = seen[0]
            read = self.transcribe_clip(MouthClip.of(mouths), file, decode, grammar)
            words = moved(read.words, lambda time: timeline.seconds(time + start / FPS))
            return replace(read, words=words, duration=timeline.duration)
        segments: list[Transcript] = []
        if seen or len(first) > LONGEST:
            for sentence in sentences(chain(first, stream), self, file, decode, grammar, timeline):
                segments.append(sentence)
                on_segment(sentence)
        if not segments and len(first) <= LONGEST and (complaint := unreadable(len(first), found)):
            raise MouthError(f"{file}: {complaint}")
        return joined(file, self.name, segments, timeline.duration)

    def stream(
        self,
        source: Source,
        decode: How = "grammar",
        grammar: Grammar | None = None,
        fps: float | None = None,
        times: Iterable[float] | None = None,
    ) -> Iterator[Transcript]:
        """Read a video of any length, a sentence at a time as each is read; no more than one is held.

        ``source``, ``fps`` and ``times`` are as for ``transcribe``.

        A sentence is what is said between two rests of the mouth of 0.4 seconds. After ten seconds without one it is
        cut where the mouth moves least; both parts are read with an overlap, and each word is taken from one of them.
        Frames without a face are passed over, and so is what is too short for any sentence of the grammar. Words have
        their times in the video. Raises ``VideoError`` if the file can't be decoded, after the sentences that could be
        read, and ``MouthError`` if there is no face in all of it.
        """
        _decoder(decode, grammar)
        timeline = Timeline()
        stream = mouth_stream(ahead(frames_of(source, fps, times, timeline)))
        return sentences(stream, self, name_of(source), decode, grammar, timeline)

    def live(self, decode: How = "grammar", grammar: Grammar | None = None, face: Face = "largest") -> Live:
        """Read frames as a camera gives them; arguments as for ``transcribe``."""
        _decoder(decode, grammar)
        return Live(self, decode, grammar, face)

    def transcribe_clip(
        self, clip: MouthClip, file: str, decode: How = "grammar", grammar: Grammar | None = None
    ) -> Transcript:
        """Read a clip's mouths, at 25 frames a second, that came from ``file``.

        Raises ``DecodeError``, naming ``file``, if they are too few for a sentence, or with the grammar too many
        for one; ``ModelError`` if the model is broken.
        """
        if decode == "grammar" and len(clip) > LONGEST:
            longest = LONGEST // FPS
            length = f"{len(clip) / FPS:.0f} s long, and the grammar is of one sentence ({longest} s at most)"
            raise DecodeError(f"{file}: {length}; cut the video into sentences, or decode greedily")
        try:
            decoded = self.read(clip, decode, grammar)
        except DecodeError as error:
            raise DecodeError(f"{file}: {error}") from None
        return Transcript(file, decoded.text, decoded.words, decoded.confidence, self.name, decoded.sure)

    def read(self, clip: MouthClip, how: How = "grammar", grammar: Grammar | None = None) -> Decoded:
        """The words in a clip's mouths; ``how`` and ``grammar`` as for ``transcribe``.

        An adapted model reads each clip by one of its two networks (``best_prediction``). Raises ``DecodeError``,
        naming no file, if there are too few frames for a sentence; ``ModelError`` and ``ValueError`` as ``transcribe``
        does.
        """
        if how == "grammar" and grammar is None and self.templates:
            return self.recognise(clip)
        return self.best_prediction(clip, how, grammar).decoded

    def best_prediction(self, clip: MouthClip, how: How = "grammar", grammar: Grammar | None = None) -> Prediction:
        """The prediction for a clip, by this reader or, of an adapted model, by its ``fallback``.

        The fallback reads what it is sure of, as it knows the speaker. All else is read by the one with the lower
        negative log-likelihood (``confidence.negative_log_likelihood``). One that decodes nothing is never better.
        Raises as ``read``.
        """
        first = self.fallback.best_prediction(clip, how, grammar) if self.fallback else None
        if first and first.decoded.sure:
            return first
        logp, named = self.predict(clip)
        own = Prediction(self, logp, self.decode(logp, how, grammar, named))
        if first is None:
            return own
        spoken = _spoken(how, grammar)

        def unlikely(one: Prediction) -> float:
            if not one.decoded.words:
                return np.inf
            return negative_log_likelihood(one.log_probabilities, one.decoded.text, spoken)

        return min(own, first, key=unlikely)

    def decode(
        self, logp: Floats, how: How = "grammar", grammar: Grammar | None = None, named: Floats | None = None
    ) -> Decoded:
        """The words in log-probabilities [T, 37]; ``how`` and ``grammar`` as for ``transcribe``.

        Confidences are the model's calibrated ones, and ``sure`` tells a reading from a guess. A decoder of one's own
        keeps its confidences and is judged as "greedy" is. A model that carries no calibration is always sure. Words
        stand where the network named them in the frames, if ``predict`` gave ``named`` and it knows them all; else
        where it named their letters, moved by the timing that the model carries, if any.

        Raises ``DecodeError``, naming no file, if there are too few frames for a sentence of the grammar;
        ``ValueError`` for another way to decode, or a grammar that it has no use for.
        """
        spoken = _spoken(how, grammar)
        decode = _decoder(how, grammar)
        raw = decoded = decode(logp) if spoken is None else viterbi(logp, spoken)
        if calibration := self.calibrations.get(how if isinstance(how, str) else "greedy"):
            settle = calibration.apply if isinstance(how, str) else calibration.judge
            decoded = settle(raw, confidence_features(logp, raw, spoken))
        return replace(decoded, words=self._timed(decoded.words, len(logp), named))

    def on(self, device: Device) -> Reader:
        """The same with its networks on a device, ``load_model``'s; faces are found by the processor."""
        return replace(self, session=self.session.on(device), fallback=self.fallback and self.fallback.on(device))

    def untimed(self) -> Reader:
        """The same without the timing that is learnt of whole sentences."""
        return replace(self, timing=None, fallback=self.fallback and self.fallback.untimed())

    def _timed(self, words: tuple[Word, ...], frames: int, named: Floats | None) -> tuple[Word, ...]:
        placed = None if named is None else timing.placed(named, self.words, words)
        if placed is None and self.timing:
            return self.timing.apply(words, frames / FPS)
        return placed or words

    def predict(self, clip: MouthClip) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """``log_probabilities``, and those of the word said in each frame, [T, 1 + words], silence the first.

        The second is None of a model that names no words, such as the published architecture.
        """
        if not self.words:
            return self.log_probabilities(clip), None
        logp, named = self._outputs(["log_probabilities", "words"], clip)
        return logp, named

    def log_probabilities(self, clip: MouthClip) -> NDArray[np.float32]:
        """Natural logarithms of the class probabilities, float32 [T, 37], of a clip of T frames.

        Of an adapted model they are its new network's; ``best_prediction`` has those of the one that reads the clip.
        Raises ``ModelError`` if the network answers with what is no number, as one whose training broke does.
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
        """What the network takes of a clip, by its inputs' names, each with a batch of one."""
        crops = {"regions": normalise(clip.crops)[None, None]}
        return {**crops, "shape": clip.shape()[None]} if self.shapes else crops

    def _outputs(self, names: list[str], clip: MouthClip) -> list[NDArray[np.float32]]:
        inputs = self.inputs(clip)
        try:
            outputs = [np.asarray(output[0], np.float32) for output in self.session.run(names, inputs)]
        except Exception as error:  # as in ``Session``
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.name}: the model can't be run ({reason}); train or export it again") from error
        sizes = {"log_probabilities": len(CLASSES), "words": 1 + len(self.words)}
        for name, output in zip(names, outputs, strict=True):
            if output.shape != (len(clip), sizes.get(name, output.shape[-1])):
                raise ModelError(f"{self.name}: the model answers {output.shape}; train or export it again")
        if any(np.isnan(output).any() for output in outputs):
            raise ModelError(f"{self.name}: the model's output is not a number; its weights are broken, use another")
        return outputs

    def matches(self, clip: MouthClip) -> list[Match]:
        """All commands of a taught model, the nearest to what a clip shows first.

        Raises ``DecodeError`` if the mouth hardly moves in them; ``ValueError`` if the model was taught no commands.
        """
        return self._matched(clip)[0]

    def _matched(self, clip: MouthClip) -> tuple[list[Match], slice]:
        if not self.templates:
            raise ValueError(f"{self.name} was taught no commands")
        said = moving(clip)
        if said is None:
            raise DecodeError("the mouth hardly moves; film a command, said aloud or mouthed")
        return self.templates.matches(self.features(clip[said])), said

    def recognise(self, clip: MouthClip) -> Decoded:
        """The nearest command of a taught model, ``sure`` if it is likelier than not that it was said.

        A word gets its share of the time in which the mouth moves, by its letters. Raises as ``matches`` does.
        """
        matches, said = self._matched(clip)
        best, words = matches[0], matches[0].text.split()
        ends = np.cumsum([0, *(len(word) for word in words)]) / sum(len(word) for word in words)
        times = (said.start + ends * (said.stop - said.start)) / FPS
        spoken = (Word(word, float(times[i]), float(times[i + 1]), best.confidence) for i, word in enumerate(words))
        return Decoded(best.text, tuple(spoken), best.confidence, best.sure)


class Prediction(NamedTuple):
    """A reader, the log-probabilities [T, 37] that its network gives a clip, and what it decodes from them."""

    reader: Reader
    log_probabilities: Floats
    decoded: Decoded


def _decoder(how: How, grammar: Grammar | None) -> Callable[[Floats], Decoded]:
    if grammar and how != "grammar":
        raise ValueError(f"a grammar is given, but {how!r} takes none; decode by 'grammar'")
    if not isinstance(how, str):
        return how
    if how not in DECODERS:
        raise ValueError(f"{how!r} is no way to decode; use one of {', '.join(DECODERS)}")
    return DECODERS[how]


def _spoken(how: How, grammar: Grammar | None) -> Grammar | None:
    """The grammar that is decoded by, if any."""
    return (grammar or Grammar.grid()) if how == "grammar" else None


def load_model(name_or_path: Path | str = registry.DEFAULT, device: Device = "auto") -> Reader:
    """Load a shipped model by name, the best if none is given, an ONNX file of a training run or ``export_onnx``, or
    a model that was taught, by its name; what comes first in this order. A model's fallback, if it has one, is loaded,
    too.

    ``device`` is where the network runs: "cpu", "cuda", "coreml", "directml" or "openvino"; "auto" is the processor,
    as no other was measured to be faster. Faces are found by the processor.

    Raises ``DeviceError``, which says what to install, if the device isn't there; ``ModelError`` if there is no such
    model, if a shipped file differs from its checksum, if a file is no ONNX of a LabialCNN with this version's classes
    and input, or if a taught model's base isn't what it was.
    """
    return _found(name_or_path).on(device)


def _found(name_or_path: Path | str) -> Reader:
    if info := registry.shipped(name_or_path):
        reader = _load(registry.released(info, info.file), registry.WEIGHTS / info.file, info.name)
        return replace(reader, fallback=replace(_found(info.fallback), name=info.name)) if info.fallback else reader
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "model.onnx"  # of a training run
    if not path.is_file():
        if known := registry.taught(name_or_path):
            return _taught(known)
        names, yours = registry.names(), [model.name for model in registry.taught_models()]
        taught = f", of the taught ones ({', '.join(yours)})" if yours else ""
        raise ModelError(
            f"{name_or_path}: no such model; give one of the shipped ones ({names}){taught} or an .onnx file"
        )
    reader, fallback = _from_file(path, str(name_or_path)), path.with_name(registry.FALLBACK)
    if path.name == "model.onnx" and fallback.is_file():
        return replace(reader, fallback=_from_file(fallback, str(name_or_path)))
    return reader


def _from_file(path: Path, name: str) -> Reader:
    return _load(content_of(path, "check the file's permissions"), path, name)


def _taught(model: registry.TaughtModel) -> Reader:
    reader = _found(model.folder / "run" if model.trained else model.base)
    path = model.folder / "templates.npz"
    taught = templates.load(path) if path.is_file() else None  # none of those that practised GRID's sentences
    if taught and taught.network != reader.checksum:
        raise ModelError(f"{model.name}: {model.base} isn't what it was when it was taught; run 'gunileo teach' again")
    return replace(reader, name=model.name, templates=taught)


def _load(content: bytes, path: Path, name: str) -> Reader:
    if _OUTSIDE.search(content):
        raise ModelError(f"{path}: keeps weights in another file, which is not read; export it as one file")
    session = Session(content, path)
    metadata = session.metadata()
    expected = {"gunileo_classes": json.dumps(CLASSES), "fps": str(FPS), "height": str(HEIGHT), "width": str(WIDTH)}
    for key, value in {**expected, "normalisation": "clip"}.items():
        if key not in metadata:
            raise ModelError(f"{path}: an ONNX model, but not one of gunileo's; give one that it exported")
        if metadata[key] != value:
            raise ModelError(f"{path}: made for other {key} than this version's; export it again with this version")
    try:
        calibrations = from_json(metadata.get("calibration", "{}"))
        times = timing.from_json(metadata["timing"]) if "timing" in metadata else None
    except ValueError as error:
        raise ModelError(f"{path}: its calibration can't be understood ({error}); export it again") from error
    words = json.loads(metadata["config"])["words"] if "words" in session.outputs() else ()
    return Reader(name, session, calibrations, times, tuple(words), "shape" in session.inputs(), session.checksum)
