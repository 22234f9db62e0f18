"""Reading a stream, a sentence at a time: frames go in, and each sentence comes out when the mouth rests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, Self

from gunileo.decoding.ctc import DecodeError, How
from gunileo.decoding.grammar import Grammar
from gunileo.inference.inputs import as_frame
from gunileo.output.transcript import Transcript
from gunileo.vision.crop import Crops
from gunileo.vision.face import Face
from gunileo.vision.mouth import Mouth, MouthClip, MouthError, MouthTracker, unreadable
from gunileo.vision.speech_activity import Segmenter, Span
from gunileo.vision.video import FPS, VideoError


class SentenceReader(Protocol):
    """What reads the clip of one sentence; a ``Reader`` does."""

    def transcribe_clip(
        self, clip: MouthClip, file: str, decode: How = "grammar", grammar: Grammar | None = None
    ) -> Transcript:
        """The words in a clip's mouths; ``DecodeError`` if they are too few."""
        ...

    def untimed(self) -> Self:
        """The same without the timing that is learnt of whole sentences."""
        ...


class Live:
    """Reads frames that are pushed one at a time, as a camera gives them; ``Reader.live`` makes one.

    It holds no more than the sentence that is being said. A face that is lost ends a sentence, and the next face that
    comes is read. Times are in seconds from the first frame. ``mouth`` is the last crop that was cut out, half a
    second after its frame, or None while there is no face: it shows a speaker whether they are seen.
    """

    def __init__(
        self, reader: SentenceReader, decode: How = "grammar", grammar: Grammar | None = None, face: Face = "largest"
    ):
        self._reader, self._decode, self._grammar = reader, decode, grammar
        self._mouths, self._segmenter = MouthTracker(face), Segmenter()
        self.mouth: Crops | None = None

    def push(self, frame: Any) -> list[Transcript]:
        """Take the next frame, RGB uint8 [height, width, 3], of 25 a second; returns the sentences that end with it.

        Grey frames, ones with alpha, tensors and PIL's pictures are taken, too; ``InputError`` if it is something else.

        A sentence ends when the mouth has rested for 0.4 seconds. One that is cut at ten seconds goes on in the
        next.
        """
        return self._read(self._mouths.push([as_frame(frame)]))

    def flush(self) -> list[Transcript]:
        """The sentence that was begun, on demand or as no more frames will come; whatever follows is another's."""
        read = self._read(self._mouths.close())
        last = self._segmenter.close()
        return read + self._spoken([last])

    def _read(self, mouths: Iterable[Mouth | None]) -> list[Transcript]:
        return self._spoken(map(self._take, mouths))

    def _take(self, mouth: Mouth | None) -> Span | None:
        self.mouth = mouth and mouth.crop
        return self._segmenter.push(mouth)

    def _spoken(self, spans: Iterable[Span | None]) -> list[Transcript]:
        return list(spoken(spans, self._reader, "live", self._decode, self._grammar))


def sentences(
    mouths: Iterable[Mouth | None], reader: SentenceReader, file: str, decode: How, grammar: Grammar | None
) -> Iterator[Transcript]:
    """What is said in a stream of mouths, None for each frame without a face: a sentence at a time.

    Raises ``MouthError``, naming ``file``, if there is a face in none of them; what ``mouths`` raises, after the last
    sentence.
    """
    segmenter = Segmenter()
    total = found = 0
    broken = None
    try:
        for mouth in mouths:
            total += 1
            found += mouth is not None
            yield from spoken([segmenter.push(mouth)], reader, file, decode, grammar)
    except VideoError as error:
        broken = error
    yield from spoken([segmenter.close()], reader, file, decode, grammar)
    if broken:
        raise broken
    if not found:
        raise MouthError(f"{file}: {unreadable(total, found)}")


def spoken(
    spans: Iterable[Span | None], reader: SentenceReader, file: str, decode: How, grammar: Grammar | None
) -> Iterator[Transcript]:
    """The spans in which words are read, with times in the stream; a mouth also moves without a word.

    Where a sentence was cut, words are told apart by when the network named them: a timing is of whole sentences.
    """
    for span in spans:
        if span is None:
            continue
        with suppress(DecodeError):  # too short for any sentence of the grammar
            whole = (span.first, span.last) == (span.start, span.start + len(span.clip))
            teller = reader if whole else reader.untimed()
            read = teller.transcribe_clip(span.clip, file, decode, grammar)
            offset = span.start / FPS
            words = [replace(word, start=word.start + offset, end=word.end + offset) for word in read.words]
            own = tuple(word for word in words if span.first <= FPS * (word.start + word.end) / 2 < span.last)
            if own:
                yield replace(read, text=" ".join(word.word for word in own), words=own)
