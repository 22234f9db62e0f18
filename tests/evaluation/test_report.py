"""The report: a page that holds all it shows, with every metric as in its JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from readings import SAID, clip, read

from gunileo.corpus.cache import Cache
from gunileo.evaluation import charts
from gunileo.evaluation.analysis import Results, alike, matrices, negatives, reliabilities, sureness, worst
from gunileo.evaluation.evaluate import Clip, Evaluation
from gunileo.evaluation.metrics import Bin
from gunileo.evaluation.report import page, write_report

VOID = {"meta", "img", "br", "hr", "link", "input"}
SHAPES = {"line", "rect", "circle", "image"}


class Parsed(HTMLParser):
    """What a browser would see of a page; fails if its tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[tuple[str, str]] = []  # tag and address
        self.results: list[tuple[str, str, str, str]] = []  # path, form, value, shown
        self.matrices: dict[str, list[int]] = {}
        self.ids: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [(tag, str(found[name])) for name in ("src", "href", "srcset", "data") if name in found]
        self.ids |= {str(found["id"])} if "id" in found else set()
        if tag == "svg" and "data-metric" in found:
            self.matrices[str(found["data-metric"])] = []
        if tag not in VOID:
            self.open.append((tag, found))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES
        self.links += [(tag, str(value)) for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        tag, found = self.open[-1] if self.open else ("", {})
        if tag == "data":
            self.results.append((str(found["data-metric"]), str(found["data-form"]), str(found["value"]), data))
        if tag == "text" and str(found.get("class")).split()[0] == "n":
            drawn = next(dict(attrs) for name, attrs in reversed(self.open) if name == "svg")
            self.matrices[str(drawn["data-metric"])].append(int(data))


def at(content: Any, path: str) -> Any:
    for key in path.split("/"):
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def check(folder: Path) -> tuple[Parsed, dict[str, Any]]:
    """The page and the JSON of a report that hold the same results."""
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert len(text) < 5e6
    seen = Parsed(text)
    for tag, address in seen.links:
        assert address.startswith("#" if tag == "a" else "data:image/jpeg;base64,")
    assert {address[1:] for tag, address in seen.links if tag == "a"} <= seen.ids
    assert "<script" not in text
    assert "url(" not in text
    assert "@import" not in text
    for path, form, value, shown in seen.results:
        assert json.loads(value) == at(content, path), path
        number = float(re.sub(r"[^-0-9.]", "", shown))
        unit, step = {"share": (100, 0.1), "bare": (100, 0.1), "time": (1000, 1)}.get(form, (1, 0.001))
        assert abs(number - unit * at(content, path)) <= step / 2 + 1e-9, path
    for path, counts in seen.matrices.items():
        assert counts == [count for row in at(content, path) for count in row if count], path
    return seen, content


@pytest.fixture(scope="module")
def results() -> Results:
    """Results of three readings."""
    return counted(
        [
            clip("s1/a<b", SAID[0], "bin blue at s two now", read("bin blue at s two now", 0.7)),
            clip("s2/b", SAID[1], "", SAID[1]),
            clip("s2/c", SAID[1], SAID[1], read(SAID[1], 0.2, sure=False)),
        ]
    )


def counted(clips: list[Clip]) -> Results:
    """Results of readings by a model with no calibration, and of a still face."""
    evaluation = Evaluation("<labial>", "caches/a&b", clips, ["s2/b"])
    ways = ("greedy", "grammar")
    return Results(
        *(evaluation.model, evaluation.cache, len(clips), evaluation.scores, evaluation.speakers),
        {how: matrices(clips, how) for how in ways},
        {how: alike(clips, how) for how in ways},
        {how: reliabilities(clips, how) for how in ways},
        {how: sureness(clips, how) for how in ways},
        *(None, worst(clips), [], negatives(clips, {"still": [read(SAID[0], 0.3)]}), [], ["s2/b"], False),
    )


@pytest.fixture
def cache(synthetic_cache: Path) -> Cache:
    return Cache(synthetic_cache)


def test_page_of_a_real_run(run, synthetic_cache: Path, model: str, tmp_path: Path) -> None:
    code, out, _ = run("evaluate", synthetic_cache, "--model", model, "--report", tmp_path / "r")
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "r" / "index.html")
    seen, content = check(tmp_path / "r")
    assert content["clips"] == 6
    assert set(content["speakers"]) == {"s1", "s2"}
    paths = {path for path, *_ in seen.results}
    for wanted in (
        *("scores/greedy/wer", "scores/grammar/cer", "scores/grammar/intervals/wer/0", "scores/greedy/slots/letter"),
        *(
            "speakers/s2/grammar/wer",
            "speakers/s2/grammar/intervals/wer/1",
            "alike/grammar/wrong",
            "sureness/grammar/wer_sure",
        ),
        *("reliability/grammar/words/error", "reliability/grammar/sentences/error", "word_times/slots/adverb/1"),
        *("negatives/0/unsure", "worst/0/confidence", "explained/0/saliency/odds", "method/draws"),
    ):
        assert wanted in paths
    assert {f"matrices/grammar/{kind}/counts" for kind in ("letters", "digits", "visemes")} <= set(seen.matrices)
    assert [entry["kind"] for entry in content["negatives"]][:2] == ["backwards", "still face"]
    assert all(entry["clips"] == 6 for entry in content["negatives"])
    # a strip for each of the worst clips, and a picture for each window of the explained words
    assert sum(tag == "img" for tag, _ in seen.links) == len(content["worst"]) == 6
    windows = [window for one in content["explained"] for window in one["saliency"]["windows"]]
    assert sum(tag == "image" for tag, _ in seen.links) == len(windows) > 0
    shown, told = out.split("greedy")[0], content["scores"]["grammar"]["wer"]
    assert shown.startswith("6 clips")
    assert f"{100 * told:.1f} % (" in out


