"""A process that is kept to some of the cores uses no more of them."""

import os
import subprocess
import sys

import pytest

from gunileo.util.cores import sleep_while_waiting, usable_cores


def test_there_is_at_least_one() -> None:
    assert usable_cores() >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to some cores")
def test_only_those_left_to_the_process_count() -> None:
    code = """
import os
from gunileo.util.cores import usable_cores
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
assert usable_cores() == 1, usable_cores()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_sleep_while_they_wait_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
