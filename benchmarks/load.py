"""Put a server under load: python benchmarks/load.py [--requests 200] [--clients 50]

Starts ``gunileo serve``, sends it good clips and bad files of every kind from many clients at once, and prints what
came back: whether every request was answered as it should be, how often the server asked to come again later, seconds
for an answer, its memory after a few requests and after all, and the files it left. The exit code is 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from gunileo.corpus.synthetic import speak
from gunileo.inference.load import load_model
from gunileo.vision.video import write_video

_GROWTH = 64 * 2**20  # bytes that memory may differ by and still be flat
_PATIENCE = 600  # seconds that a client keeps coming again


@dataclass(frozen=True)
class Case:
    """What a client sends, and what must come back."""

    name: str
    content: bytes
    status: int
    answer: str  # text that the answer holds


@dataclass(frozen=True)
class Outcome:
    """What came back for so many requests."""

    wrong: list[str]  # a line each
    answered: Counter[str]  # by case
    later: int  # times that a client was told to come again
    seconds: list[float]  # until each was answered, coming again included
    memory: tuple[int, int] | None  # bytes resident after a few requests and after all, where Linux tells
    left: list[str]  # files

    @property
    def flat(self) -> bool:
        """Whether memory stayed as it was."""
        return self.memory is None or self.memory[1] - self.memory[0] < _GROWTH


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=50)
    arguments = parser.parse_args()
    outcome = load(arguments.requests, arguments.clients)
    for name, count in sorted(outcome.answered.items()):
        print(f"{name:20} {count:4} answered")
    spent = np.array(outcome.seconds)
    print(f"wrong {len(outcome.wrong)}, told to come again {outcome.later} times, files left {len(outcome.left)}")
    print(f"seconds to an answer: median {np.median(spent):.1f}, longest {spent.max():.1f}")
    if outcome.memory:
        few, all_ = (amount / 2**20 for amount in outcome.memory)
        print(f"resident memory: {few:.0f} MB after a few, {all_:.0f} MB after all")
    for line in [*outcome.wrong, *outcome.left]:
        print(line, file=sys.stderr)
    sys.exit(bool(outcome.wrong or outcome.left or not outcome.flat))


def load(requests: int, clients: int) -> Outcome:
    """Send so many requests from so many clients at once."""
    with TemporaryDirectory() as folder:
        cases = made(Path(folder))
        order = [cases[number % len(cases)] for number in range(requests)]
        random.Random(0).shuffle(order)
        with served(Path(folder, "tmp")) as (address, server), ThreadPoolExecutor(clients) as pool:
            done = [sent(address, case) for case in cases]  # a few, so that all that stays loaded is loaded
            few = resident(server)
            done += pool.map(lambda case: sent(address, case), order)
            cut_off(address, cases[0])
            memory = resident(server)
            for _ in range(300):  # the server finds that the last client is gone
                left = [str(path) for path in Path(folder, "tmp").glob("*/*")]
                if not left:
                    break
                time.sleep(0.1)
        left += [str(path) for path in Path(folder, "tmp").iterdir()]
    wrong = [line for line, _, _, _ in done if line]
    answered = Counter(case.name for _, case, _, _ in done)
    both = (few, memory) if few and memory else None
    return Outcome(wrong, answered, sum(again for *_, again, _ in done), [spent for *_, spent in done], both, left)


def made(folder: Path) -> list[Case]:
    """Good clips and bad files."""
    frames = speak("bbaf2n")[0]
    reader = load_model()
    cases = []
    for name, clip in (("good", frames), ("good backwards", frames[::-1])):
        write_video(folder / "clip.mp4", clip)
        text = reader.transcribe(folder / "clip.mp4").text
        cases.append(Case(name, (folder / "clip.mp4").read_bytes(), 200, f'"text": "{text}"'))
    whole = cases[0].content
    write_video(folder / "clip.mp4", np.zeros_like(frames[:25]))
    black = (folder / "clip.mp4").read_bytes()
    write_video(folder / "clip.mp4", frames[:2])
    brief = (folder / "clip.mp4").read_bytes()
    noise = random.Random(1).randbytes(len(whole))
    return [
        *cases,
        Case("empty", b"", 422, "clip.mp4"),
        Case("text", b"a letter and no film\n" * 1000, 422, "not a video"),
        Case("noise", noise, 422, "not a video"),
        Case("truncated", whole[: len(whole) // 2], 422, "clip.mp4"),
        Case(
            "torn", whole[: len(whole) // 3] + noise[: len(whole) // 3] + whole[len(whole) * 2 // 3 :], 422, "clip.mp4"
        ),
        Case("black", black, 422, "no face found"),
        Case("brief", brief, 422, "only 2 frame"),
        Case("list of files", b"ffconcat version 1.0\nfile /etc/hosts\n", 422, "not a video"),
    ]


def sent(address: str, case: Case) -> tuple[str, Case, int, float]:
    """What is wrong with the answer to a case, how often it was asked to come again, and seconds until it came."""
    begun, again = time.monotonic(), 0
    while True:
        try:
            answer = httpx.post(
                f"{address}v1/transcribe", files={"file": ("clip.mp4", case.content)}, timeout=_PATIENCE
            )
        except httpx.HTTPError as error:
            return f"{case.name}: no answer ({error!r})", case, again, time.monotonic() - begun
        if answer.status_code != 503 or time.monotonic() - begun > _PATIENCE:
            break
        again += 1
        time.sleep(float(answer.headers["Retry-After"]) * random.uniform(0.5, 1))
    right = answer.status_code == case.status and case.answer in answer.text
    wrong = "" if right else f"{case.name}: {answer.status_code} {answer.text[:200]}"
    return wrong, case, again, time.monotonic() - begun


def cut_off(address: str, case: Case) -> None:
    """Clients that go away in the middle of a file."""

    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n'
        yield case.content[: len(case.content) // 2]
        raise ConnectionError

    for _ in range(3):
        try:
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            httpx.post(f"{address}v1/transcribe", content=half(), headers=headers)
        except ConnectionError:
            continue


@contextmanager
def served(temporary: Path) -> Iterator[tuple[str, int]]:
    """The address and the process of a server that keeps its files in a folder."""
    temporary.mkdir()
    command = [sys.executable, "-m", "gunileo", "serve", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(temporary), "GUNILEO_HOME": str(temporary / "home")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout
        found = re.match(r"http://\S+", server.stdout.readline())
        assert found, "the server tells its address"
        try:
            yield found[0], server.pid
        finally:
            server.terminate()


def resident(server: int) -> int | None:
    """Bytes of memory of a process and its children, where the system tells as Linux does."""
    if sys.platform != "linux":
        return None
    children = [pid for path in Path(f"/proc/{server}/task").glob("*/children") for pid in path.read_text().split()]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [server, *children])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
