"""A video with what was read drawn in: the words as they are said, and the mouth that they were read from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gunileo.output.spoken import Spoken
from gunileo.output.transcript import Word, spoken_words
from gunileo.util.files import FileError, whole
from gunileo.util.progress import Bar
from gunileo.vision.canvas import Canvas
from gunileo.vision.container import open_media
from gunileo.vision.film import Film, opened
from gunileo.vision.video import FPS, MAX_SIDE, Frame

_READ, _NOW, _GUESS = (255, 255, 255), (255, 214, 10), (255, 140, 60)  # colours: said, being said, not sure
_STAYS = 1.0  # seconds that a sentence is shown after its end, if no other comes


def burn(source: Path, target: Path, spoken: Sequence[Spoken], bar: Bar | None = None, rate: float = FPS) -> bool:
    """Write ``source`` to ``target``, an .mp4, with what was read from each of its faces, given from left to right.

    Size, frame rate and time stamps stay, a turned or mirrored video is upright, pixels are square as in
    ``read_frames``; one frame is held at a time. Each face has its share of the width for its words. ``bar`` is told
    seconds; ``rate`` is of numbered pictures. Returns whether all sound came along; sound that is
    damaged ends there. Raises ``FileError`` if ``target`` can't be written.
    """
    try:
        with (
            whole(target) as part,
            opened(source, rate) as pictures,
            _sounds(source) as sounds,
            av.open(f"file:{part}", "w", format="mp4") as film,
        ):
            return _copy(pictures, sounds, film, spoken, bar)
    except av.FFmpegError as error:
        reason = f"can't be written ({error.strerror}); free some space or choose another place"
        raise FileError(f"{target}: {reason}") from error


def _copy(
    pictures: Film,
    sounds: av.container.InputContainer | None,
    film: av.container.OutputContainer,
    spoken: Sequence[Spoken],
    bar: Bar | None,
) -> bool:
    base, sound, canvas = pictures.time_base, _Sound(sounds, film), Canvas(pictures.ratio, None, pictures.glimpses)
    stream: av.VideoStream | None = None
    zero, last = 0, -1
    for frame in pictures.frames:
        assert frame.pts is not None  # as a film's frames have it
        if stream is None:
            sound.start = min(pictures.start, float(frame.pts * base))
            zero = round(sound.start / base)
        if frame.pts - zero <= last:
            continue
        last = frame.pts - zero
        at = float(last * base)
        pixels = canvas(frame)
        if stream is None:
            painter, stream = _Painter(pixels, spoken), _stream(film, pictures, pixels)
            stream.codec_context.sample_aspect_ratio = canvas.ratio
        drawn = av.VideoFrame.from_ndarray(painter.paint(pixels, at), format="rgb24")
        drawn.pts, drawn.time_base = last, base
        film.mux(stream.encode(drawn))
        sound.mux_until(at)
        if bar:
            bar(int(at), max(len(one.outlines) for one in spoken) // FPS)
    if stream:
        film.mux(stream.encode())
    sound.mux_until(float("inf"))
    return sound.whole


@contextmanager
def _sounds(source: Path) -> Iterator[av.container.InputContainer | None]:
    """The file again for its sound; None of numbered pictures, which have none."""
    if source.is_file():
        with open_media(f"file:{source}") as film:
            yield film
    else:
        yield None


def _stream(film: av.container.OutputContainer, pictures: Film, pixels: Frame) -> av.VideoStream:
    """A stream like that of ``pictures``, upright, its sides made even as H.264's must be."""
    stream = film.add_stream("libx264", rate=pictures.rate, options={"crf": "18", "preset": "veryfast"})
    stream.height, stream.width = (side + side % 2 for side in pixels.shape[:2])
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = pictures.time_base
    return stream


