"""Labels in the forms of corpora and tools: their words and times, and never a header as a word."""

from pathlib import Path

import pytest

from gunileo.corpus.finders import find_corpus, find_folder
from gunileo.corpus.labels import CorpusError, WordTime
from gunileo.corpus.transcripts import read_label
from gunileo.output.transcript import Transcript, Word
from gunileo.output.writers import WRITERS

LRS = "Text:  BIN BLUE'S {LG} NOW\nConf:  4\n"
TABLE = "\nWORD START END ASDSCORE\nBIN 0.14 0.46 7.7 \nBLUE'S 0.46 0.72 4.7 \nNOW 0.84 1.1 5.0 \n"
FACES = "Ref:   00j9bKdiOjk\n\nFRAME \tX \tY \tW \tH \n000000 \t0.392 \t0.227 \t0.171 \t0.305\n"
TIMES = (WordTime("bin", 0.14, 0.46), WordTime("blues", 0.46, 0.72), WordTime("now", 0.84, 1.1))
SRT = (
    "1\n00:00:00,960 --> 00:00:01,400\n<i>Bin blue,</i>\n\n2\n00:00:01,500 --> 00:00:02,040\n{\\an8}[door] now\nthen!\n"
)
VTT = (
    "WEBVTT - a title\n\nNOTE no speech\n\nSTYLE\n::cue {}\n\n1\n00:00.960 --> 00:01.400 align:start\n<v Ann>"
    "Bin blue\n\n"
    "00:00:01.500 --> 00:00:02.040\nnow then\n"
)
# As YouTube writes it: a cue begins with the line before, and its own words have times.
ROLLING = (
    "WEBVTT\nKind: captions\n\n00:00:00.000 --> 00:00:02.000 align:start\n \nbin<00:00:00.500><c> blue</c>"
    "<00:00:01.000><c> at</c>\n\n00:00:02.000 --> 00:00:02.010\nbin blue at\n \n\n00:00:02.010 --> 00:00:04.000\n"
    "bin blue at\n"
    "f<00:00:02.500><c> two now</c>\n\n00:00:04.000 --> 00:00:04.010\nf two now\n \n"
)
LAB = "0 1000000 sil\n1000000 4600000 BIN\n4600000 9000000 well-to\n9000000 9500000 sp\n"
GRID_TEXT = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2
        points: size = 1
        points [1]:
            number = 0.5
            mark = "at 1 "" here"
    item [2]:
        class = "IntervalTier"
        name = "ann - words"
        xmin = 0
        xmax = 2
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1e0
            text = "Bin"
        intervals [3]:
            xmin = 1
            xmax = 2
            text = "now"
