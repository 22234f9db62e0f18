"""The HTTP API: what it answers, what it refuses, and what it leaves behind."""

import json
import re
import struct
import tempfile
import time
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import webvtt
from PIL import Image

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gunileo import load_model
from gunileo.cli import serve
from gunileo.corpus.synthetic import speak
from gunileo.inference import registry
from gunileo.output.whisper import to_json
from gunileo.server.app import create_app
from gunileo.server.auth import WEB
from gunileo.server.jobs import Limits
from gunileo.server.live_socket import Feed
from gunileo.server.pictures import FeedError, opened
from gunileo.vision.video import read_frames, write_video

HOME = "http://127.0.0.1:8000"
SMALL = Limits(upload=2_000_000, video=4, work=20, waiting=1, cameras=1)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server's files go."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tmp")
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def client(temporary: Path) -> Iterator[TestClient]:
    with TestClient(create_app("labial-wide", SMALL), base_url=HOME) as client:
        yield client
    assert not list(temporary.iterdir()), "the server leaves nothing"


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each request the server's folder is empty."""
    yield
    if "client" in request.fixturenames:
        (folder,) = request.getfixturevalue("temporary").glob("gunileo-serve-*")
        assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("clips") / "said.mp4")


def post(client: TestClient, path: Path, accept: str = "*/*", to: str = "transcribe", **parameters: str):  # type: ignore[no-untyped-def]
    with path.open("rb") as file:
        return client.post(
            f"/v1/{to}", files={"file": (path.name, file)}, headers={"Accept": accept}, params=parameters
        )


def test_a_clip_is_read_as_the_command_line_reads_it(client: TestClient, clip: Path) -> None:
    said = load_model("labial-wide").transcribe(clip)
    answer = post(client, clip)
    assert answer.status_code == 200
    assert answer.json() == {**json.loads(to_json(said)), "file": "said.mp4"}
    assert post(client, clip, model="labial", decode="greedy").json()["model"] == "labial"


def test_accept_chooses_the_format(client: TestClient, clip: Path) -> None:
    plain = post(client, clip, "text/html, text/plain;q=0.5")
    assert plain.headers["content-type"].startswith("text/plain")
    assert plain.text.startswith("not sure: ")
    captions = post(client, clip, "text/vtt")
    assert webvtt.from_string(captions.text).captions[0].text == plain.text.strip()
    assert "-->" in post(client, clip, "application/x-subrip").text
    assert post(client, clip, "image/png").status_code == 406


def test_the_page_is_told_all_there_is(client: TestClient, clip: Path) -> None:
    lines = [json.loads(line) for line in post(client, clip, "application/x-ndjson").text.splitlines()]
    assert [line["frames"] for line in lines[:-1]] == list(range(0, 75, 5))
    assert {line["of"] for line in lines[:-1]} == {75}
    read = lines[-1]["reading"]
    assert read["transcript"]["text"] == read["alternatives"][0]["text"]
    assert len({other["text"] for other in read["alternatives"]}) == 5
    assert read["seconds"] == 3
    assert read["strip"].startswith("data:image/png;base64,")
    assert set(read["files"]) == {"txt", "srt", "vtt", "json"}


def test_what_no_browser_plays_is_converted(client: TestClient, tmp_path: Path) -> None:
    film = post(client, clips.coded(tmp_path / "old.mpg"), to="preview")
    assert film.headers["content-type"] == "video/mp4"
    (tmp_path / "new.mp4").write_bytes(film.content)
    assert len(list(read_frames(tmp_path / "new.mp4"))) == 75


def scripted(path: Path) -> Path:
    """A list of other files, which FFmpeg would open."""
    path.write_text("ffconcat version 1.0\nfile said.mp4\n")
    return path


def long(path: Path) -> Path:
    return clips.clock_video(path, np.arange(125) / 25)


def huge(path: Path) -> Path:
    path.write_bytes(bytes(SMALL.upload + 1))
    return path


