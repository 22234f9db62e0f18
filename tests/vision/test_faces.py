"""Several faces in a picture: the one that is asked for is read, or all of them, each by itself."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import clips
import numpy as np
import pytest
from clips import difference
from numpy.typing import NDArray

from gunileo.corpus.synthetic import speak
from gunileo.inference.load import load_model
from gunileo.vision.face import Face
from gunileo.vision.faces import find_faces
from gunileo.vision.mouth import MouthError, clip_mouths, mouth_stream
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import VideoError, read_frames, write_video

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def speakers() -> tuple[Pixels, Pixels]:
    """Two speakers who say two sentences, the second one's face a little smaller; 50 frames each."""
    other = np.stack([clips.beside(frame, 0.8) for frame in speak("lwws9a", speaker=2)[0][:50]])
    return clips.talking()[0][:50], other


@pytest.fixture(scope="module")
def both(speakers: tuple[Pixels, Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smaller face on the left, the larger on the right."""
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    write_video(path, np.concatenate(speakers[::-1], axis=2))
    return path


def crops(frames: Iterable[Pixels], face: Face = "largest") -> Pixels:
    return MouthClip.of([mouth for mouth in mouth_stream(iter(frames), face) if mouth is not None]).crops


@pytest.mark.parametrize(("face", "whose"), [("largest", 0), ("right", 0), ("left", 1)])
def test_the_face_that_is_asked_for(speakers: tuple[Pixels, Pixels], both: Path, face: Face, whose: int) -> None:
    found = crops(read_frames(both), face)
    assert len(found) == 50
    assert difference(found, crops(speakers[whose])) < 4
    assert difference(found, crops(speakers[1 - whose])) > 8


@pytest.mark.parametrize("still", [0, 40])
def test_a_larger_poster_is_not_read(speakers: tuple[Pixels, Pixels], still: int) -> None:
    """The larger face is a picture on the wall, in any light; the smaller speaks."""
    noise = np.random.default_rng(0).normal(0, 2, speakers[0].shape)
    poster = np.clip(speakers[0][[still] * 50] + noise, 0, 255).astype(np.uint8)
    both = np.concatenate([poster, speakers[1]], axis=2)
    found = crops(both)
    assert len(found) == 50
    assert difference(found, crops(speakers[1])) < 4
    np.testing.assert_array_equal(found, np.stack([one.crop for one in clip_mouths(iter(both))]))


def passing(front: Pixels, behind: Pixels) -> Pixels:
    """One goes from left to right before the other, who is hidden for a while and comes out on the other side."""
    front, behind = (face[:, 30:270, 95:265] for face in (front, behind))
    scene = np.full((50, 288, 640, 3), 170, np.uint8)
    for number, step in enumerate(np.linspace(0, 420, 50).round().astype(int)):
        scene[number, 20:260, 450 - step : 620 - step] = behind[number]
        scene[number, 20:260, 30 + step : 200 + step] = front[number]
    return scene


@pytest.fixture(scope="module")
def crossing(speakers: tuple[Pixels, Pixels]) -> Pixels:
    return passing(*speakers)


def test_two_people_who_cross_are_two(crossing: Pixels) -> None:
    found = find_faces(crossing, "cross.mp4")
    assert list(found) == ["left", "right"]
    assert found["left"].x < 200 < 400 < found["right"].x


@pytest.mark.parametrize("by", ["side", "place"])
@pytest.mark.parametrize(("face", "goes_right"), [("left", True), ("right", False)])
def test_each_is_followed_through_the_crossing(crossing: Pixels, face: Face, goes_right: bool, by: str) -> None:
    """Neither is ever taken for the other: both go on as they went."""
    outlines: list[NDArray[np.float32] | None] = []
    wanted = face if by == "side" else find_faces(crossing, "cross.mp4")[str(face)]
    list(mouth_stream(crossing, wanted, outlines.append))
    places = [one[:, 0].mean() if goes_right else 640 - one[:, 0].mean() for one in outlines if one is not None]
    assert places[0] < 200 < 400 < places[-1]
    assert np.diff(places).min() > 0, "it goes on and on"
    assert len(places) > (48 if goes_right else 20)


def test_the_outermost_face_is_one_that_stays(speakers: tuple[Pixels, Pixels]) -> None:
    passing = np.concatenate([speakers[0], speakers[1]], axis=2)
    passing[1:, :, 360:] = 0
    assert difference(crops(passing[:30], "right"), crops(speakers[0][:30])) < 2


def test_all_faces_are_found_by_their_places(speakers: tuple[Pixels, Pixels], both: Path) -> None:
    found = find_faces(read_frames(both), "two.mp4")
    assert list(found) == ["left", "right"]
    assert found["left"].x < 360 < found["right"].x
    assert found["left"].side < found["right"].side
    for place, whose in (("left", 1), ("right", 0)):
        assert difference(crops(read_frames(both), found[place]), crops(speakers[whose])) < 4
    assert list(find_faces(speakers[0], "one.mp4")) == [""]
    three = np.concatenate([face[:, :, 72:288] for face in (speakers[1], speakers[0], speakers[1])], axis=2)
    assert list(find_faces(three, "three.mp4")) == ["left", "middle", "right"]
    with pytest.raises(MouthError, match=r"wall\.mp4: no face found"):
        find_faces([np.full((120, 160, 3), 90, np.uint8)] * 20, "wall.mp4")


def test_a_face_that_comes_late_is_waited_for(speakers: tuple[Pixels, Pixels]) -> None:
    late = np.concatenate(speakers, axis=2)
    late[:20, :, 360:] = 0
    place = find_faces(late, "late.mp4")["right"]
    found = list(mouth_stream(late, place))
    assert [mouth is None for mouth in found] == [True] * 20 + [False] * 30


def test_faces_of_a_damaged_video_are_those_before_the_damage(speakers: tuple[Pixels, Pixels]) -> None:
    def broken(frames: Iterable[Pixels]) -> Iterable[Pixels]:
        yield from frames
        raise VideoError("x: truncated")

    assert list(find_faces(broken(speakers[0]), "x")) == [""]
    with pytest.raises(VideoError, match="truncated"):
        find_faces(broken([]), "x")


def test_the_outline_of_each_frame_is_told(speakers: tuple[Pixels, Pixels]) -> None:
    frames = speakers[0].copy()
    frames[20:35] = 0
    outlines: list[NDArray[np.float32] | None] = []
    found = list(mouth_stream(frames, watch=outlines.append))
    assert [one is None for one in outlines] == [one is None for one in found]
    corners = outlines[0]
    assert corners is not None
    # The clip's mouth is about at 180, 220; a crop is half as wide again as it is high.
    assert corners.mean(0) == pytest.approx((180, 220), abs=12)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    assert sides[0] == pytest.approx(1.5 * sides[1], rel=1e-3)
    assert corners[0, 0] < corners[1, 0]
    assert corners[0, 1] < corners[3, 1]


def test_a_transcript_a_face(run, both: Path, model: str, tmp_path: Path) -> None:
    line = ("transcribe", both, "--model", model, "--decode", "greedy")
    code, out, err = run(*line, "--face", "all", "-f", "txt,json", "-o", tmp_path)
    assert (code, err) == (0, "")
    left, right = out.splitlines()
    assert (left.split(": ")[0], right.split(": ")[0]) == ("left", "right")
    assert left.split(": ")[1] != right.split(": ")[1]
    assert {path.name for path in tmp_path.iterdir()} == {
        f"two{place}.{kind}" for place in (".left", ".right", "") for kind in ("txt", "json")
    }
    assert (tmp_path / "two.txt").read_text().splitlines() == [left, right]
    told = json.loads((tmp_path / "two.json").read_text())
    assert {segment["speaker"] for segment in told["segments"]} == {"left", "right"}
    times = [segment["start"] for segment in told["segments"]]
    assert times == sorted(times)
    assert json.loads((tmp_path / "two.left.json").read_text())["file"] == str(both)
    assert run(*line, "--face", "left")[1] == left.removeprefix("left: ") + "\n"
    assert run(*line)[1] == right.removeprefix("right: ") + "\n"


def test_a_face_alone_is_read_on_after_a_cut_to_another(run, model: str, tmp_path: Path) -> None:
    talk = clips.talking()[0]
    write_video(tmp_path / "cut.mp4", [*talk, *clips.another(talk)])
    line = ("transcribe", tmp_path / "cut.mp4", "--model", model, "--decode", "greedy")
    code, out, err = run(*line, "--face", "all")
    assert (code, err, len(out.splitlines())) == (0, "", 2)
    assert out == run(*line)[1]


def test_one_face_that_cannot_be_read_takes_no_other_with_it(
    run, speakers: tuple[Pixels, Pixels], model: str, tmp_path: Path
) -> None:
    frames = np.concatenate([np.concatenate(speakers, axis=2)] * 2)
    frames[np.arange(100) % 15 > 0, :, 360:] = 0
    write_video(tmp_path / "leaves.mp4", frames)
    code, out, err = run(
        "transcribe", tmp_path / "leaves.mp4", "--model", model, "--face", "all", "--burn", "-o", tmp_path / "o"
    )
    assert code == 1
    assert len(out.splitlines()) == 1
    assert out.startswith("left: ")
    assert len(err.splitlines()) == 1
    assert "are too few for a sentence" in err
    assert "(the face named right)" in err
    assert (tmp_path / "o" / "leaves.mp4").exists()


def test_real_faces_side_by_side_are_read_as_apart(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "grid" / "s1").glob("*.mpg"))[:2]
    write_video(
        tmp_path / "two.mp4", (np.concatenate(pair, axis=1) for pair in zip(*map(read_frames, files), strict=True))
    )
    reader = load_model()
    apart = [reader.transcribe(file).text for file in files]
    faces = find_faces(read_frames(tmp_path / "two.mp4"), "two.mp4")
    assert [reader.transcribe(tmp_path / "two.mp4", face=faces[place]).text for place in ("left", "right")] == apart


@pytest.mark.parametrize("face", ["largest", "right"])
def test_one_who_is_hidden_amid_a_sentence_is_read_as_a_guess(
    run, speakers: tuple[Pixels, Pixels], tmp_path: Path, face: Face
) -> None:
    """By default it is the same person, too: the larger is behind."""
    write_video(tmp_path / "cross.mp4", passing(*speakers[::-1]))
    code, out, err = run("transcribe", tmp_path / "cross.mp4", "--face", face)
    assert code == 0
    assert out.startswith("not sure: ")
    assert len(out.split()) == 8
    assert re.fullmatch(
        r".*cross\.mp4: the mouth is hidden from 0\.\d to 1\.\d s; what is read there is a guess\n", err
    )
