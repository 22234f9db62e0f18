"""A network in ONNX Runtime that can be forked, pickled and copied, and called by many threads."""

from __future__ import annotations

import ctypes
import hashlib
import os
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

from gunileo.inference.registry import ModelError, content_of
from gunileo.util import onnx
from gunileo.util.cores import usable_cores
from gunileo.util.onnx import Device, DeviceError

_THREADS = 2  # more gain nothing on 75 frames
_process = 0  # goes up by one with each fork
_lock = Lock()  # while a session is made
_all: WeakSet[Session] = WeakSet()


def _after_fork() -> None:
    """In the child: what it was forked with is used no more, and never ended, as that waits for threads that are gone.

    Else a child that ends by ``sys.exit``, as those of gunicorn do, would hang.
    """
    global _process, _lock
    for session in _all:
        session.keep()
    _process += 1
    _lock = Lock()  # a thread of the parent's may have held the other


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Session:
    """A network by its file's ``content``; ``path`` is where that came from, ``device`` where it runs (``util.onnx``).

    ONNX Runtime's threads are gone in a forked process, so each process has a session of its own, made when it is
    first used. It pickles as its path and checksum: where it is unpickled, the same file has to be there
    (``ModelError`` if not). Copies share it. Any thread may call it.
    """

    def __init__(self, content: bytes, path: Path, device: Device = "cpu") -> None:
        self.path = path.absolute()
        self.device = device
        self.checksum = hashlib.sha256(content).hexdigest()
        self._content = content
        self._sessions = {_process: self._begun()}
        _all.add(self)

    def on(self, device: Device) -> Session:
        """The same network on another device; raises ``DeviceError`` if there is none."""
        device = onnx.chosen(device)
        return self if device == self.device else Session(self._content, self.path, device)

    def run(self, names: list[str] | None, inputs: dict[str, Any]) -> list[Any]:
        """The outputs of these names, all if None."""
        return list(self._here().run(names, inputs))

    def inputs(self) -> list[str]:
        """The names of what it takes."""
        return [one.name for one in self._here().get_inputs()]

    def outputs(self) -> list[str]:
        """The names of what it gives."""
        return [one.name for one in self._here().get_outputs()]

    def metadata(self) -> dict[str, str]:
        """What the file tells of itself."""
        return dict(self._here().get_modelmeta().custom_metadata_map)

    def keep(self) -> None:
        """See that ONNX Runtime's session of this process is never ended."""
        if session := self._sessions.get(_process):
            for one in (session, getattr(session, "_sess", None)):  # Python's and the one beneath it
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (str(self.path), self.checksum, self.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> Session:
        return self

    def __copy__(self) -> Session:
        return self

    def _here(self) -> Any:
        """This process's session."""
        with _lock:
            if _process not in self._sessions:
                self._sessions[_process] = self._begun()
            return self._sessions[_process]

    def _begun(self) -> Any:
        try:
            return onnx.session(self._content, min(_THREADS, usable_cores()), self.device)
        except DeviceError:
            raise
        except Exception as error:  # ONNX Runtime's errors have no common class of their own
            raise ModelError(f"{self.path}: no ONNX model, or damaged; train or export it again") from error


def _again(path: str, checksum: str, device: Device) -> Session:
    session = Session(content_of(Path(path), "unpickle a reader where its model is"), Path(path), device)
    if session.checksum != checksum:
        raise ModelError(f"{path}: isn't the model that the reader was pickled with; load the reader anew")
    return session
