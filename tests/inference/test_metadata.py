"""Models of other tokens, inputs and decoders, from their file to words, subtitles and a live stream."""

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from other_models import OURS, STEP, clip_saying, frames_of, write_model
from vocabularies import CHARACTERS, LETTERS, PIECES, classes_of

from gunileo import available_models, load_model
from gunileo.decoding.grammar import Grammar, GrammarError
from gunileo.decoding.vocabulary import GRID, Vocabulary
from gunileo.evaluation.calibrate import calibrate_on
from gunileo.inference import confidence, metadata, registry
from gunileo.inference.confidence import Calibration, calibration_file, confidence_features, store_calibrations
from gunileo.inference.reader import Reader
from gunileo.inference.registry import ModelError
from gunileo.output.whisper import to_fields
from gunileo.output.writers import WRITERS
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import Frame, read_frames

SAID = "bin blue at f two now"
OPEN = "turn the light on"
CARD = {"license": "Apache-2.0", "source": "https://example.org/tiny.pth", "sha256": "12ab", "date": "2026-11-28"}


@pytest.fixture(autouse=True)
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metadata.VIEWS, "tiny", "other_models:TinyView")
    monkeypatch.setitem(metadata.SEARCHES, "ctc-attention", "other_models:TinySearch")


@pytest.fixture
def stored(home: Path) -> Path:
    """An imported model called ``tiny``."""
    folder = registry.imported_folder("tiny")
    folder.mkdir(parents=True)
    write_model(folder / "model.onnx", PIECES, **CARD)
    (folder / "card.json").write_text(json.dumps({**CARD, "published": "12.3 % of the words wrong", "kept": 1}))
    return folder


def reader_of(tmp_path: Path, vocabulary: Vocabulary, **metadata: str) -> Reader:
    return load_model(write_model(tmp_path / "tiny.onnx", vocabulary, **metadata))


@pytest.fixture(scope="module")
def face(synthetic_corpus: Path) -> list[Frame]:
    """The frames of a face that talks."""
    return list(read_frames(min((synthetic_corpus / "s1").glob("*.*"))))


def showing(face: list[Frame], classes: list[int]) -> list[Frame]:
    """The frames with these classes, each for a frame and a blank after it, in their corners from the 15th on."""
    shown, path = [frame.copy() for frame in face], frames_of(classes, 1)[6:-6]
    assert 15 + len(path) < len(face)
    for frame in shown:
        frame[:8, :8] = 0
    for frame, one in zip(shown[15:], path, strict=False):
        frame[0, 0] = STEP * one
    return shown


@pytest.mark.parametrize("vocabulary", [LETTERS, CHARACTERS, PIECES])
def test_every_way_to_decode_reads_other_tokens(tmp_path: Path, vocabulary: Vocabulary) -> None:
    reader = reader_of(tmp_path, vocabulary)
    clip = clip_saying(classes_of(vocabulary, SAID))
    for how in ("greedy", "beam", "grammar"):
        decoded = reader.read(clip, how)
        assert decoded.text == SAID
        assert decoded.words[0].start == pytest.approx(6 / 25)
        assert not decoded.calibrated
    best = reader.nbest(clip, 4, "grammar")
    assert best[0].text == SAID
    assert len({one.text for one in best}) == 4
    rules = Grammar.from_text("turn the light (on|off)\nbin blue at (f|b) two now", vocabulary=vocabulary)
    assert [one.text for one in reader.nbest(clip, 2, None, rules)] == [SAID, "bin blue at b two now"]


def test_what_is_read_if_nothing_is_asked_for(tmp_path: Path) -> None:
    said = classes_of(PIECES, "so don't turn")
    assert reader_of(tmp_path, PIECES).read(clip_saying(said)).text == "so don't turn"
    spelled = classes_of(LETTERS, "bim blue at f two now")  # m for n: no sentence of GRID's
    assert reader_of(tmp_path, LETTERS).read(clip_saying(spelled)).text == "bim blue at f two now"
    assert reader_of(tmp_path, LETTERS, grammar="grid").read(clip_saying(spelled)).text == SAID
    rule = Grammar.from_sentences(["so don't turn"], PIECES)
    assert reader_of(tmp_path, PIECES).transcribe_clip(clip_saying(said), "x", None, rule).text == "so don't turn"


def test_a_grammar_that_a_model_cant_spell_is_told_before_the_video_is_opened(tmp_path: Path) -> None:
    letters = reader_of(tmp_path, Vocabulary(("", " ", *"abc")))
    with pytest.raises(GrammarError, match="'t' has no class; spell it out in a-c and spaces"):
        letters.transcribe(tmp_path / "missing.mp4", grammar=Grammar.from_text("turn"))


