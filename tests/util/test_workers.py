"""Worker processes: each item is settled once, whatever its process does."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

from gunileo.cli.batch import here, on_cores
from gunileo.cli.jobs import Job
from gunileo.util.cores import keep_to_one_core, shares, usable_cores
from gunileo.util.workers import spread, unwanted


def doubled_or_dead(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    return 2 * number


def failing(number: int) -> int:
    return 1 // number


def until_unwanted(folder: Path) -> str:
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 60
    while not unwanted() and time.monotonic() < end:
        time.sleep(0.01)
    return "broken off" if unwanted() else "too late"


def cores(_: int) -> tuple[int, str | None]:
    keep_to_one_core()
    return usable_cores(), os.environ.get("OMP_NUM_THREADS")


def share_or_dead(number: int) -> list[int]:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)  # so that no process has done two before the other begins
    return sorted(os.sched_getaffinity(0))


def in_a_daemonic_process() -> tuple[int, dict[int, int | None], bool]:
    jobs = [Job(Path(f"{name}.mp4"), Path(name)) for name in "ab"]
    with pytest.warns(RuntimeWarning, match="daemonic process may start no others"):
        return os.getpid(), dict(spread(process, range(3), 2)), on_cores(jobs, 2) is here


def process(_: int) -> int:
    return os.getpid()


def test_a_daemonic_process_does_the_work_itself() -> None:
    """As a worker of Celery's must, or one of ``multiprocessing.Pool``."""
    with get_context("spawn").Pool(1) as pool:
        own, done, alone = pool.apply(in_a_daemonic_process)
    assert own != os.getpid()
    assert done == dict.fromkeys(range(3), own)
    assert alone, "files are read one after the other"


def test_a_process_that_dies_takes_its_item_alone() -> None:
    results = dict(spread(doubled_or_dead, range(8), 2))
    assert results == {number: None if number == 3 else 2 * number for number in range(8)}


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        dict(spread(failing, [1, 0, 1, 1], 1))


def test_what_is_begun_when_the_caller_leaves_is_told_that_and_comes_late(tmp_path: Path) -> None:
    late: list[str] = []

    def work_and_leave() -> None:
        results = spread(until_unwanted, [tmp_path], 1, lambda _, result: late.append(result))
        with closing(results):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_and_leave()
    assert late == [], "nothing was begun"

    if sys.platform == "win32":
        return

    def only_once_it_is_at_work(signum: int, frame: object) -> None:
        if any(tmp_path.iterdir()):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, only_once_it_is_at_work)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            dict(spread(until_unwanted, [tmp_path], 1, lambda _, result: late.append(result)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert late == ["broken off"]


def test_ctrl_c_while_the_next_item_is_begun_loses_neither_it_nor_the_one_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGINT)
        yield 2
        yield 5

    late: dict[int, int] = {}
    with pytest.raises(KeyboardInterrupt), closing(spread(doubled_or_dead, items(), 1, late.__setitem__)) as outcomes:
        assert not list(outcomes)
    assert late == {1: 2, 2: 4}


def test_a_worker_keeps_to_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert dict(spread(cores, [0], 1)) == {0: (1, "1")}
    assert not unwanted()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process keep to cores")
def test_each_process_keeps_to_its_share_of_the_cores_and_so_does_one_in_its_place() -> None:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        pytest.skip("takes two cores")
    found = dict(spread(share_or_dead, range(8), 2))
    assert found.pop(2) is None
    assert {tuple(share or ()) for share in found.values()} == {tuple(usable[::2]), tuple(usable[1::2])}
    assert sorted(os.sched_getaffinity(0)) == usable


def test_more_processes_than_cores_share_them() -> None:
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        assert shares(len(usable) + 1) == [*({core} for core in usable), {usable[0]}]
    else:
        assert shares(2) == [set(), set()]
