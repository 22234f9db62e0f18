"""A server in use by many at once: all are answered, rightly, and nothing is left. ``benchmarks/load.py`` asks more."""

import pytest

pytest.importorskip("uvicorn", reason='needs the extra "serve"')
from load import load


def test_fifty_clients_at_once() -> None:
    outcome = load(requests=50, clients=50)
    assert not outcome.wrong
    assert sum(outcome.answered.values()) == 60
    assert outcome.later > 0, "the line was full, and clients came again"
    assert outcome.flat, outcome.memory
    assert not outcome.left
