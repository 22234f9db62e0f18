"""Made-up models in the published form: imported, read with, refused."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harm import Harm
from published_models import LANGUAGE_TOLD, made_up, reference, told, write_checkpoint

import gunileo
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.published.catalogue import KNOWN, VSR_LICENSE
from gunileo.published.checkpoint import read_checkpoint
from gunileo.published.importing import import_model
from gunileo.published.search import Weighting

Run = Callable[..., tuple[int, str, str]]


pytestmark = pytest.mark.usefixtures("home")


def yes(_: str) -> bool:
    return True


def clip_in(corpus: Path) -> Path:
    return next(path for path in corpus.rglob("bbaf2n.*") if path.suffix != ".align")


def refused(message: str, source: Path, **how: Any) -> None:
    """One line that holds ``message``, and nothing is installed."""
    with pytest.raises(GunileoError) as error:
        import_model(str(source), yes, "mine", say=lambda _: None, **how)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not registry.imported_models()
    assert not any(one.name != ".lock" for one in (registry.home() / "imports").glob("*"))


def test_from_a_folder_to_words_subtitles_and_oblivion(
    tmp_path: Path, synthetic_corpus: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "Made_V_WER99", "swish_latest", told("swish_latest"))
    language = write_checkpoint(tmp_path / "lm", "lm", LANGUAGE_TOLD)
    (folder / "LICENSE").write_text("Research only.")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, error = run("import", folder / "model.pth", "--name", "mine", "--lm", language)
    assert code == 1
    assert "was not accepted" in error
    code, out, error = run("import", folder, "--name", "mine", "--lm", language, "--accept-license")
    assert code == 0, error
    assert "Research only." in out
    card = registry.imported("mine")
    assert card is not None
    assert card.license == "Research only."
    assert len(card.sha256) == 64
    assert Weighting.read(card.folder / "search.json") == Weighting(40, 0.1, 0.3)
    assert not list(card.folder.glob("*.pth"))
    Weighting(3, 0.1, 0.3).write(card.folder / "search.json")
    clip = clip_in(synthetic_corpus)
    code, out, error = run("transcribe", clip, "--model", "mine", "-f", "json,srt", "-o", tmp_path / "read")
    assert code == 0, error
    (read,) = [json.loads(path.read_text()) for path in (tmp_path / "read").rglob("*.json")]
    assert read["model"] == "mine"
    words = [word for part in read.get("segments", [read]) for word in part["words"]]
    assert words
    ends = [0.0, *(word["end"] for word in words)]
    assert all(word["start"] < word["end"] for word in words)
    assert ends == sorted(ends)
    assert list((tmp_path / "read").rglob("*.srt"))
    assert "mine" in run("models")[1]
    assert run("import", folder, "--name", "mine", "--accept-license")[0] == 1  # the name is taken
    assert run("forget", "mine")[0] == 0
    assert not registry.imported_models()


def test_the_other_forms_give_the_same_network(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "plain", "swish_latest", [7744, 41, told("swish_latest")])  # type: ignore[arg-type]
    import_model(str(folder), yes, "plain", say=lambda _: None)
    state = torch.load(folder / "model.pth", weights_only=True)

    def old(name: str) -> str:
        name = name.replace("encoder.embed.0.", "proj_encoder.") if name.startswith("encoder.embed.0.") else name
        return name.removeprefix("encoder.") if name.startswith("encoder.frontend.") else name

    lightning = tmp_path / "lightning"
    lightning.mkdir()
    shutil.copy(folder / "model.json", lightning / "model.json")
    wrapped = {f"model.{old(name)}": value for name, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped, "optimizer_states": [{"state": {}}]}, lightning / "last.ckpt")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("model.pth", "model.json"):
            archive.write(folder / name, f"LRS9_V_WER9/{name}")
    for source in (lightning / "last.ckpt", tmp_path / "packed.zip"):
        card = import_model(str(source), yes, "other", say=lambda _: None)
        for part in ("source.onnx", "decoder.onnx"):
            assert (card.folder / part).read_bytes() == (registry.imported_folder("plain") / part).read_bytes()
        shutil.rmtree(card.folder)


def test_lipnet_reads(tmp_path: Path, synthetic_corpus: Path) -> None:
    names = reference("lipnet", "expected.json")["names"]
    state = {f"module.{name}": torch.from_numpy(value) for name, value in made_up(names).items()}
    torch.save(state, tmp_path / "LipNet.pt")
    card = import_model(str(tmp_path / "LipNet.pt"), yes, "lipnet-unseen", say=lambda _: None)
    assert card.published
    reader = gunileo.load_model("lipnet-unseen")
    assert reader.way(None) == "grammar"  # the catalogue says that it reads GRID's sentences
    read = reader.transcribe(clip_in(synthetic_corpus))
    assert len(read.words) == 6


def test_what_is_wrong_is_told_in_a_line_and_nothing_is_installed(tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path / "good", "swish_latest", told("swish_latest"))
    state = torch.load(good / "model.pth", weights_only=True)
    bad = tmp_path / "bad"
    bad.mkdir()

    def with_state(change: dict[str, Any], **settings: Any) -> Path:
        changed = {name: value for name, value in {**state, **change}.items() if value is not None}
        torch.save(changed, bad / "model.pth")
        (bad / "model.json").write_text(json.dumps({**told("swish_latest"), **settings}))
        return bad

    refused("has no encoder.after_norm.bias", with_state({"encoder.after_norm.bias": None}))
    refused("extra.weight belongs to no part", with_state({"extra.weight": torch.zeros(2)}))
    refused("has the shape", with_state({"encoder.after_norm.bias": torch.zeros(3)}))
    refused("holds a value that is not a number", with_state({"encoder.after_norm.bias": torch.full((32,), torch.nan)}))
    refused("has no CTC layer", with_state({"ctc.ctc_lo.weight": None}))
    refused("has no decoder", with_state({"decoder.output_layer.weight": None}))
    refused("41 classes, but 3 tokens", with_state({}, char_list=["<blank>", "a", "<eos>"]))
    refused("labels_type is 'phones'", with_state({}, labels_type="phones"))
    refused("adim 64, its weights 32", with_state({}, adim=64))
    refused("macaron_style 0, its weights True", with_state({}, macaron_style=0))
    refused("begin with <blank>", with_state({}, char_list=["a", *told("swish_latest")["char_list"][1:]]))
    content = (good / "model.pth").read_bytes()
    (bad / "model.pth").write_bytes(content[: len(content) // 2])
    refused("truncated or damaged", bad)
    (bad / "model.pth").write_bytes(content[:5000] + bytes(100) + content[5100:])
    refused("model.pth: ", bad)
    (bad / "model.json").write_text("{")
    refused("model.pth: ", bad)
    refused("no such file", tmp_path / "nowhere.pth")
    refused("no such file", Path(os.devnull))
    (registry.home() / "imports" / "gunileo-left").mkdir(parents=True, exist_ok=True)  # by an import that was killed
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    refused("empty.zip: no checkpoint", tmp_path / "empty.zip")
    page = tmp_path / "good" / "page.pth"
    page.write_text("\n<!DOCTYPE html><title>Virus scan warning</title>")
    refused("page.pth: a web page", page)
    page.unlink()
    refused("no checkpoint", tmp_path)
    torch.save(state, bad / "model.pth", _use_new_zipfile_serialization=False)
    refused("older than 1.6", bad)


def test_a_language_model_belongs_to_a_model(tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path / "good", "swish_latest", told("swish_latest"))
    refused("a language model", write_checkpoint(tmp_path / "lm", "lm", LANGUAGE_TOLD))
    refused("its model.json has no head", good, lm=write_checkpoint(tmp_path / "headless", "lm", {}))
    refused("model.pth: conformer, no language model", good, lm=good)
    refused("nowhere: no such language model", good, lm=tmp_path / "nowhere")


def test_a_pickle_that_wants_to_run_code_is_told_and_runs_none(tmp_path: Path) -> None:
    torch.save({"a": Harm(tmp_path / "done")}, tmp_path / "harm.pth")
    refused("wants to run 'posix.mkdir'" if os.name == "posix" else "wants to run", tmp_path / "harm.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Harm(tmp_path / "done")))
    refused("older than 1.6, or not by it", tmp_path / "plain.pth")
    assert not (tmp_path / "done").exists()


# A tensor "a" of three numbers in a storage of infinitely many.
ENDLESS = (
    b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuG\x7f\xf0\x00\x00\x00\x00\x00\x00tQK\x00K\x03\x85K\x01\x85\x89}tRs."
)


def test_a_length_that_is_no_number_is_damage(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", ENDLESS)
        archive.writestr("a/data/0", bytes(12))
    refused("a is damaged", tmp_path / "a.pth")


def test_nothing_is_asked_of_what_is_not_there(tmp_path: Path) -> None:
    addresses = ("ftp://example.org/model.pth", "https://", "https://example.org")
    for source in (str(tmp_path / "nowhere.pth"), f"{'a' * 300}.pth", "vsr-grid-unseen", *addresses):
        with pytest.raises(GunileoError):
            import_model(source, pytest.fail)
    (tmp_path / "a.pth").touch()
    for name in ("a" * 101, "a/b", ".", ".."):
        with pytest.raises(GunileoError, match="no name for a model; give one of up to 100 letters"):
            import_model(str(tmp_path / "a.pth"), pytest.fail, name)


def test_a_file_of_a_published_name_gets_the_published_settings(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "GRID_V_WER4.8", "swish_latest", told("swish_latest"))
    said: list[str] = []
    card = import_model(str(folder), yes, "mine", say=said.append)
    assert "by its name this is vsr-grid-unseen" in said[0]
    assert (card.license, card.published, card.grammar) == (
        VSR_LICENSE,
        "GRID, s1 s2 s20 s22 unseen: WER 4.8 %",
        "grid",
    )
    assert Weighting.read(card.folder / "search.json") == Weighting(20, 0.1)
    titles = [one.title.lower() for one in KNOWN if one.title]
    assert len(set(titles)) == len(titles) == len(KNOWN) - 1  # the mirror has none of its own


@pytest.mark.parametrize(("title", "name"), [("LRS3_V_WER32.3", "vsr-lrs3-small"), ("LRS3_V_WER19.1", "vsr-lrs3")])
def test_a_published_name_is_the_models_name(title: str, name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine", "swish_latest", told("swish_latest"))
    (folder / "model.pth").rename(folder / f"{title}.pth")
    said: list[str] = []
    card = import_model(str(folder), yes, say=said.append)
    assert card.name == name
    assert said[1] == f"{name}: its authors used a language model; if you have it, give it with --lm FOLDER"
    with pytest.raises(GunileoError, match=f"{name}: there is a model of this name"):
        import_model(str(folder / f"{title}.pth"), pytest.fail, say=lambda _: None)
    assert registry.imported_models() == [card]


def test_every_kind_of_number_and_view_is_read(tmp_path: Path) -> None:
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = {
        "turned": whole.T,
        "part": whole[1:3, ::2],
        "half": whole.half(),
        "brain": whole.bfloat16(),
        "count": torch.tensor(7),
        "parameter": torch.nn.Parameter(whole),
        "inner": {"deep": whole},
    }
    torch.save(state, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert read.pop("count") == 7
    expected = {"turned": whole.T, "part": whole[1:3, ::2], "inner.deep": whole}
    for name, value in read.items():
        assert np.array_equal(value, expected.get(name, whole).numpy()), name
    assert set(read) == {"turned", "part", "half", "brain", "parameter", "inner.deep"}


def test_no_room_leaves_nothing(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_checkpoint(tmp_path / "good", "swish_latest", told("swish_latest"))
    monkeypatch.setenv("GUNILEO_HOME", str(disk))
    refused("free some space", good)
