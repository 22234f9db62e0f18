"""Killed, out of space, not allowed to write, two at once: nothing is lost, and one line tells what to do.

``kill.py`` beside this is the long form.
"""

import random
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from kill import Zenodo, jobs, packed, run_of
from short_runs import trained

from gunileo import load_model
from gunileo.corpus.cache import Cache
from gunileo.corpus.download import download
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import speak
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.server.recordings import keep
from gunileo.teaching.teach import teach
from gunileo.training.config import TrainingConfig
from gunileo.util.files import FileError, alone
from gunileo.vision.video import write_video

TINY = TrainingConfig(epochs=1, batch_size=2, channels=(2, 2, 2), precision="32-true", workers=0, device="cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize(("name", "kills"), [("prepare", 2), ("train", 1), ("download", 3), ("teach", 2), ("serve", 1)])
def test_killed_at_a_random_moment_and_begun_again(
    name: str, kills: int, synthetic_corpus: Path, synthetic_cache: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        job = jobs(synthetic_corpus, synthetic_cache, tmp_path, 2, stack)[name]()
        job.kill_often(tmp_path / "runs", kills, random.Random(0))


def tiny_run(cache_folder: Path, run: Path, resume: bool = False) -> None:
    cache = Cache(cache_folder)
    trained(cache, cache.utterances[:4], cache.utterances[4:], run, TINY, resume)


def test_a_disk_that_gets_full_while_training(disk: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(GunileoError, match=r"No space left on device\); free some space") as error:
        tiny_run(synthetic_cache, disk / "run")
    assert "\n" not in str(error.value)
    assert not [path for path in disk.rglob("*") if path.name.endswith((".ckpt", ".part", ".safetensors"))]
    subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
    tiny_run(synthetic_cache, disk / "run", resume=True)
    tiny_run(synthetic_cache, tmp_path / "undisturbed")
    assert run_of(disk / "run") == run_of(tmp_path / "undisturbed")


def test_a_disk_that_gets_full_while_downloading(disk: Path) -> None:
    video = random.Random(0).randbytes(600_000)
    files = {"s1.zip": packed({"s1/bbaf2n.mpg": video}), "alignments.zip": packed({"a/s1/bbaf2n.align": b"0 1 sil"})}
    with Zenodo("grid", files).serving() as server:
        with pytest.raises(FileError, match=r"No space left on device\); free some space and run the") as error:
            download("grid", disk / "corpus", None, print, server.address)
        assert "\n" not in str(error.value)
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        with pytest.raises(FileError, match="No space left on device"):  # for the archive, not for what is in it
            download("grid", disk / "corpus", None, print, server.address)
        assert not (disk / "corpus/s1/bbaf2n.mpg").exists()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        download("grid", disk / "corpus", None, print, server.address)
        assert [wanted is None for name, wanted in server.asked if name == "s1.zip"] == [True, False], "gone on with"
    assert (disk / "corpus/s1/bbaf2n.mpg").read_bytes() == video
    assert (disk / "corpus/align/s1/bbaf2n.align").exists()


def test_a_disk_that_gets_full_while_teaching(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(disk / "home"))
    film = tmp_path / "recordings" / "one.mp4"
    film.parent.mkdir()
    write_video(film, speak("lwws9a")[0])
    film.with_suffix(".txt").write_text("lights on")
    complaints: list[str] = []
    known = []  # models that are listed after each try, with more room for each
    for kilobytes in range(400, 800, 40):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
        try:
            teach(film.parent, "mine")
        except GunileoError as error:
            complaints.append(str(error))
        for model in registry.taught_models():
            examples = load_model(model.name).templates
            assert examples is not None
            assert examples.commands == ("lights on",), "whole, or not there"
        known.append(len(registry.taught_models()))
        home = {path.name for path in (disk / "home" / "models").rglob("*") if path.is_file()}
        assert home == ({"teach.json", "templates.npz"} if known[-1] else set())
    assert known == sorted(known), "what was taught before stays when there is no room to teach it again"
    assert set(known) == {0, 1}
    assert all(re.search(r"(disk is full|No space left on device\)); free some space", line) for line in complaints)
    assert not any("\n" in line for line in complaints)


def test_a_folder_that_can_only_be_read(
    disk: Path, synthetic_corpus: Path, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(disk / "home"))
    utterances = find_corpus(synthetic_corpus).utterances
    server = Zenodo("grid", {})
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for use in (
        lambda: prepare(utterances, disk / "cache"),
        lambda: tiny_run(synthetic_cache, disk / "run"),
        lambda: download("grid", disk / "corpus", None, print, server.address),
        lambda: teach(synthetic_corpus, "mine", train=True),
        lambda: keep(tmp_path / "recording.mp4", "mine", "lights on"),
    ):
        with pytest.raises(GunileoError, match=r"can't be written \(Read-only file system\)") as error:
            use()
        assert "\n" not in str(error.value)


def test_two_at_once_prepare_into_one_cache(synthetic_corpus: Path, tmp_path: Path, run) -> None:
    cache = tmp_path / "cache"
    code = "import sys\nfrom gunileo.cli.main import main\nif __name__ == '__main__':\n    main(sys.argv[1:])\n"
    (tmp_path / "cli.py").write_text(code)
    command = [sys.executable, str(tmp_path / "cli.py"), "prepare", str(synthetic_corpus), "-o", str(cache)]
    both = [subprocess.Popen([*command, "--workers", "1"], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(process.communicate()[1], process.returncode) for process in both]
    assert sorted(code for _, code in ends) == [0, 1]
    (said,) = [error for error, code in ends if code]
    assert said == f"{cache}: another process is writing to it; wait until it ends, or stop it\n"
    lines = (cache / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 6
    with alone(cache):
        code, _, said = run(*command[2:])
    assert (code, said) == (1, f"{cache}: another process is writing to it; wait until it ends, or stop it\n")
    assert len(Cache(cache).utterances) == 6
