// The sentences that were read, the last on top: to say again, to copy, to pin.

import { find, make, percent, say as tell } from "./dom.js";
import { pin } from "./phrases.js";
import { say } from "./voice.js";
import { spokenUntil } from "./words.js";

const MOST = 50;

export function setUpHistory() {
  find("history-clear").onclick = () => {
    find("spoken").replaceChildren();
    showHint();
    find("live-start").focus();
  };
}

/** A sentence as it was read; gives `said(text)`, which notes what was chosen. */
export function remember(sentence) {
  const latency = performance.now() / 1000 - spokenUntil(sentence);
  const text = make("b", { textContent: sentence.text });
  const how = make("span", { className: sentence.sure ? "sure" : "unsure", textContent: sentence.sure ? "read" : "not sure" });
  const facts = make("small", {}, how, ` · ${percent(sentence.confidence)} · ${latency.toFixed(1)} s after the last word`);
  const acts = { Say: () => say(text.textContent), Copy: copy, Pin: () => pin(text.textContent) };
  const buttons = Object.entries(acts).map(([name, act]) => {
    const button = make("button", { type: "button", className: "quiet", textContent: name, onclick: () => act(text.textContent) });
    button.setAttribute("aria-label", `${name}: ${text.textContent}`);
    return button;
  });
  find("spoken").prepend(make("li", {}, text, facts, make("div", { className: "row" }, ...buttons)));
  while (find("spoken").children.length > MOST) find("spoken").lastChild.remove();
  showHint();
  return (chosen) => {
    text.textContent = chosen;
    how.className = "sure";
    how.textContent = "said";
    buttons.forEach((button) => button.setAttribute("aria-label", `${button.textContent}: ${chosen}`));
  };
}

async function copy(text) {
  const status = find("choices-status");
  try {
    await navigator.clipboard.writeText(text);
    tell(status, `Copied: ${text}`);
  } catch {
    tell(status, "The browser does not let this page copy. Allow it, or select the text and press Ctrl-C.", true);
  }
}

function showHint() {
  const empty = !find("spoken").firstChild;
  find("live-hint").hidden = !empty;
  find("history-clear").hidden = empty;
}
