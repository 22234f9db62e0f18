"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from gunileo.cli import main
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import make_corpus

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

SHARED = Path(__file__).parents[2] / "shared" / "data"  # real GRID clips, where they are at hand


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home for the models that tests teach or import: the user's is not touched, and each process has its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUNILEO_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is this test's own, and empty."""
    monkeypatch.setenv("GUNILEO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Ctrl-C reaches what tests start, even if a shell started the tests in the background, which ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips; a test that takes it is skipped where there is none."""
    if not (SHARED / "grid" / "s1").is_dir():
        pytest.skip(f"needs the real clips in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def synthetic_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in GRID's layout, two speakers with three sentences each. Shared by all tests: do not write into it."""
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, ["bbaf2n", "lwws9a", "pgiozs"], speakers=2)
    return folder


@pytest.fixture(scope="session")
def synthetic_cache(synthetic_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``synthetic_corpus``, prepared. Shared by all tests: do not write into it."""
    folder = tmp_path_factory.mktemp("cache")
    report = prepare(find_corpus(synthetic_corpus).utterances, folder, workers=1)
    assert report.done == 6, report.skipped
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The .onnx file of a small network that has learned nothing."""
    import torch

    from gunileo.training.export import export_onnx
    from gunileo.training.model import LabialCNN, ModelConfig

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    export_onnx(LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=8)), path)
    return str(path)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ``gunileo serve`` that runs, with a home of its own."""
    pytest.importorskip("fastapi", reason='needs the extra "serve"')
    pytest.importorskip("uvicorn", reason='needs the extra "serve"')
    from load import served

    with served(tmp_path_factory.mktemp("server") / "tmp") as (address, _):
        yield address


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; gives exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main.main([str(argument) for argument in arguments])
        return int(exit_.value.code or 0), *capfd.readouterr()

    return call


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=400k", "gunileo-test", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here; that takes Linux and root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # a worker that ends may still stand in it


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences: the talking clip and its way back."""
    import clips

    from gunileo.vision.video import write_video

    path = tmp_path_factory.mktemp("talk") / "talk.mkv"
    frames = list(clips.talking()[0])
    write_video(path, frames + frames[::-1])
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray cluster of this machine, with two workers."""
    ray = pytest.importorskip("ray")
    # Its own patience is too short for a busy machine.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_gcs_server_port_wait_time_s="120")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    yield
    ray.shutdown()
