"""A small cache, for the tests of caches and of preparing."""

import shutil
from pathlib import Path

import pytest

from gunileo.corpus.finders import Utterance, find_grid
from gunileo.corpus.prepare import prepare


@pytest.fixture(scope="session")
def utterances(synthetic_corpus: Path) -> list[Utterance]:
    """Two of a speaker's clips."""
    return find_grid(synthetic_corpus).utterances[:2]


@pytest.fixture(scope="session")
def prepared(utterances: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of those clips that no test may change."""
    cache = tmp_path_factory.mktemp("prepared") / "cache"
    report = prepare(utterances, cache, workers=2)
    assert (report.done, report.kept, report.skipped) == (2, 0, [])
    return cache


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """A copy of that cache to change."""
    return Path(shutil.copytree(prepared, tmp_path / "cache"))
