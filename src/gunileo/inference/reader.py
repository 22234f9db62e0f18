"""A loaded model, which reads many clips: ONNX Runtime, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from gunileo.decoding.continuous import boundaries
from gunileo.decoding.ctc import Decoded, DecodeError, Floats, How
from gunileo.decoding.grammar import Grammar
from gunileo.inference import decoders, timing
from gunileo.inference.confidence import Calibrations, confidence_features
from gunileo.inference.decoders import Answers
from gunileo.inference.hidden import guessed
from gunileo.inference.inputs import Source, frames_of, name_of
from gunileo.inference.known_face import KnownFace
from gunileo.inference.live import Live, in_sentences, moved, sentences
from gunileo.inference.network import Network
from gunileo.inference.registry import ModelError
from gunileo.inference.templates import Match, Templates
from gunileo.output.transcript import Transcript, Word, joined
from gunileo.util.onnx import Device
from gunileo.vision.face import Face
from gunileo.vision.mouth import MouthError, mouth_stream, stretches, unreadable
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.mouth_path import Watch
from gunileo.vision.speech_activity import LONGEST, bridged, moving
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, Frame, VideoError, ahead


@dataclass(frozen=True)
class Reader(Network):
    """A loaded model. ``load_model`` makes one. Its ``name`` is the name that was given to ``load_model``.

    Any number of threads may use it at the same time. So may processes that are forked after it was loaded or used. A
    pickle holds the path of the model's file and not the network. The same file has to be there when it is unpickled
    (``ModelError`` if not). A copy shares the network.
    """

    calibrations: Calibrations = field(default_factory=dict, repr=False)  # as the model file carries them, or none
    timing: timing.Timing | None = field(default=None, repr=False)  # as the model file carries it
    templates: Templates | None = field(default=None, repr=False)  # of a taught model: its commands are its grammar
    fallback: Reader | None = field(default=None, repr=False)  # reads what it is sure of
    known_face: KnownFace | None = field(default=None, repr=False)  # the only one that it reads as a fallback

    def transcribe(
        self,
        source: Source,
        decode: How | None = None,
        grammar: Grammar | None = None,
        face: Face = "largest",
        fps: float | None = None,
        times: Iterable[float] | None = None,
    ) -> Transcript:
        """Read the lips in a video: its path, its bytes, a file object opened with "rb", or its frames.

        Frames are any iterable of arrays, PyTorch tensors or PIL pictures: RGB, uint8 [height, width, 3], grey
        [height, width], or with alpha [height, width, 4]. They come at ``fps`` a second (25 if None), or
        at ``times`` in seconds, one for each.

        A video of up to ten seconds is read as one sentence, from the part that has a face. If a video is longer, or if
        the face is lost for over 1.5 seconds, it is read sentence by sentence, as with ``stream``. The transcript
        holds all sentences. If the mouth is hidden for 0.2 seconds or longer while a sentence is said, the sentence is
        not sure, and ``hidden`` tells when.

        ``decode`` is one of these:

        - "grammar": always a sentence of ``grammar``. Without one, a sentence of GRID's, or the nearest command of a
          taught model.
        - "greedy": what the network spells. "beam": the likeliest text.
        - A decoder, such as ``Lexicon.decode``.
        - None: "grammar", or "beam" for a model that reads any text.

        ``face`` says which of several faces to read: "largest", "left" or "right" in the picture, or a place that
        ``find_faces`` gave.

        Raises ``VideoError`` if the file can't be decoded, ``MouthError`` if no face can be followed, and
        ``DecodeError`` if it is too short for a sentence, or if the mouth hardly moves, so that no command is said.
        These name the file. Raises ``InputError`` if ``source`` is something else, ``ModelError`` if the model is
        broken, ``GrammarError`` if its tokens can't spell the ``grammar``, and ``ValueError`` if ``decode``, ``face``
        or ``grammar`` is something else, or if ``decode`` takes no ``grammar`` and one is given.
        """
        self.check_way(decode, grammar)  # before minutes of face tracking
        timeline = Timeline()
        stream = self.mouths(ahead(frames_of(source, fps, times, timeline)), face)
        return self.transcribe_stream(stream, name_of(source), decode, grammar, timeline=timeline)

    def mouths(
        self, frames: Iterable[Frame], face: Face = "largest", watch: Watch | None = None
    ) -> Iterator[Mouth | None]:
        """The mouth in each frame as this model takes it, None where there is no face.

        Frames are RGB, uint8 [height, width, 3], at 25 a second. ``watch`` is called with the outline of each mouth.
        """
        return mouth_stream(frames, face, watch, view=self.view)

    def transcribe_stream(
        self,
        stream: Iterator[Mouth | None],
        file: str,
        decode: How | None = None,
        grammar: Grammar | None = None,
        on_segment: Callable[[Transcript], None] = lambda _: None,
        timeline: Timeline | None = None,
    ) -> Transcript:
        """As ``transcribe``, from what ``mouths`` makes of the frames of ``file``.

        ``on_segment`` is called with each sentence of a video that is read sentence by sentence, also with those before
        the damage of a damaged one. ``timeline`` is the one that ``read_frames`` was given. Raises as ``transcribe``,
        and what ``stream`` raises.
        """
        timeline = timeline or Timeline()
        first, broken = _first(stream)
        found = sum(mouth is not None for mouth in first)
        seen = stretches(list(bridged(first)))
        if len(first) <= LONGEST and len(seen) == 1 and not broken:
            start, mouths = seen[0]
            read = self.transcribe_clip(MouthClip.of(mouths), file, decode, grammar)
            words = moved(read.words, lambda time: time + start / FPS)
            hidden = [number for number, mouth in enumerate(mouths, start) if mouth.hidden]
            read = guessed(read, hidden, words, timeline)
            return replace(read, words=moved(words, timeline.seconds), duration=timeline.duration)
        segments: list[Transcript] = []
        if seen or len(first) > LONGEST:
            for sentence in sentences(chain(first, stream), self, file, decode, grammar, timeline):
                segments.append(sentence)
                on_segment(sentence)
        if broken:
            raise broken
        if not segments and len(first) <= LONGEST and (complaint := unreadable(len(first), found)):
            raise MouthError(f"{file}: {complaint}")
        return joined(file, self.name, segments, timeline.duration, self.metadata.language)

    def stream(
        self,
        source: Source,
        decode: How | None = None,
        grammar: Grammar | None = None,
        fps: float | None = None,
        times: Iterable[float] | None = None,
    ) -> Iterator[Transcript]:
        """Read a video of any length. Each sentence is given as it is read. Only one is held at a time.

        ``source``, ``fps`` and ``times`` are as for ``transcribe``.

        The video is cut where the mouth rests for 0.4 seconds. If a part is longer than three seconds, the grammar
        tells the sentences in it apart (``boundaries``). After ten seconds without a rest, the video is cut where
        the mouth moves least. Both parts are then read with an overlap, and each word is taken from one of them.
        Frames without a face are skipped. So are parts that are too short for any sentence of the grammar. Word
        times are those of the video.

        Raises ``VideoError`` if the file can't be decoded, after the sentences that could be read. Raises
        ``MouthError`` if there is no face in the whole video. Otherwise it
        raises as ``transcribe``, without ``DecodeError``.
        """
        self.check_way(decode, grammar)
        timeline = Timeline()
        stream = self.mouths(ahead(frames_of(source, fps, times, timeline)))
        return sentences(stream, self, name_of(source), decode, grammar, timeline)

    def live(
        self,
        decode: How | None = None,
        grammar: Grammar | None = None,
        face: Face = "largest",
        alternatives: int = 0,
    ) -> Live:
        """A ``Live`` that reads frames as a camera gives them. Arguments are as for ``transcribe``.

        Each sentence gets up to this number of ``alternatives``; see ``nbest``. Raises as ``check_way``.
        """
        self.check_way(decode, grammar)
        return Live(self, decode, grammar, face, self.view, alternatives)

    def transcribe_clip(
        self, clip: MouthClip, file: str, decode: How | None = None, grammar: Grammar | None = None
    ) -> Transcript:
        """Read the mouths of a clip from ``file``, at 25 frames a second. If there are more than the model takes at
        once, they are read sentence by sentence.

        Raises ``DecodeError``, naming ``file``, if there are too few frames for a sentence, or, with the grammar, too
        many for one. Raises ``ModelError`` if the model is broken.
        """
        if self.way(decode, grammar) == "grammar" and len(clip) > LONGEST:
            longest = LONGEST // FPS
            length = f"{len(clip) / FPS:.0f} s long, and the grammar is of one sentence ({longest} s at most)"
            raise DecodeError(f"{file}: {length}; cut the video into sentences, or decode greedily")
        if self.too_long(clip):
            told = in_sentences(clip, self, self.name, file, decode, grammar)
            return replace(told, language=self.metadata.language)
        try:
            decoded = self.read(clip, decode, grammar)
        except DecodeError as error:
            raise DecodeError(f"{file}: {error}") from None
        return Transcript(
            *(file, decoded.text, decoded.words, decoded.confidence, self.name, decoded.sure),
            calibrated=decoded.calibrated,
            language=self.metadata.language,
        )

    def read(
        self,
        clip: MouthClip,
        how: How | None = None,
        grammar: Grammar | None = None,
        answers: dict[str, Answers] | None = None,
    ) -> Decoded:
        """The words in a clip's mouths. ``how`` and ``grammar`` are as ``transcribe`` takes ``decode`` and ``grammar``.

        To read one clip in several ways without running the networks again, give each call the same ``answers``, a
        dictionary that is empty at first: what the networks say of the clip, by the checksums of their files. A clip
        that is too long for an imported model is read in parts, and anew in each way.

        If the model has a fallback model, one of the two networks reads the clip (``best_prediction``). Raises
        ``DecodeError``, naming no file, if there are too few frames for a sentence; ``ModelError`` and ``ValueError``
        as ``transcribe`` does.
        """
        if grammar is None and self.templates and self.way(how) == "grammar":
            return self.recognise(clip)
        if self.too_long(clip):
            told = in_sentences(clip, self, self.name, "", how, grammar)
            text = told.text.replace("\n", " ")
            return Decoded(text, told.words, told.confidence, told.sure, calibrated=told.calibrated)
        return self.best_prediction(clip, how, grammar, answers).decoded

    def nbest(self, clip: MouthClip, n: int, how: How | None = None, grammar: Grammar | None = None) -> list[Decoded]:
        """The ``n`` best readings of a clip's mouths, best first. There are fewer if the decoder finds fewer.

        Their confidences are the decoder's own: shares among the grammar's sentences, or among what a search found.
        ``how`` and ``grammar`` are as for ``read``. Raises as ``read`` does.
        """
        how = self.way(how, grammar)
        if grammar is None and self.templates and how == "grammar":
            matches = self.matches(clip)[:n]
            return [Decoded(one.text, (), one.confidence, one.sure) for one in matches]
        if self.too_long(clip):
            return [self.read(clip, how, grammar)][:n]
        reader, _, _, answers = self.best_prediction(clip, how, grammar)
        spoken = decoders.spoken(how, grammar, reader.vocabulary)
        found = decoders.best(answers, n, how, spoken, reader.vocabulary, reader.search)
        return [replace(one, calibrated=False) for one in found]

    def boundaries(self, clip: MouthClip, decode: How | None = None, grammar: Grammar | None = None) -> list[int]:
        """The frames of a clip at which one sentence ends and another begins, by the grammar. There are none if the
        clip is one sentence, or if it isn't decoded by a grammar.

        Frames are counted from 0. Raises ``ModelError`` if the model is broken. ``decoding.continuous`` has the source.
        """
        how = self.way(decode, grammar)
        spoken = decoders.spoken(how, grammar, self.vocabulary)
        if spoken is None or (self.templates and grammar is None):
            return []
        return boundaries(self.answers(clip).log_probabilities, spoken)

    def way(self, how: How | None, grammar: Grammar | None = None) -> How:
        """How to decode if ``how`` is None: by the given grammar or the model's own one, or, if there is none, by
        "beam"."""
        if how is not None:
            return how
        return "grammar" if grammar or self.templates or self.metadata.grammar else "beam"

    def check_way(self, how: How | None, grammar: Grammar | None = None) -> None:
        """Raise ``ValueError`` for an unknown way to decode, or for a grammar that it doesn't take. Raise
        ``GrammarError`` for a grammar that the model's tokens can't spell."""
        how = self.way(how, grammar)
        decoders.check_way(how, grammar)
        if grammar:
            grammar.spelled_in(self.vocabulary)

    def best_prediction(
        self,
        clip: MouthClip,
        how: How | None = None,
        grammar: Grammar | None = None,
        answers: dict[str, Answers] | None = None,
    ) -> Prediction:
        """The prediction for a clip: the ``fallback`` model's if that is sure, as it then knows the speaker, else this
        one's. A fallback model with a ``known_face`` is asked only about clips that show it.

        ``answers`` are as for ``read``. Raises as ``read``.
        """
        how, kept = self.way(how, grammar), {} if answers is None else answers
        other = self.fallback
        if other and other.knows(clip) and (first := other.best_prediction(clip, how, grammar, kept)).decoded.sure:
            return first
        if (own := kept.get(self.session.checksum)) is None:
            own = kept[self.session.checksum] = self.answers(clip)
        return Prediction(self, own.log_probabilities, self._decoded(own, how, grammar), own)

    def knows(self, clip: MouthClip) -> bool:
        """Whether the face in a clip may be one that this model can read."""
        return self.known_face is None or self.known_face.is_in(clip)

    def decode(
        self, logp: Floats, how: How | None = None, grammar: Grammar | None = None, named: Floats | None = None
    ) -> Decoded:
        """The words in log-probabilities [T, C]; ``how`` and ``grammar`` as for ``transcribe``.

        Confidences are calibrated by the model's calibration. A guess is not ``sure``. If ``how`` is a decoder of your
        own, its confidences stay as they are, and ``sure`` is judged as for "greedy". A model without calibration is
        always sure, and its readings are not ``calibrated``.

        If ``predict`` gave ``named`` and it knows all the words, each word has the time at which the network named it.
        Otherwise it has the time of its letters, corrected by the model's timing if it has one. If the model has a
        search of its own, "beam" means here the search of CTC alone.

        Raises ``DecodeError``, naming no file, if there are too few frames for a sentence of the grammar;
        ``ValueError`` for an unknown way to decode, or for a grammar that it doesn't take.
        """
        return self._decoded(Answers(logp, named), how, grammar)

    def _decoded(self, answers: Answers, how: How | None, grammar: Grammar | None) -> Decoded:
        how, logp = self.way(how, grammar), answers.log_probabilities
        decoders.check_way(how, grammar)
        spoken = decoders.spoken(how, grammar, self.vocabulary)
        raw = decoded = decoders.read(answers, how, spoken, self.vocabulary, self.search)
        calibration = self.calibrations.get(how if isinstance(how, str) else "greedy")
        if calibration:
            settle = calibration.apply if isinstance(how, str) else calibration.judge
            decoded = settle(raw, confidence_features(logp, raw, spoken, self.vocabulary))
        words = self._timed(decoded.words, len(logp), answers.named)
        return replace(decoded, words=words, calibrated=calibration is not None)

    def on(self, device: Device) -> Reader:
        """The same reader with its networks on a device, as ``load_model`` takes it. Faces are found by the processor.

        Raises ``DeviceError`` if the device isn't there or can't be started.
        """
        return replace(self, session=self.session.on(device), fallback=self.fallback and self.fallback.on(device))

    def weighted(self, beam: int | None = None, ctc: float | None = None, language: float | None = None) -> Reader:
        """The same reader with other settings of its own search: the number of hypotheses in the ``beam``, the weight
        of ``ctc`` (0-1; the attention decoder has the rest), and the weight of the ``language`` model. None: as
        published.

        Raises ``ModelError`` if the model has no such search, or a setting is out of range.
        """
        if not self.search:
            raise ModelError(
                f"{self.name}: is decoded by CTC alone, with no search to set; leave the beam and weights out"
            )
        try:
            return replace(self, search=self.search.weighted(beam, ctc, language))
        except ValueError as error:
            raise ModelError(f"{self.name}: {error}") from None

    def untimed(self) -> Reader:
        """The same reader without the timing that was learnt from whole sentences."""
        return replace(self, timing=None, fallback=self.fallback and self.fallback.untimed())

    def _timed(self, words: tuple[Word, ...], frames: int, named: Floats | None) -> tuple[Word, ...]:
        placed = None if named is None else timing.placed(named, self.words, words)
        if placed is None and self.timing:
            return self.timing.apply(words, frames / FPS)
        return placed or words

    def matches(self, clip: MouthClip) -> list[Match]:
        """All commands of a taught model, the nearest to the clip first.

        Raises ``DecodeError`` if the mouth hardly moves, and ``ValueError`` if the model was taught no commands.
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
        """The nearest command of a taught model. It is ``sure`` if its probability is a half or more.

        The time in which the mouth moves is divided among the words by their letters. Raises as ``matches`` does.
        """
        matches, said = self._matched(clip)
        best, words = matches[0], matches[0].text.split()
        ends = np.cumsum([0, *(len(word) for word in words)]) / sum(len(word) for word in words)
        times = (said.start + ends * (said.stop - said.start)) / FPS
        spoken = (Word(word, float(times[i]), float(times[i + 1]), best.confidence) for i, word in enumerate(words))
        return Decoded(best.text, tuple(spoken), best.confidence, best.sure)


def _first(stream: Iterator[Mouth | None]) -> tuple[list[Mouth | None], VideoError | None]:
    """As many frames as are read as one sentence and one more, and why no more come of a file that is damaged there."""
    first: list[Mouth | None] = []
    try:
        first += islice(stream, LONGEST + 1)
    except VideoError as error:
        return first, error
    return first, None


class Prediction(NamedTuple):
    """A reader, the log-probabilities [T, C] that its network gives a clip, and what it decodes from them."""

    reader: Reader
    log_probabilities: Floats
    decoded: Decoded
    answers: Answers  # all that the network says
