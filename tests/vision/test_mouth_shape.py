"""What the network hears of the mouth's shape: not where the head is, how large or how tilted, and little of a turn."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from mouths import FACE, face, measured
from numpy.typing import NDArray

from gunileo.corpus.geometry import speaker_shapes
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_shape import FEATURES, MEASURES, NAMES, POINTS, features, scaled, smooth

A_SPEAKER = 6  # clips at most, of those that are there as videos and as geometry
CLIPS, SPEAKERS = 40, 10  # at least


@pytest.fixture(scope="module")
def meshes() -> NDArray[np.float64]:
    return face(75)


@pytest.fixture(scope="module")
def heard(meshes: NDArray[np.float64]) -> NDArray[np.float32]:
    """The features of the upright face; not to be written to."""
    return features(measured(meshes))


def turned(meshes: NDArray[np.float64], degrees: float, axis: int) -> NDArray[np.float64]:
    """Turned about an axis (0 nods, 1 turns aside, 2 tilts), as a camera far away sees it."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = (one for one in range(3) if one != axis)
    matrix = np.eye(3)
    matrix[[first, first, second, second], [first, second, first, second]] = cos, -sin, sin, cos
    return meshes @ matrix.T


def test_a_name_a_feature_and_none_of_the_speakers_own_mouth(heard: NDArray[np.float32]) -> None:
    assert (heard.dtype, heard.shape) == (np.float32, (75, FEATURES))
    assert len(NAMES) == FEATURES
    np.testing.assert_allclose(heard.mean(0), 0, atol=1e-5)
    assert (heard.std(0) > 0.05).all(), "each feature says something of this mouth"


def test_measures_by_hand(meshes: NDArray[np.float64]) -> None:
    found = measured(meshes)
    assert (found.dtype, found.shape) == (np.float32, (75, MEASURES))
    one, mesh = found[7], meshes[7]
    middle = (mesh[133, :2] + mesh[362, :2]) / 2
    np.testing.assert_allclose(one[: 2 * len(POINTS)].reshape(-1, 2), mesh[list(POINTS), :2] - middle, atol=1e-3)
    upper, lower, area, eyes, height = one[2 * len(POINTS) :]
    assert upper == pytest.approx(np.hypot(*(mesh[13] - mesh[0])[:2]), rel=1e-4)
    assert lower == pytest.approx(np.hypot(*(mesh[17] - mesh[14])[:2]), rel=1e-4)
    assert (eyes, height) == pytest.approx((36, np.hypot(*(mesh[152] - mesh[10])[:2])), rel=1e-4)
    # A mouth of parabolas is two thirds as large as the box around it; eleven points cut off a hundredth.
    box = (mesh[308, 0] - mesh[78, 0]) * (mesh[14, 1] - mesh[13, 1])
    assert area == pytest.approx(2 * 2 / 3 * box, rel=0.02)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("x", "y", "size", "tilt"), [(300, -80, 1, 0), (0, 0, 0.4, 0), (0, 0, 2.5, 0), (0, 0, 1, 20)])
def test_place_size_and_tilt_are_not_heard(seed: int, x: float, y: float, size: float, tilt: float) -> None:
    upright = face(75, seed)
    moved = turned(upright, tilt, axis=2) * size + (x, y, 0)
    # The tilt is smoothed over time, and the chin, by which it is known, moves with an upright mouth straight down.
    np.testing.assert_allclose(features(measured(moved)), features(measured(upright)), atol=2e-3)


def test_a_head_that_moves_all_the_time_is_heard_as_one_that_does_not(
    meshes: NDArray[np.float64], heard: NDArray[np.float32]
) -> None:
    time = np.arange(75)[:, None] / 25
    path = np.concatenate([40 * np.sin(2 * np.pi * time), 25 * np.cos(2 * np.pi * 3 * time), 0 * time], 1)
    np.testing.assert_allclose(features(measured(meshes + path[:, None])), heard, atol=2e-3)


@pytest.mark.parametrize("at", [2, 37, 72])
@pytest.mark.parametrize("zoom", [1.25, 0.8])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_sudden_zoom_is_not_heard(
    meshes: NDArray[np.float64], heard: NDArray[np.float32], zoom: float, at: int, frames: int
) -> None:
    zoomed = zoom ** ((np.arange(75) - at + 1) / frames).clip(0, 1)
    np.testing.assert_allclose(features(measured(meshes * zoomed[:, None, None])), heard, atol=0.02)


