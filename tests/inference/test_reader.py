"""Loading models and reading clips: the right file, the right input, the right answer, and no PyTorch."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import clips
import numpy as np
import onnx
import pytest
import torch
from mouths import clip_of, noise

from gunileo.corpus.cache import Cache
from gunileo.corpus.grid import SLOTS
from gunileo.decoding.ctc import Decoded, DecodeError
from gunileo.decoding.grammar import Grammar
from gunileo.inference import registry
from gunileo.inference.confidence import Calibration
from gunileo.inference.load import load_model
from gunileo.inference.registry import ModelError, ModelInfo, available_models
from gunileo.inference.timing import Timing, placed
from gunileo.output.transcript import Word
from gunileo.training.export import describe_calibration, export_onnx, rounded
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.vision.crop import normalise
from gunileo.vision.mouth import MouthError
from gunileo.vision.video import VideoError

TINY = ModelConfig(channels=(2, 3, 4), hidden=8)


@pytest.fixture(scope="module")
def network() -> LabialCNN:
    torch.manual_seed(0)
    return LabialCNN(TINY).eval()


@pytest.fixture(scope="module")
def model_file(network: LabialCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    export_onnx(network, path)
    return path


@pytest.fixture
def shelf(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder as the package ships it, with one model called ``tiny``."""
    (tmp_path / "tiny.onnx").write_bytes(model_file.read_bytes())
    info = ModelInfo(
        name="tiny",
        file="tiny.onnx",
        weights="tiny.safetensors",
        sha256={"tiny.onnx": hashlib.sha256(model_file.read_bytes()).hexdigest(), "tiny.safetensors": ""},
        bytes={"tiny.onnx": model_file.stat().st_size, "tiny.safetensors": 0},
        parameters=1,
        wer_greedy=1.0,
        wer_grammar=0.8,
        milliseconds=50,
        cer_greedy=1.0,
        cer_grammar=0.6,
        measured_on="nothing",
        trained_on="nothing",
        license="Apache-2.0",
        attribution="",
    )
    (tmp_path / "models.json").write_text(json.dumps([asdict(info)]))
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    return tmp_path


def test_log_probabilities_are_the_networks(network: LabialCNN, model_file: Path) -> None:
    clip = noise(31)
    output = load_model(model_file).log_probabilities(clip)
    with torch.no_grad():
        expected = rounded(network)(torch.from_numpy(normalise(clip.crops))[None])
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, expected.numpy(), atol=1e-4)


def test_transcribes_a_video(model_file: Path, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "bbaf2n.mp4")
    transcript = load_model(model_file).transcribe(clip)
    assert (transcript.file, transcript.model) == (str(clip), str(model_file))
    assert [word.word in slot for word, slot in zip(transcript.words, SLOTS, strict=True)] == [True] * 6
    assert transcript.text == " ".join(word.word for word in transcript.words)
    assert transcript.words[-1].end <= 3.0


def test_too_short_for_the_grammar_names_the_file(model_file: Path, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "short.mp4", frames=12)
    reader = load_model(model_file)
    with pytest.raises(DecodeError, match=r"short\.mp4: 12 frames are too few .* greedily"):
        reader.transcribe(clip)
    assert reader.transcribe(clip, decode="greedy").file == str(clip)


def test_the_grammar_makes_no_one_sentence_of_a_long_video(model_file: Path) -> None:
    reader = load_model(model_file)
    clip = clip_of(np.zeros((251, 100, 150), np.uint8))
    with pytest.raises(DecodeError, match=r"hour\.mp4: 10 s long.*cut the video"):
        reader.transcribe_clip(clip, "hour.mp4")
    assert reader.transcribe_clip(clip[:250], "clip.mp4").text.count(" ") == 5
    assert reader.transcribe_clip(clip, "hour.mp4", "greedy").file == "hour.mp4"


