"""The wheel and the sdist: made as ``make dist`` makes them, installed into a fresh environment, and run there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import gunileo

ROOT = Path(__file__).parents[1]


def run(command: list[str], where: Path) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=where, env=outside, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    if find_spec("build") is None:
        pytest.skip("build is not installed; it is in the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    once = ["--no-deps", "--retries", "0", "--timeout", "10", "-d", str(folder / "probe")]
    probe = run([sys.executable, "-m", "pip", "download", *once, "hatchling"], ROOT)
    if probe.returncode:
        pytest.skip("pip reaches no package index, from which the build backend comes")
    built = run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], folder)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return folder


def wheel_of(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_all_its_data(dist: Path) -> None:
    with zipfile.ZipFile(wheel_of(dist)) as archive:
        held = {name for name in archive.namelist() if name.startswith("gunileo/")}
    package = ROOT / "src"
    listed = subprocess.run(["git", "ls-files", "src/gunileo"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        kept = {name.removeprefix("src/") for name in listed.stdout.splitlines() if (ROOT / name).exists()}
        assert kept <= held
    assert {"gunileo/py.typed", "gunileo/server/web/index.html", "gunileo/inference/weights/models.json"} <= held
    assert not [name for name in held if not (package / name).exists()]
    assert not [name for name in held if "__pycache__" in name]


def test_the_sdist_holds_what_a_release_needs(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "Makefile", "mkdocs.yml"} <= held
    assert not [name for name in held if name.startswith((".git/", ".venv", "site/", "dist/"))]


def test_the_wheel_runs_in_a_fresh_environment(dist: Path, tmp_path: Path) -> None:
    """Its dependencies are the ones installed here, lent by a path: they are a few hundred megabytes.

    A path in a .pth file comes after the environment's own packages, and .pth files there are not read, so that the
    installed gunileo is the wheel's.
    """
    venv.create(tmp_path / "fresh", with_pip=True)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = str(tmp_path / "fresh" / folder / "python")
    done = run([python, "-m", "pip", "install", "--no-deps", "--no-index", str(wheel_of(dist))], tmp_path)
    assert done.returncode == 0, done.stderr
    packages = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).stdout.strip()
    )
    lent = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "lent.pth").write_text("\n".join(lent) + "\n", encoding="utf-8")

    where = run([python, "-c", "import gunileo; print(gunileo.__version__, gunileo.__file__)"], tmp_path)
    assert where.stdout.split(maxsplit=1)[0] == gunileo.__version__, where.stderr
    assert Path(where.stdout.split(maxsplit=1)[1].strip()).is_relative_to(packages)
    shown = run([python, "-m", "pip", "show", "gunileo"], tmp_path)
    assert f"Version: {gunileo.__version__}" in shown.stdout

    command = str(tmp_path / "fresh" / folder / "gunileo")
    models = run([command, "models"], tmp_path)
    assert models.returncode == 0, models.stderr
    assert all(model.name in models.stdout for model in gunileo.available_models())
    missing = run([command, "transcribe", "missing.mp4"], tmp_path)  # imports all that reads lips
    assert missing.returncode == 1
    assert "missing.mp4: no such file" in missing.stderr or "missing.mp4: no videos there" in missing.stderr
    loaded = "import sys, gunileo; gunileo.load_model(); print('torch' in sys.modules)"
    assert run([python, "-c", loaded], tmp_path).stdout.strip() == "False"
