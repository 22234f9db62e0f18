"""Waiting for what another process does, as long as a busy machine may take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300.0  # seconds, on a busy machine


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; the test fails if it doesn't come to that."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"it didn't come to hold in {PATIENCE:.0f} s"
        time.sleep(0.02)


def until_idle(process: int) -> None:
    """Wait until a process uses no processor for half a second: it waits for something itself."""
    before = -1.0
    while (now := used(process)) > before:
        before = now
        time.sleep(0.5)


def used(process: int) -> float:
    """Seconds of processors that a process has used, as Linux tells it."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
