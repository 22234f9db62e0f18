"""Damage files of every kind that is read, read them in processes of their own, and count what becomes of them.

    python tests/faults/fuzz.py --labels 10000 --clips 2000 --models 1000

A file is read, or refused by one line that names it; anything else (a crash, another error, over ten seconds of a
processor, over a gigabyte) is a fault, printed with the seed and number that make the file again: --again KIND NUMBER.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

SECONDS, MEMORY = 10.0, 1 << 30  # that a file may take: processor's time, and bytes over what the process has before
LONGEST = 600.0  # seconds by the clock, for what waits for nothing; on a busy machine ten pass soon
FAULTS = ("crash", "hang", "memory", "other error", "unclear")
NUMBERS = [
    b"0",
    b"-1",
    b"1e308",
    b"nan",
    b"-0.0",
    b"1" + b"0" * 400,
    b"99999999999999999999",
    b"inf",
    b"null",
    b'""',
    b"",
]
LABELS = ("align", "phones", "text", "split", "grammar", "manifest", "marker", "receipts")
LABELS += ("lrs", "lab", "subtitles", "textgrid", "transcript")
ARRAYS = ("shape", "templates")


@dataclass(frozen=True)
class Kind:
    """A kind of file: good ones to damage, what reads one, and whether it is text."""

    seeds: list[tuple[str, bytes]]  # name and content
    read: Callable[[Path], object]
    text: bool = True


def damaged(content: bytes, text: bool, chance: random.Random) -> bytes:
    """The content with one to four faults in it."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        # Headers are where a file's fate is decided.
        at = min(at, chance.randrange(1, 400)) if not text and chance.random() < 0.5 else at
        span = min(len(data) - at, chance.choice((1, 2, 4, 8, 100, 10_000)))
        fault = chance.randrange(8)
        if fault == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif fault == 1:
            data[at : at + span] = chance.randbytes(span)
        elif fault == 2:
            del data[at : at + span]
        elif fault == 3:
            data[at:at] = data[at : at + span] * chance.choice((1, 2, 50))
        elif fault == 4:
            del data[at:]
        elif fault == 5:
            data[at : at + span] = chance.choice((b"\0", b"\xff", b"\x7f")) * span
        elif fault == 6 and text and (numbers := list(re.finditer(rb"-?\d+(\.\d+)?", data))):
            number = chance.choice(numbers)
            data[number.start() : number.end()] = chance.choice(NUMBERS)
        elif fault == 7 and text and (words := list(re.finditer(rb"\S+", data))):
            one, other = chance.choice(words), chance.choice(words)
            data[one.start() : one.end()] = bytes(data[other.start() : other.end()])
    return bytes(data)


def kinds(place: Path, names: set[str]) -> dict[str, Kind]:
    """The kinds that are asked for; heavy ones are imported and made only then."""
    found: dict[str, Kind] = {}
    if names & set(LABELS):
        found |= _labels() | _records(place)
    if names & set(ARRAYS):
        found |= _arrays(place)
    if "model" in names:
        found["model"] = _models(place)
    if "clip" in names:
        found["clip"] = _clips(place)
    return found


