"""Live in a real browser, for somebody without a voice: from the space bar to the spoken sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import clips
import cv2
import httpx
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("playwright", reason="needs playwright")
from browser import PATIENCE, Open, camera, until
from playwright.sync_api import Page, expect

from gunileo.corpus.grid import code_to_text
from gunileo.vision.video import Frame, read_frames

# A voice that only listens: what the page asks of the browser's own is kept in ``heard``.
VOICE = """
window.heard = [];
const voices = [
  { name: "Far", lang: "en-US", localService: false, voiceURI: "far" },
  { name: "Nah", lang: "de-DE", localService: true, voiceURI: "nah" },
  { name: "Near", lang: "en-GB", localService: true, voiceURI: "near" },
];
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
const speaker = Object.assign(new EventTarget(), {
  getVoices: () => voices,
  cancel() {},
  speak(one) { heard.push([one.text, one.voice.name, one.rate]); one.onstart(); setTimeout(one.onend, 200); },
});
Object.defineProperty(window, "speechSynthesis", { value: speaker });
"""
MUTE = 'Object.defineProperty(window, "speechSynthesis", { value: undefined })'
# Whether the camera's picture is at its mark: a white square in its corner.
MARK = """(() => {
  const canvas = new OffscreenCanvas(1, 1), context = canvas.getContext("2d");
  context.drawImage(mirror, 4, 4, 1, 1, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[1] > 200;
})()"""


def marked(path: Path, frames: list[Frame]) -> Path:
    """A camera's film that begins with a resting face and a white square in the corner, which is black from then on."""
    white, *black = (frame.copy() for frame in [frames[0], *frames])
    white[:16, :16] = 255
    for frame in black:
        frame[:16, :16] = 0
    return camera(path, [white] * 10 + black[:1] * 5 + black)


def small(frames: list[Frame]) -> list[Frame]:
    return [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in frames]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marked(tmp_path_factory.mktemp("film") / "talking.y4m", small(list(clips.talking()[0])))


def start(page: Page, talk: str = "push") -> None:
    page.click("nav a[href='#live']")
    page.select_option("#live-model", "labial-wide")
    page.select_option("#live-talk", talk)
    page.click("#live-start")
    expect(page.locator("#live-status")).to_contain_text("Your mouth is seen", timeout=PATIENCE)


def start_by_keys(page: Page) -> None:
    """The same without a mouse."""

    def reach(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id || document.activeElement.hash") == name:
                return
        raise AssertionError(f"no tab leads to {name}")

    reach("#live")
    page.keyboard.press("Enter")
    reach("live-model")
    page.keyboard.type("labial-wide")
    reach("live-talk")
    page.keyboard.press("ArrowDown")
    reach("live-start")
    page.keyboard.press("Enter")
    expect(page.locator("#live-status")).to_contain_text("Your mouth is seen", timeout=PATIENCE)


def hold(page: Page, seconds: float = 5.0) -> list[str]:
    """Hold the space bar through one sentence of the film; what is offered then."""
    until(page, f"!{MARK}")
    until(page, MARK)
    page.keyboard.down("Space")
    expect(page.locator("#talk")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1000 * seconds)
    page.keyboard.up("Space")
    expect(page.locator("#talk")).to_have_attribute("aria-pressed", "false")
    return offered(page)


def offered(page: Page) -> list[str]:
    """The choices, once there are some; the test is skipped where the page itself finds the machine too slow."""
    choices = page.locator("#choices span")
    try:
        expect(choices.first).to_be_visible(timeout=PATIENCE)
    except AssertionError:
        if re.search("pictures a second|too slow", page.inner_text("#live-status")):
            pytest.skip("this machine is too busy to read a camera live")
        raise
    return choices.all_inner_texts()


def heard(page: Page) -> list[list[object]]:
    return page.evaluate("heard")


def test_from_the_space_bar_to_the_spoken_sentence(visit: Open, film: Path) -> None:
    page = visit(film, VOICE)
    start_by_keys(page)
    expect(page.locator("#talk")).to_be_focused()
    page.wait_for_timeout(6000)
    assert page.locator("#spoken li").count() == 0, "nothing is read while the bar is not held"

    texts = hold(page)
    assert len(set(texts)) == 3
    assert heard(page) == [], "nothing is said before it is chosen"
    expect(page.locator("#choices-status")).to_contain_text(f"1: {texts[0]}. 2: {texts[1]}. 3: {texts[2]}.")
    page.keyboard.press("2")
    assert heard(page) == [[texts[1], "Near", 1]], "by a voice of this computer, an English one first"
    expect(page.locator("#caption")).to_have_text(texts[1])
    expect(page.locator("#choices li")).to_have_count(0)
    entry = page.locator("#spoken li").first
    expect(entry.locator("b")).to_have_text(texts[1])
    expect(entry.locator("small")).to_contain_text("said")

    page.locator("#voice-rate").fill("1.5")
    page.select_option("#voice", "nah")
    entry.get_by_role("button", name=f"Say: {texts[1]}").click()
    assert heard(page)[-1] == [texts[1], "Nah", 1.5]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    entry.get_by_role("button", name=f"Copy: {texts[1]}").click()
    expect(page.locator("#choices-status")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == texts[1]
    page.keyboard.press("3")
    assert len(heard(page)) == 2, "nothing is offered any more"
    page.click("#history-clear")
    assert page.locator("#spoken li").count() == 0


def test_a_turn_of_over_ten_seconds_is_one_sentence(visit: Open, film: Path) -> None:
    page = visit(film, VOICE)
    start(page)
    page.focus("#talk")
    (text,) = hold(page, 13)
    assert page.locator("#spoken li").count() == 1
    page.locator("#none").press("Enter")
    expect(page.locator("#choices li")).to_have_count(0)
    expect(page.locator("#talk")).to_be_focused()
    page.keyboard.down("Space")
    page.wait_for_timeout(11_000)
    page.keyboard.up("Space")
    (text,) = offered(page)
    # As a keyboard of France sends it without the shift key.
    page.evaluate("talk.dispatchEvent(new KeyboardEvent('keydown', { key: '&', code: 'Digit1', bubbles: true }))")
    assert heard(page) == [[text, "Near", 1]]


def test_on_a_phone_in_the_large_view(visit: Open, film: Path) -> None:
    page = visit(film, VOICE)
    start(page)
    page.set_viewport_size({"width": 380, "height": 800})
    page.click("#live-large")
    expect(page.locator("#talk")).to_be_focused()
    texts = hold(page)
    expect(page.locator("#live-large")).to_have_attribute("aria-pressed", "true")
    first = page.locator("#choices button").first
    expect(first).to_be_in_viewport(ratio=1)
    first.click()
    assert heard(page)[0][0] == texts[0]
    expect(page.locator("#talk")).to_be_focused()
    expect(page.locator("#talk")).to_be_in_viewport(ratio=1)


def test_a_correction_becomes_a_recording(visit: Open, film: Path, server: str) -> None:
    page = visit(film, VOICE)
    start(page)
    page.check("#live-teach")
    page.focus("#talk")
    texts = hold(page)
    page.locator("#choices button").nth(2).click()
    expect(page.locator("#correction-status")).to_contain_text(f"Kept for Teach: “{texts[2]}”", timeout=PATIENCE)
    asks = httpx.Client(timeout=PATIENCE / 1000)
    kept = asks.get(f"{server}v1/taught/my face").json()
    assert [one["text"] for one in kept["recordings"]] == [texts[2]]
    page.keyboard.press("Enter")  # the button has the focus again: once to begin, once to end
    expect(page.locator("#talk")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(5000)
    page.keyboard.press("Enter")
    assert len(offered(page)) == 3
    page.keyboard.press("1")
    page.wait_for_timeout(2000)
    assert len(httpx.get(f"{server}v1/taught/my face", timeout=PATIENCE / 1000).json()["recordings"]) == 1, (
        "the first was no mistake"
    )
    assert httpx.delete(f"{server}v1/taught/my face", timeout=PATIENCE / 1000).json() == {"removed": True}


def test_a_real_speaker_is_spoken_for_after_two_seconds(visit: Open, shared: Path, tmp_path: Path) -> None:
    clip = min((shared / "grid" / "s1").glob("*.mpg"))
    page = visit(marked(tmp_path / "real.y4m", list(read_frames(clip))), VOICE)
    start(page)
    page.check("#live-auto")
    page.focus("#talk")
    assert hold(page)[0] == code_to_text(clip.stem)
    until(page, "heard.length === 1")
    assert heard(page)[0][0] == code_to_text(clip.stem)
    assert hold(page)[0] == code_to_text(clip.stem)
    page.keyboard.press("Escape")
    page.wait_for_timeout(3000)
    assert len(heard(page)) == 1, "what was dropped is not said"


def test_phrases_are_pinned_and_said_without_a_voice_too(visit: Open, film: Path) -> None:
    page = visit(film, MUTE)
    page.click("nav a[href='#live']")
    expect(page.locator("#voice-hint")).to_contain_text("espeak-ng")
    page.fill("#phrase", "  ")
    page.press("#phrase", "Enter")
    expect(page.locator("#caption")).to_be_hidden()
    page.fill("#phrase", "please wait, I am 1 2 3")
    page.press("#phrase", "Enter")
    expect(page.locator("#caption")).to_have_text("please wait, I am 1 2 3")
    expect(page.locator("#caption")).to_have_attribute("aria-live", "polite")
    page.click("#phrase-pin")
    page.click("#phrase-pin")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    pinned = page.locator("#phrases li")
    expect(pinned).to_have_count(1)
    pinned.locator("button").first.press("Space")
    expect(page.locator("#caption")).to_have_text("please wait, I am 1 2 3")
    pinned.get_by_role("button", name="Remove: please wait, I am 1 2 3").click()
    expect(pinned).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Open, film: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()

    def check(page: Page) -> None:
        found = axe.run(page).response["violations"]
        assert not found, json.dumps([(one["id"], [node["html"] for node in one["nodes"]]) for one in found], indent=1)

    # Without transitions, in whose middle colours are no contrast.
    page = visit(film, VOICE, color_scheme=scheme, reduced_motion="reduce")
    start(page)
    page.fill("#phrase", "thank you")
    page.click("#phrase-pin")
    page.focus("#talk")
    hold(page)
    check(page)
    page.click("#live-large")
    assert page.evaluate("getComputedStyle(live).backgroundColor") == "rgb(0, 0, 0)"
    check(page)
    page.keyboard.press("1")
    assert page.evaluate("parseFloat(getComputedStyle(caption).fontSize)") >= 48
    check(page)
    assert page.evaluate("document.querySelector('footer').inert"), "what is covered can't have the focus"
    page.keyboard.press("Escape")
    expect(page.locator("#live-large")).to_have_attribute("aria-pressed", "false")
    assert not page.evaluate("document.querySelector('footer').inert")
    page.emulate_media(contrast="more")
    check(page)
    page.emulate_media(forced_colors="active")
    background = "getComputedStyle(talk).backgroundColor"
    idle = page.evaluate(background)
    page.focus("#talk")
    page.keyboard.down("Space")
    assert page.evaluate(background) != idle, "it is seen to be held without the page's own colours"
    page.keyboard.up("Space")
    for width in (1280, 380):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
