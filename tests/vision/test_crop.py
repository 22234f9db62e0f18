"""The crop follows the head at once, and the mouth's place in the face slowly."""

from __future__ import annotations

import clips
import cv2
import numpy as np
import pytest
from mouths import face
from numpy.typing import NDArray

from gunileo.vision.crop import HEIGHT, POSE, RADIUS, WIDTH, crop_at, outline, pose_of, smoothed
from gunileo.vision.mouth import clip_mouths, mouth_stream
from gunileo.vision.mouth_clip import MouthClip

Pixels = NDArray[np.uint8]
FPS = 25
MIDDLE = np.array([180, 120, 0])  # of the picture, where the face's eyes are


def hand_held(frames: int) -> NDArray[np.float64]:
    """How far a camera in a hand moves the picture, pixels [frames, 2]: 6 at 1 Hz, 2 at 3 Hz, along the diagonal."""
    time = np.arange(frames) / FPS
    way = 6 * np.sin(2 * np.pi * time) + 2 * np.sin(2 * np.pi * 3 * time)
    return np.stack([way, -way], 1) / np.sqrt(2)


def places(meshes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Where the crop of each frame is, by all frames around it."""
    poses = np.stack([pose_of(mesh.astype(np.float32)) for mesh in meshes])
    assert poses.shape[1] == POSE
    reach = [(max(0, at - RADIUS), min(len(poses), at + RADIUS + 1)) for at in range(len(poses))]
    return np.stack([smoothed(poses[a:b], at - a) for at, (a, b) in enumerate(reach)])


def test_the_crop_of_a_mesh_is_in_the_middle_of_the_mouth_and_as_wide_as_it_says() -> None:
    mesh = face(1)[0].astype(np.float32) + MIDDLE
    corners = outline(smoothed(pose_of(mesh)[None], 0))
    lips = np.array((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185))
    np.testing.assert_allclose(corners.mean(0), mesh[lips, :2].mean(0), atol=1e-3)
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    np.testing.assert_allclose(sides, [115, 115 * HEIGHT / WIDTH] * 2, rtol=1e-4)  # the eyes are 100 apart


@pytest.mark.parametrize("degrees", [30, -30, 90])
def test_a_tilted_head_gives_a_tilted_crop(degrees: float) -> None:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    upright, tilted = (
        smoothed(pose_of(mesh.astype(np.float32))[None], 0) for mesh in (face(1)[0], face(1)[0] @ turn.T)
    )
    np.testing.assert_allclose(outline(tilted), outline(upright) @ turn[:2, :2].T, atol=1e-2)


def test_the_crop_follows_a_hand_held_camera_without_lag() -> None:
    still, way = face(75) + MIDDLE, hand_held(75)
    moved = still + np.pad(way, ((0, 0), (0, 1)))[:, None]
    lag = np.linalg.norm(places(moved)[:, :2] - places(still)[:, :2] - way, axis=1)
    assert lag[1:-1].max() < 0.4, "of eight pixels"
    assert lag.max() < 1, "the first and the last frame have neighbours on one side alone"


def test_talk_moves_the_crop_less_than_the_mouth() -> None:
    meshes = face(75) + MIDDLE
    mouth = np.stack([outline(smoothed(pose_of(mesh.astype(np.float32))[None], 0)).mean(0) for mesh in meshes])
    crop = places(meshes)[:, :2]
    inner = slice(RADIUS, -RADIUS)
    assert np.diff(crop[inner], axis=0).std() < 0.35 * np.diff(mouth[inner], axis=0).std()


def test_a_hand_held_clip_gives_the_crops_of_a_steady_one() -> None:
    """What the crop of a talking clip shows moves by less than a pixel when the picture is moved, but in one frame."""
    talk = clips.talking()[0]
    moved = [
        cv2.warpAffine(frame, np.array([[1, 0, x], [0, 1, y]]), frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        for frame, (x, y) in zip(talk, hand_held(len(talk)), strict=True)
    ]
    outlines: list[NDArray[np.float32]] = []
    still = MouthClip.of([one for one in mouth_stream(talk, watch=outlines.append, at_once=1) if one]).crops
    found = MouthClip.of(list(clip_mouths(moved))).crops
    window = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)
    shifts = [cv2.phaseCorrelate(*map(np.float32, pair), window)[0] for pair in zip(still, found, strict=True)]
    scale = np.linalg.norm([corners[1] - corners[0] for corners in outlines], axis=1) / WIDTH
    apart = np.linalg.norm(shifts, axis=1) * scale
    print(f"moved by {apart.mean():.2f} of the picture's pixels on average, {apart.max():.2f} at most")
    assert np.quantile(apart, 0.95) < 0.85
    assert apart.max() < 1.2, "where the camera moves by three pixels in a frame"


def test_a_crop_shows_what_is_at_its_place() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(frame, (120, 90), 5, (255, 255, 255), -1)
    for angle, scale in ((0.0, 1.0), (0.5, 0.8), (-1.2, 2.2)):
        crop = crop_at(frame, np.array([120, 90, angle, np.log(scale)], np.float32)).astype(float)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        assert crop.max() > 200
        centre = ((crop * x).sum() / crop.sum(), (crop * y).sum() / crop.sum())
        assert centre == pytest.approx(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), abs=0.6)
