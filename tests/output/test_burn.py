"""A video with what was read drawn in, as another player would decode it."""

import shutil
import weakref
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from numpy.typing import NDArray

from gunileo.output.burn import burn
from gunileo.output.spoken import Spoken
from gunileo.output.transcript import Transcript, Word, joined
from gunileo.util.files import FileError
from gunileo.vision.canvas import Canvas
from gunileo.vision.video import FPS, Frame

Pixels = NDArray[np.uint8]
BOX = np.array([(60, 20), (100, 20), (100, 50), (60, 50)], np.float32)
SAID = Transcript("x", "bin blue", (Word("bin", 0.4, 0.8, 0.9), Word("blue", 0.8, 1.2, 0.9)), 0.9, "m")
GREY = 120


def grey(size: tuple[int, int] = (160, 240), frames: int = 75) -> list[Frame]:
    return [np.full((*size, 3), GREY, np.uint8)] * frames


def spoken(transcript: Transcript = SAID, frames: int = 75) -> Spoken:
    return Spoken(transcript, [BOX] * frames)


def with_sound(path: Path, seconds: float = 3.0, shift: float = 0.0) -> Path:
    """Grey, with a click a second after the picture's start; both start ``shift`` seconds into the file."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.height, video.width, video.pix_fmt = 160, 240, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="mono")
        for number, pixels in enumerate(grey(frames=round(seconds * FPS))):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number + round(shift * FPS), Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        wave = np.random.default_rng(0).normal(0, 0.02, (1, round(44100 * seconds))).astype(np.float32)
        wave[0, 44100 : 44100 + 441] = 0.9
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, round(44100 * shift), Fraction(1, 44100)
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path


def decoded(path: Path) -> tuple[list[float], Pixels]:
    """Times in seconds and frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [float(frame.time or 0) for frame in frames], np.stack(
            [one.to_ndarray(format="rgb24") for one in frames]
        )


def drawn(frame: Pixels) -> NDArray[np.bool_]:
    return np.abs(frame.astype(int) - GREY).max(-1) > 40


def test_words_appear_as_they_are_said(tmp_path: Path) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    assert burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [spoken()])
    times, frames = decoded(tmp_path / "b.mp4")
    assert times == pytest.approx(np.arange(75) / FPS, abs=1e-3)
    assert frames.shape == (75, 160, 240, 3)
    words = [int(drawn(frame[120:]).sum()) for frame in frames]  # below the mouth
    assert not any(words[:9])
    assert all(100 < count < 1.2 * words[12] for count in words[11:19])
    assert all(count > 1.5 * words[12] for count in words[21:54])
    assert not any(words[56:])  # a second after the end
    first = drawn(frames[15, 120:])
    np.testing.assert_array_equal(first, drawn(frames[30, 120:]) & np.pad(first[:, :120], ((0, 0), (0, 120))) | first)
    lines = drawn(frames[2, :120])
    assert lines[20, 62:98].mean() > 0.9
    assert lines[22:48, 60].mean() > 0.9
    assert not lines[25:45, 65:95].any()


def test_a_guess_looks_like_one(tmp_path: Path) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    guess = Transcript("x", "bin blue", SAID.words, 0.1, "m", sure=False)
    for name, transcript in (("sure", SAID), ("guess", guess)):
        burn(tmp_path / "a.mp4", tmp_path / f"{name}.mp4", [spoken(transcript)])
    sure, unsure = (decoded(tmp_path / f"{name}.mp4")[1][40].astype(int) for name in ("sure", "guess"))

    def orange(frame: NDArray[np.int_]) -> int:
        return int(((frame[..., 0] - frame[..., 2] > 100) & (frame[..., 1] < 180)).sum())

    assert orange(sure[120:]) < 5
    assert orange(unsure[120:]) > 30
    assert drawn(unsure[120:].astype(np.uint8)).sum() > 1.8 * drawn(sure[120:].astype(np.uint8)).sum()  # "not sure:"


def test_sentences_follow_each_other_and_faces_have_their_sides(tmp_path: Path) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    later = Transcript("x", "set", (Word("set", 2.0, 2.4, 0.9),), 0.9, "m")
    away = Spoken(joined("x", "m", [later]), [None] * 75)
    burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [spoken(joined("x", "m", [SAID, later])), away])
    frames = decoded(tmp_path / "b.mp4")[1]
    assert drawn(frames[30, 120:, :120]).any()
    assert not drawn(frames[30, :, 120:]).any()
    assert drawn(frames[55, 120:, 120:]).any()
    assert 0 < drawn(frames[55, 120:, :120]).sum() < drawn(frames[30, 120:, :120]).sum()


def test_long_text_stays_in_the_picture(tmp_path: Path) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    words = tuple(Word("electricity", at / 10, at / 10 + 0.1, 0.9) for at in range(8))
    text = " ".join(word.word for word in words)
    burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [spoken(Transcript("x", text, words, 0.9, "m"))])
    frame = drawn(decoded(tmp_path / "b.mp4")[1][30])
    assert not frame[:, :4].any()
    assert not frame[:, -4:].any()
    assert frame[90:].any(1).sum() > 18  # more than a line


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = clips.variable_times(60)
    clips.clock_video(tmp_path / "a.mp4", times)
    burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [Spoken(Transcript("x", "", (), 0.0, "m", sure=False), [])])
    found, frames = decoded(tmp_path / "b.mp4")
    assert found == pytest.approx(times, abs=1e-3)
    assert [clips.read_clock(frame) for frame in frames] == list(range(60))


