"""What differs between systems, as far as one can show it: how processes are begun, and how text is read."""

import os
import re
import subprocess
import sys
from pathlib import Path

SPAWNED = """
import multiprocessing
import sys
from pathlib import Path
from gunileo.corpus.finders import find_corpus
from gunileo.errors import GunileoError
from gunileo.corpus.cache import Cache
from gunileo.corpus.prepare import prepare
from gunileo.training.config import TrainingConfig
from gunileo.training.train import train
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    corpus, folder = sys.argv[1], Path(sys.argv[2])
    print(prepare(find_corpus(corpus).utterances[:3], folder / "cache", workers=1).done)
    cache = Cache(folder / "cache")
    settings = TrainingConfig(epochs=1, batch_size=2, channels=(2, 2, 2), precision="32-true", workers=1, device="cpu")
    try:
        train(cache, cache.utterances[:2], cache.utterances[2:], folder / "run", settings)
    except GunileoError as error:
        if "still blank" not in str(error):
            raise
"""


def test_processes_that_begin_anew_and_text_in_no_system_s_encoding(synthetic_corpus: Path, tmp_path: Path) -> None:
    """macOS and Windows begin processes by importing, not by copying; Windows reads text in another encoding.

    Every text file that gunileo opens without an encoding of its own would be told of here.
    """
    (tmp_path / "script.py").write_text(SPAWNED)
    strict = ["-X", "warn_default_encoding"]
    command = [sys.executable, *strict, str(tmp_path / "script.py"), str(synthetic_corpus), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3\n")
    assert not re.findall(r"gunileo[/\\][\w/\\]+\.py:\d+: EncodingWarning", done.stderr)
    assert (tmp_path / "run" / "model.onnx").exists()
