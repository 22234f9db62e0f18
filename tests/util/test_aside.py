"""Work on a thread beside this one."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gunileo.util.aside import Aside


def test_results_and_errors_come_to_whoever_waits() -> None:
    with Aside() as thread:
        one, two, three = (
            thread.call(threading.get_ident),
            thread.call(lambda: 1 // 0),
            thread.call(threading.get_ident),
        )
        assert one.result() == three.result() != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            two.result()


def test_what_was_not_begun_is_dropped_at_the_end() -> None:
    begun, done = threading.Event(), list[int]()

    def first() -> None:
        begun.set()
        while not thread._ended:
            time.sleep(0.01)
        done.append(1)

    with Aside() as thread:
        thread.call(first)
        second = thread.call(lambda: done.append(2))
        begun.wait()
    assert done == [1]
    assert second.cancelled()


SUSPENDED = """
import clips
from gunileo.vision.face import FaceTracker
frames = list(clips.talking()[0])
faces = FaceTracker()
faces.count(frames[:13:4])
faces.start(frames)
followed = faces(frames)
next(followed)
print("followed")
"""


def test_a_generator_that_is_left_at_the_interpreters_end_does_no_harm() -> None:
    """A thread beside it is in the middle of the mesh then."""
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", SUSPENDED], cwd=tests, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "followed\n", "")
