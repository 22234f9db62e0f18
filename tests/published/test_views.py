"""Crops against those that the published preprocessing made of the same points."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from published_models import reference

from gunileo.published.views import _LIPNET_FACE, MESH, LipNetFace, MeanFace, lipnet_crop, mean_face_crop
from gunileo.vision.video import read_frames

CLIPS = {"s1": "grid/s1/bbaf2n.mpg", "s4": "grid_more/s4/bbaf2a.mp4"}


def frames(shared: Path, speaker: str) -> list[np.ndarray]:
    found = shared / CLIPS[speaker]
    if not found.is_file():
        found = next(iter(shared.rglob(Path(CLIPS[speaker]).name)))
    return list(islice(read_frames(found), 40))


@pytest.mark.parametrize("speaker", CLIPS)
def test_mean_face_crops(speaker: str, shared: Path) -> None:
    expected = reference("conformer", "crops.npz")
    points = expected[f"{speaker}/points"]
    made = [mean_face_crop(frame, points, at, 96) for at, frame in enumerate(frames(shared, speaker))]
    off = np.abs(np.stack(made).astype(int) - expected[f"{speaker}/crops"])
    assert off.mean() < 0.1
    assert off.max() <= 2


@pytest.mark.parametrize("speaker", CLIPS)
def test_lipnet_crops(speaker: str, shared: Path) -> None:
    expected = reference("lipnet", "expected.npz")
    points = expected[f"{speaker}/points"]
    made = [lipnet_crop(frame, points[at]) for at, frame in enumerate(frames(shared, speaker)) if at % 4 == 0]
    off = np.abs(np.stack(made).astype(int) - expected[f"{speaker}/crops"])
    assert off.mean() < 0.1
    assert off.max() <= 2


def test_lipnet_points() -> None:
    told = reference("lipnet", "expected.json")
    assert MESH.tolist() == told["mesh"]
    assert np.allclose(_LIPNET_FACE, told["reference"], atol=1e-5)


def test_a_view_s_crop_is_the_middle_of_the_larger_and_what_the_network_takes() -> None:
    mesh = np.random.default_rng(0).uniform(60, 200, (468, 3)).astype(np.float32)
    frame = np.random.default_rng(1).integers(0, 256, (288, 360, 3), np.uint8)
    near = np.stack([MeanFace().points(mesh)] * 3)
    crop = MeanFace().picture(frame, near, 1)
    assert np.abs(crop.astype(int) - mean_face_crop(frame, near.reshape(-1, 4, 2), 1, 96)[4:-4, 4:-4]).max() <= 1
    taken = MeanFace().inputs(np.full((2, 88, 88), 255, np.uint8))["regions"]
    assert taken.shape == (1, 1, 2, 88, 88)
    assert np.allclose(taken, (1 - 0.421) / 0.165)
    black = LipNetFace().inputs(np.full((2, 64, 128, 3), 255, np.uint8))["regions"]
    assert black.shape == (1, 3, 75, 64, 128)
    assert black[:, :, :2].min() == 1
    assert black[:, :, 2:].max() == 0
