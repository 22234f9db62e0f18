"""``gunileo live``: sentences as they end, programs run for them, an end by Ctrl-C."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from waiting import PATIENCE, until_idle

from gunileo.inference.confidence import Calibration
from gunileo.inference.load import load_model
from gunileo.training.export import describe_calibration
from gunileo.vision.camera import Taken, timed
from gunileo.vision.video import Frame

TELL = "import sys; open(sys.argv[1], 'a').write('|'.join(sys.argv[2:]) + chr(10)); sys.exit({})"
MEET = """
import sys, time
file, text = sys.argv[1:]
open(file, "a").write(text + chr(10))
for _ in range(1200):
    if len(open(file).readlines()) == 2:
        sys.exit()
    time.sleep(0.05)
sys.exit(1)
"""


def teller(path: Path, *arguments: str, code: int = 0) -> str:
    """A command that writes its arguments and ends with an exit code."""
    return shlex.join([sys.executable, "-c", TELL.format(code), str(path), *arguments])


def test_a_line_a_sentence(run, talk: Path, model: str) -> None:
    code, out, err = run("live", talk, "--fast", "--model", model)
    assert (code, err) == (0, "")
    assert out.splitlines() == [one.text for one in load_model(model).stream(talk)]
    assert len(out.splitlines()) == 2


def test_the_delay_is_told_on_standard_error(run, talk: Path, model: str) -> None:
    code, out, err = run("live", talk, "--fast", "--model", model, "--latency")
    assert (code, len(out.splitlines())) == (0, 2)
    for line in err.splitlines():
        numbers = [float(word) for word in line.split() if word[0].isdigit()]
        assert 0 < numbers[0] < 60
        assert -0.1 < numbers[1] - numbers[0] < 2
    assert len(err.splitlines()) == 2


def test_a_program_gets_each_sentence_as_one_argument(run, talk: Path, model: str, tmp_path: Path) -> None:
    command = teller(tmp_path / "told", "say: {text}; $(touch hacked)", "{text}", "a b")
    code, out, err = run("live", talk, "--fast", "--model", model, "--exec", command)
    assert (code, err) == (0, "")
    expected = [f"say: {text}; $(touch hacked)|{text}|a b" for text in out.splitlines()]
    assert sorted((tmp_path / "told").read_text().splitlines()) == sorted(expected)
    assert len(expected) == 2


def test_a_program_that_fails_or_is_missing_is_a_line(run, talk: Path, model: str, tmp_path: Path) -> None:
    code, out, err = run("live", talk, "--fast", "--model", model, "--exec", teller(tmp_path / "told", code=3))
    assert (code, len(out.splitlines())) == (0, 2)
    assert err.splitlines() == [f"{sys.executable}: failed with exit code 3"] * 2
    code, out, err = run("live", talk, "--fast", "--model", model, "--exec", "no-such-program {text}")
    assert (code, len(out.splitlines())) == (0, 2)
    assert err.splitlines() == ["no-such-program: can't be run (No such file or directory); check --exec"] * 2


def test_a_slow_program_stops_no_reading(run, talk: Path, model: str, tmp_path: Path) -> None:
    meet = shlex.join([sys.executable, "-c", MEET, str(tmp_path / "told"), "{text}"])
    code, out, err = run("live", talk, "--fast", "--model", model, "--exec", meet)
    assert (code, err) == (0, ""), "each program was still there when the other began"
    assert sorted((tmp_path / "told").read_text().splitlines()) == sorted(out.splitlines())


@pytest.mark.parametrize("command", ["", "'unclosed", "{text} now"])
def test_a_command_that_is_none(run, talk: Path, model: str, command: str) -> None:
    code, out, err = run("live", talk, "--model", model, "--exec", command)
    assert (code, out) == (2, "")
    assert "--exec" in err


def test_nothing_is_done_for_a_guess(run, talk: Path, model: str, tmp_path: Path) -> None:
    wary = Calibration((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), threshold=1.0, good=50)
    guessing = tmp_path / "guessing.onnx"
    guessing.write_bytes(Path(model).read_bytes())
    describe_calibration(guessing, {"grammar": wary})
    command = teller(tmp_path / "told", "{text}")
    for options in (("--model", guessing), ("--model", model, "--confidence", "1")):
        code, out, err = run("live", talk, "--fast", "--exec", command, *options)
        assert (code, err) == (0, "")
        assert [line.startswith("not sure: ") for line in out.splitlines()] == [True, True]
        assert not (tmp_path / "told").exists()


def test_what_is_wrong_with_the_request(run, model: str, tmp_path: Path) -> None:
    assert run("live", "x.mp4", "--face", "all")[0] == 2
    assert run("live", "x.mp4", "--lm", "x.arpa")[0] == 2
    code, out, err = run("live", tmp_path / "x.mp4", "--model", model)
    assert (code, out) == (1, "")
    assert err == f"{tmp_path / 'x.mp4'}: no such file; check the path\n"


def start(*arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gunileo", "live", *map(str, arguments)],
        **{"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process does")
def test_a_pipe_is_read_as_it_comes_until_ctrl_c(talk: Path, model: str) -> None:
    source, sink = os.pipe()
    live = start("-", "--model", model, stdin=source)
    os.close(source)
    with os.fdopen(sink, "wb") as pipe:
        data = talk.read_bytes()
        pipe.write(data[: len(data) * 4 // 5])  # the pipe stays open
        pipe.flush()
        assert live.stdout is not None
        assert len(live.stdout.readline().split()) == 6
        until_idle(live.pid)  # all that is there is read
        os.killpg(live.pid, signal.SIGINT)
        out, err = live.communicate(timeout=PATIENCE)
    assert (live.returncode, err) == (0, "")
    assert len(out.split()) == 6, "what was begun is read"


def test_ctrl_c_ends_it_and_reads_what_was_begun(run, talk: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = 0

    def stopped_amid_the_second(frames: Iterable[Frame], in_time: bool) -> Iterator[Taken]:
        nonlocal given
        for taken in timed(frames, in_time=False):
            if given == 120:
                signal.raise_signal(signal.SIGINT)
            given += 1
            yield taken

    monkeypatch.setattr("gunileo.vision.camera.timed", stopped_amid_the_second)
    code, out, err = run("live", talk, "--model", model, "--decode", "greedy", "--latency")
    assert (code, given) == (0, 120)
    assert len(out.splitlines()) == len(err.splitlines()) == 2
