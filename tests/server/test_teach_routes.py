"""Commands that are taught over the HTTP API, and what their recordings leave on the disk."""

import time
from pathlib import Path
from typing import Any

import clips
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from api import HOME, post
from fastapi.testclient import TestClient

from gunileo.corpus.synthetic import speak
from gunileo.server.app import create_app
from gunileo.vision.video import write_video


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
    assert said("# nothing")["error"].startswith("no sentence was given")
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
