"""A camera read over the WebSocket: sentences, push to talk, corrections, and pictures that are none."""

import struct
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from fastapi.testclient import TestClient

from gunileo.inference import registry
from gunileo.server.live_socket import Feed
from gunileo.server.pictures import FeedError, opened
from gunileo.vision.video import read_frames


def message(frame: np.ndarray, time: float) -> bytes:
    jpeg = BytesIO()
    Image.fromarray(frame).save(jpeg, "jpeg", quality=90)
    return struct.pack("!d", time) + jpeg.getvalue()


def test_a_camera_is_read_live(client: TestClient) -> None:
    frames = clips.talking()[0]
    still = [frames[-1]] * 25
    with client.websocket_connect("/v1/live", headers={"Host": "127.0.0.1:8000"}) as socket:
        assert socket.receive_json() == {"ready": "labial-wide"}
        with client.websocket_connect("/v1/live", headers={"Host": "127.0.0.1:8000"}) as second:
            assert "try again" in second.receive_json()["error"]
        told = []
        for number, frame in enumerate([*frames, *still]):
            socket.send_bytes(message(frame, 100 + number / 25))
            told.append(socket.receive_json())
            while "face" not in told[-1]:
                told.append(socket.receive_json())
        sentences = [one["sentence"] for one in told if "sentence" in one]
        assert len(sentences) == 1
        (segment,) = sentences[0]["segments"]
        assert 100 < segment["words"][0]["start"] < segment["words"][-1]["end"] < 103
        assert told[-1]["face"]
        assert told[-1]["mouth"].startswith("data:image/jpeg")
        socket.send_bytes(b"no picture")
        assert "error" in socket.receive_json()
        socket.send_text("flush")
        assert socket.receive_json() == {"flushed": 0}


def said_to(socket: Any, frames: Iterable[np.ndarray], start: float) -> list[dict[str, Any]]:
    """What is answered to these pictures."""
    told = []
    for number, frame in enumerate(frames):
        socket.send_bytes(message(frame, start + number / 25))
        told.append(socket.receive_json())
        while "face" not in told[-1]:
            told.append(socket.receive_json())
    return told


def test_push_to_talk_and_a_correction_that_teaches(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path))
    frames = clips.talking()[0]
    with client.websocket_connect("/v1/live", headers={"Host": "127.0.0.1:8000"}) as socket:
        socket.receive_json()
        socket.send_text("end")
        assert socket.receive_json() == {"flushed": 0}
        assert not any("sentence" in one for one in said_to(socket, [*frames, *[frames[-1]] * 25], 100.0))
        socket.send_text("begin")
        assert not any("sentence" in one for one in said_to(socket, frames, 104.0))
        socket.send_text("end")
        sentence = socket.receive_json()["sentence"]
        assert socket.receive_json() == {"flushed": 1}
        texts = [one["text"] for one in sentence["alternatives"]]
        assert (texts[0], len(set(texts))) == (sentence["text"], 3)

        (segment,) = sentence["segments"]
        times = {"start": segment["start"], "end": segment["end"]}
        socket.send_json({"teach": "my face", "text": texts[1], **times})
        assert socket.receive_json() == {"taught": "my face", "text": texts[1]}
        for wrong, why in (
            ({"teach": "my face"}, "send"),
            ({"teach": "a/b", "text": "stop", **times}, "a model's name"),
            ({"teach": "my face", "text": "stop\ngo", **times}, "one sentence"),
            ({"teach": "my face", "text": "stop", "start": 0, "end": 1}, "half a minute"),
            ({"teach": "my face", "text": "stop", "start": float("inf"), "end": 1}, "seconds"),
        ):
            socket.send_json(wrong)
            assert why in socket.receive_json()["refused"]
    (kept,) = client.get("/v1/taught/my face").json()["recordings"]
    assert kept["text"] == texts[1]
    (video,) = (registry.home() / "recordings" / "my face").glob("*.mp4")
    assert 60 <= len(list(read_frames(video))) <= 110
    assert client.delete("/v1/taught/my face").json() == {"removed": True}


