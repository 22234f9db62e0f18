"""Ctrl-C, kept off while processes start."""

import os
import signal
import sys
import time
from threading import Event, Thread

import pytest

from gunileo.util.interrupt import undisturbed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
def test_ctrl_c_waits_though_another_thread_takes_it() -> None:
    """As OpenBLAS's threads do, which mask nothing."""
    over, reached = Event(), []
    thread = Thread(target=over.wait)
    thread.start()

    def interrupt() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10):
                time.sleep(0.01)
            reached.append("the end")

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    finally:
        over.set()
        thread.join()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
