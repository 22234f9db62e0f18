"""The whole job on a portrait that a dependency ships: make a corpus, prepare it, train, read unseen clips."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import find_grid
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import draw_codes, make_corpus
from gunileo.demo.page import write_page
from gunileo.demo.result import Counts, Reading, Result
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.training.augmentation import Augmentation
from gunileo.training.config import TrainingConfig
from gunileo.training.train import train
from gunileo.util.cores import usable_cores
from gunileo.util.interrupt import undisturbed
from gunileo.util.progress import progress
from gunileo.vision.mouth import read_mouth

# 486 sentences: few words enough to be learned in two minutes, more sentences than can be learned by heart.
SLOTS = (
    ("bin", "set"),
    ("blue", "green", "white"),
    ("at", "by", "with"),
    ("i", "m", "o"),
    ("two", "five", "six"),
    ("again", "now", "please"),
)
# One face in one light, seen from the front, needs less regularisation than people do.
SETTINGS = TrainingConfig(
    epochs=22,
    batch_size=6,
    learning_rate=3e-3,
    dropout=0.2,
    spans_at_end=0.4,  # spans are shorter: more steps in the same time
    feature_dropout=0.1,
    # one face, film after film in the same place and light
    augmentation=Augmentation(
        shift=4, mirror=False, rotation=0, scale=0, stretch=0, contrast=0, shade=0, speed=0, concatenation=0
    ),
    workers=0,
)
_MARK = ".gunileo-demo"  # in a folder that a demo made, and that the next one may clear
_CHUNK = 4  # clips that a process makes at a time


def run(folder: Path | str, counts: Counts | None = None, settings: TrainingConfig = SETTINGS) -> Result:
    """Make ``folder/demo.html``, and beside it the corpus, the cache and the run that it tells of.

    Takes under four minutes on two cores. Prints the page's path and the word error rates. A folder of an
    earlier demo is cleared first; raises ``GunileoError`` if ``folder`` holds anything else, and when the
    training did not learn to spell anything.
    """
    folder, result = Path(folder), Result(counts or Counts(), settings)
    _clear(folder)
    codes = draw_codes(sum(result.counts), slots=SLOTS)
    seen, unseen = codes[: -result.counts.test], codes[-result.counts.test :]
    with _timed(result, "making the clips"):
        _make(folder / "corpus", codes)
    with _timed(result, "finding the mouths"):
        cache = _prepare(folder)
    with _timed(result, "training"):
        clips = {utterance.id.rpartition("/")[2]: utterance for utterance in cache.utterances}
        training, validation = seen[: result.counts.training], seen[result.counts.training :]
        train(cache, [clips[code] for code in training], [clips[code] for code in validation], folder / "run", settings)
        result.curve = (folder / "run" / "curve.png").read_bytes()
    with _timed(result, "reading the unseen clips"):
        reader = load_model(folder / "run" / "model.onnx")
        result.readings = read_back(reader, [folder / "corpus" / "s1" / f"{code}.mp4" for code in unseen])
    write_page(result, folder / "demo.html")
    print(_ending(result, folder / "demo.html"))
    return result


def read_back(reader: Reader, videos: Sequence[Path]) -> list[Reading]:
    """Read video files named by their sentence's code, as a user would: from the file to the words."""
    readings = []
    for video in videos:
        clip = read_mouth(video)
        greedy = reader.transcribe_clip(clip, str(video), "greedy").text
        readings.append(Reading(video, clip.crops, code_to_text(video.stem), greedy, reader.transcribe(video).text))
    return readings


def _ending(result: Result, page: Path) -> str:
    lines = [f"\n{'said':34}{'read, greedy':34}read, grammar"]
    lines += [f"{reading.said:34}{reading.greedy:34}{reading.grammar}" for reading in result.readings]
    lines.append(
        f"\nword error rate on {len(result.readings)} unseen clips of the animated portrait: "
        f"{result.rate('greedy'):.1%} greedy, {result.rate('grammar'):.1%} with GRID's grammar"
    )
    lines.append(f"{page}  ({sum(result.seconds.values()):.0f} s)")
    return "\n".join(lines)


def _clear(folder: Path) -> None:
    """Make an empty folder, of nothing or of an earlier demo's."""
    if folder.exists() and not (folder / _MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GunileoError(f"{folder}: holds something other than a demo; name a new folder with -o")
    for name in ("corpus", "cache", "run"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "demo.html").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _make(folder: Path, codes: Sequence[str]) -> None:
    """The corpus, with all cores."""
    chunks = [codes[start : start + _CHUNK] for start in range(0, len(codes), _CHUNK)]
    with (
        progress("making the clips") as bar,
        ProcessPoolExecutor(usable_cores(), get_context("spawn"), _one_thread) as pool,
    ):
        done = 0
        with undisturbed():
            made = [pool.submit(make_corpus, folder, chunk) for chunk in chunks]
        try:
            for future in as_completed(made):
                done += len(future.result())
                bar(done, len(codes))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)  # as many processes as cores are there already


def _prepare(folder: Path) -> Cache:
    with progress("finding the mouths") as bar:
        report = prepare(find_grid(folder / "corpus").utterances, folder / "cache", progress=bar)
    if report.skipped:
        raise GunileoError(f"{folder}: {report.skipped[0][1]}")
    return Cache(folder / "cache")


@contextmanager
def _timed(result: Result, part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    result.seconds[part] = time.perf_counter() - start
