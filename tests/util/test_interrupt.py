"""Ctrl-C, kept off while processes start."""

import os
import signal
import sys
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
