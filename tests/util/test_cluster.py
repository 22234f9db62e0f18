"""Work on a Ray cluster: workers that die are replaced, what goes on killing them is told."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import clips
import pytest

from gunileo.util.cluster import TRIES, spread

ray = pytest.importorskip("ray")


def die_at_first(number: int, folder: Path) -> int:
    """Number 1 kills its process the first time, 2 every time."""
    tries = folder / f"{number}"
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if number == 2 or (number == 1 and len(tries.read_text()) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def test_a_worker_that_dies_is_replaced(cluster: object, tmp_path: Path) -> None:
    # Ray's workers can't import this file; what a partial holds is sent as it is.
    ray.cloudpickle.register_pickle_by_value(__import__(__name__))
    results = dict(spread(partial(die_at_first, folder=tmp_path), range(6), workers=2))
    assert results == {0: 0, 1: 10, 2: None, 3: 30, 4: 40, 5: 50}
    assert len((tmp_path / "2").read_text()) == TRIES + 1


SCRIPT = """
import os, signal, sys
from gunileo.util.cluster import spread
def work(number):
    if number == 1 and not os.path.exists(sys.argv[1]):
        open(sys.argv[1], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return number
for number, result in spread(work, range(3), workers=1):
    print(number, result)
"""


def test_deaths_stand_not_amid_the_results(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT.replace("sys.argv[1]", repr(str(tmp_path / "mark")))]
    environment = {**os.environ, "RAY_gcs_server_port_wait_time_s": "120"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0 0", "1 1", "2 2"]


def test_items_are_taken_as_cores_get_free(cluster: object) -> None:
    taken: list[int] = []
    with closing(spread(abs, (taken.append(number) or number for number in range(1000)))) as results:
        next(results)
    assert len(taken) < 10


def test_transcribe_on_a_cluster(cluster: object, run, model: str, tmp_path: Path, monkeypatch) -> None:
    clips.good(tmp_path / "a.mp4", 30)
    clips.empty(tmp_path / "b.mp4")
    clips.good(tmp_path / "c.mp4", 40)
    monkeypatch.chdir(tmp_path)
    alone = run("transcribe", ".", "--model", model, "--jobs", 1, "-o", "alone")
    there = run("transcribe", ".", "--model", model, "--engine", "ray", "-o", "there")
    assert there == alone
    assert (there[0], len(there[1].splitlines()), len(there[2].splitlines())) == (1, 2, 1)
    assert {path.name for path in Path("there").iterdir()} == {"a.json", "c.json"}
