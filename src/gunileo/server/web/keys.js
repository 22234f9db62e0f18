// Live's keys: space talks, 1 2 3 choose, Escape drops the choice. They rest while something is typed or chosen.

import { dropChoices, pick } from "./choices.js";
import { find } from "./dom.js";
import { press, release } from "./talk.js";

const typing = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const pressing = "button:not(#talk), a, summary, input[type=checkbox]"; // which a space presses

const digits = ["Digit1", "Digit2", "Digit3"]; // by their place, as some keyboards have them with the shift key alone

export function setUpKeys() {
  addEventListener("keydown", (event) => {
    if (!heeded(event)) return;
    const number = Math.max("123".indexOf(event.key), digits.indexOf(event.code));
    if (event.key === " " && !event.target.closest(pressing)) {
      event.preventDefault(); // it would scroll
      if (!event.repeat) press();
    } else if (event.key === "Escape" ? dropChoices() : number >= 0 && pick(number)) {
      event.preventDefault();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " ") return;
    if (event.target === find("talk")) event.preventDefault(); // which would press it
    release();
  });
}

function heeded(event) {
  const modified = event.ctrlKey || event.altKey || event.metaKey;
  return !find("live").hidden && find("live-keys").checked && !modified && event.target instanceof Element && !event.target.closest(typing);
}
