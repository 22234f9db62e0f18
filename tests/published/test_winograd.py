"""Winograd's convolutions against plain ones."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from gunileo.published.graph import Graph
from gunileo.published.winograd import convolved


@pytest.mark.parametrize(("side", "frames"), [(3, 1), (6, 5), (11, 2), (4, 3), (1, 2)])
def test_they_give_the_same_sums(side: int, frames: int, tmp_path: Path) -> None:
    random = np.random.default_rng(side)
    weight = random.standard_normal((8, 5, 3, 3)).astype(np.float32)
    bias, x = random.standard_normal(8).astype(np.float32), random.standard_normal((frames, 5, side, side))
    g = Graph("both")
    plain = g("Conv", g.input("x", "float32", ("T", 5, side, side)), weight, bias, kernel_shape=[3, 3], pads=[1] * 4)
    g.output("plain", plain, ("T", 8, side, side))
    lying = g.input("lying", "float32", (side, side, 5, "T"))
    g.output("quick", convolved(g, lying, weight, bias, side), (side, side, 8, "T"))
    g.write(tmp_path / "both.onnx", {})
    session = onnxruntime.InferenceSession(tmp_path / "both.onnx", providers=["CPUExecutionProvider"])
    x = x.astype(np.float32)
    expected, found = session.run(None, {"x": x, "lying": np.ascontiguousarray(x.transpose(2, 3, 1, 0))})
    assert np.abs(found.transpose(3, 2, 0, 1) - expected).max() < 1e-5 * np.abs(expected).max()
