"""Teaching: a command is recognised from its first recording on, other talk is not, and bad recordings are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import clips
import numpy as np
import pytest

from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.grid import is_grid
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import speak
from gunileo.decoding.ctc import DecodeError
from gunileo.evaluation.analysis import measure
from gunileo.evaluation.evaluate import evaluate
from gunileo.inference import registry
from gunileo.inference.load import load_model
from gunileo.inference.registry import ModelError
from gunileo.teaching.teach import Enrolment, RecordingError, check_recording, forget, recordings_folder, teach, tidy
from gunileo.util.files import FileError, alone
from gunileo.vision.mouth import MouthError, clip_mouths, read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import write_video

COMMANDS = {"lights on": "bbaf2n", "lights off": "lwws9a", "play music": "pgiozs"}  # as what the portrait says


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recording of each command, and what can't be one. Shared: do not write into it."""
    folder = tmp_path_factory.mktemp("recordings")
    for text, code in COMMANDS.items():
        write_video(folder / f"{text}.mp4", speak(code)[0])
        (folder / f"{text}.txt").write_text(f"{text.capitalize()}!")
    clips.text(folder / "damaged.mp4")
    clips.no_face(folder / "wall.mp4")
    write_video(folder / "still.mp4", [speak("bbaf2n")[0][0]] * 40)
    for name in ("damaged", "wall", "still"):
        (folder / f"{name}.txt").write_text("stop")
    clips.good(folder / "unlabelled.mp4", 10)
    return folder


