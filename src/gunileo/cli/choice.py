"""``--choose`` and ``--key``: the likeliest sentences in the terminal, one of which a key chooses, and push to talk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from gunileo.cli.keyboard import Keyboard

if TYPE_CHECKING:
    from gunileo.inference.live import Live
    from gunileo.output.transcript import Transcript

CHOICES = 3
_NONE = "0"  # the key for "none of these"


class Choice:
    """Sentences that wait for a key: 1, 2, 3, or 0 for none of them. The oldest is shown, on standard error."""

    def __init__(self, choose: Callable[[str], None]):
        """``choose`` is called with the text that was chosen."""
        self._choose = choose
        self._waiting: deque[tuple[tuple[str, ...], bool]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def offer(self, sentence: Transcript) -> None:
        """Let the user choose what this sentence was."""
        texts = tuple(one.text for one in sentence.alternatives) or (sentence.text,)
        self._waiting.append((texts, sentence.sure))
        if len(self._waiting) == 1:
            self._show()

    def press(self, key: str) -> None:
        """Take a key; one that stands for nothing does nothing."""
        texts = self._waiting[0][0] if self._waiting else ()
        if key not in {_NONE, *map(str, range(1, len(texts) + 1))} or not texts:
            return
        self._waiting.popleft()
        if key != _NONE:
            self._choose(texts[int(key) - 1])
        if self._waiting:
            self._show()

    def _show(self) -> None:
        texts, sure = self._waiting[0]
        for number, text in enumerate(texts, 1):
            typer.echo(f"{number}  {text}", err=True)
        typer.echo(f"{'' if sure else 'not sure: '}press 1 to {len(texts)}, or 0 for none of these", err=True)


class Hand:
    """What the keys of the terminal do: choose, and begin and end push to talk."""

    def __init__(
        self,
        keyboard: Keyboard,
        lips: Live,
        choice: Choice | None,
        talk: str | None,
        told: Callable[[list[Transcript]], None],
    ):
        """``talk`` is the key for push to talk, None for hands-free; ``told`` takes the sentences that end with it."""
        self._keyboard, self._lips, self._choice, self._talk, self._told = keyboard, lips, choice, talk, told
        self._talking = self._heard = False  # whether something was read since the key began to talk
        if talk:
            lips.end()
            typer.echo(f"press {_name(talk)} before you speak, and again when you are done", err=True)

    def look(self, heard: bool) -> None:
        """Do what the keys ask that were pressed since; ``heard`` says that a sentence was read since."""
        self._heard |= heard
        while key := self._keyboard.pressed():
            self._press(key)

    def finish(self) -> None:
        """Wait until all is chosen, or Ctrl-C."""
        try:
            while self._choice:
                self._press(self._keyboard.pressed(wait=1.0))
        except KeyboardInterrupt:
            pass

    def _press(self, key: str) -> None:
        if key and key == self._talk:
            self._talking = not self._talking
            if self._talking:
                self._heard = False
                self._lips.begin()
                typer.echo("speak", err=True)
            else:
                read = self._lips.end()
                self._told(read)
                if not read and not self._heard:
                    typer.echo("no words were read; look into the camera, and say it again", err=True)
        elif key and self._choice is not None:
            self._choice.press(key)


def talk_key(given: str | None, choose: bool) -> str | None:
    """The character of a key's name. Raises ``typer.BadParameter`` if it is none, or chooses."""
    key = " " if given == "space" else given
    if key is not None and (len(key) != 1 or not key.isprintable()):
        raise typer.BadParameter(f"{given}: give one character, or space", param_hint="--key")
    if key is not None and choose and key in "0123":
        raise typer.BadParameter(f"{given}: --choose uses this key; take another", param_hint="--key")
    return key


def _name(key: str) -> str:
    return "space" if key == " " else key
