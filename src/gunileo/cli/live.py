"""``gunileo live``: read a camera as you speak."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gunileo.cli.choice import CHOICES, Choice, Hand, talk_key
from gunileo.cli.complaints import complain
from gunileo.cli.decoding import loaded, searched, way
from gunileo.cli.keyboard import Keyboard
from gunileo.cli.options import (
    Beam,
    CtcWeight,
    Device,
    Face,
    Grammar,
    LanguageModel,
    Lexicon,
    LmWeight,
    Model,
    RunsOn,
    Way,
)
from gunileo.cli.programs import Programs
from gunileo.cli.say_and_type import InTurn, speech, typing
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.inference.live import Live
    from gunileo.output.transcript import Transcript
    from gunileo.vision.camera import Taken
    from gunileo.vision.face import Face as Which


_Source = Annotated[
    str | None,
    typer.Argument(metavar="[FILE|-]", help="Video to read instead of the camera; - reads a pipe."),
]
_Command = Annotated[
    str | None,
    typer.Option(
        "--exec",
        metavar="COMMAND",
        help="Program to run for each sentence that the model is sure of. The sentence replaces {text}.",
    ),
]
_Confidence = Annotated[float, typer.Option(min=0, max=1, help="Sentences with a lower confidence count as not sure.")]
_Choose = Annotated[
    bool,
    typer.Option(
        "--choose",
        help="Show the three likeliest sentences. Choose one with the keys 1, 2, 3, pressed in this terminal.",
    ),
]
_Say = Annotated[bool, typer.Option("--say", help="Say each sentence aloud, with the system's speech.")]
_Type = Annotated[bool, typer.Option("--type", help="Type each sentence into the window that has the focus.")]
_Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Push to talk: KEY, pressed in this terminal, begins and ends a sentence. A character, or space.",
    ),
]
_Latency = Annotated[bool, typer.Option("--latency", help="Print the latency of each sentence on standard error.")]


def live(
    source: _Source = None,
    camera: Annotated[int, typer.Option(min=0, help="Number of the camera.")] = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Read FILE faster than it plays.")] = False,
    model: Model = DEFAULT,
    device: RunsOn = Device.auto,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    beam: Beam = None,
    ctc_weight: CtcWeight = None,
    lm_weight: LmWeight = None,
    face: Annotated[Face, typer.Option(help="Which face to read, if there are several.")] = Face.largest,
    run: _Command = None,
    confidence: _Confidence = 0.0,
    choose: _Choose = False,
    aloud: _Say = False,
    typed: _Type = False,
    key: _Key = None,
    latency: _Latency = False,
) -> None:
    """Read your camera as you speak, and act on it.

    \b
      gunileo live
      gunileo live --exec 'notify-send {text}' --confidence 0.8
      gunileo live --choose --say --key space
      gunileo live talk.mp4

    Prints each sentence on a line of its own, when the mouth has rested for 0.4 seconds. A guess is marked "not sure:".
    Press Ctrl-C to end. A sentence that you have begun is still read. A camera needs OpenCV: pip install
    "gunileo[live]".

    --exec, --say and --type get the sentences that the model is sure of. With --choose, they get what you choose. Keys
    are taken only while this terminal has the focus, and --type would then type into it.

    COMMAND is a program and its arguments, all in one pair of quotes. It is not run by a shell. Reading goes on while
    it runs. If it fails, a line on standard error says so.
    """
    talk, outlets = talk_key(key, choose), _outlets(run, aloud, typed)
    keyboard = Keyboard() if choose or talk else None
    weights = (beam, ctc_weight, lm_weight)
    how = way(searched(decode, weights), grammar, lexicon, lm, model)
    reader, listed = loaded(model, device, weights), CHOICES if choose else 0
    lips = reader.live(*how, cast("Which", face.value), alternatives=listed)
    printer = _Printer(outlets, confidence, latency, choose)
    with keyboard or nullcontext(), _opened(source, camera, fast) as frames:
        hand = Hand(keyboard, lips, printer.choice, talk, printer.print) if keyboard else None
        broken = _read(frames, lips, printer, hand)
    for outlet in outlets:
        outlet.join()
    if broken:
        raise broken


def _read(frames: Iterator[Taken], lips: Live, printer: _Printer, hand: Hand | None) -> GunileoError | None:
    """Print what is said until the frames end. Returns the error of a camera that fails, once all it saw is read."""
    broken = None
    try:
        for taken in _until_stopped(frames):
            printer.seen(taken.time)
            read = lips.push(taken.frame)
            printer.print(read)
            if hand:
                hand.look(heard=bool(read))
    except GunileoError as error:
        broken = error
    printer.print(lips.flush())
    if hand:
        hand.finish()
    return broken


def _outlets(run: str | None, aloud: bool, typed: bool) -> list[Programs | InTurn]:
    """Where sentences go beside standard output. Raises ``NoProgramError`` if this system has no way there."""
    outlets: list[Programs | InTurn] = [Programs(run)]
    if aloud:
        outlets.append(InTurn(speech(), "--say"))
    if typed:
        outlets.append(InTurn(typing(), "--type"))
    return outlets


class _Printer:
    """Prints sentences, with their latency if that is asked for. Those that are sure, or chosen, go to the outlets."""

    def __init__(self, outlets: list[Programs | InTurn], confidence: float, latency: bool, choose: bool):
        self.outlets, self.confidence, self.latency = outlets, confidence, latency
        self.choice = Choice(self._chosen) if choose else None
        self.frames, self.last = 0, 0.0  # so far, and the time of the last

    def seen(self, moment: float) -> None:
        self.frames, self.last = self.frames + 1, moment

    def print(self, sentences: Iterable[Transcript]) -> None:
        from gunileo.output.writers import marked
        from gunileo.vision.video import FPS

        for sentence in sentences:
            said = replace(sentence, sure=sentence.sure and sentence.confidence >= self.confidence)
            if self.choice is not None:
                self.choice.offer(said)
            else:
                typer.echo(marked(said))
            if self.latency:
                took = time.monotonic() - self.last
                after = took + self.frames / FPS - sentence.words[-1].end
                typer.echo(f"{took:.3f} s from the last frame, {after:.1f} s from the last word's end", err=True)
            if said.sure and self.choice is None:
                self._send(said.text)

    def _chosen(self, text: str) -> None:
        typer.echo(text)
        self._send(text)

    def _send(self, text: str) -> None:
        for outlet in self.outlets:
            outlet.run(text)


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
            complain(f"camera {number}: {camera.dropped} frames were left out, because this computer is too slow")


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
