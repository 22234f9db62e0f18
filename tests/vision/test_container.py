"""What files are refused before a picture is read, and what is said of each."""

import os
import socket
import sys
from pathlib import Path

import av
import clips
import pytest

from gunileo.vision.container import boxes
from gunileo.vision.pipe import kept
from gunileo.vision.video import VideoError, read_frames


def refusal(path: Path | str) -> str:
    with pytest.raises(VideoError) as error:
        list(read_frames(path))
    return str(error.value)


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8"])
@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile secret.ts\n", "#EXTM3U\n#EXTINF:1,\nsecret.ts\n"])
def test_a_file_that_only_names_others_is_not_followed(tmp_path: Path, name: str, text: str) -> None:
    clips.coded(tmp_path / "secret.ts", 12)
    (tmp_path / name).write_text(text)
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: only names other files, which are not read; give")


def test_a_numbered_picture_that_only_names_others_is_not_followed(tmp_path: Path) -> None:
    clips.coded(tmp_path / "secret.ts", 12)
    (tmp_path / "001.png").write_text("ffconcat version 1.0\nfile secret.ts\n")
    assert "001.png: only names other files" in refusal(tmp_path / "%03d.png")


def test_a_recording_without_its_index(tmp_path: Path) -> None:
    assert "cut.mp4: its index is missing, as its recording or copy was broken" in refusal(
        clips.truncated(tmp_path / "cut.mp4")
    )
    whole = clips.good(tmp_path / "whole.mp4", 12)
    with whole.open("rb") as file:
        assert {b"ftyp", b"mdat", b"moov"} <= set(boxes(file))
    whole.write_bytes(bytes(4000))
    with whole.open("rb") as file:
        assert list(boxes(file)) == []


def test_a_header_that_stops_short_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    begun = clips.coded(tmp_path / "begun.mkv", 12)
    begun.write_bytes(begun.read_bytes()[:300])
    assert refusal(begun).endswith("begun.mkv: not a video, or damaged; play it to check, then copy it again")


@pytest.mark.parametrize("name", ["", "a\0b.mp4", "x" * 300 + ".mp4", "x/" * 3000, "%03d" * 100 + ".png"])
def test_what_can_be_no_name(name: str) -> None:
    assert "\n" not in refusal(name)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and sockets")
def test_what_the_system_refuses_is_told_with_advice(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    said = "loop.mp4: can't be read (Too many levels of symbolic links); correct the link"
    assert refusal(tmp_path / "loop.mp4").endswith(said)
    place = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(place))
        said = f"{place}: can't be read (No such device or address); check the path"
        assert refusal(place) == said
        with pytest.raises(VideoError) as error, kept(place):
            pass
        assert str(error.value) == said


def damaged(path: Path, first: int, last: int) -> Path:
    """A clip of 75 frames; what is stored of those from ``first`` up to ``last`` is zeros."""
    clips.good(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos, packet.size) for packet in packets if first <= packet.pts * packet.time_base * 25 < last]
    data = bytearray(path.read_bytes())
    for at, size in places:
        assert at
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_a_short_damage_is_read_over_and_a_long_one_told(tmp_path: Path) -> None:
    assert len(list(read_frames(damaged(tmp_path / "a.mp4", 30, 38)))) == 75
    read: list[object] = []
    with pytest.raises(VideoError, match=r"b\.mp4: damaged, [01]\.\d seconds of it can't be decoded"):
        read += read_frames(damaged(tmp_path / "b.mp4", 30, 55))
    assert len(read) == 75


def test_a_cut_without_a_whole_picture_at_its_start(tmp_path: Path) -> None:
    """VP9 tells an error of each picture that leans on one which isn't there."""
    with av.open(str(tmp_path / "whole.webm"), "w") as target:
        stream = target.add_stream("libvpx-vp9", rate=25, options={"deadline": "realtime", "cpu-used": "8", "g": "20"})
        stream.height, stream.width = clips.clock(0).shape[:2]
        for number in range(60):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(clips.clock(number), format="rgb24")))
        target.mux(stream.encode(None))
    with av.open(str(tmp_path / "whole.webm")) as source, av.open(str(tmp_path / "a.webm"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        assert packets[20].is_keyframe
        for packet in packets[15:]:
            packet.stream = stream
            target.mux(packet)
    assert [clips.read_clock(frame) for frame in read_frames(tmp_path / "a.webm")] == list(range(20, 60))


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"<!DOCTYPE html>\n<html>", "is a web page, as a download that failed leaves; download the video itself"),
        (b"\n<html lang='en'>", "is a web page, as a download that failed leaves; download the video itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS; run git lfs pull"),
        (b"PK\x03\x04", "is a zip archive; unpack it"),
        (b"\x1f\x8b\x08", "is packed by gzip; unpack it"),
        (b"%PDF-1.7\n", "is a PDF; give a video file"),
    ],
)
def test_what_else_lies_under_a_videos_name_is_said(tmp_path: Path, begin: bytes, said: str) -> None:
    (tmp_path / "a.mp4").write_bytes(begin + bytes(3000))
    assert refusal(tmp_path / "a.mp4") == f"{tmp_path / 'a.mp4'}: {said}"
