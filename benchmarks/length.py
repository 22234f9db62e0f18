"""Measure the reading of long videos: python benchmarks/length.py [--clip FILE] [--minutes 1 10 60] [--model M]

Each is made of one clip, repeated without being coded again, and read as a stream by a process of its own. Prints a row
a length: seconds for each minute of video, the highest resident memory, sentences read, and how many of them are as
the clip alone is read. Keeps to two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from speed import CODE, keep_to_two

from gunileo.corpus.synthetic import make_corpus
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.registry import DEFAULT

_READ = """
import json, resource, sys, time
from gunileo.inference.load import load_model
begun = time.perf_counter()
texts = [sentence.text for sentence in load_model(sys.argv[2]).stream(sys.argv[1])]
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([texts, seconds, peak]))
"""


def main() -> None:
    """Make, read and measure one length after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="video of one sentence; a synthetic one if left out")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.05, 1, 10, 60])
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    arguments = parser.parse_args()
    keep_to_two()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            clip = arguments.clip or make_corpus(folder / "corpus", [CODE])[0]
            alone = load_model(arguments.model).transcribe(clip).text
        except GunileoError as error:
            raise SystemExit(str(error)) from None
        print(
            "| minutes | seconds a minute | memory | sentences | as the clip alone |\n|---|---|---|---|---|", flush=True
        )
        for minutes in arguments.minutes:
            video = folder / "long.mkv"
            length = repeat(clip, video, 60 * minutes) / 60
            texts, seconds, peak = read(video, arguments.model)
            cells = [f"{length:.2f}", f"{seconds / length:.2f}", f"{peak / 1e6:.0f} MB", str(len(texts))]
            print(f"| {' | '.join([*cells, str(texts.count(alone))])} |", flush=True)


def repeat(clip: Path, video: Path, seconds: float) -> float:
    """Write ``clip`` again and again until the video is about so long; returns its seconds."""
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        rate = stream.average_rate or Fraction(25)
        assert stream.time_base
        tick = round(1 / (rate * stream.time_base))
        times = max(1, round(seconds * rate / len(packets)))
        with av.open(str(video), "w") as target:
            copy = target.add_stream_from_template(stream)
            for number in range(times * len(packets)):
                packet = av.Packet(bytes(packets[number % len(packets)]))
                packet.stream, packet.time_base = copy, stream.time_base
                packet.pts = packet.dts = number * tick
                packet.is_keyframe = packets[number % len(packets)].is_keyframe
                target.mux(packet)
    return float(times * len(packets) / rate)


def read(video: Path, model: str) -> tuple[list[str], float, float]:
    """Texts, seconds and bytes of memory of a process that reads a video."""
    done = subprocess.run([sys.executable, "-c", _READ, video, model], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    texts, seconds, peak = json.loads(done.stdout)
    return texts, seconds, peak


if __name__ == "__main__":
    main()
