"""A network's tensors taken by name and shape, so that none is missing and none left over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunileo.published.errors import ImportFault

Array = NDArray[np.float32]


class Tensors:
    """The tensors of ``source``, a file, each to be taken once or more; ``weights`` has all of them."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], source: str) -> None:
        self.source = source
        self.weights = dict(tensors)
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.weights

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; ``ImportFault`` if there is none of this name."""
        if name not in self.weights:
            raise ImportFault(f"{self.source}: has no {name}; it is another network than the published ones")
        return self.weights[name].shape

    def take(self, name: str, *shape: int) -> Array:
        """A tensor, float32; ``ImportFault`` if it is missing, of another shape, or holds what is not a number."""
        if self.shape(name) != shape:
            found = f"{list(self.shape(name))}, not {list(shape)}"
            raise ImportFault(
                f"{self.source}: {name} has the shape {found}; it is another network, or not its settings"
            )
        self._taken.add(name)
        array = self.weights[name].astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise ImportFault(f"{self.source}: {name} holds a value that is not a number; the file is damaged")
        return array

    def count(self, pattern: str) -> int:
        """How many of ``pattern``, with 0, 1, ... for {}, there are, one after the other."""
        number = 0
        while pattern.format(number) in self.weights:
            number += 1
        return number

    def done(self) -> None:
        """Raise ``ImportFault`` if a tensor was taken by none; counters of batches don't count."""
        left = [name for name in self.weights if name not in self._taken and not name.endswith(".num_batches_tracked")]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ImportFault(f"{self.source}: {left[0]}{more} belongs to no part of this network; it is another one")
