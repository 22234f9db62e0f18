"""``--exec``: programs that ``gunileo live`` runs while it reads."""

from __future__ import annotations

import shlex
from subprocess import DEVNULL, Popen
from threading import Thread

import typer

from gunileo.cli.complaints import complain


class Programs:
    """A program that is run for each sentence. No shell sees the command, and no program holds up the reading."""

    def __init__(self, command: str | None):
        """``command`` is a program and its arguments; no program is run if it is None.

        Raises ``typer.BadParameter`` if it can't be split into arguments or names no program.
        """
        self._command = [] if command is None else _split(command)
        self._waiting: list[Thread] = []

    def run(self, text: str) -> None:
        """Start the program, with ``text`` in place of {text} in its arguments. If it fails, a line says so."""
        if not self._command:
            return
        self._waiting = [thread for thread in self._waiting if thread.is_alive()]
        program, *arguments = self._command
        try:
            running = Popen([program, *(argument.replace("{text}", text) for argument in arguments)], stdin=DEVNULL)
        except OSError as error:
            complain(f"{program}: can't be run ({error.strerror}); check --exec")
            return
        thread = Thread(target=_wait, args=(program, running), daemon=True)
        thread.start()
        self._waiting.append(thread)

    def join(self) -> None:
        """Wait for all programs to end."""
        for thread in self._waiting:
            thread.join()


def _split(given: str) -> list[str]:
    try:
        command = shlex.split(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given}: {error}", param_hint="--exec") from error
    if not command or "{text}" in command[0]:
        raise typer.BadParameter("name a program, then its arguments: 'notify-send {text}'", param_hint="--exec")
    return command


def _wait(program: str, running: Popen[bytes]) -> None:
    if code := running.wait():
        complain(f"{program}: failed with exit code {code}")
