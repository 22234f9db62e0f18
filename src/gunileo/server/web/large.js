// The large view: what is said and what can be chosen, over the whole screen, in large type and high contrast.

import { find } from "./dom.js";

export function setUpLarge() {
  find("live-large").onclick = () => (isLarge() ? leaveLarge() : enter());
  addEventListener("fullscreenchange", () => document.fullscreenElement || show(false));
  addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && leaveLarge());
}

const isLarge = () => find("live").classList.contains("large");

/** As the page was before. */
export function leaveLarge() {
  if (document.fullscreenElement) document.exitFullscreen();
  show(false);
}

function enter() {
  show(true);
  if (!find("talk").hidden) find("talk").focus(); // else the space bar would press the button that was just pressed
  find("live").requestFullscreen?.().catch(() => {}); // where it is not allowed, all of the window does
}

function show(large) {
  find("live").classList.toggle("large", large);
  find("live-large").setAttribute("aria-pressed", String(large));
  for (const covered of document.querySelectorAll("body > :not(main)")) covered.inert = large;
}
