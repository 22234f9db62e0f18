"""``gunileo live``: read a camera as you speak."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gunileo.cli.options import Face, Grammar, LanguageModel, Lexicon, Model, Way, complain, way
from gunileo.cli.programs import Programs
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.output.transcript import Transcript
    from gunileo.vision.camera import Taken
    from gunileo.vision.face import Face as Which


_Source = Annotated[
    str | None,
    typer.Argument(metavar="[FILE|-]", help="Video to read in the camera's place, for a trial; - from a pipe."),
]
_Command = Annotated[
    str | None,
    typer.Option("--exec", metavar="COMMAND", help="Program for each sentence that is sure; {text} in it is that."),
]
_Confidence = Annotated[float, typer.Option(min=0, max=1, help="A sentence with less than this counts as not sure.")]
_Latency = Annotated[bool, typer.Option("--latency", help="Print on standard error how long each sentence took.")]


def live(
    source: _Source = None,
    camera: Annotated[int, typer.Option(min=0, help="Number of the camera.")] = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Read FILE faster than it plays.")] = False,
    model: Model = DEFAULT,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    face: Annotated[Face, typer.Option(help="Of several, the one to read.")] = Face.largest,
    run: _Command = None,
    confidence: _Confidence = 0.0,
    latency: _Latency = False,
) -> None:
    """Read your camera as you speak, and act on it.

    \b
      gunileo live
      gunileo live --exec 'notify-send {text}' --confidence 0.8
      gunileo live talk.mp4

    Prints a line a sentence, soon after the mouth has rested for 0.4 seconds; "not sure:" stands before a guess.
    Ctrl-C ends it: what was begun is read. A camera needs OpenCV: pip install "gunileo[live]".

    COMMAND is a program and its arguments, in quotes as a whole; no shell sees it. It is run beside the reading, and
    one that fails is reported.
    """
    from gunileo.inference.reader import load_model

    programs = Programs(run)
    how = way(decode, grammar, lexicon, lm, model)
    lips = load_model(model).live(*how, cast("Which", face.value))
    printer = _Printer(programs, confidence, latency)
    broken = None
    with _opened(source, camera, fast) as frames:
        try:
            for taken in _until_stopped(frames):
                printer.seen(taken.time)
                printer.print(lips.push(taken.frame))
        except GunileoError as error:  # of a camera that was unplugged: what it saw is read first
            broken = error
    printer.print(lips.flush())
    programs.join()
    if broken:
        raise broken


class _Printer:
    """Prints sentences, with their latency if that is asked for, and runs the program for each that is sure."""

    def __init__(self, programs: Programs, confidence: float, latency: bool):
        self.programs, self.confidence, self.latency = programs, confidence, latency
        self.frames, self.last = 0, 0.0  # so far, and the time of the last

    def seen(self, moment: float) -> None:
        self.frames, self.last = self.frames + 1, moment

    def print(self, sentences: Iterable[Transcript]) -> None:
        from gunileo.output.writers import marked
        from gunileo.vision.video import FPS

        for sentence in sentences:
            sure = sentence.sure and sentence.confidence >= self.confidence
            typer.echo(marked(replace(sentence, sure=sure)))
            if self.latency:
                took = time.monotonic() - self.last
                after = took + self.frames / FPS - sentence.words[-1].end
                typer.echo(f"{took:.3f} s from the last frame, {after:.1f} s from the last word's end", err=True)
            if sure:
                self.programs.run(sentence.text)


@contextmanager
def _opened(source: str | None, number: int, fast: bool) -> Iterator[Iterator[Taken]]:
    """The frames of a file, or of a camera, 25 a second."""
    from gunileo.vision.camera import Camera, evenly, timed
    from gunileo.vision.pipe import is_pipe
    from gunileo.vision.video import read_frames

    if source is not None:  # a pipe has a pace of its own
        yield timed(read_frames(source), in_time=not fast and not is_pipe(source))
        return
    with Camera(number) as camera:
        if sys.stderr.isatty():
            typer.echo(f"reading camera {number}; Ctrl-C ends it", err=True)
        yield evenly(camera.frames())
        if camera.dropped:
            complain(f"camera {number}: {camera.dropped} frames were left out, as this computer is too slow for them")


def _until_stopped(frames: Iterator[Taken]) -> Iterator[Taken]:
    """The same until Ctrl-C, which ends the wait for a frame, but not what is done with one that is there."""
    from gunileo.vision.video import VideoError

    waiting = stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        if waiting:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        while not stopped:
            waiting = True
            taken = next(frames, None)
            waiting = False
            if taken is None:
                break
            yield taken
    except KeyboardInterrupt:
        pass
    except VideoError:  # a pipe that ends amid a frame
        if not stopped:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
