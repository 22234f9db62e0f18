"""The nearest example: distances as the textbook has them, order, confidence, and files without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunileo.inference import templates
from gunileo.inference.registry import ModelError
from gunileo.inference.templates import Templates, distances, ranked


def recording(seed: int, frames: int = 12) -> NDArray[np.float32]:
    """A smooth random movement."""
    steps = np.random.default_rng(seed).normal(0, 1, (frames, 16))
    return np.cumsum(steps, axis=0).astype(np.float32)


def stretched(one: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    return one[np.arange(frames) * len(one) // frames]


def textbook(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Symmetric dynamic time warping, cell by cell."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a.astype(float), b.astype(float))]
    cost = 1 - unit[0] @ unit[1].T
    best = np.full((len(a) + 1, len(b) + 1), np.inf)
    best[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            c = cost[i, j]
            best[i + 1, j + 1] = min(best[i, j + 1] + c, best[i + 1, j] + c, best[i, j] + 2 * c)
    return float(best[-1, -1] / (len(a) + len(b)))


@given(st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_distances_are_the_textbooks(length: int, lengths: list[int], seed: int) -> None:
    query, others = recording(seed, length), [recording(seed + 1 + i, size) for i, size in enumerate(lengths)]
    assert distances(query, others) == pytest.approx([textbook(query, other) for other in others], abs=1e-5)


def test_the_same_said_slower_is_near_and_something_else_is_not() -> None:
    same, other = distances(recording(1), [stretched(recording(1), 20), recording(2)])
    assert same < 0.02 < 0.2 < other


def taught() -> Templates:
    found = Templates(network="abc")
    for seed, text in enumerate(["stop", "go on", "turn left", "stop"]):
        found.add(text, recording(seed))
    return found


def test_the_nearest_command_comes_first_by_its_nearest_recording_and_each_once() -> None:
    found = taught().matches(stretched(recording(3), 15))
    assert found[0].text == "stop"
    assert sorted(match.text for match in found) == ["go on", "stop", "turn left"]
    assert [match.distance for match in found] == sorted(match.distance for match in found)
    assert found[0].sure
    assert not any(match.sure for match in found[1:])


def test_none_of_these_when_nothing_is_near() -> None:
    assert not taught().matches(recording(50))[0].sure


def test_a_recording_between_two_commands_is_less_sure() -> None:
    clear, unclear = (ranked(["a", "b"], found, 0.5)[0].confidence for found in ([0.2, 0.5], [0.2, 0.21]))
    assert unclear < clear


def test_one_command_alone_is_told_from_others() -> None:
    alone = Templates()
    alone.add("stop", recording(0))
    assert alone.matches(stretched(recording(0), 14))[0].sure
    assert not alone.matches(recording(50))[0].sure


def test_recordings_test_each_other_but_those_that_are_alone() -> None:
    found = Templates()
    for seed, text in [(0, "stop"), (1, "go"), (0, "stop"), (1, "halt")]:  # the last looks like another command
        found.add(text, recording(seed))
    assert found.tested(range(4)) == (2, 2), "a recording of a command that has no other tests nothing"
    found.add("halt", recording(9))
    right, tested = found.tested(range(5))
    assert (right < 4, tested) == (True, 4)
    assert found.tested([3]) == (0, 1)


def test_what_was_saved_recognises_the_same(tmp_path: Path) -> None:
    before = taught()
    before.save(tmp_path / "templates.npz")
    after = templates.load(tmp_path / "templates.npz")
    assert (after.texts, after.network, after.commands) == (before.texts, "abc", ("stop", "go on", "turn left"))
    assert after.matches(recording(3)) == before.matches(recording(3))


def test_a_recording_added_later_counts(tmp_path: Path) -> None:
    found = taught()
    found.apart()
    found.add("new", recording(7))
    assert found.between().shape == (5, 5)
    assert found.matches(recording(7))[0].text == "new"


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize("fault", ["pickle", "text", "cut", "lengths", "missing", "one array"])
def test_a_file_of_something_else_is_one_clear_error_and_runs_nothing(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "templates.npz"
    taught().save(path)
    content = dict(np.load(path))
    if fault == "pickle":
        np.savez(path, **{**content, "texts": np.array([Trap()] * 4, object)})
    elif fault == "text":
        path.write_text("not an archive")
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif fault == "one array":
        np.save(tmp_path / "one.npy", np.zeros(3))
        (tmp_path / "one.npy").replace(path)
    elif fault == "lengths":
        np.savez(path, **{**content, "lengths": content["lengths"] + 1})
    else:
        path.unlink()
    with pytest.raises(ModelError, match=r"templates\.npz: no templates, or damaged .* run 'gunileo teach' again"):
        templates.load(path)
    assert not (tmp_path / "trapped").exists()


def test_damage_anywhere_in_a_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "templates.npz"
    taught().save(path)
    whole, told = path.read_bytes(), list[str]()
    for at in range(0, len(whole), 13):
        path.write_bytes(whole[:at] + bytes(255 - byte for byte in whole[at : at + 4]) + whole[at + 4 :])
        try:
            templates.load(path)
        except ModelError as error:
            told.append(str(error))
    assert len(told) > len(whole) / 13 / 2
    assert not any("\n" in line for line in told)


def test_nothing_to_compare_and_nothing_to_add() -> None:
    with pytest.raises(ValueError, match="no templates"):
        Templates().matches(recording(0))
    with pytest.raises(ValueError, match="at least one frame"):
        Templates().add("stop", np.zeros((0, 16), np.float32))
