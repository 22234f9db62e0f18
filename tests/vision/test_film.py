"""The film that a player would show: the right stream, upright, in square pixels, of one size."""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gunileo.output.burn import burn
from gunileo.output.spoken import Spoken
from gunileo.output.transcript import Transcript
from gunileo.vision.film import local
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import VideoError, read_frames

Pixels = NDArray[np.uint8]
CORNERS = [(0, 0, 250), (250, 0, 0), (0, 250, 0), (250, 250, 0)]  # blue, red, green, yellow: left to right, then down


def corners(height: int = 96, width: int = 128) -> Pixels:
    """A picture of four colours, of which no turn or mirror is like another."""
    picture = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(CORNERS):
        picture[number // 2 * height // 2 :, number % 2 * width // 2 :] = colour
    return picture


def seen(frame: Pixels) -> list[int]:
    """Which of ``CORNERS`` stands in each quarter of a frame."""
    height, width = frame.shape[:2]
    places = [(height // 4, width // 4), (height // 4, -width // 4), (-height // 4, width // 4)]
    places.append((-height // 4, -width // 4))
    colours = np.array(CORNERS)
    return [int(np.abs(colours - frame[place].astype(int)).sum(1).argmin()) for place in places]


def with_matrix(path: Path, pixels: Sequence[Pixels], matrix: tuple[int, int, int, int]) -> Path:
    """H.264 in an mp4 whose display matrix begins with a, b and goes on with c, d."""
    clips.write_timed(path, pixels, np.arange(len(pixels)) / 25)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (number * 65536 for number in matrix)
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    path.write_bytes(data)
    return path


MATRICES = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)]
MATRICES += [(0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_turned_and_mirrored_pictures_are_upright_when_read_and_burnt(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    a, b, c, d = matrix
    upright = corners()
    # The stored picture: what is stored at x, y is shown at a x + c y, b x + d y.
    stored = upright[:: -1 if (c if a == 0 else d) < 0 else 1, :: -1 if (b if a == 0 else a) < 0 else 1]
    if a == 0:
        stored = upright[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1].swapaxes(0, 1)
    path = with_matrix(tmp_path / "a.mp4", [np.ascontiguousarray(stored)] * 5, matrix)
    frames = list(read_frames(path))
    assert [frame.shape for frame in frames] == [upright.shape] * 5
    assert seen(frames[0]) == [0, 1, 2, 3]
    burn(path, tmp_path / "b.mp4", [Spoken(Transcript("x", "", (), 0.0, "m"), [])])
    burnt = list(read_frames(tmp_path / "b.mp4"))
    assert burnt[0].shape == upright.shape
    assert seen(burnt[0]) == [0, 1, 2, 3]


def track(container: av.container.OutputContainer, size: tuple[int, int], codec: str = "libx264") -> av.VideoStream:
    stream = container.add_stream(codec, rate=25)
    stream.height, stream.width = size
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return stream


def shown(pixels: Pixels, number: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts = number
    return frame


@pytest.mark.parametrize("exif", range(1, 9))
def test_photos_are_turned_as_their_exif_says(tmp_path: Path, exif: int) -> None:
    """As a camera's bursts are; PyAV knows no Exif."""
    picture = Image.fromarray(corners())
    stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what makes each of the upright picture
    tag = Image.Exif()
    tag[0x0112] = exif
    for number in range(3):
        kept = picture.transpose(Image.Transpose(stored[exif])) if exif > 1 else picture
        kept.save(tmp_path / f"IMG_{number:03d}.jpg", quality=95, exif=tag)
    frames = list(read_frames(tmp_path))
    assert [seen(frame) for frame in frames] == [[0, 1, 2, 3]] * 3
    assert frames[0].shape == (96, 128, 3)


def test_a_preview_track_before_the_film_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        preview, film = track(container, (48, 64)), track(container, (96, 128))
        preview.disposition, film.disposition = 0, av.stream.Disposition.default
        for number in range(20):
            container.mux(preview.encode(shown(np.full((48, 64, 3), 200, np.uint8), number)))
            container.mux(film.encode(shown(corners(), number)))
        container.mux(preview.encode(None))
        container.mux(film.encode(None))
    frames = list(read_frames(path))
    assert len(frames) == 20
    assert frames[0].shape == (96, 128, 3)


@pytest.mark.parametrize("first", [True, False])
def test_a_cover_picture_is_not_the_film(tmp_path: Path, first: bool) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        streams = {}
        for kind in ("cover", "film") if first else ("film", "cover"):
            streams[kind] = track(
                container, (200, 200) if kind == "cover" else (96, 128), "mjpeg" * (kind == "cover") or "libx264"
            )
        streams["cover"].disposition = av.stream.Disposition.attached_pic
        container.mux(streams["cover"].encode(shown(np.full((200, 200, 3), 90, np.uint8), 0)))
        for number in range(20):
            container.mux(streams["film"].encode(shown(corners(), number)))
        container.mux(streams["film"].encode(None))
    frames = list(read_frames(path))
    assert len(frames) == 20
    assert seen(frames[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize(("ratio", "size"), [("4/3", (96, 172)), ("1/2", (192, 128)), ("16/15", (96, 128))])
def test_pixels_that_are_no_squares(tmp_path: Path, ratio: str, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = track(container, (96, 128))
        stream.codec_context.sample_aspect_ratio = Fraction(ratio)
        for number in range(5):
            container.mux(stream.encode(shown(corners(), number)))
        container.mux(stream.encode(None))
    frame = next(read_frames(path))
    assert np.abs(np.subtract(frame.shape[:2], size)).max() <= 1
    burn(path, tmp_path / "b.mp4", [Spoken(Transcript("x", "", (), 0.0, "m"), [])])
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        left = stream.sample_aspect_ratio or 1
        assert stream.width * left / stream.height == pytest.approx(128 * Fraction(ratio) / 96, rel=0.03)


@pytest.mark.parametrize(
    ("suffix", "codec", "sizes", "size"),
    [
        (".ts", "libx264", [(96, 128), (192, 256)], (192, 256)),
        (".ts", "libx264", [(96, 128), (48, 64)], (96, 128)),
        (".ts", "libx264", [(96, 128), (128, 96)], (96, 128)),
        (".mp4", "libx264", [(96, 128), (192, 256)], (192, 256)),
        (".mpg", "mpeg1video", [(96, 128), (192, 256)], (192, 256)),
        (".mpg", "mpeg2video", [(96, 128), (48, 64)], (96, 128)),
        (".webm", "libvpx", [(96, 128), (192, 256), (144, 192)], (192, 256)),
    ],
)
def test_pictures_that_change_their_size_are_read_in_the_largest(
    tmp_path: Path, suffix: str, codec: str, sizes: list[tuple[int, int]], size: tuple[int, int]
) -> None:
    path = changing(tmp_path / f"a{suffix}", codec, sizes)
    frames = list(read_frames(path))
    assert abs(len(frames) - 25 * len(sizes)) <= 1
    assert {frame.shape for frame in frames} == {(*size, 3)}
    upright = (128, 96) in sizes
    assert seen(frames[0]) == [0, 1, 2, 3]
    assert seen(frames[-1][:, 28:100] if upright else frames[-1]) == [0, 1, 2, 3]
    if upright:  # black beside a higher picture
        assert frames[-1][:, :20].max() < 30
    burn(path, tmp_path / "b.mp4", [Spoken(Transcript("x", "", (), 0.0, "m"), [])])
    assert {frame.shape for frame in read_frames(tmp_path / "b.mp4")} == {(*size, 3)}


def changing(path: Path, codec: str, sizes: list[tuple[int, int]]) -> Path:
    """A second of each size, in one stream."""
    parts = []
    for number, size in enumerate(sizes):
        part = path.with_name(f"{number}{'.ts' if codec == 'libx264' else path.suffix}")
        with av.open(str(part), "w") as container:
            stream = track(container, size, codec)
            for at in range(25):
                container.mux(stream.encode(shown(corners(*size), at)))
            container.mux(stream.encode(None))
        parts.append(part)
    with ExitStack() as stack, av.open(str(path), "w") as target:
        films = [stack.enter_context(av.open(str(part))) for part in parts]
        stream = target.add_stream_from_template(films[0].streams.video[0])
        for number, film in enumerate(films):
            for packet in film.demux(video=0):
                if packet.dts is not None:
                    packet.pts += round(number / packet.time_base)
                    packet.dts += round(number / packet.time_base)
                    packet.stream = stream
                    target.mux(packet)
    return path


def without_key(path: Path) -> Path:
    """A film of three seconds, cut after its first 0.6 by copying packets, so that it starts without a key picture."""
    whole = path.with_name("whole.mp4")
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "30", "bf": "0", "sc_threshold": "0"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(75):
            container.mux(stream.encode(shown(clips.clock(number), number)))
        container.mux(stream.encode(None))
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None and packet.pts * packet.time_base >= 0.6:
                packet.pts -= round(0.6 / packet.time_base)
                packet.dts = packet.pts
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_cut_without_a_key_picture_is_read_from_the_first_one_on(tmp_path: Path, suffix: str) -> None:
    timeline = Timeline()
    frames = [clips.read_clock(frame) for frame in read_frames(without_key(tmp_path / f"a{suffix}"), timeline)]
    assert frames == list(range(30, 75))
    assert timeline.seconds(0) == pytest.approx(0.6, abs=0.01)
    assert timeline.duration == pytest.approx(2.4, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_picture_that_stands_for_long_is_filled_for_ten_seconds(tmp_path: Path, suffix: str) -> None:
    times = np.array([*range(25), *range(1000, 1025)]) / 25
    path, timeline = clips.clock_video(tmp_path / f"a{suffix}", times), Timeline()
    frames = [clips.read_clock(frame) for frame in read_frames(path, timeline)]
    assert frames == [*range(24), *[24] * 250, *range(25, 50)]
    assert timeline.seconds(0.5) == pytest.approx(0.5, abs=0.002)
    assert timeline.seconds((24 + 250) / 25) == pytest.approx(40, abs=0.002)
    assert timeline.frame(40.2) == 24 + 250 + 5
    assert timeline.duration == pytest.approx(41, abs=0.01)


def test_a_picture_that_stands_at_the_end(tmp_path: Path) -> None:
    path = clips.clock_video(tmp_path / "whole.mp4", [*np.arange(25) / 25, 60])
    with av.open(str(path)) as source, av.open(str(tmp_path / "a.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.pts is not None][:25]
        packets[-1].duration = round(30 / packets[-1].time_base)
        for packet in packets:
            packet.stream = stream
            target.mux(packet)
    frames = [clips.read_clock(frame) for frame in read_frames(tmp_path / "a.mp4")]
    assert frames == [*range(24), *[24] * 250]


def late(path: Path) -> Path:
    """A second of sound, then both; the picture starts at 1.4 s."""
    with av.open(str(path), "w") as container:
        audio, film = container.add_stream("aac", rate=48000, layout="mono"), track(container, (64, 96))
        for start in range(0, 3 * 48000, 1024):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 48000, start
            container.mux(audio.encode(sound))
        for number in range(25):
            container.mux(film.encode(shown(clips.clock(number), number + 35)))
        container.mux(audio.encode(None))
        container.mux(film.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_picture_that_starts_after_the_sound_has_its_time(tmp_path: Path, suffix: str) -> None:
    timeline = Timeline()
    frames = [clips.read_clock(frame) for frame in read_frames(late(tmp_path / f"a{suffix}"), timeline)]
    assert frames == list(range(25))
    assert timeline.seconds(0.2) == pytest.approx(1.6, abs=0.03)
    assert timeline.duration == pytest.approx(2.4, abs=0.03)


def test_a_clock_that_begins_anew(tmp_path: Path) -> None:
    """That of MPEG-TS does so after 26.5 hours; FFmpeg makes the times before that negative."""
    timeline, begins = Timeline(), 2**33 / 90000 - 2.2
    path = clips.clock_video(tmp_path / "a.ts", begins + np.arange(40) / 25)
    assert [clips.read_clock(frame) for frame in read_frames(path, timeline)] == list(range(40))
    assert timeline.duration == pytest.approx(1.6, abs=0.01)


def test_a_burnt_film_keeps_the_time_of_a_picture_that_starts_late(tmp_path: Path) -> None:
    burn(late(tmp_path / "a.mp4"), tmp_path / "b.mp4", [Spoken(Transcript("x", "", (), 0.0, "m"), [])])
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert float(next(container.decode(video=0)).time or 0) == pytest.approx(1.4, abs=0.03)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / 48000 == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("name", ["a b.mp4", "cam1:front.mp4", "%41%d.mp4", f"{'ä' * 125}.mp4"])
def test_any_name_can_be_read_and_so_can_its_address(tmp_path: Path, name: str) -> None:
    path = clips.good(tmp_path / "good.mp4", 5).rename(tmp_path / name)
    assert len(list(read_frames(path))) == 5
    assert len(list(read_frames(path.as_uri()))) == 5
    assert local(path.as_uri()) == str(path)


def test_an_address_without_its_folder_is_a_file_in_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.good(tmp_path / "a b.mp4", 5)
    monkeypatch.chdir(tmp_path)
    assert local("file://a%20b.mp4") == "a b.mp4"
    assert local("file://c.mp4") == "/c.mp4"


def test_what_was_seen_is_said(tmp_path: Path) -> None:
    subtitles = tmp_path / "a.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nbin blue\n\n" * 20)
    wide = tmp_path / "wide.mov"
    with av.open(str(wide), "w") as container:
        stream = track(container, (8000, 8000), "mjpeg")
        container.mux([*stream.encode(shown(np.zeros((8000, 8000, 3), np.uint8), 0)), *stream.encode(None)])
    for path, reason in (
        (subtitles, "has subtitles but no picture; give a video file"),
        (wide, "its pictures (mjpeg) can't be decoded: damaged, larger than 8K, or"),
        ("http://localhost:9/a.mp4", "an address on a network; download the video"),
    ):
        with pytest.raises(VideoError) as error:
            next(read_frames(path))
        assert str(error.value).startswith(f"{path}: {reason}")
    animated = tmp_path / "a.webp"
    Image.new("RGB", (64, 48)).save(animated, save_all=True, append_images=[Image.new("RGB", (64, 48), "red")] * 5)
    with pytest.raises(
        VideoError, match=r"its pictures \(webp\) can't be decoded: it is animated, or damaged; convert"
    ):
        next(read_frames(animated))
    if Path("/proc/self/maps").exists():
        with pytest.raises(VideoError, match="not a video"):
            next(read_frames("/proc/self/maps"))
