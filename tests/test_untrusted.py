"""Files from elsewhere that mean harm: none of them runs code, reads other files, or eats the machine."""

import json
import pickle
import re
from pathlib import Path

import av
import clips
import numpy as np
import onnx
import pytest
import torch
from harm import Harm
from mouths import clip_of

import gunileo
from gunileo.corpus.cache import Cache, CacheError
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.registry import ModelError
from gunileo.training.checkpoint import state_of
from gunileo.training.config import TrainingConfig
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.train import train
from gunileo.training.weights import Network, load_weights, save_model
from gunileo.vision.mouth import read_mouth
from gunileo.vision.video import MAX_STILL, VideoError, read_frames

CLIP = clip_of(np.zeros((8, 100, 150), np.uint8))


def test_a_pickle_that_runs_code_does_harm(tmp_path: Path) -> None:
    """Else the tests below would show nothing."""
    pickle.loads(pickle.dumps(Harm(tmp_path / "done")))
    assert (tmp_path / "done").exists()


def test_a_checkpoint_runs_no_code(synthetic_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cache = Cache(synthetic_cache)
    settings = TrainingConfig(epochs=1, batch_size=2, channels=(2, 2, 2), precision="32-true", workers=0, device="cpu")
    parts = cache.utterances[:4], cache.utterances[4:]
    with pytest.raises(GunileoError, match="still blank"):
        train(cache, *parts, run, settings)
    good = state_of(run / "last.ckpt")
    torch.save(good | {"state_dict": Harm(tmp_path / "done")}, run / "last.ckpt")
    with pytest.raises(GunileoError, match=r"last\.ckpt: no checkpoint of a run, or damaged .*; train again") as error:
        train(cache, *parts, run, settings, resume=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "done").exists()


def test_weights_and_models_run_no_code(tmp_path: Path) -> None:
    content = pickle.dumps(Harm(tmp_path / "done"))
    for read, name in ((load_weights, "a.safetensors"), (load_model, "a.onnx"), (state_of, "a.ckpt")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(GunileoError, match=re.escape(name)):
            read(tmp_path / name)
    assert not (tmp_path / "done").exists()


def test_no_module_unpickles() -> None:
    modules = list(Path(gunileo.__file__).parent.rglob("*.py"))
    assert len(modules) > 80
    for module in modules:
        text = module.read_text()
        assert not re.search(r"\b(pickle|joblib|shelve|marshal)\b\.|(?<!\.)\b(eval|exec)\(|allow_pickle=True", text), (
            module
        )
        assert all("weights_only=True" in call for call in re.findall(r"torch\.load\(.*", text)), module


def configured(path: Path, model: Network, **change: object) -> Path:
    """A weights file whose configuration says something else than its weights."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    save_model(model, path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"]) | change
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(state, path, metadata={"config": json.dumps(config)})
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": 10**12},
        {"hidden": -1},
        {"hidden": "4"},
        {"shrink": 0},
        {"shrink": 10**9},
        {"channels": []},
        {"channels": [2, 3]},
        {"channels": [10**9] * 3},
        {"words": 5},
        {"self_conditioning": True},
        {"dropout": 7},
        {"unknown": 1},
    ],
)
def test_weights_of_crops_with_another_configuration(tmp_path: Path, change: dict[str, object]) -> None:
    small = ModelConfig(channels=(2, 3, 4), hidden=4)
    with pytest.raises(GunileoError, match=r"a\.safetensors: no LabialCNN weights \(.*\); give a file") as error:
        load_weights(configured(tmp_path / "a.safetensors", LabialCNN(small), **change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 10**12},
        {"width": -1},
        {"width": "4"},
        {"kernel": 10**9},
        {"before": 5},
        {"after": ["x"]},
        {"channels": [2, 3]},
        {"words": []},
        {"dropout": 7},
        {"architecture": "labial-else"},
        {"unknown": 1},
    ],
)
def test_weights_of_shapes_with_another_configuration(tmp_path: Path, change: dict[str, object]) -> None:
    small = ShapeConfig(channels=(2, 3, 4), width=4, before=(1,), after=(1,), words=("bin",))
    with pytest.raises(GunileoError, match=r"a\.safetensors: no LabialCNN weights \(.*\); give a file") as error:
        load_weights(configured(tmp_path / "a.safetensors", LabialShape(small), **change))
    assert "\n" not in str(error.value)


def test_a_model_that_keeps_its_weights_elsewhere(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime would read them from the working folder."""
    content = onnx.load(model)
    onnx.save(content, tmp_path / "a.onnx", save_as_external_data=True, location="secret.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"a\.onnx: keeps weights in another file, which is not read"):
        load_model(tmp_path / "a.onnx")


def test_a_model_of_another_shape(model: str, tmp_path: Path) -> None:
    content = onnx.load(model)
    content.graph.output[0].name = content.graph.node[-1].output[0] = "something"
    onnx.save(content, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=r"a\.onnx: the model can't be run \(.*\); train or export it again"):
        load_model(tmp_path / "a.onnx").log_probabilities(CLIP)
    content = onnx.load(model)
    kept = content.graph.node[-1].output[0]
    content.graph.node[-1].output[0] = "inner"
    content.graph.node.append(onnx.helper.make_node("Transpose", ["inner"], [kept], perm=[0, 2, 1]))
    del content.graph.output[0].type.tensor_type.shape.dim[:]
    onnx.save(content, tmp_path / "b.onnx")
    with pytest.raises(ModelError, match=r"b\.onnx: the model answers \(37, 8\); train or export it again"):
        load_model(tmp_path / "b.onnx").log_probabilities(CLIP)


@pytest.mark.parametrize(
    "change", [{"frames": 10**12}, {"talker": 5}, {"text": "\u00fc"}, {"words": [["a", "0", "x"]]}]
)
def test_a_manifest_that_asks_for_too_much(synthetic_cache: Path, tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / "cache.json").write_bytes((synthetic_cache / "cache.json").read_bytes())
    line = json.loads((synthetic_cache / "manifest.jsonl").read_text().splitlines()[0])
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line | change) + "\n")
    with pytest.raises(CacheError, match="line 1 is damaged"):
        Cache(tmp_path)


def test_a_picture_of_gigabytes_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "big.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8000, 8000, "gray"
        frame = av.VideoFrame(8000, 8000, "gray")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(VideoError, match=r"big\.mov: its pictures \(png\) can't be decoded: damaged, larger than 8K"):
        read_mouth(path)


def test_time_stamps_that_jump_make_no_hours_of_copies(tmp_path: Path) -> None:
    times = np.arange(12) / 25
    times[6:] += 300
    clips.write_timed(tmp_path / "a.mkv", clips.talking()[0][:12], times)
    assert len(list(read_frames(tmp_path / "a.mkv"))) == 5 + MAX_STILL + 6


def test_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = clips.good(tmp_path / "a.mkv", 12)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/AVX"))
    with pytest.raises(VideoError, match=r"a\.mkv: its pictures are in a format that is not known here; convert it"):
        read_mouth(path)


def test_pictures_that_stand_for_ages_make_no_hours_of_copies(tmp_path: Path) -> None:
    path = clips.coded(tmp_path / "a.avi", 12)
    content = bytearray(path.read_bytes())
    scale = content.index(b"strh") + 28  # seconds of a picture are scale / rate
    content[scale : scale + 4] = (100_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    assert len(list(read_frames(path))) == 12 * MAX_STILL


def test_names_in_no_encoding_do_not_matter(tmp_path: Path) -> None:
    path = clips.good(tmp_path / "a.mp4", 12)
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"La\xb1f"))
    assert len(read_mouth(path)) == 12
