"""The clock of containers that store few time stamps, wrong ones or none."""

from itertools import product
from pathlib import Path

import av
import clips
import pytest

from gunileo.vision.timeline import Timeline
from gunileo.vision.video import read_frames

CODED = [("libx264", "0"), ("libx264", "3"), ("libx264", "8"), ("mpeg1video", "2"), ("mpeg2video", "0")]
PACKETS = ["256", "512", "700", "1000", "2048", "4096"]


def program_stream(path: Path, codec: str, reordered: str, kind: str, options: dict[str, str], frames: int) -> Path:
    """``frames`` clocks in an MPEG program stream, as FFmpeg's muxer ``kind`` cuts them into packets."""
    with av.open(str(path), "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=25, options={"bf": reordered, "b-pyramid": "normal", "g": "12"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.clock(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("packet", PACKETS)
@pytest.mark.parametrize(("codec", "reordered"), CODED)
def test_each_frame_of_a_program_stream_comes_once(tmp_path: Path, codec: str, reordered: str, packet: str) -> None:
    for kind, rate in product(["mpeg", "vob", "dvd"], [{}, {"muxrate": "20000000"}]):
        path = program_stream(tmp_path / "a.mpg", codec, reordered, kind, {"packetsize": packet, **rate}, 120)
        assert [clips.read_clock(frame) for frame in read_frames(path)] == list(range(120)), (kind, rate)


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_pictures_that_a_program_stream_leaves_out_are_filled(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.mpg"
    times = [*range(50), *range(80, 130)]  # frames
    with av.open(str(path), "w", format="vob") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "0", "g": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(clips.clock(index), format="rgb24")
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    shown = [clips.read_clock(frame) for frame in read_frames(path)]
    assert abs(len(shown) - 130) <= 12
    held = max(set(shown), key=shown.count)  # of a packet's frames the first alone has a time
    assert abs(held - 49) <= 12
    assert abs(shown.count(held) - 31) <= 12
    assert shown[-1] == 99


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_files_joined_one_after_the_other_are_read_whole(tmp_path: Path, suffix: str) -> None:
    one = tmp_path / f"one{suffix}"
    with av.open(str(one), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for index in range(75):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.clock(index), format="rgb24")))
        container.mux(stream.encode(None))
    both = tmp_path / f"both{suffix}"
    both.write_bytes(2 * one.read_bytes())
    shown = [clips.read_clock(frame) for frame in read_frames(both)]
    assert shown.count(74) <= 3
    assert shown[:75] == list(range(75))
    assert shown[-70:] == list(range(5, 75))


@pytest.mark.parametrize(("codec", "reordered"), [("mpeg4", 0), ("mpeg4", 2), *(("libx264", n) for n in (0, 1, 2, 8))])
def test_an_avi_starts_with_its_first_picture(tmp_path: Path, codec: str, reordered: int) -> None:
    """A decoder holds frames back to reorder them, and AVI tells only when each is decoded."""
    path, timeline = avi(tmp_path / "a.avi", codec, reordered), Timeline()
    assert [clips.read_clock(frame) for frame in read_frames(path, timeline)] == list(range(100))
    assert timeline.seconds(0) == 0
    assert timeline.duration == pytest.approx(4)


@pytest.mark.parametrize("reordered", [0, 2])
def test_an_avi_that_was_cut_before_a_key_picture_has_its_times(tmp_path: Path, reordered: int) -> None:
    """Players leave out what they can't decode, and count its time."""
    whole, path, timeline = avi(tmp_path / "whole.avi", "libx264", reordered), tmp_path / "a.avi", Timeline()
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts and packet.dts >= 15:
                packet.stream = stream
                target.mux(packet)
    shown = [clips.read_clock(frame) for frame in read_frames(path, timeline)]
    assert shown[0] in (29, 30), "the second key picture"
    assert shown == list(range(shown[0], 100))
    assert timeline.seconds(0) == pytest.approx(shown[0] / 25)
    assert timeline.duration == pytest.approx(4)


def avi(path: Path, codec: str, reordered: int) -> Path:
    """A hundred clocks, of which about the 30th is the second key picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "30", "sc_threshold": "0"})
        stream.codec_context.max_b_frames = reordered
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for index in range(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.clock(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path