def test_a_bad_place_is_told_in_one_line(run, synthetic_cache: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "list.txt").write_text("s1/bbaf2n\n")
    code, _, err = run(
        *("evaluate", synthetic_cache, "--model", model, "--split", tmp_path / "list.txt"),
        *("--report", tmp_path / "file" / "report"),
    )
    assert code == 1
    assert err.splitlines()[-1].startswith(str(tmp_path / "file" / "report"))
    assert "choose another place" in err.splitlines()[-1]


def test_names_are_escaped_and_errors_marked(results: Results, cache: Cache, tmp_path: Path) -> None:
    crops = {name: cache.crops(cache.utterances[0]) for name in ("s1/a<b", "s2/b", "s2/c")}
    content = json.loads(json.dumps(asdict(results)))
    (tmp_path / "index.html").write_text(page(content, crops), encoding="utf-8")
    (tmp_path / "report.json").write_text(json.dumps(content), encoding="utf-8")
    seen, _ = check(tmp_path)
    assert "How well <labial> reads lips" in seen.text
    assert "caches/a&b" in seen.text
    assert "s1/a<b" in seen.text
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "bin blue at <mark>s</mark> two now" in text
    assert "Too short to decode, counted as nothing read: s2/b." in seen.text
    assert "Word times" not in seen.text  # the clips have none
    assert "What moved a decision" not in seen.text
    assert "carries no calibration" in seen.text
    metric = {path: shown for path, _, _, shown in seen.results}
    assert metric["scores/grammar/wer"] == "5.6 %"  # one of 18 words
    assert metric["sureness/grammar/unsure_share"] == "33.3 %"
    assert metric["speakers/s1/grammar/wer"] == "16.7 %"
    assert "speakers/s1/grammar/intervals/wer/0" not in metric  # of one clip
    assert metric["speakers/s2/greedy/intervals/wer/1"] == "100.0"


def test_a_page_of_other_sentences_says_that_the_grammar_is_not_theirs(results: Results, cache: Cache) -> None:
    crops = dict.fromkeys(("a/x", "s1/a<b", "s2/b", "s2/c"), cache.crops(cache.utterances[0]))
    texts = [
        Parsed(page(json.loads(json.dumps(asdict(one))), crops)).text
        for one in (counted([clip("a/x", "good morning", "good morning", SAID[0])]), results)
    ]
    assert ["No clip says one of these" in text for text in texts] == [True, False]
    assert ["Letters" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("calibrated", "told"),
    [
        ([], ["Read by greedy and grammar, the model carries no calibration"]),
        (["greedy", "beam", "grammar"], ["Read by greedy and grammar, the model carries a calibration"]),
        (
            ["greedy", "beam"],
            ["Read by greedy, the model carries a calibration", "Read by grammar, the model carries no calibration"],
        ),
    ],
)
def test_the_page_tells_what_is_calibrated(
    results: Results, cache: Cache, calibrated: list[str], told: list[str]
) -> None:
    content = json.loads(json.dumps({**asdict(results), "calibrated": calibrated}))
    crops = dict.fromkeys(("s1/a<b", "s2/b", "s2/c"), cache.crops(cache.utterances[0]))
    text = Parsed(page(content, crops)).text
    assert [line in text for line in told] == [True] * len(told)
    assert text.count("Read by ") == len(told)


