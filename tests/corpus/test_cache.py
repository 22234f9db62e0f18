"""Caches: what they hold, and what is said of one that is damaged or something else."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from folders import cut, files

from gunileo.corpus.cache import Cache, CacheError, shape_file
from gunileo.corpus.finders import Utterance
from gunileo.corpus.prepare import open_cache, prepare
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_shape import MEASURES


def test_a_cache_gives_back_what_was_cut_out(prepared: Path, utterances: list[Utterance]) -> None:
    cache = Cache(prepared)
    assert {clip.id for clip in cache.utterances} == {utterance.id for utterance in utterances}
    by_id = {utterance.id: utterance for utterance in utterances}
    for clip in cache.utterances:
        source = by_id[clip.id]
        assert (clip.speaker, clip.text, clip.words) == (source.speaker, source.text, source.words)
        assert len(clip.words) == 6
        found, expected = cache.load(clip), read_mouth(source.video)
        assert (found.crops.dtype, found.crops.shape) == (np.uint8, (clip.frames, 100, 150))
        assert (found.measures.dtype, found.measures.shape) == (np.float32, (clip.frames, MEASURES))
        np.testing.assert_array_equal(found.crops, expected.crops)
        np.testing.assert_array_equal(found.measures, expected.measures)
        assert clip.has_crops


def test_a_cached_clip_is_a_picture_of_ten_crops_a_row(prepared: Path) -> None:
    cache = Cache(prepared)
    clip = cache.utterances[0]
    picture = cv2.imread(str(prepared / clip.file), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (800, 1500)  # 75 crops: seven full rows and a half
    crops = cache.crops(clip)
    np.testing.assert_array_equal(picture[300:400, 150:300], crops[31])
    assert not picture[700:, 750:].any()


def test_a_cache_holds_what_it_says_and_nothing_else(prepared: Path, utterances: list[Utterance]) -> None:
    assert files(prepared) == {"cache.json", "manifest.jsonl", *cut(*utterances)}
    assert json.loads((prepared / "cache.json").read_text()) == {"version": 2, "fps": 25, "height": 100, "width": 150}
    lines = [json.loads(line) for line in (prepared / "manifest.jsonl").read_text().splitlines()]
    line = next(line for line in lines if line["id"] == utterances[0].id)
    video = utterances[0].video
    assert line == {
        **{"id": utterances[0].id, "talker": "s1", "file": f"{utterances[0].id}.png", "frames": 75},
        **{"text": utterances[0].text, "words": [[word.word, word.start, word.end] for word in utterances[0].words]},
        **{"source": str(video), "bytes": video.stat().st_size, "mtime": video.stat().st_mtime},
    }


def test_a_cache_of_another_version_is_refused(cache: Path, utterances: list[Utterance]) -> None:
    before = files(cache)
    for version in (1, 3):  # the first had no shapes
        (cache / "cache.json").write_text(f'{{"version": {version}, "fps": 25, "height": 100, "width": 150}}')
        for use in (lambda: Cache(cache), lambda: prepare(utterances, cache), lambda: open_cache(cache).__enter__()):
            message = rf"{cache} is a cache of another version .*'version': {version}.* prepare the corpus again into"
            with pytest.raises(CacheError, match=message) as error:
                use()
            assert "\n" not in str(error.value)
    assert files(cache) == before


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path, utterances: list[Utterance]) -> None:
    (tmp_path / "diary.txt").write_text("private")
    for folder in (tmp_path, tmp_path / "gone", tmp_path / "diary.txt"):
        with pytest.raises(CacheError, match="is not a cache; make one with 'gunileo prepare"):
            Cache(folder)
    with pytest.raises(CacheError, match="is a folder with other things in it"):
        prepare(utterances, tmp_path)
    with pytest.raises(CacheError, match="is a file"):
        prepare(utterances, tmp_path / "diary.txt")
    assert files(tmp_path) == {"diary.txt"}


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "{}", '{"id": "../x", "talker": "", "file": "../x.png", "frames": 1, "text": "", "words": []}'],
)
def test_a_damaged_manifest_names_its_line(cache: Path, line: str) -> None:
    manifest = cache / "manifest.jsonl"
    manifest.write_text(f"{manifest.read_text().splitlines()[0]}\n{line}\n")
    with pytest.raises(CacheError, match=r"manifest\.jsonl: line 2 is damaged"):
        Cache(cache)


def test_a_damaged_picture_is_named(cache: Path) -> None:
    opened = Cache(cache)
    first, second = opened.utterances
    picture = cache / first.file
    picture.write_bytes(picture.read_bytes()[:1000])
    (cache / second.file).unlink()
    for clip in (first, second):
        with pytest.raises(CacheError, match=f"{clip.file} is missing or damaged"):
            opened.load(clip)
    with pytest.raises(CacheError, match="damaged"):
        opened.load(replace(first, frames=5))


@pytest.mark.parametrize(
    "fault", ["cut", "gone", "longer", "of another type", "pickled", "empty", "torn header", "archive", "unknown"]
)
def test_a_damaged_shape_is_named(cache: Path, fault: str) -> None:
    opened = Cache(cache)
    clip = opened.utterances[0]
    path = shape_file(cache, clip.id)
    measures = opened.measures(clip)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif fault == "gone":
        path.unlink()
    elif fault == "torn header":
        path.write_bytes(path.read_bytes().replace(b")", b"(", 1))
    elif fault == "archive":
        np.savez(path.with_suffix(".npz"), measures)
        path.with_suffix(".npz").replace(path)
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "pickled":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    elif fault == "unknown":
        np.save(path, np.full_like(measures, np.nan))
    else:
        np.save(path, measures[:-1] if fault == "longer" else measures.astype(np.float64))
    for read in (opened.load, opened.measures):
        with pytest.raises(CacheError, match=rf"{clip.id}\.npy is missing or damaged; delete it and run the same"):
            read(clip)
    assert opened.crops(clip).shape == (75, 100, 150), "the picture is still whole"
