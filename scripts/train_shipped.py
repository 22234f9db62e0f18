"""Train the default model, labial-shape, and print its figures: python scripts/train_shipped.py CACHE -o RUNS [--ship]

Its stages run one after the other, each in RUNS/NAME; the recipe (docs/recipe.md) tells why. A stage that was stopped
is gone on with. One that is finished isn't run again. Then the run without the speakers of grid_unseen_valid is
measured on them, and the last run on the held-back clips of known speakers. --ship puts the last run in the package.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from gunileo.inference.load import load_model

WITHOUT = ["--split", "grid_unseen_valid", "--leave-out", "grid_known_valid"]
STAGES = {  # run: what it goes on from, options of gunileo train
    "unseen-1": ("labial-wide", ["--architecture", "labial-shape", *WITHOUT]),
    "unseen-2": ("unseen-1", WITHOUT),
    "unseen": ("unseen-2", [*WITHOUT, "--seed", "1"]),
    "all": ("unseen", ["--split", "grid_known_valid", "--epochs", "4", "--learning-rate", "5e-4", "--seed", "2"]),
}


def main() -> None:
    """Run each stage, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, help="videos prepared, and shapes added by scripts/geometry_cache.py")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUNS", help="folder for the runs")
    parser.add_argument("--ship", action="store_true", help="put the last run in the package, too")
    arguments = parser.parse_args()
    cache, runs = str(arguments.cache), arguments.output

    for name, (initial, options) in STAGES.items():
        train(cache, runs / name, str(runs / initial) if initial in STAGES else initial, options)
    evaluate = ["-m", "gunileo", "evaluate", cache]
    call(*evaluate, "--model", str(runs / "unseen"), "--split", "grid_unseen_valid")
    call(*evaluate, "--model", str(runs / "all"), "--split", "grid_known_valid")
    if arguments.ship:
        call(
            *(str(Path(__file__).with_name("ship.py")), str(runs / "all"), cache, "--name", "labial-shape"),
            *("--only", "", "--split", "grid_known_valid", "--unseen", str(runs / "unseen")),
        )


def train(cache: str, run: Path, initial: str, options: list[str]) -> None:
    """One stage, if it isn't finished."""
    if (run / "model.onnx").exists() and load_model(run).calibrations:  # which come last
        print(f"{run} is finished", flush=True)
        return
    going_on = ["--resume"] if (run / "last.ckpt").exists() else []
    call("-m", "gunileo", "train", cache, "-o", str(run), "--init", initial, *options, *going_on)


def call(*arguments: str) -> None:
    """Run Python with these; end with its exit code if it fails."""
    print("$ python " + " ".join(argument or "''" for argument in arguments), flush=True)
    if code := subprocess.run([sys.executable, *arguments], check=False).returncode:
        raise SystemExit(code)


if __name__ == "__main__":
    main()
