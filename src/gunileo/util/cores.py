"""How many cores this process may use, and threads that leave their core while they wait."""

from __future__ import annotations

import os
import sys

_alone = False  # whether this process keeps to one core


def keep_to_one_core() -> None:
    """Use one core: the others have work of their own. It counts if called before NumPy and the models are loaded."""
    global _alone
    _alone = True
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(library, "1")


def usable_cores() -> int:
    """Those that the system leaves to this process, where it tells (Linux), or all of them; one, if it keeps to one."""
    if _alone:
        return 1
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def shares(count: int) -> list[set[int]]:
    """The cores that each of so many processes may keep to, alike; none where the system knows no such thing."""
    if sys.platform != "linux":
        return [set()] * count
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[number % len(cores) :: count]) for number in range(count)]


def sleep_while_waiting() -> None:
    """Have threads of OpenMP sleep while they wait; it counts if called before PyTorch is loaded.

    Awake, as they are otherwise, they keep the process that loads clips from its core.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