BAD = {
    clips.empty: (422, "empty.mp4: .*the file is empty|no video"),
    clips.text: (422, "text.mp4: no video, or damaged"),
    scripted: (422, "scripted.mp4: no video"),
    clips.truncated: (422, "truncated.mp4: "),
    clips.audio_only: (422, "audio_only.mp4: has sound but no picture"),
    clips.no_face: (422, "no_face.mp4: no face found"),
    clips.one_frame: (422, "one_frame.mp4: only 1 frame"),
    long: (422, "long.mp4: over 4 s long"),
    huge: (413, "over 1 MB"),
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_file_gets_one_clear_line(client: TestClient, tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    status, line = BAD[make]
    answer = post(client, make(tmp_path / f"{make.__name__}.mp4"))
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert re.search(line, error), error
    assert str(tmp_path) not in error
    assert "gunileo-serve" not in error


def test_what_is_no_form_is_refused(client: TestClient, clip: Path) -> None:
    assert client.post("/v1/transcribe", content=b"x").status_code == 415
    assert client.post("/v1/sentences", content=bytes(300_000)).status_code == 413
    assert client.post("/v1/sentences", content=iter([bytes(9)])).status_code == 413, "of no known length"
    assert client.post("/v1/sentences", files={"file": bytes(300_000)}).status_code == 413
    assert client.post("/v1/transcribe", files={"other": b"x"}).json()["error"].startswith("no file in the form")
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.mp4"\r\n\r\n'
    short = client.post("/v1/transcribe", content=head + clip.read_bytes(), headers=boundary)
    assert short.json()["error"].startswith("the form ends before its file does")
    whole = client.post("/v1/transcribe", content=head + b"x\r\n--x--\r\n", headers=boundary)
    assert whole.json()["error"].startswith("a.mp4: no video")
    assert client.post("/v1/transcribe", content=b"--y\r\n", headers=boundary).status_code == 400


def test_a_model_is_named_and_never_a_path(client: TestClient, clip: Path, model: str) -> None:
    answer = post(client, clip, model=model)
    assert answer.status_code == 422
    assert "use one of labial-wide, labial, labial-shape" in answer.json()["error"]
    assert post(client, clip, decode="magic").status_code == 422


def test_a_decoder_that_breaks_or_hangs_takes_nothing_with_it(temporary: Path, clip: Path) -> None:
    with TestClient(create_app(limits=Limits(work=0.01)), base_url=HOME) as slow:
        assert "not done after 0 s" in post(slow, clip).json()["error"]
        assert slow.get("/healthz").json()["status"] == "ok"
    with TestClient(create_app(limits=Limits(memory=2**20)), base_url=HOME) as broken:
        assert "its process broke off" in post(broken, clip).json()["error"]
        assert broken.get("/healthz").status_code == 200
    assert not list(temporary.glob("*/*"))


def test_models_and_limits_are_listed(client: TestClient) -> None:
    told = client.get("/v1/models").json()
    assert told["default"] == "labial-wide"
    assert [model["name"] for model in told["models"]] == ["labial-wide", "labial-shape", "labial"]
    assert told["models"][0]["wer_grammar"] < 0.05
    assert told["limits"]["upload"] == SMALL.upload


def test_unknown_paths_are_refused_in_json(client: TestClient) -> None:
    for method, path, status in (("GET", "/v1/none", 404), ("GET", "/v1/transcribe", 405), ("GET", "/web/none", 404)):
        answer = client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
    assert client.get("/web/../auth.py").status_code == 404
    assert client.get("/web/%2e%2e/auth.py").status_code == 404


def test_nothing_on_the_pages_is_loaded_from_elsewhere(client: TestClient) -> None:
    web = WEB
    for file in web.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, file.name
        assert "https:" not in text, file.name
        assert client.get(f"/web/{file.name}").status_code == 200
    for path in ("/", "/docs"):
        assert client.get(path).headers["content-security-policy"].startswith("default-src 'self'")


# Who may use it


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": HOME}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
    ],
)
def test_pages_of_others_are_kept_out(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/v1/models", headers=headers).status_code == status


def test_a_link_elsewhere_may_lead_to_the_page(client: TestClient) -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=linked).status_code == 200


def test_a_page_of_others_gets_no_camera(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/v1/live", headers={"Origin": "http://evil.example", "Host": "127.0.0.1:8000"}),
    ):
        pass
    assert refused.value.code == 1008


def test_a_public_address_asks_for_its_token(temporary: Path) -> None:
    with TestClient(create_app(token="secret"), base_url="http://10.0.0.5:8000", follow_redirects=False) as client:
        assert client.get("/healthz").status_code == 200
        refused = client.get("/v1/models")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
        asking = client.get("/", headers={"Accept": "text/html"})
        assert (asking.status_code, "token" in asking.text) == (401, True)
        assert client.get("/?token=wrong", headers={"Accept": "text/html"}).status_code == 401
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/live"):
            pass
        entered = client.get("/?token=secret")
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert client.get("/v1/models").status_code == 200, "the cookie lets in"
        assert client.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403


def test_a_taken_port_is_one_line(run, client: TestClient) -> None:  # type: ignore[no-untyped-def]
    with serve._bind("127.0.0.1", 0) as taken:
        taken.listen()
        code, out, err = run("serve", "--port", taken.getsockname()[1])
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "choose another with --host or --port" in err


