"""The sections of a report's page, from the results that ``report.json`` holds; empty where there is nothing to show.

Every metric is looked up by its path, keys joined by slashes, and says so in ``data-metric``.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from gunileo.evaluation import charts
from gunileo.evaluation.evaluate import WAYS
from gunileo.evaluation.html import marked, strip, uri
from gunileo.evaluation.metrics import Bin
from gunileo.vision.crop import Crops
from gunileo.vision.image import to_jpeg
from gunileo.vision.video import FPS

Results = Mapping[str, Any]
_FORMS = {
    "share": lambda value: f"{100 * value:.1f} %",
    "bare": lambda value: f"{100 * value:.1f}",
    "count": lambda value: f"{value:,}",
    "time": lambda value: f"{1000 * value:.0f} ms",
    "plain": lambda value: f"{value:.3f}",
}
_DRAWN = ("grammar", "greedy")  # in the order of the charts' two colours
_KEY = (
    '<p class="key soft"><span style="background:var(--a);margin-left:0"></span>grammar'
    '<span style="background:var(--b)"></span>greedy</p>'
)
_KINDS = {"letters": "Letters", "digits": "Digits", "visemes": "Visemes, by their phones"}
_CALIBRATED = {
    True: "the model carries a calibration. It was learnt from clips held back from training, and from negatives of "
    "these. (An adapted model has that of the model that it was initialised from.) On those clips this section is a "
    "little too good. Of those that were read well, 1 %, rounded up to a whole clip, came out as not sure. "
    "<code>benchmarks/confidence.py</code> measures each clip by a calibration learnt from others.",
    False: "the model carries no calibration. Confidences are the decoder's own, and the model is always sure.",
}


def metric(results: Results, path: str, form: str) -> str:
    """One metric as ``form`` shows it; a dash where there is none."""
    value = _at(results, path)
    if value is None:
        return "-"
    return f'<data value="{value!r}" data-metric="{escape(path)}" data-form="{form}">{_FORMS[form](value)}</data>'


def rate(results: Results, path: str, name: str) -> tuple[str, str]:
    """A rate of the score at ``path``, and its interval; one clip alone has none."""
    score = _at(results, path)
    value = metric(results, f"{path}/slots/{name}" if name in score["slots"] else f"{path}/{name}", "share")
    return value, _interval(results, f"{path}/intervals/{name}") if score["clips"] > 1 else ""


def _at(results: Results, path: str) -> Any:
    value: Any = results
    for key in path.split("/"):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _interval(results: Results, path: str, form: str = "bare") -> str:
    return f"<small>({metric(results, f'{path}/0', form)}-{metric(results, f'{path}/1', form)})</small>"


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "".join(f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def rates(results: Results) -> str:
    """All rates by way to decode, and a chart of the slots."""
    scores = results["scores"]
    rows = [("word error rate", "wer"), ("character error rate", "cer"), ("sentences right", "sentence_accuracy")]
    slots = list(scores["grammar"]["slots"])
    rows += [(f"{slot} right", slot) for slot in slots]
    table = _table(
        ["", *WAYS], [[text, *("".join(rate(results, f"scores/{how}", name)) for how in WAYS)] for text, name in rows]
    )
    sentences = "those that were given" if results["own_grammar"] else "GRID's 64,000 sentences"
    text = f"<p>Greedy decoding gives what the network spells. The grammar gives the likeliest of {sentences}.</p>"
    if not slots and results["own_grammar"]:
        return text + table
    if not slots:
        return (
            f"{text}<p>No clip says one of these, so the grammar can't read them. Look at the greedy rates.</p>{table}"
        )
    series = [
        (slot, [(scores[how]["slots"][slot], scores[how]["intervals"][slot]) for how in _DRAWN]) for slot in slots
    ]
    chart = charts.intervals(series, 1.0, "words right in each slot")
    return (
        f'{text}<div class="pair">{table}<figure>{_KEY}{chart}'
        "<figcaption>Words right in each slot of the sentence.</figcaption></figure></div>"
    )


def speakers(results: Results) -> str:
    """Word error rates of each speaker."""
    found = results["speakers"]
    if not found:
        return ""
    rows = [
        [
            escape(name) or "-",
            metric(results, f"speakers/{name}/grammar/clips", "count"),
            *("".join(rate(results, f"speakers/{name}/{how}", "wer")) for how in WAYS),
        ]
        for name in found
    ]
    high = max(1.0, *(one[how]["wer"] for one in found.values() for how in WAYS))
    series = [(name, [(of[how]["wer"], of[how]["intervals"]["wer"]) for how in _DRAWN]) for name, of in found.items()]
    return (
        "<p>Word error rates of each speaker. Intervals are over a speaker's clips; one clip alone has none.</p>"
        f'<div class="pair">{_table(["speaker", "clips", *WAYS], rows)}'
        f"<figure>{_KEY}{charts.intervals(series, high, 'word error rate of each speaker')}</figure></div>"
    )


def confusions(results: Results) -> str:
    """Matrices of letters, digits and visemes."""
    shown = {how: _matrices(results, how) for how in _DRAWN}
    if not shown["grammar"]:
        return ""
    return (
        "<p>Rows are what was said, columns what was read. <i>else</i> is anything else, or nothing. A viseme is a "
        "group of sounds that look alike on lips. Nobody can tell its sounds apart by looking. Visemes are counted "
        f"over all words.</p>{shown['grammar']}"
        f"<details><summary>The same, read greedily</summary>{shown['greedy']}</details>"
    )


def _matrices(results: Results, how: str) -> str:
    found = results["matrices"][how]
    shown = {
        kind: f'<figure><h3>{title}</h3><div class="scroll">'
        + charts.matrix(found[kind]["labels"], found[kind]["counts"], title, f"matrices/{how}/{kind}/counts")
        + "</div></figure>"
        for kind, title in _KINDS.items()
        if any(map(any, found[kind]["counts"]))
    }
    if not shown:
        return ""
    alike, wrong = (metric(results, f"alike/{how}/{name}", "count") for name in ("alike", "wrong"))
    letters = shown.pop("letters", "")
    return (
        f"<p>{wrong} words of GRID were read as another one. {alike} of these have the same visemes.</p>"
        f'{letters}<div class="pair">{"".join(shown.values())}</div>'
    )


def confidence(results: Results) -> str:
    """Reliability diagrams, and what being sure is worth."""
    shown = ""
    for how in _DRAWN:
        for kind, found in results["reliability"][how].items():
            error = metric(results, f"reliability/{how}/{kind}/error", "plain")
            readings = metric(results, f"reliability/{how}/{kind}/readings", "count")
            bins = [Bin(**one) for one in found["bins"]]
            shown += (
                f"<figure><h3>{kind.capitalize()}, {how}</h3>{charts.reliability(bins, f'{kind}, {how}')}"
                f"<figcaption>ECE {error}, {readings} readings</figcaption></figure>"
            )
    rows = [
        [
            how,
            metric(results, f"sureness/{how}/unsure_share", "share")
            + _interval(results, f"sureness/{how}/unsure_interval"),
            *(metric(results, f"sureness/{how}/{name}", "share") for name in ("wer_sure", "wer_unsure")),
        ]
        for how in WAYS
    ]
    return (
        "<p>Confidences are good if 80 % of all that is read with 80 % confidence is right. Then the bars end on the "
        "dashed line. Red shows how many too few were right, and pale how many more were right than the confidence "
        "says. The grey bars below show the number of readings. The expected calibration error (ECE) is the mean of "
        "the red and pale parts.</p>"
        f'<div class="pair four">{shown}</div><h3>Readings and guesses</h3>{_calibrated(results)}'
        f"{_table(['', 'not sure of', 'words wrong where sure', 'where not sure'], rows)}{_negatives(results)}"
    )


def _calibrated(results: Results) -> str:
    """Which ways to decode have calibrated confidences; GRID's grammar has none where the clips say other sentences."""
    ways = {kind: [how for how in WAYS if (how in results["calibrated"]) == kind] for kind in (True, False)}
    return "".join(f"<p>Read by {' and '.join(ways[kind])}, {_CALIBRATED[kind]}</p>" for kind in ways if ways[kind])


