"""Networks in ONNX Runtime: the one place that starts them, on the processor or on another device."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import onnxruntime

from gunileo.errors import GunileoError
from gunileo.util.quiet import quiet

onnxruntime.disable_telemetry_events()

Device = Literal["auto", "cpu", "cuda", "coreml", "directml", "openvino"]


class DeviceError(GunileoError):
    """A device that isn't there, or can't be started."""


class _Provider(NamedTuple):
    """What ONNX Runtime calls a device, the options to start it with, and how to get it."""

    name: str
    options: dict[str, str]
    advice: str


def _instead(package: str) -> str:
    return f"run: pip uninstall -y onnxruntime && pip install {package}"


_PROVIDERS = {
    "cpu": _Provider("CPUExecutionProvider", {}, ""),
    "cuda": _Provider("CUDAExecutionProvider", {}, f"{_instead('onnxruntime-gpu')} (needs NVIDIA's driver)"),
    "coreml": _Provider("CoreMLExecutionProvider", {}, "onnxruntime has it on macOS alone"),
    "directml": _Provider("DmlExecutionProvider", {}, f"on Windows, {_instead('onnxruntime-directml')}"),
    # In bfloat16, its own choice where the processor has that, log-probabilities are off by up to 0.1.
    "openvino": _Provider("OpenVINOExecutionProvider", {"precision": "ACCURACY"}, _instead("onnxruntime-openvino")),
}


def chosen(device: Device) -> Device:
    """The device that a name stands for: "auto" is the processor, as no other was measured to be faster.

    Raises ``ValueError`` for a name that is none.
    """
    if device not in get_args(Device):
        raise ValueError(f"{device!r} is not a device; use one of {', '.join(get_args(Device))}")
    return "cpu" if device == "auto" else device


def session(model: bytes | str, threads: int, device: Device = "cpu") -> Any:
    """An ``onnxruntime.InferenceSession`` of a model, its content or its path, on a device.

    ``threads`` are the processor's, as many as there are cores if 0. Operators that a device doesn't know run on the
    processor. Raises ``DeviceError``, which says what to install, if the device isn't there or can't be started; on
    the processor whatever ONNX Runtime raises of a damaged model, as its errors have no class of their own.
    """
    provider = _PROVIDERS[chosen(device)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads would take a core from what comes after.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions; a log line beside them only confuses
    if chosen(device) == "cpu":
        return onnxruntime.InferenceSession(model, options, providers=[provider.name])
    if provider.name not in onnxruntime.get_available_providers():
        raise DeviceError(f"{device}: the ONNX Runtime installed here doesn't have it; {provider.advice}, or use cpu")
    providers = [(provider.name, provider.options), _PROVIDERS["cpu"].name]
    try:
        with quiet():  # what is missing on the way to a device is told below
            # Without its own way back to the processor, which prints stars and goes on.
            started = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DeviceError(f"{device}: can't run this model here ({reason}); use cpu") from error
    if provider.name not in started.get_providers():
        raise DeviceError(f"{device}: can't be started; {provider.advice}, or use cpu")
    return started