def test_a_search_finds_more_than_ctc(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, PIECES, decoder="ctc-attention")
    clip = clip_saying(classes_of(PIECES, OPEN))
    decoded = reader.read(clip)
    assert decoded.text == OPEN
    assert decoded.confidence == pytest.approx(1 / (1 + math.exp(-2)))  # its share: scores of -1 and -3
    assert [word.start for word in decoded.words] == pytest.approx(
        [word.start for word in reader.read(clip, "greedy").words]
    )
    first, second = reader.nbest(clip, 5)
    assert (first.text, second.text) == (OPEN, "turn the light")
    assert second.confidence == pytest.approx(1 - first.confidence)
    assert reader.read(clip, "grammar", Grammar.from_sentences([OPEN], PIECES)).text == OPEN


def test_a_video_is_read_by_the_pictures_that_a_model_takes(tmp_path: Path, face: list[Frame]) -> None:
    reader = reader_of(tmp_path, PIECES, decoder="ctc-attention")
    frames = showing(face, classes_of(PIECES, OPEN))
    read = reader.transcribe(frames)
    assert read.text == OPEN
    assert not read.calibrated
    starts = 15 + 2 * np.cumsum([0, *(len(PIECES.spell(word)) for word in OPEN.split()[:-1])])
    assert [word.start for word in read.words] == pytest.approx(starts / 25, abs=1e-6)
    fields = to_fields(read)
    assert fields["calibrated"] is False
    assert OPEN in WRITERS["srt"](read).replace("\n", " ")

    live = reader.live()
    said = [one for frame in frames for one in live.push(frame)] + live.flush()
    assert " ".join(one.text for one in said) == OPEN
    assert said[0].words[0].start == pytest.approx(15 / 25)
    assert " ".join(one.text for one in reader.stream(frames)) == OPEN


def test_mouths_without_the_pictures_are_refused(tmp_path: Path) -> None:
    clip = clip_saying([1, 2])
    bare = MouthClip(clip.crops, clip.measures)
    with pytest.raises(ModelError, match="takes other pictures than mouth crops"):
        reader_of(tmp_path, PIECES).read(bare)


def test_pictures_stay_with_their_frames() -> None:
    clip = clip_saying([3, 4, 5])
    assert clip.views is not None
    turned = MouthClip.joined([clip[::-1], clip[2:4]])
    assert turned.views is not None
    assert (turned.views == np.concatenate([clip.views[::-1], clip.views[2:4]])).all()


def test_readers_of_other_models_are_copied_and_pickled(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, PIECES, decoder="ctc-attention")
    clip = clip_saying(classes_of(PIECES, OPEN))
    for other in (copy.deepcopy(reader), pickle.loads(pickle.dumps(reader))):
        assert other.read(clip) == reader.read(clip)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"tokens": {"a": 1}}, "its tokens can't be understood"),
        ({"tokens": ["a", "b"]}, "the CTC blank comes first"),
        ({"input": "side"}, "has 'side' as its input, which this version doesn't know"),
        ({"decoder": "magic"}, "has 'magic' as its decoder, which this version doesn't know"),
        ({"input": "mouth"}, "an ONNX model, but not one of gunileo's"),
        ({"input": "mouth", **OURS, "width": "96"}, "made for other width than this version's"),
    ],
)
def test_what_a_file_needs_and_isnt_here_is_told(tmp_path: Path, metadata: dict[str, str], says: str) -> None:
    path = tmp_path / "odd.onnx"
    write_model(path, PIECES, **metadata)
    if metadata.get("input") == "mouth":  # as they are, as ours are written
        odd = onnx.load(str(path))
        for entry in odd.metadata_props:
            entry.value = metadata.get(entry.key, json.loads(entry.value)) if entry.key != "tokens" else entry.value
        onnx.save(odd, str(path))
    with pytest.raises(ModelError, match=rf"odd\.onnx: .*{says}"):
        load_model(path)


def test_a_part_that_this_version_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metadata.VIEWS, "tiny", "gunileo.no_such_module:View")
    with pytest.raises(ModelError, match="models with 'tiny' can't be read by this version; update gunileo"):
        reader_of(tmp_path, PIECES)


def test_the_models_that_come_with_the_package_need_what_they_always_did() -> None:
    for info in available_models():
        reader = load_model(info.name)
        assert reader.metadata.vocabulary is GRID
        assert (reader.metadata.input, reader.metadata.decoder, reader.metadata.grammar) == ("mouth", "ctc", "grid")
        assert reader.view is reader.search is None