def _negatives(results: Results) -> str:
    rows = [
        [
            escape(one["kind"]),
            metric(results, f"negatives/{number}/clips", "count"),
            metric(results, f"negatives/{number}/unsure", "share"),
            metric(results, f"negatives/{number}/rejected", "share"),
        ]
        for number, one in enumerate(results["negatives"])
    ]
    if not rows:
        return ""
    return (
        "<p>Negatives are made of these clips, so that nothing in them can be read. All are read with the grammar. "
        "<i>Rejected</i> is the share of them with a low confidence: lower than that of the clips that were read well "
        "(four fifths of their words or more), except the lowest 1 % of these, rounded up to a whole clip. Speakers "
        "that the model never saw are negatives too. If there are any, the table above counts them.</p>"
        + _table(["negative", "clips", "not sure of", "rejected"], rows)
    )


def times(results: Results) -> str:
    """How far word times are off."""
    found = results["word_times"]
    if found is None:
        return ""
    rows = [
        [slot, *(metric(results, f"word_times/slots/{slot}/{side}", "time") for side in (0, 1))]
        for slot in found["slots"]
    ]
    rows.append(["all", *(metric(results, f"word_times/{side}", "time") for side in ("start", "end"))])
    return (
        "<p>The starts and ends of words, read with the grammar, differ from those of the corpus by "
        f"{metric(results, 'word_times/both', 'time')} {_interval(results, 'word_times/interval', 'time')} on average "
        f"over {metric(results, 'word_times/words', 'count')} words. A frame takes {1000 // FPS} ms. "
        "A model learns its timing from its validation clips. On those the figures are a little too good.</p>"
        + _table(["", "starts off by", "ends off by"], rows)
    )


