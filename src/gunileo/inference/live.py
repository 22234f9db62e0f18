"""Reading a stream, a sentence at a time: frames go in, and each sentence comes out when the mouth rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, Self

from gunileo.decoding.ctc import Decoded, DecodeError, How
from gunileo.decoding.grammar import Grammar
from gunileo.inference.hidden import guessed
from gunileo.inference.inputs import as_frame
from gunileo.inference.sentence_splitter import SentenceSplitter
from gunileo.output.transcript import Alternative, Transcript, Word, joined
from gunileo.vision.crop import Crops
from gunileo.vision.face import Face
from gunileo.vision.mouth import MouthError, MouthTracker, unreadable
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.speech_activity import Segmenter, Span, bridged
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, VideoError
from gunileo.vision.view import View


class SentenceReader(Protocol):
    """What reads the clip of one sentence; a ``Reader`` does."""

    def transcribe_clip(
        self, clip: MouthClip, file: str, decode: How | None = None, grammar: Grammar | None = None
    ) -> Transcript:
        """The words in a clip's mouths; ``DecodeError`` if they are too few."""
        ...

    def nbest(self, clip: MouthClip, n: int, how: How | None = None, grammar: Grammar | None = None) -> list[Decoded]:
        """The ``n`` likeliest readings of a clip's mouths, best first."""
        ...

    def boundaries(self, clip: MouthClip, decode: How | None = None, grammar: Grammar | None = None) -> list[int]:
        """The frames of a clip between the sentences that are said in it."""
        ...

    def untimed(self) -> Self:
        """The same without the timing that is learnt of whole sentences."""
        ...


class Live:
    """Reads frames that are pushed one at a time, as a camera gives them; ``Reader.live`` makes one.

    It holds only the sentence that is being said. If the face is lost for over half a second, its sentence ends. Then
    the next face that appears is read. Times are in seconds from the first frame. ``mouth`` is the last crop, half a
    second after its frame, or None while there is no face. Show it to speakers, so that they know that they are seen.

    For push to talk call ``begin`` before a sentence and ``end`` after it. After the first ``end``, nothing is read
    outside of these.

    Raises ``ModelError`` from any of its methods if the model is broken.
    """

    def __init__(
        self,
        reader: SentenceReader,
        decode: How | None = None,
        grammar: Grammar | None = None,
        face: Face = "largest",
        view: View | None = None,
        alternatives: int = 0,
    ):
        self._mouths, self._segmenter = MouthTracker(face, view=view), Segmenter()
        self._speech = _Speech(reader, "live", decode, grammar, Timeline(), alternatives)
        self._listening = True
        self.mouth: Crops | None = None

    def push(self, frame: Any) -> list[Transcript]:
        """Take the next frame, RGB uint8 [height, width, 3], at 25 a second. Returns the sentences that end with it.

        Grey frames, frames with alpha, tensors and PIL pictures are also taken. Raises ``InputError`` for anything
        else.

        A sentence ends when the mouth has rested for 0.4 seconds. After ten seconds a sentence is cut, and the next one
        holds the rest.
        """
        return self._read(self._mouths.push([as_frame(frame)]))

    def flush(self) -> list[Transcript]:
        """End the sentence that was begun, and return it. Call it on demand, or when there are no more frames."""
        read = self._read(self._mouths.close())
        last = self._segmenter.close()
        return read + self._spoken([last] if self._listening else [], ended=True)

    def begin(self) -> None:
        """Begin push to talk. A sentence that was begun before is dropped. Until ``end`` all is one sentence, even if
        the mouth rests. It is cut only after ten seconds.

        The sentence starts half a second before the call, if there are frames.
        """
        self._segmenter.close()
        self._speech.drop()
        self._segmenter.whole = self._listening = True

    def end(self) -> list[Transcript]:
        """End push to talk, and return the sentence since ``begin``. Nothing is read until the next ``begin``."""
        read = self.flush()
        self._segmenter.whole = self._listening = False
        return read

    def _read(self, mouths: Iterable[Mouth | None]) -> list[Transcript]:
        return self._spoken(map(self._take, mouths))

    def _take(self, mouth: Mouth | None) -> Span | None:
        self.mouth = mouth and mouth.crop
        span = self._segmenter.push(mouth)  # which also learns how a resting face looks
        return span if self._listening else None

    def _spoken(self, spans: Iterable[Span | None], ended: bool = False) -> list[Transcript]:
        return list(self._speech.read(spans, not self._segmenter.whole, ended))


