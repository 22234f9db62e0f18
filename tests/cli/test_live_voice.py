"""``gunileo live`` for somebody without a voice: a choice by keys, push to talk, speech, and keys typed for them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import clips
import pytest
from waiting import PATIENCE, until, until_idle

from gunileo import load_model
from gunileo.cli import say_and_type
from gunileo.vision.video import read_frames, write_video

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")


@pytest.fixture(scope="module")
def sentences(talk: Path, model: str) -> list[list[str]]:
    """The three likeliest of each."""
    lips, read = load_model(model).live(alternatives=3), []
    for frame in read_frames(talk):
        read += lips.push(frame)
    return [[one.text for one in said.alternatives] for said in read + lips.flush()]


def program(folder: Path, name: str, body: str) -> Path:
    """A program on the PATH that a test makes."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


class Typist:
    """``gunileo live`` in a terminal of its own, at which keys can be pressed."""

    def __init__(self, *arguments: object, path: Path | None = None):
        self._ours, theirs = os.openpty()
        environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else None
        self._live = subprocess.Popen(
            [sys.executable, "-m", "gunileo", "live", *map(str, arguments)],
            **{"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
            text=True,
            env=environment,
        )
        os.close(theirs)
        self.pid = self._live.pid

    def until(self, wanted: str) -> list[str]:
        """The lines of standard error up to this one."""
        assert self._live.stderr is not None
        lines = []
        for line in self._live.stderr:
            lines.append(line.rstrip("\n"))
            if wanted in line:
                return lines
        raise AssertionError(f"in vain: {wanted}; {lines}")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> tuple[int, list[str], str]:
        out, err = self._live.communicate(timeout=PATIENCE)
        os.close(self._ours)
        return self._live.returncode, out.splitlines(), err


def test_alternatives_begin_with_what_is_read(talk: Path, model: str, sentences: list[list[str]]) -> None:
    assert [texts[0] for texts in sentences] == [one.text for one in load_model(model).stream(talk)]
    assert [len(set(texts)) for texts in sentences] == [3, 3]


def test_a_key_chooses_and_the_chosen_is_spoken(
    talk: Path, model: str, sentences: list[list[str]], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    busy = tmp_path / "busy"
    alone = f"mkdir {busy} || echo 'two at once' >> {said}"
    body = f'{alone}; sleep 0.3; echo "$1|$2|$GUNILEO_TEXT" >> {said}; rmdir {busy}'
    program(tmp_path, "spd-say", body)
    live = Typist(talk, "--fast", "--model", model, "--choose", "--say", path=tmp_path)
    shown = live.until("press 1 to 3, or 0")
    assert shown[:3] == [f"{number}  {text}" for number, text in enumerate(sentences[0], 1)]
    assert not said.exists()
    live.press("9x2")  # the first two are no choices
    assert live.until("press 1 to 3, or 0")[0] == f"1  {sentences[1][0]}"
    live.press("1")
    code, out, err = live.end()
    assert (code, err) == (0, "")
    chosen = [sentences[0][1], sentences[1][0]]
    assert out == chosen
    assert said.read_text().splitlines() == [f"--wait|{text}|{text} " for text in chosen], "one after the other"


def test_none_of_these_is_neither_printed_nor_said(talk: Path, model: str) -> None:
    live = Typist(talk, "--fast", "--model", model, "--choose")
    for _ in range(2):
        live.until("press 1 to 3, or 0")
        live.press("0")
    code, out, _ = live.end()
    assert (code, out) == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process does")
def test_push_to_talk_reads_what_is_between_two_keys(talk: Path, model: str, tmp_path: Path) -> None:
    film, pipe = talk.read_bytes(), tmp_path / "pipe"
    os.mkfifo(pipe)
    live = Typist(pipe, "--model", model, "--key", "space")
    assert "press space before you speak" in live.until("press space")[-1]
    live.press(" ")
    pipe.write_bytes(film)
    live.until("speak")
    code, out, err = live.end()
    assert (code, err) == (0, "")
    assert len(out) == 1, "the rest in the middle ends nothing"

    twice = Typist(pipe, "--model", model, "--key", "space")
    twice.until("press space")
    twice.press(" ")
    with pipe.open("wb") as sink:
        sink.write(film[: len(film) * 2 // 3])
        sink.flush()
        twice.until("speak")
        until_idle(twice.pid)
        twice.press(" ")
        sink.write(film[len(film) * 2 // 3 :])
    assert len(twice.end()[1]) == 1, "all after the second time is not read"
    silent = Typist(talk, "--fast", "--model", model, "--key", "t")
    assert silent.end()[:2] == (0, [])

    nothing = Typist(pipe, "--model", model, "--key", "space")
    nothing.until("press space")
    nothing.press("  ")
    pipe.write_bytes(film)
    nothing.until("no words were read")
    assert nothing.end()[:2] == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process does")
def test_silence_after_ten_seconds_does_not_deny_what_was_read(model: str, tmp_path: Path) -> None:
    frames = [frame[::2, ::2] for frame in clips.talking()[0]]
    film, pipe = tmp_path / "film.mkv", tmp_path / "pipe"
    write_video(film, [*frames, *[frames[-1]] * 190])
    os.mkfifo(pipe)
    live = Typist(pipe, "--model", model, "--key", "space")
    live.until("press space")
    live.press(" ")
    with pipe.open("wb") as sink:
        sink.write(film.read_bytes())
        live.until("speak")
        until_idle(live.pid)
        live.press(" ")
        until_idle(live.pid)
    code, out, err = live.end()
    assert (code, len(out), err) == (0, 1, "")


def test_what_is_missing_is_a_line(
    run: Callable[..., tuple[int, str, str]], talk: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":99")
    for option, told in (("--say", "espeak-ng"), ("--type", "xdotool")):
        if sys.platform == "darwin":
            continue
        code, out, err = run("live", talk, "--model", model, option)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert told in err
    assert run("live", talk, "--choose", "--key", "2")[0] == 2
    assert run("live", talk, "--key", "f9")[0] == 2
    code, out, err = run("live", talk, "--model", model, "--choose")  # pytest's standard input is none
    assert (code, out) == (1, "")
    assert "terminal" in err


def test_tmux_presses_the_keys_from_any_window(
    talk: Path, model: str, sentences: list[list[str]], tmp_path: Path
) -> None:
    """So a shortcut of the desktop's does, as ``docs/voice.md`` tells."""
    if not shutil.which("tmux"):
        pytest.skip("needs tmux (apt-get install tmux)")
    chosen, environment = tmp_path / "chosen", {**os.environ, "TMUX_TMPDIR": str(tmp_path)}
    environment.pop("TMUX", None)

    def tmux(*arguments: str) -> str:
        done = subprocess.run(["tmux", *arguments], env=environment, capture_output=True, text=True, check=False)
        return done.stdout

    live = shlex.join([sys.executable, "-m", "gunileo", "live", str(talk), "--fast", "--model", model, "--choose"])
    tmux("new-session", "-d", "-s", "lips", f"{live} > {shlex.quote(str(chosen))}")
    try:
        for count, key in ((1, "2"), (2, "1")):
            until(lambda count=count: tmux("capture-pane", "-p", "-t", "lips").count("press 1 to 3") == count)
            tmux("send-keys", "-t", "lips", key)
        until(lambda: chosen.read_text().splitlines() == [sentences[0][1], sentences[1][0]])
    finally:
        tmux("kill-server")


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's two kinds of windows")
def test_wayland_and_x11_have_programs_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xdotool", "ydotool"):
        program(tmp_path, name, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert say_and_type.typing({"DISPLAY": ":0"})[:2] == ("xdotool", "type")
    assert say_and_type.typing({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"})[0] == "ydotool"
    program(tmp_path, "wtype", "")
    assert say_and_type.typing({"WAYLAND_DISPLAY": "wayland-0"}) == ("wtype", "{text} ")
    with pytest.raises(say_and_type.NoProgramError, match="graphical session"):
        say_and_type.typing({})


@pytest.fixture
def screen() -> Iterator[str]:
    """An X server without a screen; its name."""
    if not all(map(shutil.which, ("Xvfb", "xterm", "xdotool"))):
        pytest.skip("needs Xvfb, xterm and xdotool (apt-get install xvfb xterm xdotool)")
    source, sink = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(sink)], pass_fds=[sink], stderr=subprocess.DEVNULL)
    os.close(sink)
    with os.fdopen(source) as pipe:
        yield f":{pipe.readline().strip()}"
    server.terminate()
    server.wait()


@pytest.fixture
def typed(screen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with all that is typed into a terminal, which has the focus."""
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    path = tmp_path / "typed"
    shell = f"stty -icanon; cat > {path}"
    with subprocess.Popen(["xterm", "-u8", "-e", "sh", "-c", shell]) as window:
        search = ["xdotool", "search", "--sync", "--onlyvisible", "--class", "xterm", "windowfocus", "--sync"]
        subprocess.run(search, timeout=PATIENCE, check=True)
        yield path
        window.terminate()


def test_it_is_typed_into_the_window_that_has_the_focus(
    talk: Path, model: str, sentences: list[list[str]], typed: Path
) -> None:
    live = [sys.executable, "-m", "gunileo", "live", str(talk), "--fast", "--model", model, "--type"]
    done = subprocess.run(live, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = "".join(f"{texts[0]} " for texts in sentences)
    until(lambda: typed.read_text() == wanted)


def test_letters_that_the_keyboard_lacks_are_typed(typed: Path) -> None:
    texts = ["don't (50%)", "schöne grüße", "как дела", "我要喝水"]
    outlet = say_and_type.InTurn(say_and_type.typing(), "--type")
    for text in texts:
        outlet.run(text)
    outlet.join()
    until(lambda: typed.read_text() == "".join(f"{text} " for text in texts))
