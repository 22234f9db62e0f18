"""The page in a real browser, its camera fed by a clip: Read, Live and Teach from start to end."""

import re
from pathlib import Path

import clips
import cv2
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("playwright", reason="needs playwright")
from browser import PATIENCE, Open, camera, until
from playwright.sync_api import Page, expect

from gunileo import load_model
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.synthetic import UNITS, speak
from gunileo.vision.video import Frame, read_frames, write_video


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("page") / "said.mp4")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of half the size, as it is less work for a browser without a graphics card."""
    small = [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in clips.talking()[0]]
    return camera(tmp_path_factory.mktemp("film") / "talking.y4m", small)


def heard_live(page: Page, wanted: str) -> list[str]:
    """What is read until this is; the test is skipped where the page itself finds the machine too slow."""
    page.click("#live-start")
    spoken: list[str] = []
    for _ in range(60):
        page.wait_for_timeout(1000)
        spoken = page.locator("#spoken b").all_inner_texts()
        if wanted in spoken:
            return spoken
    if "pictures a second" in page.inner_text("#live-status"):
        pytest.skip("this machine is too busy to read a camera live")
    return spoken


def test_a_file_is_read(visit: Open, film: Path, said: Path) -> None:
    page = visit(film, viewport={"width": 380, "height": 800}, color_scheme="dark")
    page.select_option("#read-model", "labial-wide")
    page.set_input_files("#file", said)
    text = load_model("labial-wide").transcribe(said).text
    expect(page.locator("#sentence")).to_contain_text(text, timeout=PATIENCE)
    expect(page.locator("#sentence small")).to_contain_text("Not sure")
    expect(page.locator("#doubt")).to_contain_text("one speaker's face")
    words = page.locator("#words button")
    assert [word.split("\n")[0] for word in words.all_inner_texts()] == text.split()
    words.nth(2).press("Enter")
    until(page, "shown.currentTime > 1")
    assert page.evaluate("shown.textTracks[0].mode") == "showing"
    until(page, "shown.textTracks[0].cues?.length === 1")
    page.click("summary")
    assert page.locator("#alternatives li").count() == 5
    with page.expect_download() as download:
        page.click("#downloads a[download$=srt]")
    assert download.value.suggested_filename == "said.srt"
    assert text in Path(download.value.path()).read_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out at a phone's width"


def test_what_no_browser_plays_and_what_is_no_video(visit: Open, film: Path, tmp_path: Path) -> None:
    page = visit(film)
    page.set_input_files("#file", clips.coded(tmp_path / "old.mpg"))
    until(page, "!shown.hidden && shown.duration === 3")
    expect(page.locator("#words button")).to_have_count(6, timeout=PATIENCE)
    page.click("#another")
    page.set_input_files("#file", clips.text(tmp_path / "letter.mp4"))
    expect(page.locator("#read-status")).to_contain_text("letter.mp4: not a video", timeout=PATIENCE)
    page.click("#record")
    page.wait_for_timeout(1500)
    page.click("#record")
    expect(page.locator("#words button")).to_have_count(6, timeout=PATIENCE)


def command(code: str, seed: int) -> list[Frame]:
    """Two of the words of a sentence, as a command, with rest around them; of half the size, as ``film`` is."""
    frames, segments = speak(code, seed)
    said = [segment for segment in segments if segment.word not in ("sil", "sp")][:2]
    spoken = frames[said[0].start // UNITS : said[-1].end // UNITS + 1]
    whole = [frames[0]] * 15 + list(spoken) + [frames[0]] * 15
    return [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in whole]


def record(page: Page, text: str) -> None:
    """Record a recording of what is asked for, by keys alone; again where a busy machine filmed too little."""
    expect(page.locator("#prompt")).to_have_text(text, timeout=PATIENCE)
    status = page.locator("#recording-status")
    for _ in range(5):
        expect(page.locator("#recording")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_timeout(3000)
        page.keyboard.press("Enter")
        expect(page.locator("#recording")).to_have_text("Record", timeout=PATIENCE)
        if "Kept" in status.inner_text():
            break
    expect(status).to_contain_text(f"Kept “{text}”")


def read(page: Page, model: str, path: Path) -> str:
    """What a model reads in a file."""
    page.click("nav a[href='#read']")
    page.select_option("#read-model", model)
    page.set_input_files("#file", path)
    expect(page.locator("#words button").first).to_be_visible(timeout=PATIENCE)
    return " ".join(word.split("\n")[0] for word in page.locator("#words button").all_inner_texts())


def begin_teaching(page: Page, name: str, command: str) -> None:
    page.click("nav a[href='#teach']")
    page.fill("#teach-name", name)
    page.fill("#teach-text", command)
    page.press("#teach-name", "Enter")


def teach_the_door(page: Page) -> None:
    """A first command of two recordings, after a rule that can't be used and a recording that is discarded."""
    begin_teaching(page, "mine", "turn (on")
    expect(page.locator("#plan-status")).to_contain_text("line 1: '(' is never closed", timeout=PATIENCE)
    page.fill("#teach-text", "open the door")
    page.press("#teach-name", "Enter")
    record(page, "open the door")
    page.click("#record-again")
    expect(page.locator("#recording-status")).to_contain_text("Discarded")
    record(page, "open the door")
    record(page, "open the door")
    page.click("#studio-done")
    expect(page.locator("#taught article")).to_contain_text(
        "Uses each recording as an example: 2 of 2", timeout=PATIENCE
    )


