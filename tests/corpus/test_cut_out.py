"""What is cut out of a video: the frames with a face, and the words at their times."""

from pathlib import Path

import av
import clips
import numpy as np
import pytest

from gunileo.corpus.cache import Cache, CachedUtterance, Entry, enter, entry_of
from gunileo.corpus.finders import Utterance
from gunileo.corpus.labels import ALIGN_UNITS, WordTime
from gunileo.corpus.prepare import cut_out, open_cache, prepare
from gunileo.vision.video import write_video


def test_titles_before_a_face_are_left_out_and_words_keep_their_frames(tmp_path: Path) -> None:
    talk, segments = clips.talking()
    said = [(word, start / ALIGN_UNITS, end / ALIGN_UNITS) for start, end, word in segments if word != "sil"]
    titles = np.full_like(talk[0], 30)
    write_video(tmp_path / "plain.mp4", talk)
    write_video(tmp_path / "titled.mp4", [titles] * 50 + list(talk) + [titles] * 20)
    text = " ".join(word for word, *_ in said)

    def cut_from(name: str, later: float) -> CachedUtterance | str:
        words = tuple(WordTime(word, start + later, end + later) for word, start, end in said)
        entry = cut_out(Utterance("a", "", tmp_path / name, text, words), tmp_path / "cache")
        return entry if isinstance(entry, str) else entry_of(entry.line().encode()).utterance

    plain, titled = cut_from("plain.mp4", 0), cut_from("titled.mp4", 2)
    assert isinstance(plain, CachedUtterance)
    assert isinstance(titled, CachedUtterance)
    assert abs(titled.frames - plain.frames) <= 12  # half a second of titles may be taken for a face that is hidden
    shift = titled.words[0].start - plain.words[0].start
    assert 0 <= shift <= 0.5
    assert [word.end for word in titled.words] == pytest.approx([word.end + shift for word in plain.words])
    reason = cut_from("titled.mp4", 0)
    first = f"'{said[0][0]}' is said from {said[0][1]:.2f} to {said[0][2]:.2f} s"
    assert str(reason).startswith(f"{tmp_path / 'titled.mp4'}: {first}, but a face is seen from 2.")


@pytest.mark.parametrize(("first", "last"), [(0, 10), (38, 50), (66, 75)])
def test_a_face_that_is_hidden_for_some_frames_loses_no_clip(tmp_path: Path, first: int, last: int) -> None:
    path = clips.face_gone(tmp_path / "a.mp4", first, last)
    said = [one for one in clips.talking()[1] if one.word != "sil"]
    words = tuple(WordTime(word, start / ALIGN_UNITS, end / ALIGN_UNITS) for start, end, word in said)
    entry = cut_out(Utterance("a", "", path, " ".join(word.word for word in words), words), tmp_path / "cache")
    assert isinstance(entry, Entry)
    assert (entry.start, entry.utterance.frames, entry.utterance.words) == (0, 75, words)


def test_word_times_count_from_where_a_player_starts(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        film = container.add_stream("libx264", rate=25)
        film.height, film.width = clips.talking()[0].shape[1:3]
        film.pix_fmt = "yuv420p"
        for start in range(0, 4 * 48000, 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 48000, start
            container.mux(sound.encode(silence))
        for number, pixels in enumerate(clips.talking()[0]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = number + 25
            container.mux(film.encode(frame))
        container.mux([*sound.encode(None), *film.encode(None)])
    utterance = Utterance("a", "", path, "bin", (WordTime("bin", 1.5, 1.9),))
    with open_cache(tmp_path / "cache"):
        entry = cut_out(utterance, tmp_path / "cache")
    assert isinstance(entry, Entry)
    assert entry.utterance.words[0].start == pytest.approx(0.5, abs=0.03)
    enter(tmp_path / "cache", entry)
    report = prepare([utterance], tmp_path / "cache", workers=1)
    assert (report.done, report.kept) == (0, 1)
    assert Cache(tmp_path / "cache").utterances == [entry.utterance]
