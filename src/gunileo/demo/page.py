"""The demo's page: one HTML file with its pictures inside."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from gunileo.evaluation.html import marked, strip, uri
from gunileo.evaluation.metrics import cer

if TYPE_CHECKING:
    from gunileo.demo.result import Reading, Result

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .8rem .25rem 0; vertical-align: top }
.clip { border-top: 1px solid #8886; padding: .8rem 0 }
.clip img, .curve { width: 100%; height: auto; border-radius: 4px }
.rates { display: flex; flex-wrap: wrap; gap: 2.5rem; margin: 1rem 0 }
.rates b { display: block; font-size: 2rem; line-height: 1.2 }
.curve { max-width: 44rem; background: #fff }
video { border-radius: 6px; width: 360px; max-width: 100% }
mark { background: #d3394a33; color: inherit; text-decoration: underline #d3394a }
code { font-size: 1.05em }
"""


def write_page(result: Result, path: Path) -> None:
    """Write what a demo did as one HTML file that loads nothing from anywhere."""
    counts, first = result.counts, result.readings[0]
    rates = [("greedy", result.rate("greedy")), ("with GRID's grammar", result.rate("grammar"))]
    shown = "".join(f"<div><b>{rate:.1%}</b>of the words wrong, {how}</div>" for how, rate in rates)
    shown += f"<div><b>{result.rate('greedy', cer):.1%}</b>of the letters wrong, greedy</div>"
    times = "".join(f"<tr><td>{escape(what)}<td>{spent:.0f} s" for what, spent in result.seconds.items())
    clips = "".join(_clip(reading) for reading in result.readings)
    path.write_text(
        f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Gunileo: the demo</title>
<style>{_STYLE}</style>
<h1>Sentences read from lips alone</h1>
<p>This network has just learned to read the lips of an animated photograph. Below are
{len(result.readings)} clips, read from their video files. Their sentences were used neither in training nor to choose
the best epoch.</p>
<video autoplay loop muted playsinline controls src="{uri(first.video.read_bytes(), "video/mp4")}"></video>
<p>It says <i>{escape(first.said)}</i>.</p>
<div class="rates">{shown}</div>
<h2>What this shows, and what it doesn't</h2>
<p>The face is one public-domain portrait (NASA's of Eileen Collins, from scikit-image), moved by rules from the
phones of each word. The clips are sentences in GRID's grammar with 17 of its 51 words, two or three in each slot. A
random guess gets nearly two words of three wrong. All else is real: {sum(counts)} video files, face tracking,
mouth crops, {result.settings.epochs} epochs of LabialCNN on {counts.training} clips ({counts.validation} more to
choose the best epoch), export to ONNX, and reading with the same engine as <code>gunileo transcribe</code>. It shows
that the parts work together. It says nothing about real people: this network can't read them. <code>gunileo
models</code> lists the models that can.</p>
<h2>Every unseen sentence</h2>
<p>Greedy decoding gives what the network spells. The grammar gives the likeliest of GRID's 64,000 sentences. Errors are
<mark>marked</mark>.</p>
{clips}
<h2>Learning</h2>
<img class="curve" alt="learning curve: loss and error rates by epoch" src="{uri(result.curve, "image/png")}">
<h2>Time</h2><table style="width:auto">{times}</table></html>
""",
        encoding="utf-8",
    )


def _clip(reading: Reading) -> str:
    rows = "".join(
        f"<tr><th>{how}<td>{text}"
        for how, text in (
            ("said", escape(reading.said)),
            ("greedy", marked(reading.said, reading.greedy)),
            ("grammar", marked(reading.said, reading.grammar)),
        )
    )
    picture = uri(strip(reading.crops), "image/jpeg")
    return (
        f'<div class="clip"><img alt="mouth crops of {escape(reading.video.name)}" src="{picture}">'
        f'<table style="width:auto">{rows}</table></div>'
    )