@pytest.fixture(scope="module")
def shelf(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Enrolment]:
    """A user's folder with one taught model, ``kitchen``. Shared: tests that change it copy it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUNILEO_HOME", str(home))
        return home, teach(recordings, "kitchen")


@pytest.fixture
def kitchen(shelf: tuple[Path, Enrolment], monkeypatch: pytest.MonkeyPatch) -> Enrolment:
    monkeypatch.setenv("GUNILEO_HOME", str(shelf[0]))
    return shelf[1]


@pytest.fixture
def own(shelf: tuple[Path, Enrolment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the user's folder that a test may change."""
    shutil.copytree(shelf[0], tmp_path / "home")
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each command said again: paced, placed and lit otherwise."""
    folder = tmp_path_factory.mktemp("again")
    for text, code in COMMANDS.items():
        write_video(folder / f"{text}.mp4", speak(code, seed=7)[0])
    return {text: folder / f"{text}.mp4" for text in COMMANDS}


def test_a_command_is_recognised_from_its_first_recording_on(kitchen: Enrolment, again: dict[str, Path]) -> None:
    reader = load_model("kitchen")
    sure = []
    for text, path in again.items():
        transcript = reader.transcribe(path)
        sure.append(transcript.sure)
        assert (transcript.text, transcript.model) == (text, "kitchen")
        assert [word.word for word in transcript.words] == text.split()
        assert 0 <= transcript.words[0].start < transcript.words[0].end <= transcript.words[-1].start < 3
        # A file's frames are followed in two halves there, one after the other here.
        assert reader.matches(read_mouth(path))[0].confidence == pytest.approx(transcript.confidence, abs=0.02)
    assert sum(sure) >= 2


def test_another_face_and_light_says_the_same(kitchen: Enrolment) -> None:
    clip = clip_of("lwws9a", seed=3, speaker=2)
    assert load_model("kitchen").recognise(clip).text == "lights off"


@pytest.mark.parametrize("code", ["srwu6p", "swbi3s", "bgit8p"])
def test_other_sentences_are_none_of_these(code: str, kitchen: Enrolment) -> None:
    assert not load_model("kitchen").recognise(clip_of(code, seed=1)).sure


def clip_of(code: str, seed: int, speaker: int = 1) -> MouthClip:
    return MouthClip.of(list(clip_mouths(speak(code, seed, speaker)[0])))


def test_a_stream_of_commands_is_read_one_after_the_other(
    kitchen: Enrolment, again: dict[str, Path], tmp_path: Path
) -> None:
    frames = [frame for code in COMMANDS.values() for frame in speak(code, seed=7)[0]]
    rest = [frames[-1]] * 20
    live = load_model("kitchen").live()
    said = [one for frame in [*frames, *rest] for one in live.push(frame)] + live.flush()
    assert [one.text for one in said] == list(COMMANDS)


def test_a_mouth_at_rest_says_no_command(kitchen: Enrolment, recordings: Path) -> None:
    with pytest.raises(DecodeError, match=r"still\.mp4: the mouth hardly moves"):
        load_model("kitchen").transcribe(recordings / "still.mp4")


def test_what_was_not_trained_has_no_weights_of_its_own(kitchen: Enrolment) -> None:
    with pytest.raises(ModelError, match="kitchen: has only templates, with the weights of labial-shape; give"):
        registry.weights_of("kitchen")


def test_bad_recordings_are_told_and_the_others_used(kitchen: Enrolment) -> None:
    assert kitchen.model.recordings == dict.fromkeys(sorted(COMMANDS), 1)
    told = "\n".join(reason for _, reason in kitchen.skipped)
    for part in (
        r"damaged.mp4: not a video",
        r"wall.mp4: no face found",
        r"still.mp4: the mouth hardly moves",
        r"unlabelled.mp4: no text beside it",
    ):
        assert part in told
    assert len(kitchen.skipped) == 4


def test_a_recording_is_cut_to_where_the_mouth_moves(again: dict[str, Path], recordings: Path) -> None:
    whole, said = read_mouth(again["lights on"]), check_recording(again["lights on"])
    assert 20 < len(said) <= len(whole)
    with pytest.raises(MouthError, match=r"wall\.mp4: no face"):
        check_recording(recordings / "wall.mp4")
    with pytest.raises(RecordingError, match=r"still\.mp4: the mouth hardly moves"):
        check_recording(recordings / "still.mp4")


def test_taught_again_with_another_recording_only_that_is_cut_out(own: Path, recordings: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    shutil.copytree(recordings, more)
    write_video(more / "second.mp4", speak("bbaf2n", seed=7)[0])
    (more / "second.txt").write_text("lights on")
    seen: list[tuple[str, int, int]] = []
    enrolment = teach(more, "kitchen", progress=lambda *step: seen.append(step))
    assert registry.taught("kitchen") == enrolment.model
    assert enrolment.model.recordings["lights on"] == 2
    cut = own / "crops" / "kitchen"
    assert len(list(cut.glob("*.png"))) == len(list(cut.glob("*.npy"))) == 5
    (more / "second.mp4").unlink()
    teach(more, "kitchen")
    assert len(list(cut.glob("*.png"))) == len(list(cut.glob("*.npy"))) == 4, "nothing of a deleted recording is kept"
    assert (enrolment.model.right, enrolment.model.tested) == (2, 2)
    assert {what for what, _, _ in seen} == {"finding mouths", "comparing recordings"}
    assert seen[-1][1:] == (4, 4)


def test_stopped_work_leaves_the_earlier_model(own: Path, recordings: Path) -> None:
    def stop(what: str, done: int, of: int) -> None:
        if what == "comparing recordings":
            raise KeyboardInterrupt

    before = (own / "models" / "kitchen" / "teach.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        teach(recordings, "kitchen", progress=stop)
    assert (own / "models" / "kitchen" / "teach.json").read_bytes() == before
    assert [path.name for path in (own / "models").iterdir()] == ["kitchen"]


def test_what_killed_lessons_left_is_swept_and_no_model_is_ever_half_there(own: Path, recordings: Path) -> None:
    models = own / "models"
    (model,) = registry.taught_models()
    for folder in (
        "kitchen/abandoned/run",
        "hall/begun/run",
    ):  # of killed enrolments: of an old name, of a new
        (models / folder).mkdir(parents=True)
        (models / folder / "last.ckpt").write_bytes(b"half")
    (models / "kitchen" / ".teach.json.part").write_bytes(b"{")
    assert [one.name for one in registry.taught_models()] == ["kitchen"]
    with alone(models):
        tidy()
        assert (models / "hall").exists(), "another enrolment is running"
        with pytest.raises(FileError, match="another process is writing to it"):
            teach(recordings, "kitchen")
    tidy()
    assert {path.name for path in models.iterdir()} == {"kitchen"}
    assert {path.name for path in (models / "kitchen").iterdir()} == {"teach.json", model.version}
    again = teach(recordings, "kitchen").model
    assert {path.name for path in (models / "kitchen").iterdir()} == {"teach.json", again.version}
    assert again.version != model.version
    assert load_model("kitchen").templates


def test_a_taught_model_is_measured_by_its_commands(own: Path, again: dict[str, Path], tmp_path: Path) -> None:
    for text, video in again.items():
        shutil.copy(video, tmp_path / f"{text}.mp4")
        (tmp_path / f"{text}.txt").write_text(text)
    assert not prepare(find_corpus(tmp_path).utterances, tmp_path / "cache", workers=1).skipped
    reader, cache = load_model("kitchen"), Cache(tmp_path / "cache")
    found = evaluate(reader, cache, cache.utterances)
    assert [clip.read["grammar"].text for clip in found.clips] == [clip.said for clip in found.clips]
    assert "look at greedy alone" not in found.to_text()
    posed = {one.kind for one in measure(found, reader, cache, cache.utterances).negatives}
    assert "backwards" in posed
    assert "still face" not in posed, "no command is said without a move"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "labial-wide", "end.", "x" * 64])
def test_names_that_no_model_can_have(name: str, own: Path, recordings: Path) -> None:
    with pytest.raises(RecordingError):
        teach(recordings, name)
    with pytest.raises(RecordingError):
        recordings_folder(name)
    with pytest.raises(RecordingError):
        forget(name)
    assert (own / "models" / "kitchen").is_dir()


def test_a_taught_model_is_no_base(own: Path, recordings: Path) -> None:
    with pytest.raises(RecordingError, match="kitchen: is a taught model"):
        teach(recordings, "kitchen", base="kitchen")


def test_nothing_usable_is_told(own: Path, tmp_path: Path) -> None:
    clips.no_face(tmp_path / "wall.mp4")
    (tmp_path / "wall.txt").write_text("stop")
    with pytest.raises(RecordingError, match=r"no recording can be used; the first: .*wall\.mp4: no face found"):
        teach(tmp_path, "hall")
    assert registry.taught("hall") is None


def test_practice_sentences_need_training(own: Path, synthetic_corpus: Path) -> None:
    with pytest.raises(RecordingError, match="add --train"):
        teach(synthetic_corpus, "me")


def test_forgetting_removes_model_crops_and_recorded_recordings(own: Path, recordings: Path) -> None:
    shutil.copytree(recordings, recordings_folder("kitchen"))
    forget("kitchen")
    assert [path for path in own.rglob("*") if path.is_file()] == []
    with pytest.raises(ModelError, match="kitchen: you have no such model"):
        forget("kitchen")
    with pytest.raises(ModelError, match="kitchen: no such model; give one of the shipped ones"):
        load_model("kitchen")


def test_a_base_that_changed_is_not_used(own: Path) -> None:
    path = own / "models" / "kitchen" / "teach.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "base": "labial"}))
    with pytest.raises(ModelError, match="has changed since it was taught"):
        load_model("kitchen")
    path.write_text("{")
    with pytest.raises(ModelError, match=r"teach\.json: can't be understood"):
        load_model("kitchen")


def test_nothing_is_pickled(kitchen: Enrolment) -> None:
    files = [path for path in kitchen.model.folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["templates.npz"]
    with np.load(kitchen.model.folder / "templates.npz", allow_pickle=False) as content:
        assert all(content[name].dtype != object for name in content.files)


def test_the_command_line(
    tmp_path: Path, again: dict[str, Path], run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "recordings"
    folder.mkdir()
    for text, code in COMMANDS.items():
        write_video(folder / f"{text}.mp4", speak(code)[0])
        (folder / f"{text}.txt").write_text(text)
    code, out, err = run("teach", folder, "-o", "kitchen")
    assert (code, err) == (0, "")
    assert "3, of 3 sentences: lights off (1), lights on (1), play music (1)" in out
    code, out, err = run("transcribe", "--model", "kitchen", again["play music"])
    assert (code, out.removeprefix("not sure: "), err) == (0, "play music\n", "")
    assert "templates for labial-shape" in run("models")[1]
    grammar = tmp_path / "rules.txt"
    grammar.write_text("stop\ngo")
    assert run("transcribe", "--model", "kitchen", "--grammar", grammar, again["play music"])[1].strip()[-4:] in (
        "stop",
        ": go",
    )
    clips.text(folder / "damaged.mp4")
    (folder / "damaged.txt").write_text("stop")
    code, out, err = run("teach", folder, "-o", "kitchen")
    assert code == 1
    assert err.startswith(str(folder / "damaged.mp4"))
    assert err.count("\n") == 1
    assert run("forget", "kitchen") == (0, "kitchen: removed\n", "")
    code, _, err = run("transcribe", "--model", "kitchen", again["play music"])
    assert code == 1
    assert "kitchen: no such model" in err


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run of a small network, and one short epoch to learn from it."""
    import torch

    from gunileo.training import fine_tune
    from gunileo.training.export import export_onnx
    from gunileo.training.model import LabialCNN, ModelConfig
    from gunileo.training.weights import save_model

    torch.manual_seed(0)
    network = LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=8))
    (tmp_path / "run").mkdir()
    save_model(network, tmp_path / "run" / "model.safetensors")
    export_onnx(network, tmp_path / "run" / "model.onnx")
    teaching = fine_tune.teaching
    short = {"epochs": 1, "samples": 4, "batch_size": 2, "workers": 0, "precision": "32-true", "device": "cpu"}
    monkeypatch.setattr(fine_tune, "teaching", lambda *given: replace(teaching(*given), **short))
    return str(tmp_path / "run")


