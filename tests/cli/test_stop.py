"""Ctrl-C: one line, exit code 130, and nothing that was done is lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import clips
import pytest
from waiting import PATIENCE, until, used

from gunileo.corpus.cache import Cache
from gunileo.errors import Stopped
from gunileo.training.lightning_module import Training
from gunileo.training.train import train
from gunileo.vision.video import write_video

CLIPS = 200


def stopped(folder: Path, when: Callable[[int], object], *arguments: object) -> tuple[str, str]:
    """Standard output and error of a command to which a terminal's Ctrl-C came once ``when`` held of its process."""
    with open(folder / "out", "w") as out, open(folder / "err", "w") as err:
        command = [sys.executable, "-m", "gunileo", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        until(lambda: process.poll() is not None or when(process.pid))
        assert process.poll() is None, (folder / "err").read_text()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130
    return (folder / "out").read_text(), (folder / "err").read_text()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Short clips with labels; more of them than are read before a busy machine looks."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    clips.good(folder / "clip0.mp4", 20)
    for number in range(CLIPS):
        if number:
            os.link(folder / "clip0.mp4", folder / f"clip{number}.mp4")
        (folder / f"clip{number}.txt").write_text("bin blue")
    return folder


def test_transcribe(shelf: Path, model: str, tmp_path: Path) -> None:
    read = tmp_path / "read"
    out, err = stopped(
        tmp_path,
        lambda _: len(list(read.glob("*.json"))) >= 2,
        *("transcribe", shelf, "--model", model, "--decode", "greedy", "-o", read),
    )
    assert len(err.splitlines()) == 1
    assert "stopped; what was read by then stays" in err
    assert 2 <= len(list(read.iterdir())) < CLIPS
    assert len(out.splitlines()) in (len(list(read.iterdir())), len(list(read.iterdir())) - 1)
    for path in read.iterdir():
        json.loads(path.read_text())


def test_transcribe_amid_a_long_video(model: str, tmp_path: Path) -> None:
    frames = list(clips.talking()[0])
    write_video(tmp_path / "long.mp4", (frames + frames[::-1]) * 3)
    lines = lambda _: len((tmp_path / "out").read_text().splitlines()) >= 1  # noqa: E731
    out, err = stopped(
        tmp_path, lines, "transcribe", tmp_path / "long.mp4", "--model", model, "-f", "json,txt", "-o", tmp_path / "o"
    )
    assert err == f"{tmp_path / 'long.mp4'}: stopped; what was read by then stays\n"
    assert 1 <= len(out.splitlines()) < 6
    assert (tmp_path / "o" / "long.txt").read_text() == out
    assert len(json.loads((tmp_path / "o" / "long.json").read_text())["segments"]) == len(out.splitlines())


def test_prepare_goes_on_afterwards(run, shelf: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "cache" / "manifest.jsonl"
    line = ("prepare", shelf, "-o", tmp_path / "cache", "--workers", "2")
    _, err = stopped(tmp_path, lambda _: manifest.exists() and manifest.read_bytes().count(b"\n") >= 2, *line)
    assert err == f"{tmp_path / 'cache'}: stopped; prepared clips are kept, run the same command to go on\n"
    done = len(Cache(tmp_path / "cache").utterances)
    assert 2 <= done < CLIPS
    for number in range(6, CLIPS):
        (shelf / f"clip{number}.mp4").unlink()
        (shelf / f"clip{number}.txt").unlink()
    code, out, _ = run(*line)
    assert code == 0
    kept = int(out.split(" kept from before")[0].split()[-1])
    assert 0 < kept <= done


def test_prepare_while_its_processes_start(shelf: Path, tmp_path: Path) -> None:
    began = lambda _: (tmp_path / "cache" / "cache.json").exists()  # noqa: E731
    _, err = stopped(tmp_path, began, "prepare", shelf, "-o", tmp_path / "cache", "--workers", "2")
    assert len(err.splitlines()) == 1, err


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what a process does")
def test_evaluate(synthetic_cache: Path, tmp_path: Path) -> None:
    """Of a cache of many clips, all of them one."""
    cache = tmp_path / "cache"
    (cache / "s1").mkdir(parents=True)
    (cache / "cache.json").write_bytes((synthetic_cache / "cache.json").read_bytes())
    entry = json.loads((synthetic_cache / "manifest.jsonl").read_text().splitlines()[0])
    with open(cache / "manifest.jsonl", "w") as manifest:
        for number in range(2000):
            name = f"s1/{number}"
            os.link(synthetic_cache / entry["file"], cache / f"{name}.png")
            os.link(synthetic_cache / f"{entry['id']}.npy", cache / f"{name}.npy")
            manifest.write(json.dumps({**entry, "id": name, "file": f"{name}.png"}) + "\n")
    _, err = stopped(tmp_path, lambda process: used(process) > 3, "evaluate", cache)
    assert err == "stopped\n"


@pytest.mark.parametrize("asked", [True, False])
def test_a_loader_that_ctrl_c_broke_off_is_no_fault(
    asked: bool, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(trainer: object, training: Training, **_: object) -> None:  # as Lightning's own, where Python drops Ctrl-C
        if asked:
            training.ended.set()
        raise RuntimeError("Please call `iter(combined_loader)` first.")

    monkeypatch.setattr("lightning.Trainer.fit", fit)
    cache = Cache(synthetic_cache)
    with pytest.raises(Stopped if asked else RuntimeError):
        train(cache, cache.utterances[:4], cache.utterances[4:], tmp_path / "run")


def test_train_can_be_resumed(synthetic_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    out, err = stopped(
        tmp_path,
        lambda _: (run / "last.ckpt").exists(),
        *("train", synthetic_cache, "-o", run, "--epochs", "500", "--device", "cpu"),
    )
    assert err == f"{run}: stopped; go on with --resume\n"
    assert "epoch 1/500" in out
    assert "it/s" not in out, "a bar is for terminals"
    assert (run / "last.ckpt").stat().st_size > 100_000


LOADING = """
import signal, sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                {does}

sys.meta_path.insert(0, Pressed())
from gunileo.__main__ import main
sys.argv[1:] = ["transcribe", "clip.mp4"]
main()
"""


@pytest.mark.parametrize(
    ("module", "does"),
    [
        ("typer", "raise"),
        ("gunileo.cli.batch", "raise"),
        ("numpy", "raise"),
        ("onnxruntime", "raise ImportError('initialization failed')"),  # as native modules do
    ],
)
def test_while_modules_load(module: str, does: str) -> None:
    code = LOADING.format(module=module, does=does)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    """As a shell sets it for what a script runs in the background."""
    code = LOADING.format(module="gunileo.cli.batch", does="raise")
    code = code.replace("import signal, sys", "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "clip.mp4: no such file" in done.stderr