def test_an_unknown_way_to_decode_is_told_before_the_video_is_read(model_file: Path) -> None:
    with pytest.raises(ValueError, match="'magic' is not a way to decode; use one of greedy, beam, grammar"):
        load_model(model_file).transcribe("none.mp4", "magic")


def test_a_grammar_is_never_left_aside(model_file: Path) -> None:
    reader, commands = load_model(model_file), Grammar.from_text("turn (on|off) the light")
    for how in ("greedy", "beam", lambda logp: Decoded("", (), 0.0)):
        with pytest.raises(ValueError, match="takes none; decode by 'grammar'"):
            reader.transcribe("none.mp4", how, commands)
        with pytest.raises(ValueError, match="takes none; decode by 'grammar'"):
            reader.decode(np.zeros((40, 37)), how, commands)
    with pytest.raises(ValueError, match=r"'rules.txt' is no grammar; give what Grammar.from_file"):
        reader.transcribe("none.mp4", grammar="rules.txt")


def test_another_grammar_and_another_decoder(model_file: Path) -> None:
    reader = load_model(model_file)
    clip = noise(40)
    commands = Grammar.from_text("turn (on|off) the light")
    assert reader.transcribe_clip(clip, "x.mp4", grammar=commands).text.startswith("turn o")
    assert reader.transcribe_clip(clip[:20], "x.mp4", grammar=commands).words[2].word == "the"
    with pytest.raises(DecodeError, match=r"x\.mp4: 10 frames are too few .* takes 17"):
        reader.transcribe_clip(clip[:10], "x.mp4", grammar=commands)

    def decoder(logp: np.ndarray) -> Decoded:
        return Decoded(f"{len(logp)} frames", (), 0.5)

    transcript = reader.transcribe_clip(clip, "x.mp4", decoder)
    assert (transcript.text, transcript.confidence) == ("40 frames", 0.5)


def test_a_model_of_broken_weights_is_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    broken = LabialCNN(TINY)
    broken.classes.bias.data[3] = float("nan")
    export_onnx(broken, tmp_path / "broken.onnx")
    reader = load_model(tmp_path / "broken.onnx")
    with pytest.raises(ModelError, match=r"broken\.onnx: the model's output is not a number"):
        reader.log_probabilities(clip_of(np.zeros((30, 100, 150), np.uint8)))


def test_bad_clips_raise_what_the_docstring_says(model_file: Path, tmp_path: Path) -> None:
    reader = load_model(model_file)
    with pytest.raises(VideoError, match=r"text\.mp4"):
        reader.transcribe(clips.text(tmp_path / "text.mp4"))
    with pytest.raises(MouthError, match=r"black\.mp4"):
        reader.transcribe(clips.black(tmp_path / "black.mp4"))


def test_shipped_model_loads_by_name(shelf: Path) -> None:
    assert [info.name for info in available_models()] == ["tiny"]
    assert load_model("tiny").name == "tiny"


def test_wrong_checksum_is_refused(shelf: Path) -> None:
    content = bytearray((shelf / "tiny.onnx").read_bytes())
    content[-5000] ^= 1  # one bit of one weight: still a valid file
    (shelf / "tiny.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.onnx: checksum .* reinstall"):
        load_model("tiny")


def test_missing_shipped_file(shelf: Path) -> None:
    (shelf / "tiny.onnx").unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx: can't be read .* reinstall"):
        load_model("tiny")


def test_damaged_registry(shelf: Path) -> None:
    (shelf / "models.json").write_text('[{"name": "tiny"}]')
    with pytest.raises(ModelError, match=r"models\.json: can't be understood"):
        load_model("tiny")


