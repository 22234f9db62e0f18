"""How many cores this process may use, and threads that leave their core while they wait."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """Those that the system leaves to this process, where it tells (Linux); elsewhere all of them."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def sleep_while_waiting() -> None:
    """Have threads of OpenMP sleep while they wait; it counts if called before PyTorch is loaded.

    Awake, as they are otherwise, they keep the process that loads clips from its core.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
