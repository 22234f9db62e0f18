"""What a newcomer meets first: help, completion, progress, one line an error and the trace behind it."""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import clips
import pytest
import typer
from waiting import PATIENCE

import gunileo
from gunileo.cli import main
from gunileo.util.progress import progress

SUBCOMMANDS = dict(typer.main.get_command(main.app).commands)  # type: ignore[attr-defined]


def test_help_lists_every_verb_by_what_it_is_for(run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    panels = re.split(r"^(\S.*):$", out, flags=re.M)
    listed = [line.split()[0] for part in panels[4::2] for line in part.splitlines() if re.match(r"  \w", line)]
    assert listed == list(SUBCOMMANDS)
    for example in re.findall(r"^ +gunileo (\w+)", panels[0], flags=re.M):
        assert example in SUBCOMMANDS
    assert "gunileo transcribe talk.mp4" in panels[0]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_shows_examples_that_it_takes(run, name: str) -> None:
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    examples = re.findall(rf"^ +gunileo {name}\b(.*)$", out, flags=re.M)
    assert examples
    for example in examples:
        arguments = [part.strip("'") for part in re.findall(r"'[^']*'|\S+", example)]
        SUBCOMMANDS[name].make_context(name, arguments)  # raises if an option or an argument is wrong


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gunileo tran", {"transcribe"}),
        ("gunileo transcribe --model labial", {"labial", "labial-shape", "labial-wide"}),
        ("gunileo transcribe --format ", {"txt", "srt", "vtt", "json", "tsv", "ctm", "trn", "TextGrid", "all"}),
        ("gunileo transcribe -f txt,s", {"txt,srt"}),
        ("gunileo transcribe --face ", {"largest", "left", "right", "all"}),
        ("gunileo live --decode be", {"beam"}),
    ],
)
def test_the_shell_completes(line: str, found: set[str]) -> None:
    words = line.split(" ")
    told = {"_GUNILEO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "gunileo"], env={**os.environ, **told}, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == found, done.stderr


@pytest.mark.parametrize("place", [0, 3])
def test_verbose_shows_the_trace_of_an_error(run, model: str, tmp_path: Path, place: int) -> None:
    line = ["transcribe", clips.text(tmp_path / "a.mp4"), "--model", model]
    short = run(*line)
    assert short[0] == 1
    assert len(short[2].splitlines()) == 1
    line.insert(place, "--verbose")
    code, out, err = run(*line)
    assert (code, out) == (1, "")
    assert "Traceback (most recent call last)" in err
    assert "InvalidDataError" in err, "where it came from, too"
    assert err.endswith(short[2])


def test_a_fault_of_ours_is_a_line_too(run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gunileo.inference.load.load_model", broken)
    line = ("transcribe", clips.good(tmp_path / "a.mp4", 20), "--model", model)
    code, _, err = run(*line)
    assert (code, len(err.splitlines())) == (1, 1)
    assert err.startswith("ZeroDivisionError: division by zero; this is a bug in gunileo; report it with the output")
    assert "in broken" in run("--verbose", *line)[2]


WORK = """
import sys, time
from gunileo.util.progress import progress
with progress("working") as bar:
    for number in range({steps}):
        bar(number, {steps})
        time.sleep({pause})
        if number == {steps} - 2:
            print("a line", flush=True)
"""


def shown(steps: int, pause: float, out: int | None) -> str:
    """What a terminal shows of work of so many steps, each of so many seconds; its standard output goes there, too, or
    to ``out``."""
    main, side = pty.openpty()
    command = [sys.executable, "-c", WORK.format(steps=steps, pause=pause)]
    process = subprocess.Popen(command, stdout=side if out is None else out, stderr=side)
    process.wait(timeout=PATIENCE)
    os.close(side)
    text = b""
    try:
        while part := os.read(main, 4096):
            text += part
    except OSError:  # how Linux ends a terminal
        pass
    os.close(main)
    return text.decode()


def test_progress_is_shown_of_long_work_on_a_terminal(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w") as out:
        text = shown(30, 0.1, out.fileno())
    assert "working" in text
    assert "/30" in text
    assert (tmp_path / "out").read_text() == "a line\n"
    assert "a line" in shown(30, 0.1, None)
    quick = shown(5, 0, None)
    assert quick == "a line\r\n"


def test_no_progress_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with progress("working") as bar:
        while time.monotonic() < begun + 2.3:
            bar(1, 2)
    assert capfd.readouterr() == ("", "")


def test_the_version_is_told(run) -> None:
    assert run("--version") == (0, f"gunileo {gunileo.__version__}\n", "")
