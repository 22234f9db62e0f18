"""Checkpoints of PyTorch's read by numpy alone: a zip with a pickle of names and a file of numbers for each tensor.

Format: ``torch.save`` since PyTorch 1.6, ``torch/serialization.py``.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunileo.published.errors import ImportFault
from gunileo.published.pickled import Kept, Made, Name, PickleFault, content_of

Weights = dict[str, NDArray[Any]]  # a network's tensors by their names

_LARGEST_PICKLE = 64 << 20  # bytes; that of 250 million parameters has 0.2 MB
_BFLOAT16 = "bfloat16"
_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": _BFLOAT16,
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "?",
}
_AGAIN = (
    "with PyTorch: import torch; torch.save(torch.load(OLD, weights_only=True, map_location='cpu'), NEW), "
    "then import NEW"
)


def read_checkpoint(path: Path) -> Weights:
    """The tensors in a checkpoint by their names; those of a dictionary in it are ``dictionary.name``.

    Numbers of half precision come as float32. Nothing in the file is run. Raises ``ImportFault`` if the file can't be
    read, is truncated, damaged or of another kind, or names anything that would run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Checkpoint(path, archive).weights()
    except OSError as error:
        raise ImportFault(f"{path}: can't be read ({error.strerror or error}); check the file") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ImportFault(_no_zip(path)) from error


def _no_zip(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if start[:2] == b"PK":
        return f"{path}: truncated or damaged; download it again"
    if start[:1] == b"\x80" and len(start) > 2:
        return f"{path}: saved by PyTorch older than 1.6, or not by it at all; save it again {_AGAIN}"
    if start.lstrip()[:1] == b"<":
        return f"{path}: a web page, not the file that it should lead to; download that in a browser"
    if start.startswith(b"version https://git-lfs"):
        return f"{path}: only Git LFS's note of where the file is; get the file itself with 'git lfs pull'"
    return f"{path}: no checkpoint of PyTorch's; give a .pth, .pt or .ckpt file as it was published"


class _Checkpoint:
    """An open checkpoint."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1 or any("/code/" in name for name in names):
            kind = "a program (TorchScript)" if any("/code/" in name for name in names) else "a zip file"
            raise ImportFault(f"{path}: {kind}, no checkpoint; give the state dict as it was published")
        self._root = pickles[0].removesuffix("data.pkl")
        order = f"{self._root}byteorder"
        if order in names and archive.read(order) != b"little":
            raise ImportFault(f"{path}: its numbers are big-endian; save it again on another machine")
        self._storages: dict[str, NDArray[Any]] = {}
        self._seen: set[int] = set()  # dictionaries that were passed through: one may hold another many times

    def weights(self) -> Weights:
        info = self._archive.getinfo(f"{self._root}data.pkl")
        if info.file_size > _LARGEST_PICKLE:
            raise ImportFault(f"{self._path}: {info.file_size >> 20} MB of names; no file of weights has so many")
        try:
            content = content_of(self._archive.read(info))
            weights = dict(self._tensors("", content, 0))
        except PickleFault as error:
            raise ImportFault(f"{self._path}: {error}; give a state dict as it was published") from error
        if not weights:
            raise ImportFault(f"{self._path}: holds no tensors; give a state dict as it was published")
        return weights

    def _tensors(self, prefix: str, content: Any, depth: int) -> Iterator[tuple[str, NDArray[Any]]]:
        if not isinstance(content, dict) or depth > 4 or id(content) in self._seen:
            return
        self._seen.add(id(content))
        for key, value in content.items():
            name = f"{prefix}{key}"
            if isinstance(value, Made) and value.by == Name("torch._utils._rebuild_parameter") and value.arguments:
                value = value.arguments[0]
            if isinstance(value, Made) and value.by == Name("torch._utils._rebuild_tensor_v2"):
                yield name, self._tensor(name, value.arguments)
            else:
                yield from self._tensors(f"{name}.", value, depth + 1)

    def _tensor(self, name: str, arguments: tuple[Any, ...]) -> NDArray[Any]:
        try:
            kept, offset, shape, strides = arguments[:4]
            whole = self._storage(kept)
            sizes = [int(size) for size in shape]
            steps = [int(step) for step in strides]
            last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
            if offset < 0 or min(sizes + steps, default=0) < 0 or math.prod(sizes) > len(whole) or last >= len(whole):
                raise ValueError("outside of its storage")
            width = whole.itemsize
            view = np.ndarray(sizes, whole.dtype, whole, offset * width, [step * width for step in steps])
            return np.ascontiguousarray(view).reshape(sizes)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise ImportFault(f"{self._path}: {name} is damaged ({error}); download the file again") from error

    def _storage(self, kept: Any) -> NDArray[Any]:
        if not isinstance(kept, Kept) or len(kept.description) != 5 or kept.description[0] != "storage":
            raise ValueError("kept in no storage")
        kind, key, count = kept.description[1], str(kept.description[2]), int(kept.description[4])
        if key not in self._storages:
            file = self._archive.getinfo(f"{self._root}data/{key}")
            if file.compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed")
            number = _STORAGES[kind.name]
            raw = self._archive.read(file)
            if number == _BFLOAT16:
                self._storages[key] = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
            else:
                numbers = np.frombuffer(raw, number)
                self._storages[key] = numbers.astype("<f4") if number == "<f2" else numbers
        if len(self._storages[key]) != count:
            raise ValueError("of another length than is written")
        return self._storages[key]