def sentences(
    mouths: Iterable[Mouth | None],
    reader: SentenceReader,
    file: str,
    decode: How | None,
    grammar: Grammar | None,
    timeline: Timeline | None = None,
) -> Iterator[Transcript]:
    """What is said in a stream of mouths, None for each frame without a face: a sentence at a time.

    Times are those of ``timeline``. A sentence goes on where the face is lost for up to 1.5 seconds. It is a guess
    if the mouth is hidden for 0.2 seconds between its first word and its last one.
    Raises ``MouthError``, naming ``file``, if there is a face in none of them; what ``mouths`` raises, after the last
    sentence.
    """
    segmenter, speech = Segmenter(), _Speech(reader, file, decode, grammar, timeline or Timeline())
    total = found = 0
    broken = None
    try:
        for mouth in bridged(mouths):
            total += 1
            found += mouth is not None
            yield from speech.read([segmenter.push(mouth)])
    except VideoError as error:
        broken = error
    yield from speech.read([segmenter.close()], ended=True)
    if broken:
        raise broken
    if not found:
        raise MouthError(f"{file}: {unreadable(total, found)}")


def in_sentences(
    clip: MouthClip, reader: SentenceReader, name: str, file: str, decode: How | None, grammar: Grammar | None
) -> Transcript:
    """A clip that is too long for the model ``name`` at once, read as ``sentences`` reads a stream."""
    views = clip.views if clip.views is not None else [None] * len(clip)
    mouths = map(Mouth, clip.crops, clip.measures, views)
    return joined(file, name, list(sentences(mouths, reader, file, decode, grammar)), len(clip) / FPS)


def moved(words: Sequence[Word], seconds: Callable[[float], float]) -> tuple[Word, ...]:
    """Words with each time as ``seconds`` makes it."""
    return tuple(replace(word, start=seconds(word.start), end=seconds(word.end)) for word in words)


class _Speech:
    """Reads the sentences of a stream one after the other."""

    def __init__(
        self,
        reader: SentenceReader,
        file: str,
        decode: How | None,
        grammar: Grammar | None,
        timeline: Timeline,
        alternatives: int = 0,
    ) -> None:
        self._reader, self._file, self._decode, self._grammar = reader, file, decode, grammar
        self._timeline, self._alternatives = timeline, alternatives
        self._end = 0.0  # of the last word, in seconds of the stream
        self._splitter = SentenceSplitter(lambda clip: reader.boundaries(clip, decode, grammar))

    def read(self, spans: Iterable[Span | None], split: bool = True, ended: bool = False) -> Iterator[Transcript]:
        """The spans in which words are read, with their times; a mouth also moves without a word. Sentences without a
        rest between them are told apart if ``split``. If the stream has ``ended``, nothing is held back.

        Where a sentence was cut, words are told apart by when the network named them: a timing is of whole sentences.
        """
        found = (span for span in spans if span)
        for span in self._split(found, ended) if split else found:
            with suppress(DecodeError):  # too short for any sentence of the grammar
                whole = (span.first, span.last) == (span.start, span.start + len(span.clip))
                teller = self._reader if whole else self._reader.untimed()
                read = teller.transcribe_clip(span.clip, self._file, self._decode, self._grammar)
                offset = span.start / FPS
                words = moved(read.words, lambda time, offset=offset: time + offset)  # type: ignore[misc]
                own = [word for word in words if span.first <= FPS * (word.start + word.end) / 2 < span.last]
                if own:
                    own = _after(self._end, own)
                    self._end = own[-1].end
                    timed = moved(own, self._timeline.seconds)
                    others = self._others(span.clip) if whole else ()  # of a part, they have words of its neighbour
                    read = guessed(read, span.hidden, own, self._timeline)
                    yield replace(read, text=" ".join(word.word for word in own), words=timed, alternatives=others)

    def drop(self) -> None:
        """Forget what is held back of a sentence."""
        self._splitter.close()

    def _split(self, spans: Iterable[Span], ended: bool) -> Iterator[Span]:
        for span in spans:
            yield from self._splitter.push(span)
        if ended:
            yield from self._splitter.close()

    def _others(self, clip: MouthClip) -> tuple[Alternative, ...]:
        if not self._alternatives:
            return ()
        found = self._reader.nbest(clip, self._alternatives, self._decode, self._grammar)
        return tuple(Alternative(one.text, one.confidence) for one in found)


def _after(end: float, words: list[Word]) -> list[Word]:
    """Words of which none starts before ``end``, in their order: those that do get what time is left before the rest.

    Two sentences without a rest between them share some frames, and each may place words there.
    """
    early = sum(word.start < end for word in words)
    if not early:
        return words
    first = words[0].start
    until = max(words[early - 1].end, words[early].start if early < len(words) else end)
    if until <= end:
        until = end + early / FPS
    share = (until - end) / max(until - first, 1 / FPS)
    squeezed = [(end + (word.start - first) * share, end + (word.end - first) * share) for word in words[:early]]
    told = [replace(word, start=a, end=b) for word, (a, b) in zip(words, squeezed, strict=False)]
    return told + _after(told[-1].end, words[early:]) if early < len(words) else told
