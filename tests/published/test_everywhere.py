"""A model that was imported, in every command, in Python, over HTTP and on the page. Its weights are made up."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from published_models import LANGUAGE_TOLD, told, write_checkpoint

import gunileo
from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.decoding.ctc import DecodeError
from gunileo.evaluation.calibrate import calibrate_on
from gunileo.inference import registry
from gunileo.inference.confidence import FEWEST, calibration_file, store_calibrations
from gunileo.inference.live import sentences
from gunileo.inference.metadata import LONGEST
from gunileo.inference.registry import ModelError
from gunileo.output.whisper import to_fields
from gunileo.published.importing import import_model
from gunileo.published.search import Weighting
from gunileo.vision.mouth import mouth_stream, read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import read_frames

Run = Callable[..., tuple[int, str, str]]
LICENSE = "Research only."


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the imported models ``mine``, which reads any text, and ``vsr-grid-unseen``, which reads GRID's."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUNILEO_HOME", str(folder / "home"))
        source = write_checkpoint(folder / "Made_V_WER99", "swish_latest", told("swish_latest"))
        (source / "LICENSE").write_text(LICENSE)
        language = write_checkpoint(folder / "lm", "lm", LANGUAGE_TOLD)
        for name, lm in (("mine", language), ("vsr-grid-unseen", None)):
            card = import_model(str(source), lambda _: True, name, lm, say=lambda _: None)
            Weighting(3, 0.1, 0.3 if lm else 0.0).write(card.folder / "search.json")
        yield folder / "home"


@pytest.fixture(scope="module")
def clip(synthetic_corpus: Path) -> Path:
    return next(path for path in synthetic_corpus.rglob("bbaf2n.*") if path.suffix != ".align")


@pytest.fixture(scope="module")
def text(clip: Path) -> str:
    """What the model reads in the clip."""
    read = gunileo.load_model("mine").transcribe(clip).text
    assert read
    return read


def texts_in(folder: Path) -> dict[str, str]:
    return {path.name: json.loads(path.read_text())["text"] for path in folder.rglob("*.json")}


def test_live_reads_as_a_file_is_read(clip: Path, text: str, run: Run) -> None:
    code, out, err = run("live", clip, "--fast", "--model", "mine")
    assert code == 0, err
    reader = gunileo.load_model("mine")
    # Followed a frame at a time, as a camera is: made-up weights may spell a last bit of a picture as another letter.
    mouths = mouth_stream(read_frames(clip), at_once=1, view=reader.view)
    assert out.split() == " ".join(one.text for one in sentences(mouths, reader, "", None, None)).split()
    assert out.split()
    assert run("live", clip, "--fast", "--model", "mine", "--beam", "1")[0] == 0


@pytest.fixture
def one_core() -> Iterator[None]:
    """With two a process follows a face in two threads. An untrained network's text may differ by what that rounds."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("a process can't be held to one core here; that takes Linux")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_files_in_several_processes(synthetic_corpus: Path, tmp_path: Path, run: Run) -> None:
    for jobs in ("1", "2"):
        out = ("-f", "json,srt,vtt", "-o", tmp_path / jobs)
        code, _, err = run("transcribe", synthetic_corpus / "s1", "--model", "mine", "--jobs", jobs, *out)
        assert code == 0, err
    one, two = texts_in(tmp_path / "1"), texts_in(tmp_path / "2")
    assert len(one) == 3
    assert one == two
    assert len(list((tmp_path / "2").rglob("*.srt"))) == 3


def test_a_language_is_told(home: Path, clip: Path) -> None:
    card = import_model(str(home.parent / "Made_V_WER99"), lambda _: True, "vsr-spanish", say=lambda _: None)
    Weighting(2).write(card.folder / "search.json")
    read = gunileo.load_model("vsr-spanish").transcribe(clip)
    assert (read.language, to_fields(read)["language"]) == ("es", "es")
    assert to_fields(gunileo.load_model("mine").transcribe(clip, "greedy"))["language"] == "en"
    shutil.rmtree(card.folder)


def test_weights_of_the_search(clip: Path, text: str, run: Run) -> None:
    reader = gunileo.load_model("mine")
    # Followed as the command does it: made-up weights may spell a last bit of a picture as another letter.
    mouths = MouthClip.of([mouth for mouth in reader.mouths(read_frames(clip)) if mouth])
    assert len(reader.nbest(mouths, 9)) <= 3
    assert len(reader.weighted(beam=6).nbest(mouths, 9)) > 3
    assert reader.weighted().read(mouths) == reader.read(mouths)
    by_ctc = reader.weighted(ctc=1.0, language=0.0, beam=20).read(mouths).text
    code, out, _ = run(
        *("transcribe", clip, "--model", "mine", "--beam", "20", "--ctc-weight", "1", "--lm-weight", "0")
    )
    assert (code, out.strip()) == (0, by_ctc)
    assert by_ctc != text
    grid = gunileo.load_model("vsr-grid-unseen")
    assert grid.read(mouths).text.split()[0] in ("bin", "lay", "place", "set")  # by the grammar
    _, out, _ = run("transcribe", clip, "--model", "vsr-grid-unseen", "--beam", "2")
    assert out.strip() == grid.weighted(beam=2).read(mouths, "beam").text
    with pytest.raises(ModelError, match="vsr-grid-unseen: has no language model; import it again with --lm"):
        grid.weighted(language=0.5)
    with pytest.raises(ModelError, match="a beam is 1 or more"):
        grid.weighted(ctc=1.5)
    code, _, err = run("transcribe", clip, "--model", "labial", "--beam", "4")
    assert (code, "labial: is decoded by CTC alone" in err) == (1, True)
    code, _, err = run("transcribe", clip, "--model", "mine", "--beam", "4", "--decode", "greedy")
    assert (code, "need --decode beam, not greedy" in err) == (2, True)


