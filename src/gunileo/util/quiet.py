"""Silence for native code that writes to standard error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_STANDARD_ERROR = Lock()  # two threads at a time would put each other's silence back


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what native code writes to standard error."""
    with _STANDARD_ERROR:
        kept = os.dup(2)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
