"""Scripts and benchmarks that the docs name: each runs in a short form, or the reason why it doesn't is here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import make_corpus

ROOT = Path(__file__).parents[1]
# Arguments of a short form, and what the output has to hold. CLIP is a clip of three seconds, MODEL a small network,
# CACHE holds four clips of a speaker s1, and RUNS is an empty folder.
SHORT = {
    "benchmarks/stages.py": ("CLIP --model MODEL", r"face models +[\d.]+\n(.*\n)+in all +[\d.]+"),
    "benchmarks/calm.py": (
        "CLIP --model MODEL",
        r"1 clips: the face models run 0\.\d+ times as often\n(.*\n)+greedy: 0",
    ),
    "benchmarks/face_mesh.py": ("CLIP", r"inner height: correlation 0\.9\d+"),
    "benchmarks/ratios.py": ("CLIP --model MODEL --rounds 1", r"bbaf2n\.mp4 .* = [\d.]+\ncold start .* = [\d.]+"),
    "benchmarks/length.py": ("--clip CLIP --minutes 0.05 0.1 --model MODEL", r"\| 0\.10 .*\| 2 \| 2 \|"),
    "benchmarks/motion.py": ("MODEL CLIP", r"\| move .*\n\|---.*\n(\| .* \| \d of 6 \| \d of 1 \|\n){2,}"),
    "benchmarks/missing.py": ("MODEL CACHE", r"\| hidden for 0\.60 s \| \d+ of 24 \|(.*\n)+\| 10 frames a second \|"),
    "benchmarks/continuous.py": ("MODEL CLIP CLIP", r"\| 0\.16 s \| 2 \|(.*\n)+\| whole clips \| 2 \| 2 \|"),
    "benchmarks/batch.py": ("--clip CLIP --clips 5 --links 3 --model MODEL", r"two processes are -?[\d.]+ times"),
    "benchmarks/loading.py": ("CACHE --clips 8 --cores 2", r"labial-shape, last epoch: ready in a batch +\d"),
    "scripts/few_recordings.py": ("CACHE --model labial-wide --draws 2", r"\| s1, a word \| 4 \| 1 \| 5 \| \d"),
    "scripts/recipe.py": ("CACHE -o RUNS base", r"\| base \| [\d.]+% .*million \|"),
    "scripts/curve.py": ("CACHE -o RUNS --clips 2 --epochs 1", r"\| 2 \| [\d.]+% .*%\) \|"),
}
ELSEWHERE = {  # tests that run these
    "benchmarks/load.py": "tests/server/test_load.py",
    "benchmarks/speed.py": "tests/test_speed.py",
    "scripts/geometry_cache.py": "tests/corpus/test_geometry.py",
    "scripts/known_face.py": "tests/inference/test_known_face.py",
    "scripts/ship.py": "tests/test_ship.py",
}
NOT_RUN = {
    "benchmarks/confidence.py": "reads thousands of changed clips",
    "benchmarks/published.py": "makes networks of up to 250 million parameters",
    "benchmarks/published_check.py": "makes networks of 52 million parameters",
    "benchmarks/published_rounding.py": "reads with the made-up networks of shared/reference for minutes",
    "scripts/adapt.py": "trains for minutes, on at least ten clips of a speaker",
    "scripts/face_check.py": "needs LiteRT and MediaPipe's package, which are no dependencies",
    "scripts/face_models.py": "needs MediaPipe's package, which is no dependency",
    "scripts/licences.py": "writes docs/licences.md",
    "scripts/page.py": "writes docs/page.png",
    "scripts/picture.py": "writes docs/mouth.png and docs/captioned.jpg",
    "scripts/train_shipped.py": "trains for hours",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of a speaker s1, in GRID's layout. Two of them are on the list grid_s1_valid."""
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, ["bbaz4n", "bgig7s", "bbaf2n", "lwws9a"])
    return folder


@pytest.fixture(scope="module")
def cache(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    prepare(find_corpus(corpus).utterances, folder, workers=1)
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="benchmarks ask for memory and cores as Unix tells them")
@pytest.mark.parametrize("script", SHORT)
def test_it_runs_in_a_short_form(script: str, corpus: Path, cache: Path, model: str, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason='needs the extra "train"')
    values = {"CLIP": corpus / "s1" / "bbaf2n.mp4", "MODEL": model, "CACHE": cache, "RUNS": tmp_path / "runs"}
    arguments = [str(values.get(word, word)) for word in SHORT[script][0].split()]
    start = [str(ROOT / script)]
    if script == "scripts/curve.py":  # an epoch has 500 samples else
        start = ["-c", "import curve; curve.SAMPLES = 4; curve.main()"]
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        **{"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": path}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(SHORT[script][1], done.stdout), done.stdout


def test_each_script_is_run_or_the_reason_is_told() -> None:
    listed = {*SHORT, *ELSEWHERE, *NOT_RUN}
    there = {path for part in ("scripts", "benchmarks") for path in (ROOT / part).glob("*.py")}
    commands = {path for path in there if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert {path.relative_to(ROOT).as_posix() for path in commands} <= listed
    assert {ROOT / script for script in listed} <= there
    for script, test in ELSEWHERE.items():
        assert Path(script).stem in (ROOT / test).read_text(encoding="utf-8")
