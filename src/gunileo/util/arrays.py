"""Arrays in NumPy's files, which may be damaged or something else. Nothing in a file is ever run."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What NumPy and the modules beneath it raise of a file that is damaged, beside ``ValueError``.
_DAMAGED = (
    *(KeyError, EOFError, MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError),
    *(TokenError, zlib.error, zipfile.BadZipFile),
)


def read_array(path: Path | str) -> NDArray[Any]:
    """The array in an ``.npy``.

    Raises ``OSError`` if the file can't be read, and ``ValueError`` if it is damaged or something else.
    """
    with _damage_as_value_error():
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        found.close()
        raise ValueError("an archive of arrays")


def read_arrays(path: Path | str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names in an ``.npz``; ``ValueError`` if one is missing, and as ``read_array`` raises."""
    with _damage_as_value_error():
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("one array alone")
        with found:
            return {name: found[name] for name in names}


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(" ".join(str(error).split())) from error
