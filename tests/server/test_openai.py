"""The route of OpenAI's clients, asked by the official one; the server is a real one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clips
import httpx
import pysubs2
import pytest
import webvtt
from waiting import PATIENCE

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("openai", reason='needs the extra "dev"')
import openai
from fastapi.testclient import TestClient

from gunileo import Transcript, load_model
from gunileo.server.app import create_app
from gunileo.server.jobs import Limits

ROUTE = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def said(clip: Path) -> Transcript:
    return load_model("labial-wide").transcribe(clip)


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server}v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def ask(client: Any, clip: Path) -> Any:
    """The clip, transcribed as the client's arguments want it."""

    def call(file: Path | tuple[str, bytes] = clip, model: str = "labial-wide", **arguments: Any) -> Any:
        return client.audio.transcriptions.create(file=file, model=model, **arguments)

    return call


def test_each_format_says_the_same(ask: Any, said: Transcript) -> None:
    marked = f"{'' if said.sure else 'not sure: '}{said.text}"
    assert ask().text == marked
    assert ask(response_format="text") == f"{marked}\n"
    assert [cue.plaintext for cue in pysubs2.SSAFile.from_string(ask(response_format="srt"))] == [marked]
    assert [cue.raw_text for cue in webvtt.from_string(ask(response_format="vtt"))] == [marked]
    assert ask(response_format="verbose_json").text == said.text


def test_verbose_json_has_what_is_asked_for(ask: Any, said: Transcript) -> None:
    usual = ask(response_format="verbose_json")
    assert (usual.language, usual.duration, usual.words) == ("english", pytest.approx(3.0, abs=0.05), None)
    (segment,) = usual.segments
    assert (segment.id, segment.text, segment.tokens) == (0, f" {said.text}", [])
    assert (segment.start, segment.end) == pytest.approx((said.words[0].start, said.words[-1].end), abs=1e-3)
    logs = [math.log(word.confidence) for word in said.words]
    assert segment.avg_logprob == pytest.approx(sum(logs) / len(logs), abs=1e-2)
    assert (usual.sure, usual.confidence) == (said.sure, pytest.approx(said.confidence, abs=1e-3))
    assert usual.alternatives[0]["text"] == said.text

    words = ask(response_format="verbose_json", timestamp_granularities=["word"])
    assert words.segments is None
    assert [(word.word, round(word.start, 2)) for word in words.words] == [
        (word.word, round(word.start, 2)) for word in said.words
    ]
    both = ask(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert (both.words, both.segments) == (words.words, usual.segments)


def test_a_program_that_knows_only_whisper_gets_the_servers_model(client: Any, ask: Any) -> None:
    models = client.models.list()
    assert {"labial", "labial-wide", "labial-shape"} <= {model.id for model in models}
    assert all(model.created > 1_500_000_000 for model in models)
    default = ask(model="whisper-1", response_format="verbose_json", language="en", prompt="x", temperature=0)
    assert default.model == "labial-shape"


def test_errors_are_as_openais(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(openai.BadRequestError, match=r"text\.mp4: not a video") as refused:
        ask(clips.text(tmp_path / "text.mp4"))
    body = refused.value.body
    assert set(body) == {"message", "type", "param", "code"}
    assert (body["type"], body["message"].count("\n")) == ("invalid_request_error", 0)
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9' here; use one of"):
        ask(model="gpt-9")
    with pytest.raises(openai.BadRequestError, match="use one of json, text, srt, vtt, verbose_json"):
        ask(response_format="diarized_json")
    with pytest.raises(openai.BadRequestError, match="only verbose_json has the times of words"):
        ask(response_format="json", timestamp_granularities=["word"])
    with pytest.raises(openai.BadRequestError, match="use one of word, segment"):
        ask(response_format="verbose_json", timestamp_granularities=["letter"])
    with pytest.raises(openai.APIStatusError, match="texts are over 64 kB"):
        ask(prompt="x" * 70_000)


def test_what_no_client_sends_is_refused_in_the_same_shape(server: str) -> None:
    asks = httpx.Client(timeout=PATIENCE)
    for answer, status in (
        (asks.get(f"{server}{ROUTE[1:]}"), 405),
        (asks.post(f"{server}{ROUTE[1:]}", content=b"x"), 415),
        (asks.post(f"{server}{ROUTE[1:]}", files={"other": b"x"}), 400),
        (asks.post(f"{server}v1/audio/speech", json={}), 404),
        (asks.get(f"{server}v1/models", headers={"Host": "evil.example"}), 403),
        (asks.post(f"{server}{ROUTE[1:]}", files={"file": b"x"}, headers={"Host": "evil.example"}), 403),
    ):
        assert answer.status_code == status
        told = answer.json()["error"]
        assert isinstance(told, str) if "models" in str(answer.url) else told["message"]


def test_the_token_is_the_api_key(clip: Path) -> None:
    with TestClient(create_app("labial-wide", token="secret", root_path="/lips"), base_url="http://10.0.0.5") as http:
        for key, status in (("wrong", 401), ("secret", 200)):
            with clip.open("rb") as file:
                answer = http.post(f"/lips{ROUTE}", files={"file": file}, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
            if status == 401:
                assert answer.json()["error"]["code"] == "invalid_api_key"


def test_a_full_server_asks_to_come_again(clip: Path) -> None:
    with (
        TestClient(create_app(limits=Limits(waiting=-1)), base_url="http://localhost") as http,
        clip.open("rb") as file,
    ):
        answer = http.post(ROUTE, files={"file": file})
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert int(answer.headers["Retry-After"]) > 0
