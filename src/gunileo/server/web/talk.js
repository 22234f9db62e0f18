// Push to talk: the button and the space bar, held; or Enter, once to begin and once to end.

import { find } from "./dom.js";

const TAIL = 300; // milliseconds after the button is let go: a last sound is often still being made
let begin = () => {};
let end = () => {};
let ending = null; // the timer of the tail

/** `begins()` is called when somebody begins to talk, `ends()` when they have ended. */
export function setUpTalk(begins, ends) {
  [begin, end] = [begins, ends];
  const button = find("talk");
  button.onpointerdown = (event) => {
    if (event.button) return;
    button.setPointerCapture(event.pointerId);
    press();
  };
  button.onpointerup = button.onpointercancel = release;
  button.oncontextmenu = (event) => event.preventDefault(); // of a finger that rests
  button.onclick = (event) => {
    if (event.detail === 0) talking() ? release() : press(); // Enter, or a screen reader's click
  };
  addEventListener("blur", release);
}

export const talking = () => find("talk").getAttribute("aria-pressed") === "true";

export function press() {
  const button = find("talk");
  if (button.disabled || button.hidden || talking()) return;
  finish();
  button.setAttribute("aria-pressed", "true");
  begin();
}

export function release() {
  if (!talking()) return;
  find("talk").setAttribute("aria-pressed", "false");
  ending = setTimeout(finish, TAIL);
}

/** Nothing is being said any more, nor was. */
export function quit() {
  clearTimeout(ending);
  ending = null;
  find("talk").setAttribute("aria-pressed", "false");
}

function finish() {
  if (ending === null) return;
  clearTimeout(ending);
  ending = null;
  end();
}