def _labels() -> dict[str, Kind]:
    from gunileo.corpus.labels import read_align, read_phones
    from gunileo.corpus.split import read_split
    from gunileo.corpus.transcripts import read_label, read_text
    from gunileo.decoding.grammar import Grammar
    from gunileo.output.transcript import Transcript, Word
    from gunileo.output.whisper import read_json, to_json
    from gunileo.output.writers import to_textgrid

    spoken = "0 12000 sil\n12000 18000 bin\n18000 24000 blue\n24000 30000 at\n30000 36000 f\n36000 42000 sp\n"
    phones = [{"phone": f"x_{place}", "offset": n / 10, "duration": 0.1} for n, place in enumerate("BIESBE")]
    rules = "# commands\n[please] turn (on|off) the [big] light\nstop (now|)\n(a|b|(c [d])) [e] f\n"
    cue = "1\n00:00:00,960 --> 00:00:02,040\n<i>bin</i> blue\n\n2\n00:00:03,000 --> 00:00:04,000\nat f two now\n"
    said = Transcript("a.mp4", "bin blue", (Word("bin", 0.5, 0.8, 0.9), Word("blue", 0.8, 1.0, 0.9)), 0.9, "labial")
    grid = to_textgrid(said)
    return {
        "align": _kind("a.align", spoken + "42000 50000 now\n", read_align),
        "phones": _kind("a.json", json.dumps({"s10_l_bbat9p": phones}), read_phones),
        "lrs": _kind(
            "a.txt", "Text:  BIN BLUE\nConf:  4\n\nWORD START END ASDSCORE\nBIN 0.5 0.8 1\nBLUE 0.8 1 2\n", read_label
        ),
        "lab": _kind("a.lab", "0 5000000 sil\n5000000 8000000 bin\n8000000 12000000 blue\n", read_label),
        "subtitles": Kind(
            [("a.srt", cue.encode()), ("a.vtt", f"WEBVTT\n\n{cue}".replace(",", ".").encode())], read_label
        ),
        "textgrid": Kind([("a.TextGrid", grid.encode()), ("b.TextGrid", grid.encode("utf-16"))], read_label),
        "transcript": _kind("a.json", to_json(said), read_json),
        "text": _kind("a.txt", "Bin blue at F two now, please!\n", read_text),
        "split": _kind("a.txt", "# a list\ns1/bbaf2n\ns2 # a speaker\nfront/s10_p_bbat9p\n", read_split),
        "grammar": _kind("a.txt", rules, Grammar.from_file),
    }


def _records(place: Path) -> dict[str, Kind]:
    """What caches and downloads keep of themselves."""
    from gunileo.corpus import download
    from gunileo.corpus.cache import Cache
    from gunileo.corpus.prepare import prepare

    entry = {"id": "s1/bbaf2n", "talker": "s1", "file": "s1/bbaf2n.png", "frames": 75, "text": "bin blue at f two now"}
    entry |= {"words": [["bin", 0.5, 1.0], ["blue", 1.0, 1.25]], "source": "/x.mpg", "bytes": 1, "mtime": 1.5}
    receipts = {"s1.zip": {"md5": "0" * 32, "talkers": ["s1"], "files": {"s1/bbaf2n.mpg": 1000}}}
    cache = place / "cache"
    prepare([], cache)

    def manifest(path: Path) -> object:
        path.rename(cache / "manifest.jsonl")
        opened = Cache(cache)
        inside = (cache.resolve() in (cache / clip.file).resolve().parents for clip in opened.utterances)
        assert all(inside), "a path leads out of the cache"
        assert all(isinstance(clip.speaker, str) and isinstance(clip.text, str) for clip in opened.utterances)
        assert all(word.start <= word.end for clip in opened.utterances for word in clip.words)
        return prepare([], cache)

    def marker(path: Path) -> object:
        other = place / "other"
        other.mkdir(exist_ok=True)
        path.rename(other / "cache.json")
        return Cache(other)

    def receipt(path: Path) -> object:
        path.rename(place / "downloaded.json")
        return download._receipts(place)

    return {
        "manifest": _kind("m.jsonl", (json.dumps(entry) + "\n") * 3, manifest),
        "marker": _kind("c.json", (cache / "cache.json").read_text(), marker),
        "receipts": _kind("d.json", json.dumps(receipts, indent=1), receipt),
    }