@pytest.mark.parametrize("degrees", [15, -15])
def test_a_head_turned_aside_is_heard_nearly_alike(
    meshes: NDArray[np.float64], heard: NDArray[np.float32], degrees: float
) -> None:
    aside = features(measured(turned(meshes, degrees, axis=1)))
    apart = np.sqrt(((aside - heard) ** 2).mean(0))
    assert (apart < 0.15 * heard.std(0)).all(), dict(zip(NAMES, (apart / heard.std(0)).round(3), strict=True))


def test_a_wider_and_higher_mouth_in_the_same_face(meshes: NDArray[np.float64]) -> None:
    middle = meshes[:, [133, 362], :2].mean(1)[:, None]
    stretched = meshes.copy()
    stretched[..., :2] = (meshes[..., :2] - middle) * (1.3, 0.8) + middle
    found, expected = scaled(measured(meshes), 1.3, 0.8), measured(stretched)
    np.testing.assert_allclose(found[:, :-2], expected[:, :-2], rtol=1e-3, atol=1e-2)
    np.testing.assert_array_equal(found[:, -2:], measured(meshes)[:, -2:], "the face stays as it is")
    on_its_head = scaled(measured(meshes), 1.0, -1.0)
    np.testing.assert_allclose(on_its_head[:, 1 : 2 * len(POINTS) : 2], -measured(meshes)[:, 1 : 2 * len(POINTS) : 2])
    assert (on_its_head[:, 2 * len(POINTS) :] >= 0).all(), "no height or area is below nothing"


def test_one_frame_that_was_measured_wrong_stays_one(meshes: NDArray[np.float64], heard: NDArray[np.float32]) -> None:
    wrong = measured(meshes)
    wrong[40, -2:] *= 3  # the eyes' distance and the face's height
    apart = np.abs(features(wrong) - heard).max(1)
    assert apart.max() < 0.25, "they are cut off and smoothed"


def test_smoothing_keeps_the_mean_and_the_length() -> None:
    line = np.linspace(0, 1, 60)
    np.testing.assert_allclose(smooth(line, 2.0)[10:-10], line[10:-10], atol=1e-12)
    spike = np.zeros(61)
    spike[30] = 1
    found = smooth(spike, 1.2)
    assert (len(found), found.sum()) == (61, pytest.approx(1))
    assert found[31] / found[30] == pytest.approx(np.exp(-0.5 / 1.2**2))
    assert smooth(np.ones(2), 8.0) == pytest.approx([1, 1])


def test_the_made_up_face_is_as_large_as_it_says(meshes: NDArray[np.float64]) -> None:
    assert np.linalg.norm(meshes[0, 263] - meshes[0, 33]) == FACE


def pairs(shared: Path) -> list[tuple[Path, Path]]:
    """Videos and the geometry archives that have their sentences too, spread over the speakers."""
    found: dict[str, list[tuple[Path, Path]]] = {}
    for folder in ("grid", "grid_more", "grid_faces"):
        for video in sorted((shared / folder).glob("s*/*.m*")):
            archive = shared / "grid_geometry" / f"{video.parent.name}.npz"
            own = found.setdefault(video.parent.name, [])
            if len(own) < A_SPEAKER and archive.exists() and video.stem in codes(archive):
                own.append((video, archive))
    return [pair for own in found.values() for pair in own]


def codes(archive: Path) -> set[str]:
    try:
        with np.load(archive, allow_pickle=False) as content:
            return set(content["utterances"].tolist())
    except zipfile.BadZipFile:
        pytest.skip(f"{archive} is damaged")


def test_the_same_sentence_by_video_and_by_published_geometry(shared: Path) -> None:
    chosen = pairs(shared)
    if len(chosen) < CLIPS:
        pytest.skip(f"needs {CLIPS} clips in {shared} whose speakers' geometry is in grid_geometry; has {len(chosen)}")
    assert len({video.parent.name for video, _ in chosen}) >= SPEAKERS
    wanted = {(archive.stem, video.stem) for video, archive in chosen}
    published = {
        (archive.stem, shape.code): shape.measures
        for archive in {archive for _, archive in chosen}
        for shape in speaker_shapes(archive)
        if shape and (archive.stem, shape.code) in wanted
    }
    rows = []
    for video, archive in chosen:
        other = published.get((archive.stem, video.stem))
        if other is None:  # its words aren't its code's
            continue
        mine = read_mouth(video).measures
        known = np.flatnonzero(np.isfinite(other[: len(mine), 0]))
        one, two = features(mine[known]), features(other[known])
        rows.append([np.corrcoef(one[:, at], two[:, at])[0, 1] for at in range(FEATURES)])
    assert len(rows) >= CLIPS
    median = np.median(rows, 0)
    for name, value in zip(NAMES, median, strict=True):
        print(f"{name:14}{value:.3f}")
    assert (median > 0.95).all(), dict(zip(NAMES, median.round(3), strict=True))
