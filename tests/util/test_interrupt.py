"""Ctrl-C, kept off while processes start."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from gunileo.util.interrupt import undisturbed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
def test_ctrl_c_waits_though_another_thread_takes_it() -> None:
    """As OpenBLAS's threads do, which mask nothing."""
    over, reached = Event(), []
    thread = Thread(target=over.wait)
    thread.start()
    taken, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told)

    def interrupt() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            assert os.read(taken, 1) == bytes([signal.SIGINT]), "the other thread took it"
            reached.append("the end")

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        thread.join()
        os.close(taken)
        os.close(told)
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
def test_ctrl_c_amid_the_text_of_a_class_is_caught_like_any_other(tmp_path: Path) -> None:
    """Dataclasses run text as they are loaded. Then ``python -m`` ended by the signal, though it was caught."""
    (tmp_path / "program.py").write_text("""
import sys
from gunileo.errors import Stopped
from gunileo.util.interrupt import ctrl_c_stops

try:
    with ctrl_c_stops():
        exec("import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()")
except Stopped:
    sys.exit(130)
""")
    assert subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, check=False).returncode == 130