# Live


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
            assert "come again" in second.receive_json()["error"]
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
            ({"teach": "a/b", "text": "stop", **times}, "no name"),
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


# Teach


def test_a_command_is_taught_and_its_takes_are_plain_files(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "recordings" / "mine"
    with TestClient(create_app(), base_url=HOME) as client:
        assert client.get("/v1/taught").json()["taught"] == []
        for code, text in (("bbaf2n", "turn on the light"), ("lwws9a", "stop")):
            write_video(tmp_path / f"{code}.mp4", speak(code)[0])
            kept = post(client, tmp_path / f"{code}.mp4", to="taught/mine/recordings", text=text.upper()).json()
            assert kept["text"] == text
            assert 1 < kept["seconds"] < 3
        black = post(client, clips.black(tmp_path / "black.mp4"), to="taught/mine/recordings", text="stop")
        assert black.json()["error"].startswith("black.mp4: no face found")
        assert sorted(path.name for path in folder.iterdir()) == [
            f"recording-000{number}.{suffix}" for number in (1, 2) for suffix in ("mp4", "txt")
        ]
        assert (folder / "recording-0002.txt").read_text() == "stop\n"

        assert client.post("/v1/taught/mine/enrolment").json()["enrolment"]["running"]
        assert client.post("/v1/taught/mine/enrolment").status_code == 503, "one enrolment at a time"
        mine = over(client)
        assert mine["model"]["recordings"] == {"turn on the light": 1, "stop": 1}
        read = post(client, tmp_path / "lwws9a.mp4", model="mine").json()
        assert (read["text"], read["model"], read["sure"]) == ("stop", "mine", True)
        names = [model["name"] for model in client.get("/v1/models").json()["models"]]
        assert names == ["labial-wide", "labial-shape", "labial", "mine"]

        assert len(client.delete("/v1/taught/mine/recordings/recording-0002").json()["recordings"]) == 1
        assert client.delete("/v1/taught/mine/recordings/recording-0002").status_code == 422
        client.post("/v1/taught/mine/enrolment?train=true")
        assert client.delete("/v1/taught/mine/enrolment").json()["enrolment"]["running"] is False
        assert over(client)["model"]["recordings"] == mine["model"]["recordings"], "stopped, it is as it was"
        assert client.delete("/v1/taught/mine").json() == {"removed": True}
        assert client.get("/v1/taught").json()["taught"] == []
        assert not folder.exists()
        assert post(client, tmp_path / "lwws9a.mp4", model="mine").status_code == 422


def over(client: TestClient) -> dict[str, Any]:
    """The model once its enrolment is over."""
    while (told := client.get("/v1/taught/mine").json())["enrolment"]["running"]:
        time.sleep(0.1)
    assert told["enrolment"]["error"] is None
    return dict(told)


def test_what_can_not_be_taught(client: TestClient) -> None:
    def said(text: str) -> dict[str, Any]:
        return dict(client.post("/v1/sentences", json={"text": text}).json())

    assert said("b\nTurn (on|off) [now]\nb") == {
        "sentences": ["b", "turn on", "turn on now", "turn off", "turn off now"]
    }
    assert said("stop\nturn (on")["error"].startswith("your sentences: line 2: '(' is never closed")
    assert said("# nothing")["error"].startswith("no sentence there")
    assert said("now [a] [b] [c] [d] [e] [f] [g] [h]")["error"].startswith("over 200 sentences")
    assert client.post("/v1/sentences", json={}).status_code == 422
    for name in ("labial", "..", "a%2Fb", ".hidden", "x" * 99):
        answer = client.post(f"/v1/taught/{name}/enrolment")
        assert answer.status_code in (404, 405, 422), name
        assert "error" in answer.json()
    assert client.delete("/v1/taught/none").status_code == 422
    assert all(len(text.split()) == 6 for text in client.get("/v1/practice?count=3").json()["sentences"])


def test_a_server_that_starts_sweeps_what_a_killed_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path))
    folder = tmp_path / "recordings" / "mine"
    folder.mkdir(parents=True)
    for name in (
        "recording-0001.mp4",
        "recording-0001.txt",
        "recording-0002.txt",
        ".recording-0002.mp4.part",
        ".recording-0003.txt.part",
    ):
        (folder / name).write_text("stop")
    (tmp_path / "models" / "mine" / "begun").mkdir(parents=True)
    with TestClient(create_app(), base_url=HOME) as client:
        assert [one["id"] for one in client.get("/v1/taught/mine").json()["recordings"]] == ["recording-0001"]
    assert {path.name for path in folder.iterdir()} == {"recording-0001.mp4", "recording-0001.txt"}
    assert not (tmp_path / "models" / "mine").exists()
