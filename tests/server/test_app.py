"""The HTTP API: what it answers, what it refuses, and what it leaves behind."""

import json
import re
from pathlib import Path

import clips
import numpy as np
import pytest
import webvtt

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from api import HOME, SMALL, post
from fastapi.testclient import TestClient

from gunileo import load_model
from gunileo.cli import serve
from gunileo.output.whisper import to_json
from gunileo.server.app import create_app
from gunileo.server.auth import WEB
from gunileo.server.jobs import Limits
from gunileo.vision.video import read_frames


def test_a_clip_is_read_as_the_command_line_reads_it(client: TestClient, clip: Path) -> None:
    said = load_model("labial-wide").transcribe(clip)
    answer = post(client, clip)
    assert answer.status_code == 200
    assert answer.json() == {**json.loads(to_json(said)), "file": "said.mp4"}
    assert post(client, clip, model="labial", decode="greedy").json()["model"] == "labial"


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/web/app.js"])
def test_a_monitor_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, client.get(path).headers["content-type"])


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
    clips.empty: (422, "empty.mp4: the file is empty"),
    clips.text: (422, "text.mp4: not a video, or damaged"),
    scripted: (422, "scripted.mp4: not a video"),
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
    nameless = client.post("/v1/transcribe", data={"file": "x" * 70_000}, files={"other": b"x"})
    assert (nameless.status_code, "'file' has no filename" in nameless.json()["error"]) == (400, True)
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.mp4"\r\n\r\n'
    short = client.post("/v1/transcribe", content=head + clip.read_bytes(), headers=boundary)
    assert short.json()["error"].startswith("the form ends before its file does")
    whole = client.post("/v1/transcribe", content=head + b"x\r\n--x--\r\n", headers=boundary)
    assert whole.json()["error"].startswith("a.mp4: not a video")
    assert client.post("/v1/transcribe", content=b"--y\r\n", headers=boundary).status_code == 400


def test_a_model_is_named_and_never_a_path(client: TestClient, clip: Path, model: str) -> None:
    answer = post(client, clip, model=model)
    assert answer.status_code == 422
    assert "use one of labial-wide, labial, labial-shape" in answer.json()["error"]
    assert post(client, clip, decode="magic").status_code == 422


def test_a_decoder_that_breaks_or_hangs_takes_nothing_with_it(temporary: Path, clip: Path) -> None:
    with TestClient(create_app(limits=Limits(work=0.01)), base_url=HOME) as slow:
        assert "not finished after 0 s" in post(slow, clip).json()["error"]
        assert slow.get("/healthz").json()["status"] == "ok"
    with TestClient(create_app(limits=Limits(memory=2**20)), base_url=HOME) as broken:
        assert "its process ended early" in post(broken, clip).json()["error"]
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


def test_a_taken_port_is_one_line(run, client: TestClient) -> None:  # type: ignore[no-untyped-def]
    with serve._bind("127.0.0.1", 0) as taken:
        taken.listen()
        code, out, err = run("serve", "--port", taken.getsockname()[1])
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "choose another with --host or --port" in err