"""
SHORT = (
    '"ooTextFile"\n"TextGrid"\n\n0\n2\n<exists>\n1\n"IntervalTier"\n"said"\n0\n2\n2\n0\n1\n"bin blue"\n1\n2\n"now"\n'
)


def label(folder: Path, name: str, content: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(content.encode(encoding))
    return folder / name


@pytest.mark.parametrize(
    ("name", "content", "text", "words"),
    [
        ("a.txt", LRS, "bin blues now", ()),
        ("a.txt", LRS + TABLE, "bin blues now", TIMES),
        ("a.txt", LRS + FACES, "bin blues now", ()),
        ("a.txt", LRS + FACES + TABLE, "bin blues now", TIMES),
        ("a.txt", "\ufeffConf:  4\r\nText:  BIN BLUE\r\n", "bin blue", ()),
        ("a.txt", "Text :  BIN BLUE\nConf :  4\n", "bin blue", ()),
        ("a.txt", "0 46797 She had your dark suit.\n", "she had your dark suit", ()),
        ("a.txt", "He said: stop\n", "he said stop", ()),
        ("a.txt", "Wait...what? Bin,blue: \u00abat f\u00bb\u2026 U.S.\n", "wait what bin blue at f us", ()),
        ("a.txt", "Bin,blue\nat f\n", "bin blue at f", ()),
        ("a.txt", "\u200bbin blue\u00ad\n", "bin blue", ()),  # as copied from a page
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n>> bin blue\n&gt;&gt; now\n", "bin blue now", ()),
        ("a.srt", SRT, "bin blue now then", ()),
        ("a.srt", "\ufeff" + SRT.replace("\n", "\r\n"), "bin blue now then", ()),
        ("a.vtt", VTT, "bin blue now then", ()),
        ("a.vtt", ROLLING, "bin blue at f two now", ()),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\ndon&#39;t&nbsp;go \u266a (sighs)\n", "dont go", ()),
        ("a.srt", "2\n00:02,000 --> 00:03,000\nnow\n\n1\n00:01,000 --> 00:02,500\nbin\n", "bin now", ()),
        ("a.lab", "0.0 0.25 sil\n0.25 0.5 bin\n", "bin", (WordTime("bin", 0.25, 0.5),)),
        ("a.lab", LAB, "bin well to", (WordTime("bin", 0.1, 0.46), WordTime("well", 0.46, 0.753333),
                                      WordTime("to", 0.753333, 0.9))),
        ("a.lab", "bin blue\n", "bin blue", ()),
        ("a.TextGrid", GRID_TEXT, "bin now", (WordTime("bin", 0.5, 1), WordTime("now", 1, 2))),
        ("a.textgrid", SHORT, "bin blue now", ()),
        ("a.lab", "0 0.5 bin\n0.5 1 now\n", "bin now", (WordTime("bin", 0, 0.5), WordTime("now", 0.5, 1))),
        ("a.textgrid", SHORT.replace("\n1\n", '\n2\n"IntervalTier"\n"notes"\n0\n2\n1\n0\n2\n""\n', 1),
         "bin blue now", ()),
    ],
)  # fmt: skip
def test_words_and_their_times(tmp_path: Path, name: str, content: str, text: str, words: tuple[WordTime, ...]) -> None:
    assert read_label(label(tmp_path, name, content)) == (text, words)


def test_praats_own_encoding(tmp_path: Path) -> None:
    assert read_label(label(tmp_path, "a.TextGrid", GRID_TEXT, "utf-16"))[0] == "bin now"


def test_the_encoding_that_windows_calls_unicode(tmp_path: Path) -> None:
    assert read_label(label(tmp_path, "a.srt", SRT, "utf-16"))[0] == "bin blue now then"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.txt", "bin blue\nConf: 4\n", "line 2 is 'Conf: 4', a header"),
        ("a.txt", "Speaker: Ann\nhello\n", "a header"),
        ("a.txt", "SPEAKER 1: hello\n", "a header"),
        ("a.txt", "WORD START END\n", "a header"),
        ("a.txt", "word,start,end\nbin,1.96,2.21\n", "a header"),
        ("a.txt", "bin 1.96 2.21\nblue 2.21 2.44\n", "a table of times"),
        ("a.txt", "23751 29511 bin\n29511 34111 blue\n", "a table of times"),
        ("a.txt", "Ann Lee: bin blue\n", "a header"),
        ("a.vtt", "WEBVTT\n\n1\n00:01.000 --> 00:02.000\nAnn Lee (guest): bin blue\n", "names who speaks"),
        ("a.txt", "file,text\nbbaf2n,bin blue at f two now\n", "it is a table, with 'file,text' as its first line"),
        ("a.txt", "start\tend\tword\n0\t1\tbin\n", "a header"),
        ("a.txt", "WEBVTT\n\nhello\n", "from subtitles; name the file"),
        ("a.txt", SRT, "from subtitles; name the file"),
        ("a.txt", "not sure: bin blue", "is a guess"),
        ("a.txt", "...\n", "has no words in it"),
        ("a.txt", LRS + "\nSOMETHING ELSE\n", "not a line of LRS"),
        ("a.txt", LRS + "\nWORD START END ASDSCORE\nBIN 0.5\n", "not a word with start and end"),
        ("a.txt", LRS + "\nWORD START END ASDSCORE\nBIN 0.5 0.2 1\n", "from 0.5 to 0.2 s"),
        ("a.txt", LRS + "\nWORD START END ASDSCORE\nBIN 0.5 inf 1\n", "correct the times"),
        ("a.srt", "bin blue\n", "does not start a subtitle cue"),
        ("a.srt", SRT.replace("\n\n", "\n"), "has no empty line before its cue"),
        ("a.srt", "1\n0:1 --> soon\nbin\n", "has no times"),
        ("a.srt", "1\n00:00:00,960 --> 00:00:01,400\nnot sure: bin\n", "is a guess"),
        ("a.srt", "1\n00:00:00,960 --> 00:00:01,400\nleft: bin\n", "names who speaks"),
        ("a.vtt", "WEBVTT\n", "has no cue"),
        ("a.lab", "0 100 sil\n100 200 b\n200 300 ih\n300 400 n\n", "phones and no words"),
        ("a.lab", "0 100 bin\n100 blue\n", "not a word with start and end"),
        (
            "a.txt",
            f"{LRS}\nWORD START END\nBIN 0.5 0.8 1\nBLUE 0.2 0.4 1\n",
            "0.4 s, after a word that ends at 0.8 s; correct",
        ),
        ("a.lab", "0.0 1.0 bin\n0.996 0.998 blue\n", "from 0.996 to 0.998 s, after a word that ends at 1 s; correct"),
        ("a.TextGrid", "", "is not a TextGrid"),
        ("a.TextGrid", "ooBinaryFile\x08TextGrid", "is not a TextGrid in text form"),
        ("a.TextGrid", SHORT.replace("\n1\n", "\n99999999999\n"), "is not a TextGrid"),
        ("a.TextGrid", GRID_TEXT[:-80], "is not a TextGrid"),
        ("a.TextGrid", SHORT.replace("bin blue", "not sure: bin blue"), "a guess"),
        ("a.TextGrid", GRID_TEXT.replace("TextTier", "IntervalTier").replace("words", "said"), "is not a TextGrid"),
    ],
)
def test_what_is_no_speech_is_refused_in_one_line(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    with pytest.raises(CorpusError, match=r"a\.\w+") as error:
        read_label(label(tmp_path, name, content))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["srt", "vtt", "TextGrid"])
def test_what_gunileo_writes_is_a_label_where_it_is_sure(tmp_path: Path, kind: str) -> None:
    words = (Word("bin", 0.2, 0.5, 0.9), Word("blue", 0.5, 0.9, 0.9))
    for sure in (True, False):
        content = WRITERS[kind](Transcript("a.mp4", "bin blue", words, 0.9, "m", sure))
        path = label(tmp_path, f"a.{kind}", content)
        if sure:
            assert read_label(path)[0] == "bin blue"
        else:
            with pytest.raises(CorpusError, match="guess"):
                read_label(path)


def test_subtitles_as_they_are_downloaded_name_their_language(tmp_path: Path) -> None:
    for name in ("one.en.vtt", "Two.EN-us.vtt", "both.en.vtt", "both.de.vtt", "own.vtt", "own.de.vtt"):
        label(tmp_path, name, VTT)
    for name in ("three.eng.srt", "seven.deu.srt", "eight.fil.srt", "four.old.srt", "five.raw.srt", "six.fin.srt"):
        label(tmp_path, name, SRT)
    for name in ("one", "two", "three", "four", "five", "six", "seven", "eight", "both", "own"):
        (tmp_path / f"{name}.mp4").touch()
    corpus = find_corpus(tmp_path)
    assert [utterance.id for utterance in corpus.utterances] == ["eight", "one", "own", "seven", "three", "two"]
    without = ["both.mp4", "five.mp4", "four.mp4", "six.mp4"]
    assert [path.name for path in corpus.without_label] == without, "which one nobody knows; old is no language"


def test_any_label_beside_a_clip_is_its_label(tmp_path: Path) -> None:
    for name, content in (("a.srt", SRT), ("b.TextGrid", GRID_TEXT), ("b.txt", "other"), ("c.lab", LAB)):
        label(tmp_path, name, content)
        (tmp_path / f"{name[0]}.mp4").touch()
    corpus = find_corpus(tmp_path)
    assert {one.id: one.text for one in corpus.utterances} == {
        "a": "bin blue now then", "b": "bin now", "c": "bin well to",
    }  # fmt: skip
    assert [(path.name, reason) for path, reason in corpus.passed_over] == [
        ("b.txt", "is beside b.TextGrid, which is taken")
    ]
    assert corpus.rejected == corpus.without_video == corpus.without_label == []


def test_tcd_timit_speakers_and_labels_apart(tmp_path: Path) -> None:
    clips = tmp_path / "volunteers" / "01M" / "Clips" / "straightcam"
    labels = tmp_path / "labels" / "01M"
    for folder in (clips, labels, tmp_path / "lipspeakers" / "Lipspkr1"):
        folder.mkdir(parents=True)
    (clips / "sa1.mp4").touch()
    label(labels, "sa1.lab", LAB)
    (tmp_path / "lipspeakers" / "Lipspkr1" / "sa1.mp4").touch()
    label(tmp_path / "lipspeakers" / "Lipspkr1", "sa1.txt", "0 46797 She had your dark suit.\n")
    corpus = find_folder(tmp_path)
    assert [(one.speaker, one.text) for one in corpus.utterances] == [
        ("LIPSPKR1", "she had your dark suit"), ("01M", "bin well to"),
    ]  # fmt: skip


def test_the_forms_of_miracl(tmp_path: Path) -> None:
    for place in ("F01/words/01/01", "F01/phrases/10/02", "M08/words/09/10", "M08/words/11/01"):
        (tmp_path / place).mkdir(parents=True)
        for name in ("color_001.jpg", "color_002.jpg", "depth_001.jpg"):
            (tmp_path / place / name).touch()
    corpus = find_corpus(tmp_path)
    assert [(one.id, one.speaker, one.text) for one in corpus.utterances] == [
        ("F01/phrases/10/02", "F01", "have a good time"),
        ("F01/words/01/01", "F01", "begin"),
        ("M08/words/09/10", "M08", "hello"),
    ]
