"""``gunileo live``: read a camera as you speak."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from subprocess import DEVNULL, Popen
from threading import Thread
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gunileo.cli.options import Face, Grammar, LanguageModel, Lexicon, Model, Way, complain, way
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.output.transcript import Transcript
    from gunileo.vision.camera import Taken
    from gunileo.vision.face import Face as Which


def live(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|-]", help="Video to read in the camera's place, for a trial; - from a pipe."),
    ] = None,
    camera: Annotated[int, typer.Option(min=0, help="Number of the camera.")] = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Read FILE faster than it plays.")] = False,
    model: Model = DEFAULT,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    face: Annotated[Face, typer.Option(help="Of several, the one to read.")] = Face.largest,
    run: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Program for each sentence that is sure; {text} in it is that."),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0, max=1, help="A sentence with less than this counts as not sure.")
    ] = 0.0,
    latency: Annotated[
        bool, typer.Option("--latency", help="Print on standard error how long each sentence took.")
    ] = False,
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
    from gunileo.output.writers import marked
    from gunileo.vision.video import FPS

    command = [] if run is None else _command(run)
    how = way(decode, grammar, lexicon, lm, model)
    lips = load_model(model).live(*how, cast("Which", face.value))
    running: list[Thread] = []
    pushed, last = 0, 0.0

    def say(sentences: Iterable[Transcript]) -> None:
        for sentence in sentences:
            sure = sentence.sure and sentence.confidence >= confidence
            typer.echo(marked(replace(sentence, sure=sure)))
            if latency:
                took = time.monotonic() - last
                after = took + pushed / FPS - sentence.words[-1].end
                typer.echo(f"{took:.3f} s from the last frame, {after:.1f} s from the last word's end", err=True)
            if command and sure:
                running[:] = [thread for thread in running if thread.is_alive()]
                running.extend(_start([command[0], *(part.replace("{text}", sentence.text) for part in command[1:])]))

    broken = None
    with _opened(source, camera, fast) as frames:
        try:
            for taken in _until_stopped(frames):
                pushed, last = pushed + 1, taken.time
                say(lips.push(taken.frame))
        except GunileoError as error:  # of a camera that was unplugged: what it saw is read first
            broken = error
    say(lips.flush())
    for thread in running:
        thread.join()
    if broken:
        raise broken


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


def _command(given: str) -> list[str]:
    """A program and its arguments, of which no shell makes anything else."""
    try:
        command = shlex.split(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given}: {error}", param_hint="--exec") from error
    if not command or "{text}" in command[0]:
        raise typer.BadParameter("name a program, then its arguments: 'notify-send {text}'", param_hint="--exec")
    return command


def _start(command: list[str]) -> list[Thread]:
    """Run a program beside the reading; the thread that waits for it, none if it can't be run."""
    try:
        program = Popen(command, stdin=DEVNULL)
    except OSError as error:
        complain(f"{command[0]}: can't be run ({error.strerror}); check --exec")
        return []

    def wait() -> None:
        if code := program.wait():
            complain(f"{command[0]}: failed with exit code {code}")

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return [thread]
