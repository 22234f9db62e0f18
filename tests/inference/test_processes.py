"""One Reader in many threads and processes: forked at any time, pickled, copied."""

import copy
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import clips
import numpy as np
import pytest

from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import ModelError
from gunileo.vision import image
from gunileo.vision.mouth import read_mouth

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def reader(model: str) -> Reader:
    return load_model(model)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("processes") / "clip.mp4", frames=50)


def forked(work: Callable[[], bool], leave: Callable[[int], object] = os._exit) -> bool:
    """Whether ``work`` says so in a forked process, which has a minute for it."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        leave(0 if work() else 1)
    return os.waitpid(child, 0)[1] == 0


def test_a_thread_reads_on_after_the_main_one_has_ended(model: str, clip: Path, tmp_path: Path) -> None:
    """As in a script that starts a thread and has nothing more to do; large frames are decoded by another thread."""
    large = clips.phone_4k(tmp_path / "large.mov")
    script = f"""
import threading, gunileo
def read():
    threading.main_thread().join()
    reader = gunileo.load_model({model!r})
    print([bool(reader.transcribe(path, "greedy").file) for path in ({str(clip)!r}, {str(large)!r})])
threading.Thread(target=read).start()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("[True, True]\n", "", 0)


@needs_fork
def test_a_process_forked_after_a_reading_reads_the_same(reader: Reader, clip: Path) -> None:
    expected = reader.transcribe(clip)
    there = reader.log_probabilities(read_mouth(clip))

    def work() -> bool:
        again = reader.transcribe(clip)
        close = bool(np.abs(reader.log_probabilities(read_mouth(clip)) - there).max() < 0.05)
        return again.text == expected.text and close and forked(lambda: reader.transcribe(clip).text == expected.text)

    assert forked(work)


@needs_fork
def test_a_forked_process_can_end_as_python_does(model: str, clip: Path) -> None:
    """Not by ``os._exit``: then ONNX Runtime ends its sessions, whose threads are in another process."""
    code = f"""
import os, signal, sys, gunileo
reader = gunileo.load_model({model!r})
reader.transcribe({str(clip)!r})
if (child := os.fork()) == 0:
    signal.alarm(60)
    reader.transcribe({str(clip)!r})
    sys.exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0


@needs_fork
def test_rows_are_warped_as_the_whole_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    to_picture = np.array([[0.8, -0.3, 30.4], [0.3, 0.8, 10.2]])
    for one in (picture, picture[..., 0]):
        whole = image.warped(one, to_picture, (50, 70))

        def work(one: np.ndarray = one, whole: np.ndarray = whole) -> bool:
            rows = image.warped(one, to_picture, (50, 70)).astype(int)
            return bool(rows.shape == whole.shape and np.abs(rows - whole).max() <= 1)

        assert forked(work)


def test_a_reader_is_sent_to_processes(reader: Reader, clip: Path) -> None:
    expected = reader.transcribe(clip)
    with get_context("spawn").Pool(1) as pool:
        assert pool.map_async(reader.transcribe, [clip]).get(300) == [expected]


def test_a_reader_is_copied(reader: Reader, clip: Path) -> None:
    adapted = replace(reader, name="adapted", fallback=reader)
    for one in (pickle.loads(pickle.dumps(adapted)), copy.deepcopy(adapted), copy.copy(adapted)):
        assert one.name == "adapted"
        assert one.checksum == one.fallback.checksum == reader.checksum
        assert replace(one.fallback, name=reader.name).transcribe(clip) == reader.transcribe(clip)
    assert len(pickle.dumps(reader)) < 20_000  # its place, and not the weights


def test_a_pickle_of_a_model_that_has_changed_is_refused(model: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(Path(model).read_bytes())
    pickled = pickle.dumps(load_model(path))
    path.write_bytes(path.read_bytes() + b"\n\x00")
    with pytest.raises(ModelError, match=r"mine\.onnx"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(ModelError, match=r"mine\.onnx: can't be read"):
        pickle.loads(pickled)


def test_many_threads_read_with_one_reader(reader: Reader, clip: Path) -> None:
    expected = reader.transcribe(clip)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(reader.transcribe, [clip] * 12)) == [expected] * 12