def test_same_figures_same_files(results: Results, cache: Cache, tmp_path: Path) -> None:
    kept = Results(**{**results.__dict__, "worst": []})
    for name in ("a", "b"):
        write_report(kept, cache, tmp_path / name)
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()
    assert "No word of any clip was read wrong." in (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    check(tmp_path / "a")


def test_no_library_of_the_training_side_is_needed() -> None:
    code = "import sys; sys.modules.update(torch=None, matplotlib=None, skimage=None, lightning=None, onnx=None)"
    subprocess.run([sys.executable, "-c", f"{code}; from gunileo.evaluation import analysis, report"], check=True)


def numbers(svg: str, tag: str, *names: str) -> list[tuple[float, ...]]:
    found = re.findall(rf"<{tag} [^>]*>", svg)
    return [tuple(float(re.search(rf' {name}="([-0-9.]+)"', one)[1]) for name in names) for one in found]  # type: ignore[index]


def test_whiskers_stand_where_the_interval_ends() -> None:
    svg = charts.intervals([("letter", [(0.5, (0.25, 1.0))])], 1.0, "")
    zero, full = numbers(svg, 'line class="grid"', "x1")[0][0], numbers(svg, 'line class="grid"', "x1")[-1][0]
    (dot,) = numbers(svg, "circle", "cx")
    low, high = re.search(r'<line x1="([0-9.]+)" x2="([0-9.]+)"', svg).groups()  # type: ignore[union-attr]
    assert dot[0] == pytest.approx((zero + full) / 2)
    assert float(low) == pytest.approx(zero + (full - zero) / 4)
    assert float(high) == pytest.approx(full)


def test_bars_reach_what_is_right_and_gaps_the_confidence() -> None:
    svg = charts.reliability([Bin(0.8, 0.9, 10, 0.85, 0.6)], "")
    ((bar_top, bar_height),) = numbers(svg, 'rect class="bar"', "y", "height")
    ((gap_top, gap_height),) = numbers(svg, 'rect class="gap"', "y", "height")
    assert bar_height == pytest.approx(0.6 * 200)
    assert gap_height == pytest.approx(0.25 * 200)
    assert gap_top + gap_height == pytest.approx(bar_top)  # from what is right up to what was promised
    svg = charts.reliability([Bin(0.8, 0.9, 10, 0.85, 1.0)], "")
    ((bar_top, bar_height),) = numbers(svg, 'rect class="bar"', "y", "height")
    ((more_top, more_height),) = numbers(svg, 'rect class="more"', "y", "height")
    assert (bar_height, more_top, more_height) == (200, bar_top, pytest.approx(0.15 * 200))


def test_matrix_marks_hits_and_misses() -> None:
    svg = charts.matrix(["b", "p"], [[3, 1, 0], [0, 0, 2]], "", "x")
    assert [float(shade) for shade in re.findall(r'class="hit" fill-opacity="([0-9.]+)"', svg)] == [0.71]
    assert [float(shade) for shade in re.findall(r'class="miss" fill-opacity="([0-9.]+)"', svg)] == [0.34, 0.9]
    assert Parsed(svg).matrices == {"x": [3, 1, 2]}


def test_tints_tell_for_from_against() -> None:
    patches = np.zeros((1, 4, 5))
    patches[0, 1, 2], patches[0, 3, 0] = 2.0, -1.0
    svg = charts.covered(["data:image/jpeg;base64,"], ["1.00 s"], [1.5], patches.tolist(), "")
    (spoke,) = re.findall(r'<rect class="for" fill-opacity="0.75" x="([0-9.]+)" y="([0-9.]+)"', svg)
    assert (float(spoke[0]), float(spoke[1])) == (36, 15)  # of 90x60: the third column, the second row
    (against,) = re.findall(r'<rect class="against" fill-opacity="0.38" x="([0-9.]+)" y="([0-9.]+)"', svg)
    assert (float(against[0]), float(against[1])) == (0, 45)
