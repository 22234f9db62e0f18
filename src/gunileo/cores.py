"""How many of the machine's cores this process may use."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """Those that the system leaves to this process, where it tells (Linux); elsewhere all of them."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
