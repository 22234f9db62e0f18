import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import gunileo
from gunileo.corpus.finders import Corpus, Utterance, find_corpus, find_folder, find_grid, find_lombard
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.labels import CorpusError, WordTime
from gunileo.corpus.split import read_split, split, split_speakers, training_parts, validation_part

SHIPPED = Path(gunileo.__file__).parent / "corpus" / "splits" / "grid_s1_valid.txt"


def touch(path: Path, text: str = "") -> Path:
    """An empty file, or a text, in folders made for it: finders open no video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def align(path: Path, says: str | None = None) -> Path:
    """An .align of the words that the name stands for, the first from 1 s, each 0.2 s long."""
    words = (says or code_to_text(path.stem)).split()
    lines = [f"{25_000 + 5_000 * i} {30_000 + 5_000 * i} {word}" for i, word in enumerate(words)]
    return touch(path, "\n".join(["0 25000 sil", *lines, ""]))


def phones(path: Path, words: int = 6) -> Path:
    content = [{"phone": "ey_S", "offset": round(0.1 + 0.2 * i, 2), "duration": 0.2} for i in range(words)]
    return touch(path, json.dumps({path.stem: content}))


def ids(corpus: Corpus) -> list[str]:
    return [utterance.id for utterance in corpus.utterances]


def test_grid_pairs_by_name_and_reports_the_rest(tmp_path: Path) -> None:
    video = touch(tmp_path / "s1" / "bbaf2n.mpg")
    alone = touch(tmp_path / "s1" / "lwwz9a.mp4")
    touch(tmp_path / "s2" / "priazn.mpg")
    align(tmp_path / "align" / "s1" / "bbaf2n.align")
    align(tmp_path / "align" / "s2" / "priazn.align")
    widow = align(tmp_path / "align" / "s2" / "aaaaaa.align", "set red in a one now")
    corpus = find_grid(tmp_path)
    assert (corpus.videos, corpus.labels, corpus.pairs) == (3, 3, 2)
    assert corpus.without_label == [alone]
    assert corpus.without_video == [widow]
    assert corpus.rejected == []
    assert ids(corpus) == ["s1/bbaf2n", "s1/lwwz9a", "s2/priazn"]
    first, second, third = corpus.utterances
    assert (first.speaker, first.video, first.text) == ("s1", video, "bin blue at f two now")
    assert first.words[0] == WordTime("bin", 1.0, 1.2)
    assert first.words[-1] == WordTime("now", 2.0, 2.2)
    assert (second.text, second.words) == ("lay white with z nine again", ())
    assert third.text == "place red in a zero now"


@pytest.mark.parametrize("place", ["s1/s1/bbaf2n.mpg", "video/s1/mpg_6000/bbaf2n.mpg", "S1/BBAF2N.MPG"])
def test_grid_folders_may_be_nested(tmp_path: Path, place: str) -> None:
    touch(tmp_path / place)
    align(tmp_path / "align" / "align" / "s1" / "bbaf2n.align")
    corpus = find_grid(tmp_path)
    assert ids(corpus) == ["s1/bbaf2n"]
    assert corpus.pairs == 1


def test_one_speakers_folder_is_a_corpus(tmp_path: Path) -> None:
    touch(tmp_path / "s7" / "bbaf2n.mpg")
    assert ids(find_corpus(tmp_path / "s7")) == ["s7/bbaf2n"]


def test_an_alignment_under_the_wrong_speaker_is_found_by_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    align(tmp_path / "align" / "s3" / "bbaf2n.align")
    corpus = find_grid(tmp_path)
    assert corpus.pairs == 1
    assert len(corpus.utterances[0].words) == 6


def test_an_alignment_of_another_speakers_clip_is_not_borrowed(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    touch(tmp_path / "s2" / "bbaf2n.mpg")
    align(tmp_path / "align" / "s2" / "bbaf2n.align")
    corpus = find_grid(tmp_path)
    assert [bool(utterance.words) for utterance in corpus.utterances] == [False, True]


def test_grid_rejects_what_it_cannot_understand_and_goes_on(tmp_path: Path) -> None:
    good = touch(tmp_path / "s1" / "bbaf2n.mpg")
    touch(tmp_path / "s1" / "bbaw2n.mpg")  # w is no letter of GRID
    touch(tmp_path / "s1" / "bbaf3n.mpg")
    touch(tmp_path / "s1" / "bbaf4n.mpg")
    touch(tmp_path / "s1" / "bbaf2n.mp4")  # the same again in another format
    touch(tmp_path / "bbaf5n.mpg")  # no speaker
    touch(tmp_path / "align" / "s1" / "bbaf3n.align", "0 23750 sil\n23750 29500\n")
    align(tmp_path / "align" / "s1" / "bbaf4n.align", "bin blu at f four now")
    corpus = find_grid(tmp_path)
    assert len(corpus.utterances) == 1
    reasons = {path.name: reason for path, reason in corpus.rejected}
    assert "'w' is not a GRID letter" in reasons["bbaw2n.mpg"]
    assert "line 2 is '23750 29500'" in reasons["bbaf3n.mpg"]
    assert "says 'bin blu at f four now'" in reasons["bbaf4n.mpg"]
    assert "s1/bbaf2n again" in reasons[good.name]
    assert "not in a speaker's folder" in reasons["bbaf5n.mpg"]
    assert all("\n" not in reason for reason in reasons.values())


def test_leftovers_of_other_systems_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    touch(tmp_path / "s1" / "._bbaf2n.mpg")
    touch(tmp_path / "__MACOSX" / "s1" / "bbaf3n.mpg")
    assert find_grid(tmp_path).videos == 1


def test_lombard_names_tell_speaker_and_text(tmp_path: Path) -> None:
    touch(tmp_path / "front" / "s10_l_bbat9p.mov")
    touch(tmp_path / "front" / "s55_p_lgwz8a.mov")
    phones(tmp_path / "alignment" / "s10_l_bbat9p.json")
    widow = phones(tmp_path / "alignment" / "s10_p_bbat9p.json")
    corpus = find_lombard(tmp_path)
    assert ids(corpus) == ["front/s10_l_bbat9p", "front/s55_p_lgwz8a"]
    assert (corpus.videos, corpus.labels, corpus.pairs) == (2, 2, 1)
    assert corpus.without_video == [widow]
    first, second = corpus.utterances
    assert (first.speaker, first.text) == ("s10", "bin blue at t nine please")
    assert first.words[0] == WordTime("bin", 0.1, 0.3)
    assert (second.speaker, second.words) == ("s55", ())


def test_both_views_of_a_lombard_clip_share_its_label(tmp_path: Path) -> None:
    touch(tmp_path / "front" / "s10_l_bbat9p.mov")
    touch(tmp_path / "side" / "s10_l_bbat9p.mov")
    phones(tmp_path / "alignment" / "s10_l_bbat9p.json")
    corpus = find_lombard(tmp_path)
    assert ids(corpus) == ["front/s10_l_bbat9p", "side/s10_l_bbat9p"]
    assert corpus.pairs == 2
    assert corpus.without_video == []


@pytest.mark.parametrize(
    ("video", "label"),
    [
        ("s10_l_bbat9p_WRONG_bbat9a", "s10_l_bbat9p_WRONG_bbat9a"),
        ("s10_l_bbat9p_WRONG_bbat9a", "s10_l_bbat9p"),
        ("s10_l_bbat9p", "s10_l_bbat9p_WRONG_bbat9a"),
    ],
)
def test_what_was_said_is_the_truth(tmp_path: Path, video: str, label: str) -> None:
    touch(tmp_path / "front" / f"{video}.mov")
    phones(tmp_path / "alignment" / f"{label}.json")
    (utterance,) = find_lombard(tmp_path).utterances
    assert (utterance.id, utterance.text) == (f"front/{video}", "bin blue at t nine again")
    assert len(utterance.words) == 6


def test_a_take_gone_wrong_does_not_borrow_the_good_takes_label(tmp_path: Path) -> None:
    touch(tmp_path / "front" / "s10_l_bbat9p.mov")
    touch(tmp_path / "front" / "s10_l_bbat9p_WRONG_bbat9a.mov")
    phones(tmp_path / "alignment" / "s10_l_bbat9p.json")
    corpus = find_lombard(tmp_path)
    assert [bool(utterance.words) for utterance in corpus.utterances] == [True, False]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("s10_l_bbat9p_WRONG_bbat", "'bbat' has 4 characters"),
        ("s10_l_bbat9p_WRONG_", "'' has 0 characters"),
        ("s10_l_bbat9p_WRONG", "'' has 0 characters"),
        ("s10_l_bbaw9p", "'w' is not a GRID letter"),
        ("interview", "isn't like s10_l_bbat9p"),
    ],
)
def test_a_malformed_lombard_name_is_rejected(tmp_path: Path, name: str, complaint: str) -> None:
    video = touch(tmp_path / "front" / f"{name}.mov")
    ((path, reason),) = find_lombard(tmp_path).rejected
    assert path == video
    assert complaint in reason


def test_phones_that_do_not_fit_the_text_are_rejected(tmp_path: Path) -> None:
    touch(tmp_path / "front" / "s10_l_bbat9p.mov")
    touch(tmp_path / "front" / "s10_l_bbat9a.mov")
    phones(tmp_path / "alignment" / "s10_l_bbat9p.json", words=5)
    touch(tmp_path / "alignment" / "s10_l_bbat9a.json", "{")
    corpus = find_lombard(tmp_path)
    reasons = {path.stem: reason for path, reason in corpus.rejected}
    assert "times 5 words but 'bin blue at t nine please' has 6" in reasons["s10_l_bbat9p"]
    assert "is not JSON" in reasons["s10_l_bbat9a"]
    assert corpus.pairs == 2


def test_a_plain_folder_takes_its_text_beside_the_clip(tmp_path: Path) -> None:
    touch(tmp_path / "hello.webm")
    touch(tmp_path / "hello.txt", "Hello, world!\n")
    touch(tmp_path / "ann" / "day 1" / "v1.2.mkv")
    touch(tmp_path / "ann" / "day 1" / "v1.2.txt", "good morning")
    touch(tmp_path / "ann" / "bad.mp4")
    touch(tmp_path / "ann" / "bad.txt", "20 \u00a3")
    alone = touch(tmp_path / "ann" / "mute.mp4")
    widow = touch(tmp_path / "notes.txt", "buy milk")
    corpus = find_folder(tmp_path)
    said = {utterance.id: (utterance.speaker, utterance.text) for utterance in corpus.utterances}
    assert said == {"hello": ("", "hello world"), "ann/day 1/v1.2": ("ann", "good morning")}
    assert (corpus.videos, corpus.labels, corpus.pairs) == (4, 4, 3)
    assert corpus.without_label == [alone]
    assert corpus.without_video == [widow]
    ((path, reason),) = corpus.rejected
    assert path.name == "bad.mp4"
    assert "bad.txt" in reason


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["s1/bbaf2n.mpg"], "s1/bbaf2n"),
        (["front/s10_l_bbat9p.mov", "alignment/readme.txt"], "front/s10_l_bbat9p"),
        (["s1/clip.mp4", "s1/clip.txt"], "s1/clip"),
    ],
)
def test_the_kind_of_corpus_is_told_by_what_is_there(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        touch(tmp_path / name, "hello")
    assert ids(find_corpus(tmp_path)) == [found]


@pytest.mark.parametrize("find", [find_corpus, find_grid, find_lombard, find_folder])
def test_a_folder_without_video_is_an_error(tmp_path: Path, find: Callable[[Path], Corpus]) -> None:
    touch(tmp_path / "notes.txt", "hello")
    with pytest.raises(CorpusError, match="holds no video"):
        find(tmp_path)
    with pytest.raises(CorpusError, match="is not a folder"):
        find(tmp_path / "notes.txt")
    with pytest.raises(CorpusError, match="gone is not there; check the path"):
        find(tmp_path / "gone")


def test_the_summary_counts_and_lists(tmp_path: Path) -> None:
    for digit in range(1, 10):
        for adverb in "ap":
            touch(tmp_path / "s1" / f"bbaf{digit}{adverb}.mpg")
    touch(tmp_path / "s1" / "nonsense.mpg")
    align(tmp_path / "align" / "s1" / "bbaf1a.align")
    summary = find_grid(tmp_path).summary()
    assert summary.startswith("19 videos, 1 labels, 1 pairs, 18 usable\n18 videos without label:\n")
    assert "bbaf1p.mpg" in summary
    assert "... and 8 more" in summary
    assert "nonsense.mpg: the name is not a GRID sentence" in summary


def clips(*names: str) -> list[Utterance]:
    return [Utterance(name, name.split("/")[0], Path(name), "") for name in names]


def test_split_lists_are_read_without_comments(tmp_path: Path) -> None:
    listed = touch(tmp_path / "list.txt", "# ours\ns1/bbaf2n\n\n  s1/bbaf3n  # a good one\r\n")
    assert read_split(listed) == ["s1/bbaf2n", "s1/bbaf3n"]


def test_an_empty_or_missing_split_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="lists no utterance"):
        read_split(touch(tmp_path / "list.txt", "# nothing\n"))
    with pytest.raises(CorpusError, match="can't be read"):
        read_split(tmp_path / "gone.txt")


def test_splitting_by_list_keeps_the_corpus_order() -> None:
    chosen = split(clips("s1/b", "s1/a", "s2/c"), ["s2/c", "s1/b", "s9/elsewhere"])
    assert [clip.id for clip in chosen] == ["s1/b", "s2/c"]


def test_a_list_may_name_speakers() -> None:
    everything = clips("s1/a", "s1/b", "s2/a", "s3/a", "s3/b", "s12/a")
    assert [clip.id for clip in split(everything, ["s1", "s3/b", "s9"])] == ["s1/a", "s1/b", "s3/b"]
    training, held = training_parts(everything, validation=["s3"], leave_out=["s1"])
    assert [clip.id for clip in training] == ["s2/a", "s12/a"]
    assert [clip.id for clip in held] == ["s3/a", "s3/b"]
    with pytest.raises(CorpusError, match="none of the 1 listed"):
        split(everything, ["s"])  # the beginning of a name is none


def test_a_list_of_another_corpus_is_an_error() -> None:
    with pytest.raises(CorpusError, match=r"none of the 1 listed utterances or speakers is here.* look like s1/a"):
        split(clips("s1/a"), ["front/s10_l_bbat9p"])


def test_splitting_by_speaker() -> None:
    assert [clip.id for clip in split_speakers(clips("s1/a", "s2/b", "s1/c"), ["s1"])] == ["s1/a", "s1/c"]
    with pytest.raises(CorpusError, match="speaker 's9' isn't here; there are s1, s2"):
        split_speakers(clips("s1/a", "s2/b"), ["s1", "s9"])


def test_the_validation_part_is_chosen_by_hash_whatever_the_order() -> None:
    all_clips = clips(*(f"s1/{i}" for i in range(50)))
    expected = set(
        sorted((clip.id for clip in all_clips), key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:7]
    )
    chosen = validation_part(all_clips, 7)
    assert {clip.id for clip in chosen} == expected
    assert validation_part(all_clips[::-1], 7) == chosen[::-1]
    assert {clip.id for clip in validation_part(all_clips, 7, seed=1)} != expected


@pytest.mark.parametrize("count", [0, 3])
def test_a_validation_part_must_be_a_part(count: int) -> None:
    with pytest.raises(CorpusError, match="of 2 utterances"):
        validation_part(clips("s1/a", "s1/b"), count)


def test_the_shipped_validation_list_names_75_grid_sentences_of_s1() -> None:
    names = read_split(SHIPPED)
    assert len(set(names)) == 75
    for name in names:
        speaker, _, code = name.partition("/")
        assert speaker == "s1"
        code_to_text(code)


def test_the_shipped_speaker_lists_of_unseen_speakers_part_the_speakers() -> None:
    parts = [read_split(SHIPPED.with_name(f"lombard_unseen_{part}.txt")) for part in ("train", "valid", "test")]
    assert sorted(name for part in parts for name in part) == sorted(f"s{number}" for number in range(2, 56))
    assert read_split(SHIPPED.with_name("grid_unseen_test.txt")) == ["s1", "s2", "s20", "s22"]


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_the_shipped_speaker_lists_are_those_of_the_published_utterances(part: str, shared: Path) -> None:
    published = read_split(shared / "splits" / f"lombard_unseen_front_plain_{part}.txt")
    speakers = {name.partition("/")[2].partition("_")[0] for name in published}
    assert set(read_split(SHIPPED.with_name(f"lombard_unseen_{part}.txt"))) == speakers


def test_the_shipped_validation_list_is_the_hashed_part_of_s1(shared: Path) -> None:
    corpus = find_corpus(shared / "grid")
    own = split_speakers(corpus.utterances, ["s1"])
    assert {clip.id for clip in validation_part(own, 75)} == set(read_split(SHIPPED))
    trained = read_split(SHIPPED.with_name("grid_s1_train.txt"))
    assert {*trained, *read_split(SHIPPED), "s1/pbio7a"} == {clip.id for clip in own}
    assert set(trained).isdisjoint(read_split(SHIPPED))
    assert set(trained).isdisjoint(read_split(shared / "splits" / "grid_overlapped_test.txt"))


def test_no_unseen_speaker_is_the_one_trained_on() -> None:
    unseen = Counter(name.partition("/")[0] for name in read_split(SHIPPED.with_name("grid_unseen.txt")))
    assert unseen == {"s3": 1, "s4": 30, "s5": 10, "s22": 1, "s23": 1, "s32": 1}
    own = clips(*(name for name in read_split(SHIPPED.with_name("grid_unseen.txt")) if name.startswith("s4/")))
    assert {clip.id for clip in validation_part(own, 10)} == set(read_split(SHIPPED.with_name("grid_s4_test.txt")))
    trained = read_split(SHIPPED.with_name("grid_s1_train.txt"))
    assert (len(trained), {name.partition("/")[0] for name in trained}) == (669, {"s1"})


def test_real_grid_clips_all_pair(shared: Path) -> None:
    corpus = find_corpus(shared / "grid")
    assert (corpus.videos, corpus.labels, corpus.pairs, len(corpus.utterances)) == (779, 779, 779, 779)
    assert corpus.rejected == []
    for utterance in corpus.utterances:
        assert " ".join(word.word for word in utterance.words) == utterance.text
        assert utterance.words[-1].end < 3


def test_training_never_sees_what_is_validated_or_left_out() -> None:
    everything = [Utterance(f"{speaker}/{i}", speaker, Path(), "bin") for speaker in ("s1", "s2") for i in range(40)]
    training, held = training_parts(everything, leave_out=["s1/0", "s2/0"], speakers=["s1"])
    assert held == validation_part(everything[1:40], 4)
    assert {u.id for u in training} | {u.id for u in held} == {f"s1/{i}" for i in range(1, 40)}
    assert not {u.id for u in training} & {u.id for u in held}


def test_a_tenth_of_each_speaker_is_held_back_but_of_one_with_hardly_any_clips() -> None:
    many, few = [clips(*(f"{speaker}/{i}" for i in range(count))) for speaker, count in (("s1", 70), ("s2", 11))]
    stray = clips("s3/0", "s3/1")
    training, held = training_parts([*many, *few, *stray])
    assert held == [*validation_part(many, 7), *validation_part(few, 2)]
    assert training == [clip for clip in [*many, *few, *stray] if clip not in held]
    everybody = [*clips("s1/a", "s1/b"), *stray]
    assert training_parts(everybody)[1] == validation_part(everybody, 1)


def test_a_tenth_is_held_back_of_clips_that_were_seen_and_of_those_that_were_not() -> None:
    seen, shapes = clips(*(f"s1/{i}" for i in range(30))), clips(*(f"s2/{i}" for i in range(400)))
    few = clips("s3/a", "s3/b")
    held = training_parts([*seen, *shapes, *few], seen=lambda clip: clip.speaker != "s2")[1]
    assert held == [*validation_part(seen, 3), *validation_part(shapes, 40)]
    held = training_parts([*shapes, *few], seen=lambda clip: clip.speaker != "s2")[1]
    assert held == [*validation_part(shapes, 40), *validation_part(few, 1)]


def test_training_on_listed_utterances_alone() -> None:
    everything = [Utterance(f"s1/{i}", "s1", Path(), "bin") for i in range(9)]
    training, held = training_parts(everything, validation=["s1/1", "s1/8"], only=["s1/1", "s1/2", "s1/3"])
    assert [u.id for u in training] == ["s1/2", "s1/3"]
    assert [u.id for u in held] == ["s1/1", "s1/8"]
    with pytest.raises(CorpusError, match="none of"):
        training_parts(everything, validation=["s1/1"], leave_out=["s1/1"])
