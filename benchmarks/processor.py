"""The processor's time."""

from __future__ import annotations

import resource


def spent() -> float:
    """Seconds of the processor's time of this process and of those that it started and that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)