def worst(results: Results, crops: Mapping[str, Crops]) -> str:
    """The worst clips: mouths, and said beside read."""
    shown = "".join(_clip(results, number, crops[one["id"]]) for number, one in enumerate(results["worst"]))
    if not shown:
        return "<p>No word of any clip was read wrong.</p>"
    return "<p>Sorted by words wrong with the grammar, then by words wrong greedily, then by confidence.</p>" + shown


def _clip(results: Results, number: int, crops: Crops) -> str:
    one, path = results["worst"][number], f"worst/{number}"
    picture = uri(strip(crops), "image/jpeg")
    read = {"said": escape(one["said"]), **{how: marked(one["said"], one[how]) or "-" for how in _DRAWN}}
    rows = "".join(f"<tr><th>{how}</th><td>{text}</td></tr>" for how, text in read.items())
    wrong, sure = metric(results, f"{path}/words_wrong", "count"), metric(results, f"{path}/confidence", "share")
    return (
        f'<div class="clip"><p><b>{escape(one["id"])}</b> <span class="soft">words wrong with the grammar: {wrong}; '
        f"confidence {sure}{'' if one['sure'] else ', not sure'}</span></p>"
        f'<div class="scroll"><img alt="mouth crops of {escape(one["id"])}" src="{picture}">'
        f"</div><table>{rows}</table></div>"
    )


def explained(results: Results, crops: Mapping[str, Crops]) -> str:
    """Which pieces of a clip spoke for a word that was read."""
    shown = "".join(_word(results, number, crops[one["id"]]) for number, one in enumerate(results["explained"]))
    if not shown:
        return ""
    return (
        "<p>Pieces of the mouth were covered, four frames at a time, and the clip was read again. "
        '<b style="color:var(--for)">Orange</b> pieces spoke for the word: without them its log-odds against the other '
        'words of its slot fall. <b style="color:var(--against)">Blue</b> pieces spoke against it. The bars are for '
        "whole frames, with the time when they begin and the fall in nats. This shows what the network relies on. "
        f"There may be more to see.</p>{shown}"
    )


def _word(results: Results, number: int, crops: Crops) -> str:
    one, path = results["explained"][number], f"explained/{number}"
    found = one["saliency"]
    middles = [crops[(first + last - 1) // 2] for first, last in found["windows"]]
    pictures = [uri(to_jpeg(crop), "image/jpeg") for crop in middles]
    begins = [f"{first / FPS:.2f} s" for first, _ in found["windows"]]
    what = "as was said" if one["read"] == one["said"] else f"but <i>{escape(one['said'])}</i> was said"
    chart = charts.covered(pictures, begins, found["frames"], found["patches"], f"what spoke for {one['read']}")
    start, end = (metric(results, f"{path}/{side}", "time") for side in ("start", "end"))
    sure, odds = metric(results, f"{path}/confidence", "share"), metric(results, f"{path}/saliency/odds", "plain")
    return (
        f'<figure class="word"><h3>{one["slot"].capitalize()} read as <i>{escape(one["read"])}</i>, {what}</h3>'
        f'<div class="scroll">{chart}</div><figcaption>{escape(one["id"])}, {start} to {end}; '
        f"confidence {sure}, log-odds {odds}</figcaption></figure>"
    )