def _arrays(place: Path) -> dict[str, Kind]:
    import numpy as np

    from gunileo.corpus.cache import Cache, CachedUtterance, write_measures
    from gunileo.corpus.prepare import prepare
    from gunileo.inference import templates
    from gunileo.vision.mouth_shape import MEASURES

    cache = place / "cache"
    prepare([], cache)
    write_measures(cache, "good", np.ones((75, MEASURES), np.float32))
    templates.Templates(["go", "stop"], [np.ones((9, 4), np.float16)] * 2).save(place / "good.npz")

    def shape(path: Path) -> object:
        path.rename(cache / "a.npy")
        return Cache(cache).measures(CachedUtterance("a", "s1", 75, "bin", (), "a.png"))

    return {
        "shape": Kind([("a.npy", (cache / "good.npy").read_bytes())], shape, False),
        "templates": Kind([("a.npz", (place / "good.npz").read_bytes())], templates.load, False),
    }


def _kind(name: str, content: str, read: Callable[[Path], object]) -> Kind:
    return Kind([(name, content.encode())], read)


def _models(place: Path) -> Kind:
    import numpy as np
    import torch

    from gunileo.inference.load import load_model
    from gunileo.training.checkpoint import state_of
    from gunileo.training.export import export_onnx
    from gunileo.training.model import LabialCNN, ModelConfig
    from gunileo.training.weights import load_weights, save_model
    from gunileo.vision.mouth_clip import MouthClip
    from gunileo.vision.mouth_shape import MEASURES

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tiny = LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=4))
    save_model(tiny, place / "tiny.safetensors")
    export_onnx(tiny, place / "tiny.onnx")
    torch.save({"state_dict": tiny.state_dict(), "epoch": 1, "loops": {"fit": [1, 2.5, "x"]}}, place / "tiny.ckpt")
    clip = MouthClip(np.zeros((8, 100, 150), np.uint8), np.zeros((8, MEASURES), np.float32))

    def read(path: Path) -> object:
        if path.suffix != ".onnx":
            return {".safetensors": load_weights, ".ckpt": state_of}[path.suffix](path)
        return load_model(path).transcribe_clip(clip, str(path), "greedy")

    names = [f"tiny{suffix}" for suffix in (".safetensors", ".ckpt", ".onnx")]
    return Kind([(name, (place / name).read_bytes()) for name in names], read, False)


def _clips(place: Path) -> Kind:
    import clips

    from gunileo.vision.mouth import read_mouth

    names = [f"a{suffix}" for suffix in (".mp4", ".mov", ".webm", ".avi", ".mkv", ".mpg")]
    return Kind([(name, clips.coded(place / name, 12).read_bytes()) for name in names], read_mouth, False)


def outcome(kind: Kind, number: int, seed: int, place: Path) -> tuple[str, str]:
    """What becomes of one damaged file, and the line that is said about it."""
    from gunileo.errors import GunileoError

    chance = random.Random(f"{seed} {number}")
    name, content = chance.choice(kind.seeds)
    path = place / name
    path.write_bytes(damaged(content, kind.text, chance))
    try:
        kind.read(path)
    except GunileoError as error:
        said = str(error)
        return ("refused", said) if "\n" not in said and str(place) in said else ("unclear", repr(said))
    except MemoryError:
        return "memory", name
    except Exception as error:
        return "other error", repr(error)
    return "read", name


def child(name: str, seed: int, start: int, end: int) -> None:
    """Read damaged files from ``start`` up to ``end``; a line on standard output before and after each."""
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries say goes elsewhere
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kind = kinds(place, {name})[name]
        kind.read(_good(kind, place))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        talk.write(f"{start} 0 ready\n")
        for number in range(start, end):
            since = time.process_time()
            what, said = outcome(kind, number, seed, place)
            talk.write(
                f"{number} {time.process_time() - since:.2f} {what}\t{said.encode('unicode_escape').decode()[:300]}\n"
            )


def _good(kind: Kind, place: Path) -> Path:
    name, content = kind.seeds[0]
    (place / name).write_bytes(content)
    return place / name


