"""An evaluation as one HTML page that loads nothing from anywhere, and its results as JSON beside it.

Every metric on the page is taken from that JSON by its path, and says so in ``data-metric``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from gunileo.corpus.cache import Cache
from gunileo.evaluation import charts, sections
from gunileo.evaluation.analysis import Results
from gunileo.util.files import write_whole
from gunileo.vision.crop import Crops

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2126; --soft: #5b6670; --line: #c9d0d6; --card: #f5f7f8;
 --a: #0b6e8a; --b: #b4691f; --bad: #c2384a; --for: #d9480f; --against: #1864ab }
@media (prefers-color-scheme: dark) { :root { --paper: #14181b; --ink: #e4e8ea; --soft: #9aa5ad; --line: #465058;
 --card: #1d2327; --a: #4cb4d2; --b: #e09a52; --bad: #f0707f; --for: #ff8a4c; --against: #5fa8e8 } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
 margin: 2rem auto 4rem; padding: 0 1rem }
h1 { line-height: 1.2; margin-bottom: .3rem } h2 { margin: 3rem 0 .6rem } h3 { margin: 1.4rem 0 .4rem; font-size: 1rem }
p { max-width: 46rem } .soft, figcaption, small { color: var(--soft) } a { color: var(--a) }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 1rem 0 }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin: 1.2rem 0 }
.card { background: var(--card); border-radius: 8px; padding: .9rem 1.1rem }
.card b { display: block; font-size: 2rem; line-height: 1.25; font-variant-numeric: tabular-nums }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.5rem 2rem }
.four { grid-template-columns: repeat(auto-fit, minmax(min(100%, 13.5rem), 1fr)) } figure { max-width: 42rem }
figure { margin: 0 } .scroll { overflow-x: auto; padding-bottom: .3rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .28rem 1.1rem .28rem 0; white-space: nowrap; vertical-align: top }
th { font-weight: 600 } thead th { border-bottom: 1px solid var(--line) } td small { display: block }
small { white-space: nowrap; font-size: .78em }
@media (max-width: 34rem) { th { white-space: normal } th, td { padding-right: .7rem } }
.clip { border-top: 1px solid var(--line); padding: .9rem 0 } .clip th { font-weight: 400; color: var(--soft) }
.clip td { white-space: normal } .clip img { display: block; min-width: 40rem; width: 100%; border-radius: 4px }
.key span { display: inline-block; width: .8rem; height: .8rem; border-radius: 50%; margin: 0 .35rem 0 1rem }
mark { background: color-mix(in srgb, var(--bad) 20%, transparent); color: inherit;
 text-decoration: underline var(--bad) } details { margin: .8rem 0 } summary { cursor: pointer; color: var(--a) }
"""


def write_report(results: Results, cache: Cache, folder: Path) -> None:
    """Write ``folder/index.html`` and ``folder/report.json``.

    Loads the clips that the page shows from ``cache``. Raises ``CacheError`` if one can't be, ``FileError`` if the
    place can't be written to.
    """
    names = {*(one.id for one in results.worst), *(one.id for one in results.explained)}
    loaded = {entry.id: cache.crops(entry) for entry in cache.utterances if entry.id in names}
    content = json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / "report.json", content)
    write_whole(folder / "index.html", page(json.loads(content), loaded))


def page(results: Mapping[str, Any], crops: Mapping[str, Crops]) -> str:
    """The page of what ``report.json`` holds, with mouth crops, uint8 [T, 100, 150], by their clips' ids."""
    parts = {
        "Error rates": sections.rates(results),
        "Speakers": sections.speakers(results),
        "What is taken for what": sections.confusions(results),
        "Confidence": sections.confidence(results),
        "Word times": sections.times(results),
        "The worst clips": sections.worst(results, crops),
        "What moved a decision": sections.explained(results, crops),
        "How it was measured": _method(results),
    }
    parts = {title: content for title, content in parts.items() if content}
    anchors = {title: title.lower().replace(" ", "-") for title in parts}
    links = "".join(f'<a href="#{anchors[title]}">{title}</a>' for title in parts)
    body = "".join(f'<section id="{anchors[title]}"><h2>{title}</h2>{text}</section>' for title, text in parts.items())
    model = escape(results["model"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>How well {model} reads lips</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{charts.STYLE}</style></head><body><h1>How well <i>{model}</i> reads lips</h1>"
        f'<p class="soft">{sections.metric(results, "clips", "count")} clips of <code>{escape(results["cache"])}</code>'
        f". Brackets and whiskers are 95 % intervals.</p><nav>{links}</nav>{_headline(results)}{body}</body></html>\n"
    )


def _headline(results: Mapping[str, Any]) -> str:
    cards = [
        ("grammar", "wer", "of the words wrong, with the grammar"),
        ("greedy", "wer", "of the words wrong, greedy"),
        ("grammar", "sentence_accuracy", "of the sentences right, with the grammar"),
    ]
    shown = ""
    for how, name, text in cards:
        value, interval = sections.rate(results, f"scores/{how}", name)
        shown += f'<div class="card"><b>{value}</b>{text} {interval}</div>'
    return f'<div class="cards">{shown}</div>'


def _method(results: Mapping[str, Any]) -> str:
    draws, bins = (sections.metric(results, f"method/{name}", "count") for name in ("draws", "bins"))
    unread = ", ".join(escape(name) for name in results["unread"])
    short = f"<p>Too short to decode, counted as nothing read: {unread}.</p>" if unread else ""
    return (
        f"{short}<p>Intervals: as many clips as there are were drawn with replacement {draws} times. The intervals go "
        "from the 2.5th to the 97.5th percentile of the rates (M. Bisani, H. Ney, <i>Bootstrap estimates for "
        "confidence intervals in ASR performance evaluation</i>, ICASSP 2004). They say what other clips of the "
        "same speakers would give, and nothing about other speakers. A rate of no errors has no width: if none of "
        "<i>n</i> clips has an error, the true rate may still be up to 3/<i>n</i>.</p>"
        f"<p>Calibration: {bins} equal bins (C. Guo, G. Pleiss, Y. Sun, K. Weinberger, <i>On calibration of modern "
        "neural networks</i>, ICML 2017). Visemes: C. Neti et al., <i>Audio-visual speech recognition</i>, Johns "
        "Hopkins University, 2000. Covering: M. Zeiler, R. Fergus, <i>Visualizing and understanding convolutional "
        "networks</i>, ECCV 2014.</p>"
        "<p>All results, by the same names, are in <code>report.json</code> beside this page.</p>"
    )
