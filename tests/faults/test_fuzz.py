"""Files damaged at random and files made up: read, or refused by one line; ``fuzz.py`` beside this is the long form."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fuzz import ARRAYS, LABELS, fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gunileo.corpus.cache import FORMAT, Cache, CacheError
from gunileo.corpus.labels import read_align, read_phones
from gunileo.corpus.prepare import prepare
from gunileo.corpus.transcripts import read_text
from gunileo.decoding.grammar import Grammar
from gunileo.errors import GunileoError
from gunileo.inference import confidence, timing

COUNTS = {**dict.fromkeys((*LABELS, *ARRAYS), 100), "model": 60, "clip": 30}


@pytest.mark.skipif(sys.platform != "linux", reason="sets limits as Linux knows them")
@pytest.mark.parametrize("name", COUNTS)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    counts, faults, longest = fuzz(name, COUNTS[name], seed=1)
    assert faults == []
    assert counts["read"] + counts["refused"] == COUNTS[name]
    assert counts["refused"] > 0, "the faults do damage"
    assert longest < 10


anything = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.one_of(st.integers(), st.floats(), st.just(10**400), st.sampled_from(["", "nan", "1_0", "\u0663", "0x1"]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
DEEP = "[" * 200_000


def refuses_or_reads(read, path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    refusal = None
    try:
        read(path)
    except GunileoError as error:
        refusal = str(error)
    assert refusal is None or (len(refusal.splitlines()) == 1 and str(path) in refusal)


@anything
@given(st.lists(st.tuples(numbers, numbers, st.text(max_size=6)), max_size=6))
def test_any_alignment(tmp_path: Path, lines: list[tuple[object, object, str]]) -> None:
    refuses_or_reads(read_align, tmp_path / "a.align", "\n".join(f"{start} {end} {word}" for start, end, word in lines))


phone = st.fixed_dictionaries(
    {"phone": st.one_of(st.sampled_from(["x_B", "x_I", "x_E", "x_S", "sil", "x", "_B"]), values)},
    optional={"offset": numbers, "duration": numbers},
)


@anything
@given(values | st.dictionaries(st.text(max_size=4), st.lists(phone | values, max_size=6), max_size=2))
def test_any_phones(tmp_path: Path, content: object) -> None:
    refuses_or_reads(read_phones, tmp_path / "a.json", json.dumps(content))


@anything
@given(st.text(max_size=60))
def test_any_text(tmp_path: Path, content: str) -> None:
    refuses_or_reads(read_text, tmp_path / "a.txt", content)


@anything
@given(st.text(alphabet="ab()[]| #\n", max_size=40))
def test_any_grammar(tmp_path: Path, content: str) -> None:
    refuses_or_reads(Grammar.from_file, tmp_path / "a.txt", content)


GOOD = {"id": "s1/a", "talker": "s1", "file": "s1/a.png", "frames": 75, "text": "bin", "words": [["bin", 0.5, 1.0]]}
GOOD |= {"source": "/x.mpg", "bytes": 1, "mtime": 1.5}
names = st.one_of(st.text(max_size=8), st.sampled_from(["../a", "/a", "a/../../b", "a\\b", "c:a", "a//b", "", "."]))


@anything
@given(st.one_of(values, st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, values)), names))
def test_any_manifest_entry(tmp_path: Path, change: object) -> None:
    entry: object = change
    if isinstance(change, dict):
        entry = GOOD | change
    elif isinstance(change, str):
        entry = GOOD | {"id": change, "file": f"{change}.png"}
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "cache.json").write_text(json.dumps(FORMAT))
    (tmp_path / "cache" / "manifest.jsonl").write_text(json.dumps(entry) + "\n")
    try:
        (clip,) = Cache(tmp_path / "cache").utterances
    except CacheError:
        return  # names the line, as other tests show
    assert (tmp_path / "cache").resolve() in (tmp_path / "cache" / clip.file).resolve().parents
    assert isinstance(clip.speaker, str)
    assert 0 < clip.frames < 100_000
    assert all(isinstance(word.word, str) and 0 <= word.start <= word.end for word in clip.words)


@anything
@given(values)
def test_any_calibration_and_timing(content: object) -> None:
    around = {"grammar": content, "start": content, "end": content, "reach": 1}
    for read in (confidence.from_json, timing.from_json):
        for text in (json.dumps(content), json.dumps(around)):
            with suppress(ValueError):
                read(text)


def test_brackets_without_end(tmp_path: Path) -> None:
    """A parser that calls itself runs out of stack."""
    prepare([], tmp_path / "cache")
    refuses_or_reads(read_phones, tmp_path / "a.json", DEEP)
    refuses_or_reads(Grammar.from_file, tmp_path / "a.txt", DEEP + "a")
    (tmp_path / "cache" / "manifest.jsonl").write_text(DEEP + "\n")
    with pytest.raises(CacheError, match="line 1 is damaged"):
        Cache(tmp_path / "cache")
    (tmp_path / "cache" / "cache.json").write_text(DEEP)
    with pytest.raises(CacheError, match=r"cache\.json is damaged"):
        Cache(tmp_path / "cache")
    for read in (confidence.from_json, timing.from_json):
        with pytest.raises(ValueError, match=r"no (calibration|timing)"):
            read(DEEP)
