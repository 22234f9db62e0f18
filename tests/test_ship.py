"""Shipping a model: what its entry in models.json keeps of the one before."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from gunileo.inference.registry import WEIGHTS, shipped


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a copy of the list."""
    spec = importlib.util.spec_from_file_location("ship", Path(__file__).parents[1] / "scripts" / "ship.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "models.json").write_bytes((WEIGHTS / "models.json").read_bytes())
    monkeypatch.setattr(script, "WEIGHTS", tmp_path)
    return script


def test_the_fallback_stays_unless_another_is_named(ship: ModuleType) -> None:
    def fallback() -> str:
        entries = {entry["name"]: entry for entry in json.loads((ship.WEIGHTS / "models.json").read_text())}
        assert list(entries) == ["labial", "labial-shape", "labial-wide"]
        return str(entries["labial-shape"]["fallback"])

    info = shipped("labial-shape")
    assert info
    new = replace(info, fallback="", parameters=1)  # as a measured model is described
    ship.register(new)
    assert fallback() == "labial-wide"
    ship.register(new, "labial")
    assert fallback() == "labial"
    ship.register(new, "")
    assert fallback() == ""
    with pytest.raises(SystemExit, match="labial-shape: no other shipped model"):
        ship.register(new, "labial-shape")
