"""Convolutions 3x3 with fewer products: S. Winograd's minimal filtering.

A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks" (2016). Three pixels in a row take five
products instead of nine (F(3, 3), at the points 0, 1, -1, 2 and infinity), so nine pixels of a picture take 25 instead
of 81. The rest are small sums. What is rounded is 1e-5 of the largest number at most.
"""

from __future__ import annotations

import numpy as np

from gunileo.published.graph import Graph
from gunileo.published.weights import Array

_OUT = np.array([[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]], np.float32)
_WEIGHT = np.array([[3, 0, 0], [-3, -3, -3], [-1, 1, -1], [1, 2, 4], [0, 0, 6]], np.float64) / 6
_IN = np.array(
    [[2, -1, -2, 1, 0], [0, -2, -1, 1, 0], [0, 2, -3, 1, 0], [0, -1, 0, 1, 0], [0, 2, -1, -2, 1]], np.float32
)
_PIXELS, _POINTS = _OUT.shape


def convolved(g: Graph, x: str, weight: Array, bias: Array, side: int) -> str:
    """Pictures x [side, side, in, T] by a weight [out, in, 3, 3], zeros beyond their edges: [side, side, out, T]."""
    out, channels = weight.shape[:2]
    there, back = _matrices(side)
    tiles = len(there) // _POINTS
    split = (_POINTS, tiles, _POINTS, tiles)
    listed = np.ascontiguousarray(weight.reshape(out * channels, 9).T)
    products = g("MatMul", np.kron(_WEIGHT, _WEIGHT).astype(np.float32), listed)  # done once, when the file is loaded
    products = g.reshape(products, _POINTS, 1, _POINTS, 1, out, channels)
    x = _along_both(g, there, x)
    x = g("MatMul", products, g.reshape(x, *split, channels, -1))
    x = _along_both(g, back, g.reshape(x, len(there), len(there), out, -1))
    return g("Add", g.reshape(x, side, side, out, -1), bias.reshape(-1, 1))


def _along_both(g: Graph, matrix: Array, x: str) -> str:
    """x [n, n, C, T] multiplied by a matrix [m, n] along its first two axes: [m, m, C * T]."""
    size, before = matrix.shape
    x = g("MatMul", matrix, g.reshape(x, before, -1))
    return g("MatMul", matrix, g.reshape(x, size, before, -1))


def _matrices(side: int) -> tuple[Array, Array]:
    """From a line of ``side`` pixels to its points, those of all tiles together, [points * tiles, side]; and back."""
    tiles = -(-side // _PIXELS)
    there = np.zeros((_POINTS, tiles, tiles * _PIXELS + 2), np.float32)
    back = np.zeros((tiles * _PIXELS, _POINTS, tiles), np.float32)
    for tile in range(tiles):
        first = tile * _PIXELS
        there[:, tile, first : first + _POINTS] = _IN
        back[first : first + _PIXELS, :, tile] = _OUT
    within = there.reshape(_POINTS * tiles, -1)[:, 1 : side + 1]
    return np.ascontiguousarray(within), np.ascontiguousarray(back.reshape(-1, _POINTS * tiles)[:side])