def teach_stop(page: Page) -> None:
    """A second command of two recordings. The first is read as the only command that the model knows."""
    begin_teaching(page, "mine", "stop")
    record(page, "stop")
    expect(page.locator("#recording-status")).to_contain_text("read as “open the door”")
    record(page, "stop")
    page.click("#studio-done")
    expect(page.locator("#taught article")).to_contain_text(
        "Uses each recording as an example: 4 of 4", timeout=PATIENCE
    )


def train(page: Page) -> None:
    card = page.locator("#taught article")
    page.click("text=Train")
    expect(card).to_contain_text(re.compile(r"Training: [1-9]+ of 10"), timeout=PATIENCE)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(card).to_contain_text(re.compile(r"Trained: [01] of 1 read right"), timeout=PATIENCE)


def delete(page: Page) -> None:
    """Delete the taught model: its card goes."""
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("nav a[href='#teach']")
    page.click("text=Delete")
    expect(page.locator("#taught article")).to_have_count(0, timeout=PATIENCE)


def test_commands_are_taught_from_the_first_recording_to_a_trained_model(visit: Open, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason='needs the extra "train"')
    codes = {"open the door": "lwws9a", "stop": "pgiozs"}
    for text, code in codes.items():
        write_video(tmp_path / f"{text}.mp4", command(code, 7))  # said again, otherwise

    door = visit(camera(tmp_path / "door.y4m", command(codes["open the door"], 0)))
    teach_the_door(door)
    assert read(door, "mine", tmp_path / "open the door.mp4") == "open the door"

    stop = visit(camera(tmp_path / "stop.y4m", command(codes["stop"], 0)))
    teach_stop(stop)
    train(stop)
    for text in codes:
        assert read(stop, "mine", tmp_path / f"{text}.mp4") == text
    stop.click("nav a[href='#teach']")
    stop.click("text=Try it live")
    assert stop.input_value("#live-model") == "mine"
    assert "stop" in heard_live(stop, "stop")
    expect(stop.locator("#spoken small").first).to_contain_text("after the last word")
    stop.click("nav a[href='#models']")
    expect(stop.locator("#cards")).to_contain_text("4 recordings of 2 sentences")
    delete(stop)
    expect(stop.locator("#live-model option", has_text="mine")).to_have_count(0)


def test_a_real_speaker_is_read_taught_and_read_live(visit: Open, shared: Path, tmp_path: Path) -> None:
    clip = min((shared / "grid" / "s1").glob("*.mpg"))
    page = visit(camera(tmp_path / "real.y4m", list(read_frames(clip))))
    assert read(page, "labial-wide", clip) == code_to_text(clip.stem)
    begin_teaching(page, "real", "lights on")
    record(page, "lights on")
    page.click("#studio-done")
    expect(page.locator("#taught article")).to_contain_text("Uses each recording as an example", timeout=PATIENCE)
    assert read(page, "real", clip) == "lights on"
    page.click("nav a[href='#live']")
    page.select_option("#live-model", "labial-wide")
    assert code_to_text(clip.stem) in heard_live(page, code_to_text(clip.stem))
    delete(page)