def results(name: str, seed: int, count: int) -> Iterator[tuple[int, str, str, float]]:
    """Number, outcome, line and processor's seconds of each file, from children that are begun again where one ends."""
    start = 0
    while start < count:
        command = [sys.executable, __file__, "--child", name, str(seed), str(start), str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            assert process.stdout
            lines = _lines(process)
            if next(lines, None) is None:
                raise RuntimeError(f"the process that reads {name} files does not start")
            for line in lines:
                number, seconds, rest = line.split(" ", 2)
                what, _, said = rest.partition("\t")
                start = int(number) + 1
                yield int(number), "hang" if float(seconds) > SECONDS else what, said, float(seconds)
            hangs = process.poll() is None  # as it says nothing more
            process.kill()
            process.wait()
            if start < count:  # it ended, or was ended, at that file
                yield start, "hang" if hangs else "crash", f"exit code {process.returncode}", SECONDS if hangs else 0.0
                start += 1


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What a process says, until it ends or says nothing for too long."""
    from waiting import used

    assert process.stdout
    waiting = selectors.DefaultSelector()
    waiting.register(process.stdout, selectors.EVENT_READ)
    rest, patience = b"", 2 * LONGEST  # imports and seeds take a while
    spent, since = used(process.pid), time.monotonic()
    while time.monotonic() - since < patience:
        if waiting.select(SECONDS):
            block = os.read(process.stdout.fileno(), 1 << 16)
            if not block:
                process.wait()
                return
            *whole, rest = (rest + block).split(b"\n")
            yield from (line.decode() for line in whole)
            patience, spent, since = LONGEST, used(process.pid), time.monotonic()
        elif patience == LONGEST and used(process.pid) - spent > SECONDS:
            return


def fuzz(name: str, count: int, seed: int = 0) -> tuple[Counter[str], list[str], float]:
    """Outcomes of ``count`` damaged files of a kind, a line for each fault, and the longest time in seconds."""
    counts: Counter[str] = Counter()
    faults, longest = [], 0.0
    for number, what, said, seconds in results(name, seed, count):
        counts[what] += 1
        longest = max(longest, seconds)
        if what in FAULTS:
            faults.append(f"{name} {number} (seed {seed}): {what}: {said}")
    return counts, faults, longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=10_000, help="of labels, lists, grammars and manifests together")
    parser.add_argument("--arrays", type=int, default=2_000, help="of mouths' shapes and templates together")
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--models", type=int, default=1_000, help="of weights, checkpoints and ONNX files together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--again", nargs=2, metavar=("KIND", "NUMBER"), help="read one of the files here, with its traceback"
    )
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, *numbers = arguments.child
        return child(name, *map(int, numbers))
    if arguments.again:
        return again(arguments.again[0], int(arguments.again[1]), arguments.seed)
    faults: list[str] = []
    counts_of = dict.fromkeys(LABELS, -(-arguments.labels // len(LABELS)))
    counts_of |= dict.fromkeys(ARRAYS, -(-arguments.arrays // len(ARRAYS)))
    for name, count in {**counts_of, "clip": arguments.clips, "model": arguments.models}.items():
        if not count:
            continue
        counts, found, longest = fuzz(name, count, arguments.seed)
        faults += found
        told = ", ".join(f"{counts[what]} {what}" for what in ("read", "refused", *FAULTS) if counts[what])
        print(f"{name:10} {count:6} files: {told}; {longest:.1f} s of a processor at most", flush=True)
    print("\n".join(faults) or "no fault")
    return sys.exit(1 if faults else 0)


def again(name: str, number: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kind = kinds(Path(folder), {name})[name]
        chance = random.Random(f"{seed} {number}")
        file, content = chance.choice(kind.seeds)
        (Path(folder) / file).write_bytes(damaged(content, kind.text, chance))
        read: Any = kind.read(Path(folder) / file)
        print(f"read: {read!r:.300}")


if __name__ == "__main__":
    main()
