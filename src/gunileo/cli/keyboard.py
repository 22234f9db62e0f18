"""Keys pressed in the terminal, one at a time, without Enter."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from gunileo.errors import GunileoError

_BETWEEN = 0.02  # seconds from one look at Windows' keyboard to the next


class KeyboardError(GunileoError):
    """There is no terminal whose keys could be read."""


class Keyboard:
    """The terminal's keys; a context manager, while which keys are not shown. Ctrl-C stays what it is.

    Raises ``KeyboardError`` if standard input is no terminal.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise KeyboardError(
                "--choose and --key need a terminal, and standard input is not one; start it in a terminal"
            )
        self._before: list[Any] = []

    def __enter__(self) -> Keyboard:
        if sys.platform != "win32":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform != "win32":
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def pressed(self, wait: float = 0.0) -> str:
        """The next key, or "" if none is pressed within ``wait`` seconds.

        Raises ``KeyboardError`` if the terminal was closed.
        """
        if sys.platform == "win32":
            import msvcrt

            until = time.monotonic() + wait
            while not msvcrt.kbhit():
                if time.monotonic() >= until:
                    return ""
                time.sleep(_BETWEEN)
            return msvcrt.getwch()
        import select

        there, _, _ = select.select([sys.stdin], [], [], wait)
        if not there:
            return ""
        key = os.read(sys.stdin.fileno(), 1)
        if not key:
            raise KeyboardError("the terminal was closed")
        return key.decode("latin-1")