def test_a_folder_without_a_run_is_no_model(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a folder without a finished run; give one of the shipped ones"):
        load_model(tmp_path)


def test_unknown_name_lists_the_known(shelf: Path) -> None:
    with pytest.raises(
        ModelError, match=r"labail: no such model; .*\(tiny\), a finished run.s folder or an \.onnx file"
    ):
        load_model("labail")


def test_run_folder_stands_for_its_model(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model_file.read_bytes())
    assert load_model(tmp_path).name == str(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x01"])
def test_no_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx: no ONNX model"):
        load_model(tmp_path / "bad.onnx")


def test_truncated_model(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "half.onnx").write_bytes(model_file.read_bytes()[: model_file.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"half\.onnx: no ONNX model"):
        load_model(tmp_path / "half.onnx")


@pytest.mark.parametrize(
    ("key", "value"), [("gunileo_classes", '["", "a"]'), ("fps", "30"), ("height", "50"), ("normalisation", "none")]
)
def test_model_for_another_input_or_other_classes(model_file: Path, tmp_path: Path, key: str, value: str) -> None:
    network = onnx.load(model_file)
    for entry in network.metadata_props:
        if entry.key == key:
            entry.value = value
    onnx.save(network, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=rf"other\.onnx: made for other {key}"):
        load_model(tmp_path / "other.onnx")


def test_timing_travels_with_the_model_and_moves_words(model_file: Path, tmp_path: Path) -> None:
    plain, clip = load_model(model_file), noise(40)
    path = tmp_path / "late.onnx"
    path.write_bytes(model_file.read_bytes())
    describe_calibration(path, {}, Timing((0.0, 0.0, 0.0), (0.5, 0.0, 0.0), 1.0))
    describe_calibration(path, {}, Timing((0.0, 0.0, 0.0), (0.08, 0.0, 0.0), 1.0))
    reader = load_model(path)
    assert reader.timing == Timing((0.0, 0.0, 0.0), (0.08, 0.0, 0.0), 1.0)
    raw, moved = (one.transcribe_clip(clip, "a.mp4").words for one in (plain, reader))
    assert moved[0].start == raw[0].start
    assert moved[-1].end == pytest.approx(min(raw[-1].end + 0.08, 40 / 25))
    describe_calibration(path, {})
    assert load_model(path).timing is None


def test_words_stand_where_the_network_names_them(synthetic_cache: Path) -> None:
    reader, cache = load_model(), Cache(synthetic_cache)
    clip = cache.utterances[0]
    logp, named = reader.predict(cache.load(clip))
    assert named is not None
    assert named.shape == (clip.frames, 1 + len(reader.words))
    assert set(reader.words) == {word for slot in SLOTS for word in slot}
    assert np.exp(named).sum(1) == pytest.approx(1, abs=1e-4)
    read = reader.decode(logp, named=named)
    assert read.words == placed(named, reader.words, read.words)
    assert read.words != reader.decode(logp).words
    spelled = reader.decode(logp, lambda _: Decoded("naive", (Word("naive", 0.4, 0.8, 0.5),), 0.5), named=named)
    assert spelled.words == reader.decode(logp, lambda _: Decoded("naive", (Word("naive", 0.4, 0.8, 0.5),), 0.5)).words
    assert load_model("labial").predict(cache.load(clip))[1] is None


def test_calibration_travels_with_the_model(network: LabialCNN, model_file: Path, tmp_path: Path) -> None:
    plain, clip = load_model(model_file), noise(40)
    assert plain.calibrations == {}
    raw = plain.transcribe_clip(clip, "a.mp4")
    assert raw.sure
    wary = Calibration((50.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-3.0, 0.0, 0.0), threshold=1e6, good=50)
    path = tmp_path / "wary.onnx"
    path.write_bytes(model_file.read_bytes())
    describe_calibration(path, {"grammar": replace(wary, good=1)})
    describe_calibration(path, {"grammar": wary, "greedy": replace(wary, threshold=-1e6)})
    reader = load_model(path)
    assert reader.calibrations == {"grammar": wary, "greedy": replace(wary, threshold=-1e6)}
    read = reader.transcribe_clip(clip, "a.mp4")
    assert (read.text, read.sure) == (raw.text, False)
    assert read.confidence == pytest.approx(1 / (1 + np.exp(3)))
    assert [word.confidence for word in read.words] == pytest.approx([w.confidence for w in raw.words], abs=1e-3)
    logp = reader.log_probabilities(clip)
    np.testing.assert_array_equal(logp, plain.log_probabilities(clip))
    assert reader.decode(logp, "greedy").sure
    assert reader.decode(logp, lambda logp: Decoded("bin", (Word("bin", 0, 1, 0.4),), 0.4)).words[0].confidence == 0.4
    assert not reader.decode(logp, lambda logp: Decoded("", (), 0.4)).sure
    describe_calibration(path, {})
    assert load_model(path).calibrations == {}


def test_a_calibration_that_is_none_is_refused(model_file: Path, tmp_path: Path) -> None:
    network = onnx.load(model_file)
    network.metadata_props.append(onnx.StringStringEntryProto(key="calibration", value='{"grammar": {"word": [1]}}'))
    onnx.save(network, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match=r"odd\.onnx: its calibration can't be understood .* export it again"):
        load_model(tmp_path / "odd.onnx")


def test_foreign_onnx(model_file: Path, tmp_path: Path) -> None:
    network = onnx.load(model_file)
    del network.metadata_props[:]
    onnx.save(network, tmp_path / "foreign.onnx")
    with pytest.raises(ModelError, match=r"foreign\.onnx: an ONNX model, but not one of gunileo's"):
        load_model(tmp_path / "foreign.onnx")


@pytest.mark.parametrize("config", [None, "", "{}", '{"words": 1}'])
def test_a_word_head_without_its_words_is_refused(tmp_path: Path, config: str | None) -> None:
    path = tmp_path / "named.onnx"
    export_onnx(
        LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=4, words=("bin", "blue"), self_conditioning=True)), path
    )
    network = onnx.load(path)
    (entry,) = (one for one in network.metadata_props if one.key == "config")
    if config is None:
        network.metadata_props.remove(entry)
    else:
        entry.value = config
    onnx.save(network, path)
    with pytest.raises(ModelError, match=r"named\.onnx: doesn't tell which words it names .*; export it again"):
        load_model(path)


@pytest.mark.filterwarnings("error")
def test_a_clip_without_frames_is_told(model_file: Path) -> None:
    empty = clip_of(np.zeros((1, 100, 150), np.uint8))[:0]
    for reader in (load_model(), load_model(model_file)):
        with pytest.raises(DecodeError, match=r"^the clip has no frames; give at least one$"):
            reader.read(empty, "greedy")
        with pytest.raises(DecodeError, match=r"^a\.mp4: the clip has no frames"):
            reader.transcribe_clip(empty, "a.mp4")
        with pytest.raises(DecodeError, match=r"no frames"):
            reader.log_probabilities(empty)


def test_shipped_weights_are_whole_and_small() -> None:
    if not available_models():
        pytest.skip("no weights are shipped with this version")
    folder = Path(registry.__file__).parent / "weights"
    for info in available_models():
        for name in filter(None, (info.file, info.weights, info.face)):
            content = (folder / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == info.sha256[name]
            assert len(content) == info.bytes[name]
        assert sum(info.bytes.values()) < 20e6
        assert "GRID" in info.attribution


def test_loading_a_model_leaves_nothing_and_tells_nobody(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would leave the number of its session there."""
    code = "import gunileo; gunileo.load_model()"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_reading_lips_never_imports_pytorch(model_file: Path, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "a.mp4", frames=30)
    code = f"""
import sys, gunileo
heavy = {{"numpy", "av", "cv2", "onnxruntime", "kornia_rs"}} & set(sys.modules)
assert not heavy, f"import gunileo imports {{heavy}}"
gunileo.load_model({str(model_file)!r}).transcribe({str(clip)!r})
assert not {{"torch", "lightning", "onnx", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
