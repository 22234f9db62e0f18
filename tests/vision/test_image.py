"""Pictures: warped to the right place, the same through files, and refused where they are damaged."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gunileo.vision.crop import crop_at
from gunileo.vision.image import PictureError, from_png, grey, part, to_jpeg, to_png, warped

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """Smooth in both directions, so that interpolation shows."""
    y, x = np.mgrid[:90, :120]
    waves = [np.sin(x / 9 + shade) * np.cos(y / 7 - shade) for shade in (0, 1, 2)]
    return (127 + 120 * np.stack(waves, -1)).astype(np.uint8)


def test_warped_as_opencv_does(picture: Pixels) -> None:
    to_picture = np.array([[0.8, -0.3, 30.4], [0.3, 0.8, 10.2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for one in (picture, picture[..., 0], picture[:, ::-1]):
        found = warped(one, to_picture, (50, 70))
        assert (found.shape, found.dtype) == ((50, 70, *one.shape[2:]), np.uint8)
        assert np.abs(found.astype(int) - cv2.warpAffine(one, to_picture, (70, 50), flags=flags)).max() <= 1


def test_black_outside(picture: Pixels) -> None:
    found = warped(picture, np.array([[1.0, 0, -10], [0, 1.0, 0]]), (90, 120))
    assert not found[:, :10].any()
    np.testing.assert_array_equal(found[:, 10:], picture[:, :-10])


@pytest.mark.parametrize("at", [(-10, -20), (60, 50), (-10, 50), (-30, -30), (10, 10), (-300, 400), (130, 20)])
def test_the_edge_is_continued(picture: Pixels, at: tuple[int, int]) -> None:
    """In any direction, and where nothing of the picture is left."""
    to_picture = np.array([[1.3, -0.2, at[0]], [0.2, 1.3, at[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for one in (picture, picture[..., 0]):
        found = warped(one, to_picture, (50, 70), continued=True)
        expected = cv2.warpAffine(one, to_picture, (70, 50), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        assert np.abs(found.astype(int) - expected).max() <= 3  # OpenCV rounds places to a 32nd of a pixel


def test_parts_go_on_beyond_the_edge(picture: Pixels) -> None:
    rows, columns = np.arange(-30, 150), np.arange(-20, 170)
    expected = picture[rows.clip(0, 89)][:, columns.clip(0, 119)]
    for first, last in (
        ((-20, -30), (170, 150)),
        ((-20, 5), (30, 60)),
        ((100, -30), (170, 10)),
        ((130, 95), (150, 99)),
    ):
        (left, top), (right, bottom) = first, last
        found = part(picture, first, last)
        np.testing.assert_array_equal(found, expected[top + 30 : bottom + 30, left + 20 : right + 20])


def test_grey_is_brightness(picture: Pixels) -> None:
    expected = picture @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(picture) - expected).max() < 1.01


def test_png_is_lossless_and_any_writer_s_is_read(picture: Pixels) -> None:
    shade = picture[..., 0]
    np.testing.assert_array_equal(from_png(to_png(shade), shade.shape), shade)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(to_png(shade), np.uint8), cv2.IMREAD_UNCHANGED), shade)
    rle = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]  # of older caches
    np.testing.assert_array_equal(from_png(cv2.imencode(".png", shade, rle)[1].tobytes(), shade.shape), shade)


def test_a_damaged_or_another_png_is_refused(picture: Pixels) -> None:
    shade = picture[..., 0]
    whole = to_png(shade)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    colour = cv2.imencode(".png", picture)[1].tobytes()
    for content in (b"", whole[:-20], bytes(flipped), colour, b"no picture"):
        with pytest.raises(PictureError):
            from_png(content, shade.shape)
    with pytest.raises(PictureError):
        from_png(whole, (45, 240))


def test_jpeg_is_nearly_the_same(picture: Pixels) -> None:
    found = cv2.imdecode(np.frombuffer(to_jpeg(picture[..., 0]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(found.astype(int) - picture[..., 0]).mean() < 2


def test_a_region_goes_on_beyond_the_frame() -> None:
    frame = np.repeat(np.arange(0, 200, dtype=np.uint8)[None, :, None], 160, axis=0).repeat(3, axis=2)
    region = crop_at(frame, np.array([10, 80, 0, 0], np.float32))  # 75 pixels to the left of x = 10
    assert not region[:, :64].any()
    assert region[50, 65:].astype(int) == pytest.approx(np.arange(0.5, 85), abs=1)


@pytest.mark.parametrize("scale", [1.0, 1.4, 1.6, 2.5, 4.0])
def test_a_region_of_a_large_frame_is_a_mean(scale: float) -> None:
    columns = np.indices((700, 900))[1]
    stripes = ((columns % 2) * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    ramp = (columns / 4).astype(np.uint8)[..., None].repeat(3, axis=2)
    pose = np.array([450, 350, 0, np.log(scale)], np.float32)
    assert crop_at(ramp, pose)[50].astype(float) == pytest.approx((450 + scale * (np.arange(150) - 74.5)) / 4, abs=1.5)
    if scale > 1.5:  # one pixel of the frame alone would be black or white
        assert np.abs(crop_at(stripes, pose).astype(int) - 127).max() < 100
