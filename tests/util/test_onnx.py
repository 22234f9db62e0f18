"""Devices for networks: by name an error that says what to install, and never a silent way back to the processor."""

import pickle

import numpy as np
import onnxruntime
import pytest

import gunileo
from gunileo import GunileoError, load_model
from gunileo.util.onnx import DeviceError, chosen

PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "pip install onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "macOS"),
    "directml": ("DmlExecutionProvider", "pip install onnxruntime-directml"),
    "openvino": ("OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
}


@pytest.mark.parametrize("device", PROVIDERS)
def test_a_device_that_is_not_there_says_what_to_install(
    device: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=f"^{device}: ") as caught:
        load_model(model, device=device)
    assert PROVIDERS[device][1] in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", PROVIDERS)
def test_a_device_that_is_listed_and_does_not_start_is_an_error(
    device: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the driver is missing: ONNX Runtime lists the device, and then runs on the processor."""
    name = PROVIDERS[device][0]
    if name in onnxruntime.get_available_providers():
        pytest.skip("it is here")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name, "CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=f"^{device}: can't"):
        load_model(model, device=device)


@pytest.mark.parametrize("device", [*PROVIDERS, "auto"])
def test_the_provider_asked_for_is_the_one_that_is_given_the_model(
    device: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auto stays with the processor, whatever else is there: nothing was measured to be faster."""
    asked: list[str] = []
    names = [name for name, _ in PROVIDERS.values()]
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, content: bytes, options: object, providers: list, **more: object) -> None:
            first = providers[0] if isinstance(providers[0], str) else providers[0][0]
            asked.append(first)
            self._real = real(content, options, providers=["CPUExecutionProvider"])

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def get_providers(self) -> list[str]:
            return [asked[-1], "CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    reader = load_model(model, device=device)
    assert asked[-1] == (PROVIDERS[device][0] if device != "auto" else "CPUExecutionProvider")
    assert pickle.loads(pickle.dumps(reader)).session.device == reader.session.device == chosen(device)


def test_openvino_reads_as_the_processor_does(model: str) -> None:
    if "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-openvino in place of onnxruntime")
    random = np.random.default_rng(0)
    clip = gunileo.MouthClip(random.integers(0, 256, (40, 100, 150), np.uint8), np.zeros((40, 23), np.float32))
    expected = load_model(model).log_probabilities(clip)
    np.testing.assert_allclose(load_model(model, device="openvino").log_probabilities(clip), expected, atol=1e-3)


def test_a_name_that_is_no_device(model: str) -> None:
    with pytest.raises(ValueError, match="use one of auto, cpu"):
        load_model(model, device="gpu")


def test_the_command_line_says_so_too(run, model: str, tmp_path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("it is here")
    (tmp_path / "a.mp4").touch()
    code, out, err = run("transcribe", tmp_path / "a.mp4", "--model", model, "--device", "cuda")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("cuda: ")
    assert issubclass(DeviceError, GunileoError)
