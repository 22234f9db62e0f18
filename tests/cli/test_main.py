"""The command line as a user meets it: arguments in, text, files and exit codes out."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import clips
import cv2
import numpy as np
import pytest
import torch

from gunileo.cli import train
from gunileo.corpus.cache import Cache
from gunileo.corpus.grid import SLOTS
from gunileo.inference import registry
from gunileo.inference.confidence import Calibration
from gunileo.training.export import describe_calibration
from gunileo.training.weights import ARCHITECTURES


@pytest.fixture
def cache(synthetic_cache: Path) -> Path:
    return synthetic_cache


def is_grid(text: str) -> bool:
    return all(word in slot for word, slot in zip(text.split(), SLOTS, strict=True))


def test_transcribe_one_prints_the_text_alone(run, model: str, tmp_path: Path) -> None:
    code, out, err = run("transcribe", clips.good(tmp_path / "bbaf2n.mp4", 40), "--model", model)
    assert (code, err) == (0, "")
    assert out.endswith("\n")
    assert is_grid(out)
    assert [path.name for path in tmp_path.iterdir()] == ["bbaf2n.mp4"]


def test_transcribe_marks_a_guess(run, model: str, tmp_path: Path) -> None:
    wary = Calibration((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), threshold=1.0, good=50)
    guessing = tmp_path / "guessing.onnx"
    guessing.write_bytes(Path(model).read_bytes())
    describe_calibration(guessing, {"grammar": wary})
    clip = clips.good(tmp_path / "a.mp4", 40)
    plain = run("transcribe", clip, "--model", model)[1]
    guessed = run("transcribe", clip, "--model", guessing, "-f", "txt,json", "-o", tmp_path)
    assert guessed == (0, f"not sure: {plain}", "")
    assert (tmp_path / "a.txt").read_text() == f"not sure: {plain}"
    assert json.loads((tmp_path / "a.json").read_text())["sure"] is False


def test_transcribe_writes_the_formats_asked_for(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "bbaf2n.mp4", 40)
    code, out, _ = run("transcribe", clip, "--model", model, "-f", "txt,json", "-o", tmp_path / "out")
    assert code == 0
    assert (tmp_path / "out" / "bbaf2n.txt").read_text() == out
    written = json.loads((tmp_path / "out" / "bbaf2n.json").read_text())
    assert (written["file"], written["text"] + "\n", written["model"]) == (str(clip), out, model)
    fields = ["text", "language", "segments", "file", "model", "confidence", "sure", "calibrated", "duration"]
    assert list(written) == fields  # nobody calibrated this model


def test_transcribe_folder_pattern_and_double(run, model: str, tmp_path: Path) -> None:
    for name in ("a/x.mp4", "b/x.mp4"):
        (tmp_path / name).parent.mkdir()
        clips.good(tmp_path / name, 30)
    (tmp_path / "a" / "notes.txt").write_text("no video")
    (tmp_path / "a" / "._x.mp4").write_text("what macOS leaves beside x.mp4 on other disks")
    code, out, _ = run("transcribe", tmp_path, tmp_path / "a" / "x.mp4", "--model", model, "-o", tmp_path / "out")
    assert code == 0
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(tmp_path / "a/x.mp4"), str(tmp_path / "b/x.mp4")]
    assert (tmp_path / "out" / "a" / "x.json").exists()
    assert (tmp_path / "out" / "b" / "x.json").exists()
    assert len(run("transcribe", f"{tmp_path}/*/x.mp4", "--model", model)[1].splitlines()) == 2


def test_transcribe_reads_a_pipe_an_address_and_numbered_pictures(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "talk.mp4", 30)
    said = run("transcribe", clip, "--model", model)[1]
    assert run("transcribe", clip.as_uri(), "--model", model)[:2] == (0, said)
    for line in (["-"], ["-", "--burn", "-f", "srt", "-o", "out"], ["-", "--face", "all"]):
        command = [sys.executable, "-m", "gunileo", "transcribe", *line, "--model", model]
        with clip.open("rb") as pipe:
            read = subprocess.run(command, stdin=pipe, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert (read.stdout, read.stderr) == (said, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"stdin.mp4", "stdin.srt"}

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, frame in enumerate(clips.talking()[0][:30]):
        cv2.imwrite(str(folder / f"f_{number:02d}.png"), np.ascontiguousarray(frame[..., ::-1]))
    for line in ([folder / "f_%02d.png"], [folder, "--fps", "25"]):
        code, out, err = run("transcribe", *line, "--model", model, "-o", tmp_path / "read")
        assert (code, len(out.splitlines()), err) == (0, 1, "")
    assert {path.name for path in (tmp_path / "read").iterdir()} == {"f.json", "pictures.json"}
    code, out, err = run("transcribe", folder, "--model", model)
    assert (code, out) == (1, "")
    assert "or --fps for a folder of pictures" in err
    code, out, err = run("transcribe", "http://localhost:9/a.mp4", "--model", model)
    assert (code, err) == (
        1,
        "http://localhost:9/a.mp4: an address on a network; download the video, then give its file\n",
    )


def test_transcribe_never_overwrites_one_clip_by_another(run, model: str, tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mp4"]
    for file in files:
        file.parent.mkdir()
        clips.good(file, 30)
    code, out, err = run("transcribe", *files, "--model", model, "-o", tmp_path / "out")
    assert code == 1
    assert len(out.splitlines()) == 1
    assert err.startswith(f"{files[1]}: ")
    assert str(files[0]) in err
    assert json.loads((tmp_path / "out" / "x.json").read_text())["file"] == str(files[0])


def test_transcribe_says_what_is_wrong_with_the_request(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "a.mp4", 30)
    assert run("transcribe", clip, "--model", model, "-f", "docx")[0] == 2
    assert run("transcribe", clip, "--decode", "magic")[0] == 2
    code, _, err = run("transcribe", clip, "--model", "labail")
    assert code == 1
    assert err.startswith("labail: no such model")
    (tmp_path / "void").mkdir()
    code, _, err = run("transcribe", tmp_path / "void", "--model", model)
    assert code == 1
    assert err.startswith(f"{tmp_path / 'void'}: no videos there")
    code, _, err = run("transcribe", f"{tmp_path}/*.mov", "--model", model)
    assert code == 1
    assert "*.mov: no videos there" in err


def test_transcribe_by_a_grammar_of_ones_own(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "new.mp4", 40)
    (tmp_path / "commands.txt").write_text("# the lamp\n[please] turn (on|off) the light\nstop\n")
    code, out, err = run("transcribe", "--model", model, "--grammar", tmp_path / "commands.txt", clip)
    assert (code, err) == (0, "")
    assert out.strip().removeprefix("please ") in {"turn on the light", "turn off the light", "stop"}
    (tmp_path / "commands.txt").write_text("stop\nturn (on|off the light\n")
    code, out, err = run("transcribe", "--model", model, "--grammar", tmp_path / "commands.txt", clip)
    assert (code, out) == (1, "")
    assert err.startswith(f"{tmp_path / 'commands.txt'}: line 2: '(' is never closed")
    assert len(err.splitlines()) == 1


def test_transcribe_by_a_lexicon_and_by_beam(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "new.mp4", 40)
    (tmp_path / "words.txt").write_text("up down")
    code, out, err = run("transcribe", "--model", model, "--decode", "beam", clip)
    assert (code, err) == (0, "")
    pytest.importorskip("flashlight.lib.text", reason="needs flashlight-text, the extra 'lexicon'")
    code, out, err = run("transcribe", "--model", model, "--lexicon", tmp_path / "words.txt", clip)
    assert (code, err) == (0, "")
    assert set(out.split()) <= {"up", "down"}
    code, out, err = run(
        "transcribe", "--model", model, "--lexicon", tmp_path / "words.txt", "--lm", tmp_path / "lm.arpa", clip
    )
    assert (code, out) == (1, "")
    assert err.startswith(f"{tmp_path / 'lm.arpa'}: no such file")


@pytest.mark.parametrize(
    "options",
    [
        ("--decode", "lexicon"),
        ("--decode", "greedy", "--lexicon", "words.txt"),
        ("--decode", "beam", "--grammar", "commands.txt"),
        ("--grammar", "commands.txt", "--lexicon", "words.txt"),
        ("--lm", "lm.arpa"),
    ],
)
def test_transcribe_refuses_options_that_do_not_go_together(run, model: str, tmp_path: Path, options: tuple) -> None:
    code, out, err = run("transcribe", clips.good(tmp_path / "a.mp4", 30), "--model", model, *options)
    assert (code, out) == (2, "")
    assert any(name in err for name in ("--lexicon", "--grammar", "--lm"))


def test_models_lists_what_is_shipped(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = {
        **{"name": "labial", "file": "labial.onnx", "weights": "labial.safetensors"},
        **{"sha256": {}, "bytes": {"labial.onnx": 8_600_000}, "parameters": 4_300_000},
        **{"wer_greedy": 0.06, "wer_grammar": 0.04, "cer_greedy": 0.03, "cer_grammar": 0.02, "milliseconds": 48.6},
        **{"measured_on": "75 clips", "trained_on": "670 clips", "license": "Apache-2.0", "attribution": "GRID"},
    }
    (tmp_path / "models.json").write_text(json.dumps([info]))
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    code, out, _ = run("models")
    assert code == 0
    for part in ("labial", "4.3 million", "6.0% greedy, 4.0% with the grammar", "75 clips", "8.6 MB", "Apache-2.0"):
        assert part in out


def test_prepare_resumes_and_reports(run, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus" / "s1"
    corpus.mkdir(parents=True)
    clips.good(corpus / "bbaf2n.mp4", 30)
    clips.text(corpus / "lwws9a.mp4")
    cache = tmp_path / "cache"
    code, out, err = run("prepare", tmp_path / "corpus", "-o", cache, "--workers", "1")
    assert code == 1
    assert "2 videos, 0 labels" in out
    assert "1 prepared, 0 kept from before, 1 skipped" in out
    assert "lwws9a" in err
    assert "not a video" in err
    assert len(err.splitlines()) == 1
    (corpus / "lwws9a.mp4").unlink()
    code, out, err = run("prepare", tmp_path / "corpus", "-o", cache)
    assert (code, err) == (0, "")
    assert "0 prepared, 1 kept from before, 0 skipped" in out
    assert [utterance.id for utterance in Cache(cache).utterances] == ["s1/bbaf2n"]


def test_prepare_counts_labels_it_cannot_read(run, tmp_path: Path) -> None:
    clips.good(tmp_path / "a.mp4", 30)
    (tmp_path / "a.txt").write_text("good morning")
    clips.good(tmp_path / "b.mp4", 30)
    (tmp_path / "b.txt").write_text("grüezi")
    code, _, err = run("prepare", tmp_path, "-o", tmp_path / "cache", "--workers", "1")
    assert code == 1
    assert "b.txt" in err


def test_sheet_of_cache_and_of_folder(run, cache: Path, tmp_path: Path) -> None:
    code, out, _ = run("sheet", cache, "-o", tmp_path / "cache.png")
    assert code == 0
    assert "6 of 6 clips" in out
    picture = cv2.imread(str(tmp_path / "cache.png"), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (6 * 118, 8 * 150)
    first = Cache(cache).crops(Cache(cache).utterances[0])[0]
    np.testing.assert_array_equal(picture[18:118, :150], first)

    clips.good(tmp_path / "good.mp4", 30)
    clips.black(tmp_path / "black.mp4")
    code, out, err = run("sheet", tmp_path, "-o", tmp_path / "folder.png")
    assert code == 1
    assert "1 of 2 clips" in out
    assert "black.mp4" in err
    assert cv2.imread(str(tmp_path / "folder.png")).shape[:2] == (118, 8 * 150)


def test_evaluate_prints_and_writes(run, cache: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# two\ns1/bbaf2n\ns2/pgiozs\n")
    code, out, _ = run(
        "evaluate", cache, "--model", model, "--split", tmp_path / "list.txt", "--json", tmp_path / "e.json"
    )
    assert code == 0
    assert f"2 clips of {cache}" in out
    assert "word error rate" in out
    written = json.loads((tmp_path / "e.json").read_text())
    assert [clip["id"] for clip in written["clips"]] == ["s1/bbaf2n", "s2/pgiozs"]
    assert run("evaluate", cache, "--model", model)[1].startswith("6 clips")
    (tmp_path / "list.txt").write_text("s2\ns3/bbaf2n\n")
    out = run("evaluate", cache, "--model", model, "--split", tmp_path / "list.txt")[1]
    assert out.startswith(f"1 of the 2 in the list are not in {cache}\n3 clips")


def test_evaluate_by_a_grammar_of_ones_own(run, cache: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("bin blue at f two now\nturn (on|off) the light\n")
    files = ("--json", tmp_path / "e.json", "--report", tmp_path / "report")
    code, out, err = run("evaluate", cache, "--model", model, "--grammar", tmp_path / "own.txt", *files)
    assert (code, err) == (0, "")
    assert "so its grammar can't read them" not in out
    read = {clip["read"]["grammar"]["text"] for clip in json.loads((tmp_path / "e.json").read_text())["clips"]}
    assert read <= {"bin blue at f two now", "turn on the light", "turn off the light"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert "the likeliest of those that were given" in page
    assert "64,000" not in page


def test_evaluate_refuses_with_one_line(run, cache: Path, model: str, tmp_path: Path) -> None:
    for arguments in ((tmp_path / "none",), (cache, "--split", "grid_s1_valid"), (cache, "--split", tmp_path / "no")):
        code, out, err = run("evaluate", *arguments, "--model", model)
        assert (code, out, len(err.splitlines())) == (1, "", 1)


def test_summary_shows_the_published_layers(run) -> None:
    code, out, _ = run("summary")
    assert code == 0
    for part in ("608", "9,616", "38,432", "18,981", "[1, 8, 75, 50, 75]", "[1, 75, 37]", "Mult-Adds"):
        assert part in out


def test_train_then_evaluate_the_run(run, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("s1/bbaf2n\n")
    away = next(clip.id for clip in Cache(cache).utterances if clip.id != "s1/bbaf2n")
    (tmp_path / "away.txt").write_text(f"{away}\ns1/elsewhere\n")
    folder = tmp_path / "run"
    code, out, err = run(
        *("train", cache, "-o", folder, "--split", tmp_path / "list.txt", "--leave-out", tmp_path / "away.txt"),
        *("--epochs", "1", "--batch-size", "3", "--dropout", "0.25", "--device", "cpu"),
    )
    assert code == 0 or "still blank" in err  # one epoch teaches nothing; what counts is what it leaves
    assert "1 clips left out" in out
    assert away not in (folder / "clips.json").read_text()
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["epochs"], settings["batch_size"], settings["dropout"]) == (1, 3, 0.25)
    code, out, _ = run("evaluate", cache, "--model", folder, "--split", tmp_path / "list.txt")
    assert code == 0
    assert out.startswith(f"1 clips of {cache} read by {folder}")


def test_train_defaults_are_the_recipes() -> None:
    from gunileo.training.config import TrainingConfig

    parameters = inspect.signature(train.train).parameters
    hints = get_type_hints(train.train, include_extras=True)
    for name in ("device", "seed"):
        assert parameters[name].default == getattr(TrainingConfig(), name)
    for name in ("epochs", "batch_size", "learning_rate", "dropout"):
        assert parameters[name].default is None
        (option,) = hints[name].__metadata__
        assert f"{getattr(TrainingConfig(), name)} by default" in option.help


def test_train_by_a_layouts_name(run, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, _, err = run(
        "train", cache, "-o", folder, "--architecture", "labial-wide", "--epochs", "1", "--device", "cpu"
    )
    assert code == 0 or "still blank" in err
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["channels"], settings["shrink"], settings["self_conditioning"]) == ([16, 32, 64], 2, True)
    code, _, err = run("train", cache, "-o", tmp_path / "two", "--architecture", "labial", "--init", "labial")
    assert code == 2
    assert "its own architecture" in err
    assert [one.value for one in train._Architecture] == list(ARCHITECTURES)


def test_train_without_the_device_asked_for(run, cache: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        assert run("train", cache, "-o", tmp_path / "run", "--device", "cuda")[0] == 2
    assert run("train", cache, "-o", tmp_path / "run", "--device", "abacus")[0] == 2
    assert not (tmp_path / "run").exists()


def test_missing_extra_is_one_line(run, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchinfo", None)
    code, _, err = run("summary")
    assert code == 1
    assert 'pip install "gunileo[train]"' in err
    assert len(err.splitlines()) == 1


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from gunileo.cli.main import main
try:
    main(["--help"])
except SystemExit as exit_:
    assert not exit_.code
heavy = {"numpy", "cv2", "av", "onnxruntime", "kornia_rs", "torch", "lightning", "matplotlib", "rich.console"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("prepare", "sheet", "train", "evaluate", "transcribe", "models", "summary", "demo"):
        assert name in done.stdout


def test_runs_as_a_module(model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "a.mp4", 30)
    command = [sys.executable, "-m", "gunileo", "transcribe", str(clip), "--model", model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert is_grid(done.stdout)


def test_reads_real_clips(run, shared: Path, tmp_path: Path) -> None:
    if not any(info.name == "labial" for info in registry.available_models()):
        pytest.skip("no weights are shipped with this version")
    names = ["bbaz4n", "bgig7s", "bgwo2n", "bgwo3s"]  # of the validation list: never trained on
    files = [next((shared / "grid" / "s1").glob(f"{name}.*")) for name in names]
    code, out, _ = run("transcribe", *files)
    assert code == 0
    from gunileo.corpus.grid import code_to_text
    from gunileo.evaluation.metrics import wer

    assert wer([code_to_text(name) for name in names], [line.split(": ")[1] for line in out.splitlines()]) < 0.25
