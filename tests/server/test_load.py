"""A server in use by many at once: all are answered, rightly, and nothing is left. ``benchmarks/load.py`` asks more."""

import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason='needs the extra "serve"')
import httpx
from load import load, served
from waiting import PATIENCE, until


def test_fifty_clients_at_once() -> None:
    outcome = load(requests=50, clients=50)
    assert not outcome.wrong
    assert sum(outcome.answered.values()) == 60
    assert outcome.later > 0, "the line was full, and clients came again"
    assert outcome.flat, outcome.memory
    assert not outcome.left


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_server_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    with served(tmp_path / "tmp") as (address, server):
        sent = {"file": ("letter.mp4", b"no film")}
        assert httpx.post(f"{address}v1/transcribe", files=sent, timeout=PATIENCE).status_code == 422
        assert list((tmp_path / "tmp").iterdir())
        os.kill(server, signal.SIGKILL)
        until(lambda: not list((tmp_path / "tmp").iterdir()))  # its worker takes the files away and ends
