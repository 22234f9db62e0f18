"""``--say`` and ``--type``: a sentence spoken or typed by a program of this system."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from queue import SimpleQueue
from shutil import which
from subprocess import DEVNULL, run
from threading import Thread

from gunileo.cli.complaints import complain
from gunileo.errors import GunileoError

_TEXT = "GUNILEO_TEXT"  # in the program's environment: what PowerShell is given as an argument it would take for code
_POWERSHELL = ("powershell", "-NoProfile", "-NonInteractive", "-Command")
_SAPI = f"Add-Type -AssemblyName System.Speech; (New-Object Speech.Synthesis.SpeechSynthesizer).Speak($env:{_TEXT})"
# Characters that stand for keys have to be in braces.
_KEYS = f"[regex]::Replace($env:{_TEXT}, '[+^%~(){{}}\\[\\]]', '{{$&}}')"
_SEND_KEYS = f"Add-Type -AssemblyName System.Windows.Forms; [Windows.Forms.SendKeys]::SendWait({_KEYS})"
_KEYSTROKE = 'on run argv\ntell application "System Events" to keystroke (item 1 of argv)\nend run'
_DELAY = "60"  # milliseconds of xdotool's; with less, windows miss letters that the keyboard doesn't have

Command = tuple[str, ...]  # a program and its arguments; {text} in one stands for the sentence


class NoProgramError(GunileoError):
    """This system has no program for what was asked."""


def speech() -> Command:
    """The system's speech. Raises ``NoProgramError`` if it has none."""
    if sys.platform == "win32":
        commands = [(*_POWERSHELL, _SAPI)]
    elif sys.platform == "darwin":
        commands = [("say", "{text}")]
    else:
        commands = [("spd-say", "--wait", "{text}"), ("espeak-ng", "{text}"), ("espeak", "{text}")]
    return _first(commands, "--say: no program to speak was found; install speech-dispatcher or espeak-ng")


def typing(environment: Mapping[str, str] = os.environ) -> Command:
    """What types into the window that has the focus. Raises ``NoProgramError`` if there is nothing that can."""
    if sys.platform == "win32":
        return _first([(*_POWERSHELL, _SEND_KEYS)], "--type: PowerShell is missing")
    if sys.platform == "darwin":
        return _first([("osascript", "-e", _KEYSTROKE, "{text} ")], "--type: osascript is missing")
    if environment.get("WAYLAND_DISPLAY"):
        commands = [("wtype", "{text} "), ("ydotool", "type", "{text} ")]
        return _first(commands, "--type: no program to type under Wayland was found; install wtype or ydotool")
    if environment.get("DISPLAY"):
        commands = [("xdotool", "type", "--clearmodifiers", "--delay", _DELAY, "{text} ")]
        return _first(commands, "--type: no program to type under X11 was found; install xdotool")
    raise NoProgramError("--type: there is no window to type into; start it in a graphical session")


def _first(commands: list[Command], complaint: str) -> Command:
    for command in commands:
        if which(command[0]):
            return command
    raise NoProgramError(complaint)


class InTurn:
    """Runs a command for each sentence, beside the reading, one after the other."""

    def __init__(self, command: Command, option: str):
        self._command, self._option = command, option
        self._texts: SimpleQueue[str | None] = SimpleQueue()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def run(self, text: str) -> None:
        """Run it for this sentence, once it has run for those before."""
        self._texts.put(text)

    def join(self) -> None:
        """Wait until it has run for all."""
        self._texts.put(None)
        self._thread.join()

    def _work(self) -> None:
        program = self._command[0]
        while (text := self._texts.get()) is not None:
            command = [part.replace("{text}", text) for part in self._command]
            environment = {**os.environ, _TEXT: f"{text} "}
            try:
                done = run(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment, check=False)
            except OSError as error:
                complain(f"{program}: can't be run ({error.strerror}); see {self._option}")
                continue
            if done.returncode:
                complain(f"{program}: failed with exit code {done.returncode}; see {self._option}")
