// Phrases that are said often, pinned as buttons. They stay in the browser.

import { find, make } from "./dom.js";
import { store, stored } from "./settings.js";
import { say } from "./voice.js";

const NAME = "gunileo-phrases";
let phrases = stored(NAME, []);

export function setUpPhrases() {
  find("phrase-form").onsubmit = (event) => {
    event.preventDefault();
    const text = find("phrase").value.trim();
    if (text) say(text);
  };
  find("phrase-pin").onclick = () => {
    if (find("phrase-form").reportValidity()) pin(find("phrase").value.trim());
  };
  show();
}

/** Pin a phrase, if it isn't yet. */
export function pin(text) {
  if (text && !phrases.includes(text)) keep([...phrases, text]);
}

function keep(texts) {
  phrases = texts;
  store(NAME, phrases);
  show();
}

function show() {
  find("phrases").replaceChildren(
    ...phrases.map((text) => {
      const remove = make("button", { type: "button", className: "quiet", textContent: "×" });
      remove.setAttribute("aria-label", `Remove: ${text}`);
      remove.onclick = () => {
        keep(phrases.filter((one) => one !== text));
        find("phrase").focus();
      };
      return make("li", {}, make("button", { type: "button", textContent: text, onclick: () => say(text) }), remove);
    }),
  );
}