class _Sound:
    """The sound of a file, if it has any, on its way into another as AAC, which MP4 players can play."""

    def __init__(self, source: av.container.InputContainer | None, film: av.container.OutputContainer) -> None:
        self.start = 0.0  # of the film, in seconds of the source
        self.whole = True
        self._film = film
        self._stream: av.AudioStream | None = None
        self._next: av.AudioFrame | None = None
        if source and source.streams.audio:
            track = source.streams.audio[0]
            layout = "mono" if track.channels == 1 else "stereo"
            self._stream = film.add_stream("aac", rate=48000, layout=layout)  # AAC hasn't every rate
            self._frames = source.decode(track)
            self._next = self._decoded()

    def mux_until(self, time: float) -> None:
        """Write what is heard up to ``time``, seconds from the film's start."""
        while self._stream and self._next and (self._next.time or 0.0) - self.start <= time:
            frame = self._next
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(self.start / frame.time_base)
                if frame.pts >= 0:  # nothing is heard before there is something to see
                    self._film.mux(self._stream.encode(frame))
            self._next = self._decoded()
        if self._stream and not self._next:
            self._film.mux(self._stream.encode())
            self._stream = None

    def _decoded(self) -> av.AudioFrame | None:
        try:
            return next(self._frames, None)
        except av.FFmpegError:
            self.whole = False
            return None


class _Painter:
    """Draws into frames of one size."""

    def __init__(self, pixels: Frame, spoken: Sequence[Spoken]) -> None:
        height, width = pixels.shape[:2]
        column = width / len(spoken)
        # Pillow's own, which is the same everywhere.
        font = ImageFont.load_default(max(10, round(min(height / 14, column / 16))))
        assert isinstance(font, ImageFont.FreeTypeFont)  # as all its wheels have it
        self._spoken = spoken
        self._texts = []
        for number, one in enumerate(spoken):
            place = (column * number, column * (number + 1), height)
            said = spoken_words(one.transcript)
            self._texts.append([_Text(words, sentence.sure, font, place) for sentence, words in said if words])
        self._starts = [[text.start for text in texts] for texts in self._texts]
        self._scale = max(1.0, max(height, width) / MAX_SIDE)  # outlines are of frames that were shrunk
        self._line = max(2, height // 150)

    def paint(self, pixels: Frame, at: float) -> Frame:
        """A frame as it is ``at`` seconds from the start."""
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        for one, texts, starts in zip(self._spoken, self._texts, self._starts, strict=True):
            begun = bisect_right(starts, at)
            text = texts[begun - 1] if begun and at <= texts[begun - 1].end + _STAYS else None
            number = one.timeline.frame(at)
            outline = one.outlines[min(number, len(one.outlines) - 1)] if one.outlines and number >= 0 else None
            if outline is not None:
                colour = _READ if text is None else _NOW if text.sure else _GUESS
                corners = [(float(x), float(y)) for x, y in outline * self._scale]
                draw.polygon(corners, outline=colour, width=self._line)
            if text:
                text.draw(draw, at)
        height, width = pixels.shape[:2]
        return np.pad(np.asarray(image), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


class _Text:
    """A sentence at the bottom of a column, each word in a place that it keeps."""

    def __init__(
        self, words: Sequence[Word], sure: bool, font: ImageFont.FreeTypeFont, column: tuple[float, float, float]
    ) -> None:
        self.start, self.end, self.sure = words[0].start, words[-1].end, sure
        self._font = font
        left, right, bottom = column
        said = [(word.word, word.start, word.end) for word in words]
        shown = said if sure else [("not sure:", self.start, 0.0), *said]
        space = font.getlength(" ")
        lines: list[list[tuple[str, float, float]]] = [[]]
        for one in shown:
            used = sum(font.getlength(text) + space for text, *_ in lines[-1])
            if lines[-1] and used + font.getlength(one[0]) > 0.94 * (right - left):
                lines.append([])
            lines[-1].append(one)
        self._placed = []
        for number, line in enumerate(reversed(lines)):
            x = (left + right - font.getlength(" ".join(text for text, *_ in line))) / 2
            y = bottom - font.size * (0.6 + 1.2 * number)
            for text, start, end in line:
                self._placed.append((x, y, text, start, end))
                x += font.getlength(text) + space

    def draw(self, draw: ImageDraw.ImageDraw, at: float) -> None:
        """What has been said by now, the present word marked."""
        for x, y, text, start, end in self._placed:
            if start <= at:
                colour = _NOW if at < end else _READ if self.sure else _GUESS
                stroke = max(1, round(self._font.size / 10))
                draw.text((x, y), text, colour, self._font, anchor="ls", stroke_width=stroke, stroke_fill=(0, 0, 0))