def test_an_imported_model_is_found_by_its_name(
    stored: Path, run: Callable[..., tuple[int, str, str]], tmp_path: Path, face: list[Frame]
) -> None:
    reader = load_model("tiny")
    assert (reader.name, reader.metadata.source, reader.metadata.sha256) == ("tiny", CARD["source"], CARD["sha256"])
    assert registry.all_names()[-1] == "tiny"

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, frame in enumerate(showing(face, classes_of(PIECES, OPEN))):
        cv2.imwrite(str(pictures / f"{number:03}.png"), frame[:, :, ::-1])
    code, out, err = run(
        *("transcribe", pictures, "--fps", "25", "--model", "tiny", "-f", "json,srt", "-o", tmp_path / "read")
    )
    assert (code, out.strip()) == (0, OPEN), err
    written = json.loads((tmp_path / "read" / "pictures.json").read_text())
    assert (written["text"], written["model"], written["calibrated"]) == (OPEN, "tiny", False)
    rules = tmp_path / "rules.txt"
    rules.write_text("turn the light (on|off)\ndon't turn")
    _, out, _ = run("transcribe", pictures, "--fps", "25", "--model", "tiny", "--grammar", rules)
    assert out.strip() == OPEN

    code, _, err = run("teach", pictures, "-o", "mine", "--base", "tiny", "--train")
    assert (code, "tiny: is imported, and its network can't be trained here" in err) == (1, True)
    code, _, err = run("teach", pictures, "-o", "tiny")
    assert (code, "tiny is a model that you imported; use another name" in err) == (1, True)
    _, out, _ = run("models")
    assert "imported            2026-11-28, from https://example.org/tiny.pth" in out
    assert "by its authors      12.3 % of the words wrong" in out
    code, out, _ = run("forget", "tiny")
    assert (code, stored.exists()) == (0, False)
    with pytest.raises(ModelError, match="tiny: no such model; give one of the shipped ones"):
        load_model("tiny")


def test_a_damaged_card_is_told(stored: Path) -> None:
    (stored / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"card\.json: can't be understood .*import tiny again"):
        load_model("tiny")


def test_a_calibration_beside_a_model_is_its_own(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.onnx", PIECES)
    clip = clip_saying(classes_of(PIECES, OPEN))
    plain = load_model(path)
    learnt = Calibration((2.0, -1.0, -1.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), 100.0, 20)
    store_calibrations(path, plain.checksum, {"beam": learnt})
    read = load_model(path).read(clip)
    assert (read.text, read.sure, read.calibrated) == (OPEN, False, True)  # no score comes to the threshold of 100
    raw = plain.read(clip)
    features = confidence_features(plain.log_probabilities(clip), raw, None, PIECES)
    assert read.words == learnt.apply(raw, features).words
    write_model(path, PIECES, date="2026-11-29")  # another file
    assert replace(load_model(path).read(clip), classes=()) == raw
    calibration_file(path).write_text("{")
    with pytest.raises(ModelError, match=r"tiny\.onnx: its calibration can't be understood"):
        load_model(path)


def test_a_calibration_is_learnt_in_any_tokens(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, PIECES, decoder="ctc-attention")
    texts = [f"{a} the {b}" for a in ("turn", "don't", "so", "bin") for b in ("light", "a", "in", "bed", "sole", "toe")]
    examples = [(lambda text=text: clip_saying(classes_of(PIECES, text)), text.replace("'", "")) for text in texts]
    found = calibrate_on(reader, examples)
    assert {how: one.good for how, one in found.items()} == {"greedy": 24, "beam": 24}  # none is a sentence of GRID's
    assert replace(reader, calibrations=found).read(examples[0][0]()).calibrated
    assert calibrate_on(reader, [(load, "blue") for load, _ in examples]) == {}  # all of them wrong


def lossless(path: Path, frames: list[Frame]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def test_an_imported_model_is_calibrated_on_clips(
    stored: Path,
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    face: list[Frame],
    synthetic_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confidence, "FEWEST", 2)
    clips = tmp_path / "clips"
    clips.mkdir()
    for text in (OPEN, "so bin blue"):
        lossless(clips / f"{text.replace(' ', '')}.mkv", showing(face, classes_of(PIECES, text)))
        (clips / f"{text.replace(' ', '')}.txt").write_text(text)
    (clips / "broken.mkv").write_bytes(b"no video")
    (clips / "broken.txt").write_text(OPEN)
    code, out, err = run("calibrate", "tiny", clips)
    assert code == 0, err
    assert f"{stored / 'model.calibration.json'}: learnt for greedy, beam" in out
    assert "broken.mkv" in err
    assert load_model("tiny").read(clip_saying(classes_of(PIECES, OPEN))).calibrated

    code, _, err = run("calibrate", "labial", clips)
    assert (code, "comes with its calibration" in err) == (1, True)
    code, _, err = run("calibrate", "tiny", synthetic_cache)  # of which it reads the videos, and they show no classes
    assert (code, "tiny reads fewer than 2 of these clips well" in err) == (1, True)


def test_a_model_that_reads_nothing_well_gets_no_calibration(
    model: str, run: Callable[..., tuple[int, str, str]], synthetic_cache: Path
) -> None:
    code, _, err = run("calibrate", model, synthetic_cache)
    assert (code, "reads fewer than 20 of these clips well" in err) == (1, True)
    assert not calibration_file(Path(model)).exists()