def test_it_is_measured(clip: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gunileo.inference.bench.REPEATS", 1)
    code, out, err = run("bench", "--clip", clip, "--model", "mine")
    assert (code, err) == (0, "")
    assert [line[39:51].strip() for line in out.splitlines()] == ["GFLOP/s", "x real time", "ms", "ms", "s", "s"]


def test_confidences_are_calibrated_by_what_it_reads(clip: Path) -> None:
    reader = gunileo.load_model("vsr-grid-unseen").weighted(beam=1)
    whole = read_mouth(clip, reader.view)
    assert not reader.read(whole).calibrated
    parts = [whole[start : start + 24] for start in range(FEWEST)]
    learnt = calibrate_on(reader, [(partial(copy, one), reader.read(one).text) for one in parts])
    assert "grammar" in learnt
    store_calibrations(reader.session.path, reader.checksum, learnt)
    again = gunileo.load_model("vsr-grid-unseen")
    assert again.read(whole).calibrated
    assert again.weighted(beam=1).read(whole, "beam").calibrated == ("beam" in learnt)
    calibration_file(reader.session.path).unlink()


def lengthened(clip: MouthClip, frames: int) -> MouthClip:
    """A clip said again and again, for so many frames."""
    return MouthClip.joined([clip] * (frames // len(clip) + 1))[:frames]


def test_no_more_than_sixteen_seconds_at_once(clip: Path) -> None:
    reader = gunileo.load_model("mine")
    once = read_mouth(clip, reader.view)
    whole, long = lengthened(once, LONGEST), lengthened(once, LONGEST + 75)
    assert LONGEST == 16 * 25
    assert reader.log_probabilities(whole).shape[0] == LONGEST
    for call in (reader.log_probabilities, reader.features, reader.predict):
        with pytest.raises(DecodeError, match=r"19\.0 s, and mine takes 16 s at once; cut the clip"):
            call(long)
    read = reader.transcribe_clip(long, "long.mp4", "greedy")
    assert len(read.segments) > 1
    assert max(one.end - one.start for one in read.segments) <= 10
    assert read.segments[-1].end > 16
    starts = [word.start for word in read.words]
    assert starts == sorted(starts)
    told = reader.read(long, "greedy")
    assert told.text == " ".join(one.text for one in read.segments)
    assert told.words == read.words
    assert [one.text for one in reader.nbest(long, 3, "greedy")] == [told.text]
    assert len(reader.transcribe_clip(whole, "whole.mp4", "greedy").segments) == 0


def test_a_folder_and_a_cache_are_evaluated(
    synthetic_corpus: Path, synthetic_cache: Path, tmp_path: Path, run: Run
) -> None:
    found = {}
    for source in (synthetic_corpus, synthetic_cache):
        code, out, err = run("evaluate", source, "--model", "mine", "--split", only(tmp_path), "--json", tmp_path / "e")
        assert code == 0, err
        assert out.startswith(f"3 clips of {source} read by mine")
        assert "beam" in out.splitlines()[1]
        found[source] = json.loads((tmp_path / "e").read_text())
    one, other = found.values()
    assert one["clips"] == other["clips"]
    assert list(one["scores"]) == ["greedy", "beam"]
    assert [clip["times"][0]["start"] > 0 for clip in one["clips"]] == [True] * 3
    code, out, err = run("evaluate", synthetic_cache, "--model", "vsr-grid-unseen", "--split", only(tmp_path))
    assert code == 0, err
    assert out.splitlines()[1].split() == ["greedy", "beam", "grammar"]
    assert "starts and ends of words, grammar: off by" in out


def only(folder: Path) -> Path:
    """A list of one speaker."""
    (folder / "list.txt").write_text("s1\n")
    return folder / "list.txt"


def test_what_can_not_be_evaluated_is_told(synthetic_corpus: Path, tmp_path: Path, run: Run) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(synthetic_corpus / "s1", clips / "s1")
    prepare(find_corpus(clips).utterances[:2], tmp_path / "cache", workers=1)
    assert len(Cache(tmp_path / "cache").utterances) == 2
    code, _, err = run("evaluate", clips, "--model", "mine", "--report", tmp_path / "report")
    assert (code, "--report needs the crops of a cache" in err) == (1, True)
    first, second, third = (one.video for one in find_corpus(clips).utterances)
    first.write_bytes(b"no video")
    third.unlink()
    code, out, err = run("evaluate", clips, "--model", "mine")
    assert (code, out.startswith("1 clips of"), first.name in err) == (1, True, True)
    second.write_bytes(b"no video")
    code, _, err = run("evaluate", clips, "--model", "mine")
    assert (code, "none of 2 clips can be read" in err) == (1, True)
    shutil.rmtree(clips)
    code, _, err = run("evaluate", tmp_path / "cache", "--model", "mine")
    assert (code, "the videos that they were cut from are gone" in err, err.count("\n")) == (1, True, 1)
    code, _, err = run("calibrate", "mine", tmp_path / "cache")
    assert (code, "the videos that they were cut from are gone" in err, err.count("\n")) == (1, True, 1)


def test_commands_are_taught_on_an_imported_encoder(
    synthetic_corpus: Path, clip: Path, tmp_path: Path, run: Run
) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    said = {"bbaf2n": "lights on", "lwws9a": "lights off"}
    for code_, command in said.items():
        video = next(one for one in (synthetic_corpus / "s1").rglob(f"{code_}.*") if one.suffix != ".align")
        shutil.copy(video, recordings / video.name)
        (recordings / f"{code_}.txt").write_text(command)
    code, out, err = run("teach", recordings, "-o", "house", "--base", "mine")
    assert code == 0, err
    assert "templates for mine" in out
    reader = gunileo.load_model("house")
    assert reader.templates is not None
    assert reader.templates.features[0].shape[1] == 32  # the encoder's width
    for path in sorted(recordings.glob("*.*")):
        if path.suffix != ".txt":
            assert reader.transcribe(path).text == said[path.stem]
    code, out, _ = run("transcribe", recordings, "--model", "house")
    assert [line.rpartition(": ")[2] for line in out.splitlines()] == [said[one] for one in sorted(said)]
    code, _, err = run("teach", recordings, "-o", "other", "--base", "mine", "--train")
    assert (code, "mine: is imported, and its network can't be trained here" in err) == (1, True)
    code, _, err = run("teach", synthetic_corpus / "s1", "-o", "other", "--base", "mine")
    assert (code, "use another base, with --train" in err) == (1, True)
    code, _, err = run("train", synthetic_corpus, "-o", tmp_path / "run", "--init", "mine")
    assert code == 1
    assert err.count("\n") == 1
    folder = registry.imported_folder("mine")
    folder.rename(folder.with_name("gone"))
    code, _, err = run("transcribe", clip, "--model", "house")
    folder.with_name("gone").rename(folder)
    assert (code, "house: was taught on mine, which can't be loaded: mine: no such model" in err) == (1, True)
    run("forget", "house")


def test_the_http_api(clip: Path, text: str) -> None:
    pytest.importorskip("fastapi", reason='needs the extra "serve"')
    from fastapi.testclient import TestClient

    from gunileo.server.app import create_app

    with TestClient(create_app("labial"), base_url="http://127.0.0.1:8000") as client:
        models = {one["name"]: one for one in client.get("/v1/models").json()["models"]}
        assert models["mine"]["license"] == LICENSE
        assert models["mine"]["imported"]["grammar"] == ""
        assert models["vsr-grid-unseen"]["imported"]["grammar"] == "grid"
        assert "WER 4.8 %" in models["vsr-grid-unseen"]["imported"]["published"]
        file = {"file": ("clip.mpg", clip.read_bytes())}
        read = client.post("/v1/transcribe?model=mine", files=file).json()
        assert (read["text"], read["model"], read["calibrated"]) == (text, "mine", False)
        srt = client.post("/v1/transcribe?model=mine", files=file, headers={"Accept": "application/x-subrip"}).text
        assert "-->" in srt
        form = {"model": "mine", "response_format": "verbose_json"}
        said = client.post("/v1/audio/transcriptions", files=file, data=form).json()
        assert (said["text"], said["calibrated"]) == (text, False)
        assert said["alternatives"][0]["text"] == text
        with client.websocket_connect("/v1/live?model=mine", headers={"Host": "127.0.0.1:8000"}) as socket:
            assert socket.receive_json() == {"ready": "mine"}
            spoken = []
            for number, frame in enumerate(read_frames(clip)):
                picture = BytesIO()
                Image.fromarray(frame).save(picture, "JPEG", quality=95)
                socket.send_bytes(struct.pack(">d", number / 25) + picture.getvalue())
                while "face" not in (told := socket.receive_json()):
                    spoken.append(told)
            socket.send_text("flush")
            while "flushed" not in (told := socket.receive_json()):
                spoken.append(told)
        assert [one["sentence"]["model"] for one in spoken if "sentence" in one] == ["mine"]


def test_errors_name_the_model_and_say_what_to_do(clip: Path) -> None:
    with pytest.raises(ModelError, match="mine: takes other pictures than mouth crops"):
        gunileo.load_model("mine").transcribe_clip(read_mouth(clip), "x")