def test_hidden_times_are_those_of_the_camera(client: TestClient) -> None:
    frames = [frame[::2, ::2] for frame in clips.talking()[0]]
    frames[35:43] = [np.zeros_like(frames[0])] * 8
    with client.websocket_connect("/v1/live", headers={"Host": "127.0.0.1:8000"}) as socket:
        socket.receive_json()
        socket.send_text("begin")
        said_to(socket, frames, 100.0)
        socket.send_text("end")
        sentence = socket.receive_json()["sentence"]
    ((start, end),) = sentence["hidden"]
    assert (start, end) == (pytest.approx(101.4, abs=0.05), pytest.approx(101.72, abs=0.05))


def test_a_long_turn_is_told_as_one_sentence(client: TestClient) -> None:
    frames = [frame[::2, ::2] for frame in clips.talking()[0]]
    still = [frames[-1]] * 190
    with client.websocket_connect("/v1/live", headers={"Host": "127.0.0.1:8000"}) as socket:
        socket.receive_json()
        socket.send_text("begin")
        told = said_to(socket, [*frames, *still], 100.0)
        assert not any("sentence" in one for one in told), "also when ten seconds are over"
        socket.send_text("end")
        first = socket.receive_json()["sentence"]
        assert socket.receive_json() == {"flushed": 1}, "though nothing is said in the last part"

        socket.send_text("begin")
        assert not any("sentence" in one for one in said_to(socket, frames, 200.0))
        assert not any("sentence" in one for one in said_to(socket, frames, 210.0)), "after a break, too"
        socket.send_text("end")
        both = socket.receive_json()["sentence"]
        assert socket.receive_json() == {"flushed": 1}
        assert both["text"] == " ".join(one["text"].strip() for one in both["segments"])
        assert [one["start"] // 10 for one in both["segments"]] == [20, 21]

        socket.send_text("begin")
        said_to(socket, frames, 300.0)
        socket.send_text("begin")
        socket.send_text("end")
        assert socket.receive_json() == {"flushed": 0}, "what was begun before is dropped"
    assert len(first["segments"]) == 1


def test_pictures_at_any_rate_are_read_as_25_a_second() -> None:
    class Counting:
        mouth = None

        def __init__(self) -> None:
            self.seen: list[int] = []

        def push(self, frame: np.ndarray) -> list[object]:
            self.seen.append(clips.read_clock(frame))
            return []

        def flush(self) -> list[object]:
            return []

    class Reading:
        def live(self, decode: str, alternatives: int) -> Counting:
            made.append(Counting())
            return made[-1]

    for rate in (15, 30):
        made: list[Counting] = []
        feed = Feed(Reading(), "grammar")  # type: ignore[arg-type]
        for number in range(2 * rate):
            feed.push(message(clips.clock(number), 7 + number / rate))
        wanted = np.arange(len(made[0].seen)) / 25 * rate
        assert len(made[0].seen) == pytest.approx(50, abs=1)
        assert np.abs(np.array(made[0].seen) - wanted).max() <= max(0.5, rate / 50) + 0.01, "the nearest in time"
        feed.push(message(clips.clock(0), 20.0))
        assert len(made) == 2, "after a break another sentence begins"


def test_what_is_no_picture_is_refused_before_it_is_decoded() -> None:
    good = message(clips.clock(0), 0.0)
    at = good.index(b"\xff\xc0") + 5
    bomb, large = (good[:at] + size + good[at + 4 :] for size in (b"\xff\xff\xff\xff", b"\x08\x00\x08\x00"))
    for bad in (b"", b"12345678", good[:20], bomb, large, good[8:], struct.pack("!d", float("nan")) + good[8:]):
        with pytest.raises(FeedError):
            opened(bad)
    assert opened(good)[1].shape == (64, 96, 3)
