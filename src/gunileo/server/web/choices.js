// The choice among the likeliest sentences: by click, by 1 2 3, or by saying nothing for two seconds.

import { find, make, say } from "./dom.js";

const SILENCE = 2000; // milliseconds after which the first is chosen, if that is wished
let offered = []; // texts
let chosen = null; // called with the number of the one that is chosen
let timer = null;
let onEnd = () => {};

/** `ended()` is called when a choice was made, or none, so that the focus has a place once its button is gone. */
export function setUpChoices(ended) {
  onEnd = ended;
  find("none").onclick = () => {
    dropChoices();
    onEnd();
  };
}

/** Offer texts; `choose(number)` is called with the one that is chosen. `auto` chooses the first after a while. */
export function offer(texts, { sure, auto, choose }) {
  dropChoices();
  [offered, chosen] = [texts, choose];
  find("choices").replaceChildren(
    ...texts.map((text, at) => {
      const button = make("button", { type: "button" }, make("kbd", { textContent: at + 1 }), make("span", { textContent: text }));
      button.onclick = () => pick(at);
      return make("li", {}, button);
    }),
  );
  find("choices-none").hidden = false;
  find("choices").scrollIntoView({ block: "nearest" }); // on a phone they are below the camera
  const told = texts.map((text, at) => `${at + 1}: ${text}`).join(". ");
  say(find("choices-status"), sure ? "What did you say?" : "Not sure. What did you say?");
  find("choices-status").append(make("span", { className: "unseen", textContent: ` ${told}.` })); // for screen readers
  if (!auto) return;
  find("choices").firstChild.classList.add("counting");
  timer = setTimeout(() => pick(0), SILENCE);
}

/** Choose by number, from 0; whether there was such a one. */
export function pick(at) {
  if (at >= offered.length) return false;
  const choose = chosen;
  dropChoices();
  choose(at);
  onEnd();
  return true;
}

/** Nothing of it was meant; whether anything was offered. */
export function dropChoices() {
  clearTimeout(timer);
  const were = offered.length > 0;
  [offered, chosen] = [[], null];
  find("choices").replaceChildren();
  find("choices-none").hidden = true;
  say(find("choices-status"), "");
  return were;
}