def test_the_network_learns_from_the_recordings_and_they_are_its_examples(
    quick: str, own: Path, recordings: Path, again: dict[str, Path], tmp_path: Path
) -> None:
    for text, path in again.items():
        (tmp_path / "recordings" / text).mkdir(parents=True)
        for number, video in enumerate((recordings / f"{text}.mp4", path)):
            shutil.copy(video, tmp_path / "recordings" / text / f"{number}.mp4")
            (tmp_path / "recordings" / text / f"{number}.txt").write_text(text)
    seen: list[tuple[str, int, int]] = []
    model = teach(tmp_path / "recordings", "hall", quick, train=True, progress=lambda *step: seen.append(step)).model
    assert ("training", 1, 1) in seen
    assert (model.trained, model.base, model.tested) == (True, quick, 1)
    assert model.summary().endswith(f"read right          {model.right} of 1 recordings")
    assert json.loads((model.folder / "run" / "settings.json").read_text())["fallback"] is False
    trained_on = json.loads((model.folder / "run" / "clips.json").read_text())
    assert len(trained_on["training"]) == 5
    assert set(trained_on["validation"]).isdisjoint(trained_on["training"])
    assert not [path for path in model.folder.rglob("*") if path.suffix in (".ckpt", ".pkl", ".pt")]
    reader = load_model("hall")
    assert reader.checksum != load_model(quick).checksum
    assert reader.recognise(read_mouth(again["lights on"])).text == "lights on", "as it is one of the recordings"
    assert registry.weights_of("hall") == model.folder / "run" / "model.safetensors"


def test_practice_of_grids_sentences_makes_a_reader_of_grid(quick: str, own: Path, synthetic_corpus: Path) -> None:
    model = teach(synthetic_corpus, "me", quick, train=True).model
    assert (sum(model.recordings.values()), model.tested) == (6, 6), "words of the one sentence held back"
    assert model.summary().endswith(f"read right          {model.right} of 6 words")
    reader = load_model("me")
    assert reader.templates is None
    assert is_grid(reader.transcribe(next(synthetic_corpus.rglob("*.mp4"))).text)
