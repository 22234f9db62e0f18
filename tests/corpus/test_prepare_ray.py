"""Preparing on Ray: the same cache as by processes of this machine, also where a worker is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import clips
import pytest

from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import Utterance, find_corpus
from gunileo.corpus.prepare import prepare

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find workers")

from gunileo.corpus.prepare_ray import on_ray  # noqa: E402


def content(cache: Path) -> dict[str, object]:
    entries = {json.loads(line)["id"]: json.loads(line) for line in (cache / "manifest.jsonl").read_text().splitlines()}
    return {
        "entries": entries,
        "files": {path.name: path.read_bytes() for kind in ("png", "npy") for path in cache.rglob(f"*.{kind}")},
    }


def workers() -> list[int]:
    """Processes of Ray's that are cutting out a clip."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::_run"):
            found.append(int(process.name))
    return found


def test_the_same_cache_though_a_worker_is_killed(
    cluster: object, synthetic_corpus: Path, synthetic_cache: Path, tmp_path: Path
) -> None:
    utterances = find_corpus(synthetic_corpus).utterances
    bad = Utterance("bad/empty", "bad", clips.empty(tmp_path / "empty.mp4"), "bin")
    killed: list[int] = []

    def kill_one() -> None:
        while not killed and not done.is_set():
            for process in workers()[:1]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)
            time.sleep(0.02)

    done = threading.Event()
    thread = threading.Thread(target=kill_one)
    thread.start()
    steps: list[int] = []
    report = prepare([*utterances, bad], tmp_path / "cache", 2, lambda count, _: steps.append(count), on_ray(workers=2))
    done.set()
    thread.join()
    assert killed, "no worker was found"
    assert (report.done, report.kept) == (6, 0)
    assert [name for name, _ in report.skipped] == ["bad/empty"]
    assert "the file is empty" in report.skipped[0][1]
    assert steps == list(range(8))
    assert content(tmp_path / "cache") == content(synthetic_cache)
    again = prepare(utterances, tmp_path / "cache", engine=on_ray())
    assert (again.done, again.kept, again.skipped) == (0, 6, [])
    assert len(Cache(tmp_path / "cache").utterances) == 6


def test_the_command_line_takes_a_cluster(run, tmp_path: Path) -> None:
    clips.good(tmp_path / "corpus.mp4", 5)
    code, _, err = run("prepare", tmp_path, "-o", tmp_path / "cache", "--address", "localhost:1")
    assert code == 2
    assert "--engine ray" in err


def test_the_extra_brings_no_torch() -> None:
    code = "import sys, gunileo.corpus.prepare_ray\nassert not {'torch', 'ray'} & set(sys.modules)\n"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