def test_a_turned_video_is_upright_and_a_large_one_keeps_its_size(tmp_path: Path) -> None:
    upright = [np.repeat(np.linspace(0, 240, 320).astype(np.uint8)[:, None, None], 180, 1).repeat(3, 2)] * 10
    clips.turned(tmp_path / "a.mp4", upright)
    burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [spoken(frames=10)])
    frames = decoded(tmp_path / "b.mp4")[1]
    assert frames.shape == (10, 320, 180, 3)
    assert np.abs(frames[0, ::40, 5].astype(int) - upright[0][::40, 5]).max() < 12
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0

    clips.write_timed(tmp_path / "large.mp4", grey((1080, 1920), 4), np.arange(4) / FPS)
    burn(tmp_path / "large.mp4", tmp_path / "c.mp4", [spoken(frames=4)])
    frames = decoded(tmp_path / "c.mp4")[1]
    assert frames.shape == (4, 1080, 1920, 3)
    # The outline was of a frame of 1280 pixels.
    assert drawn(frames[0])[28:33, 95:145].any(0).all()


def test_odd_sides_are_made_even(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = 91, 121, "bgr0"
        for pixels in grey((91, 121), 5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    burn(tmp_path / "a.mkv", tmp_path / "b.mp4", [spoken(frames=5)])
    assert decoded(tmp_path / "b.mp4")[1].shape == (5, 92, 122, 3)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_sound_comes_along_in_time(tmp_path: Path, shift: float) -> None:
    source = with_sound(tmp_path / "a.mkv", shift=shift)
    assert burn(source, tmp_path / "b.mp4", [spoken()])
    assert decoded(tmp_path / "b.mp4")[0] == pytest.approx(np.arange(75) / FPS, abs=2e-3)
    with av.open(str(tmp_path / "b.mp4")) as container:
        sound = [(float(frame.time or 0), frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    wave = np.concatenate([samples for _, samples in sound])
    assert len(wave) / 48000 == pytest.approx(3, abs=0.1)
    assert sound[0][0] + np.abs(wave).argmax() / 48000 == pytest.approx(1, abs=0.06)


def test_sound_that_is_damaged_ends_there(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "a.mkv")
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        late = [
            bytes(packet) for packet in container.demux(audio=0) if packet.pts and packet.pts * packet.time_base > 2
        ]
    for packet in late:
        at = data.index(packet)
        data[at : at + len(packet)] = b"\xff" * len(packet)
    source.write_bytes(data)
    assert not burn(source, tmp_path / "b.mp4", [spoken()])
    assert len(decoded(tmp_path / "b.mp4")[0]) == 75
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / 48000 == pytest.approx(2, abs=0.1)


def test_few_frames_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    alive: weakref.WeakSet[Picture] = weakref.WeakSet()
    most = 0
    real = Canvas.__call__

    def counted(canvas: Canvas, frame: av.VideoFrame) -> Frame:
        nonlocal most
        pixels = real(canvas, frame).view(Picture)
        alive.add(pixels)
        most = max(most, len(alive))
        return pixels

    monkeypatch.setattr(Canvas, "__call__", counted)
    burn(tmp_path / "a.mp4", tmp_path / "b.mp4", [spoken()])
    assert 0 < most <= 3


class Picture(np.ndarray):  # type: ignore[type-arg]
    """An array that a set can hold."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    clips.write_timed(tmp_path / "a.mp4", grey(), np.arange(75) / FPS)
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/b\.mp4: can't be written"):
        burn(tmp_path / "a.mp4", tmp_path / "file" / "b.mp4", [spoken()])


def test_transcribe_burns(run, model: str, tmp_path: Path) -> None:
    clip = clips.coded(tmp_path / "talk.mpg", 40)
    line = ("transcribe", clip, "--model", model, "--burn", "-o", tmp_path / "out")
    code, out, err = run(*line)
    assert (code, err) == (0, "")
    assert len(out.split()) == 6
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk.mp4"]
    times, frames = decoded(tmp_path / "out" / "talk.mp4")
    plain = decoded(clip)[1]
    assert len(times) == len(plain) == 40
    assert frames.shape == plain.shape
    change = np.abs(frames[30].astype(int) - plain[30]).max(-1) > 60
    assert change[250:].sum() > 200  # words
    x = np.nonzero(change[:250])[1]
    assert (x.min() + x.max()) / 2 == pytest.approx(180, abs=25)  # the mouth's box
    assert run(*line, "-f", "txt")[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"talk.mp4", "talk.txt"}


def test_a_video_is_never_written_over_itself(run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clips.good(tmp_path / "talk.mp4", 30)
    before = clip.read_bytes()
    monkeypatch.chdir(tmp_path)
    code, out, err = run("transcribe", "talk.mp4", "--model", model, "--burn")
    assert (code, out) == (1, "")
    assert err.splitlines() == ["talk.mp4: would be written over; name another folder with -o"]
    assert clip.read_bytes() == before


def test_real_sound_is_kept(shared: Path, tmp_path: Path) -> None:
    clip = min((shared / "grid" / "s1").glob("*.mpg"))
    burn(clip, tmp_path / "b.mp4", [spoken()])
    lengths = []
    for path in (clip, tmp_path / "b.mp4"):
        with av.open(str(path)) as container:
            lengths.append(sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0)))
    assert lengths[1] == pytest.approx(lengths[0], abs=0.05)
    shutil.rmtree(tmp_path)
