// The voice: the browser's own, of this computer; and a caption, which is all there is where there is no voice.

import { find, make } from "./dom.js";
import { keepField, keptValue } from "./settings.js";

const NONE = "none"; // in the menu: a caption alone
const synthesis = window.speechSynthesis;
let voices = [];

export function setUpVoice() {
  const rate = find("voice-rate");
  keepField(rate, "1");
  keepField(find("voice"), "");
  rate.oninput = showRate;
  showRate();
  fill();
  synthesis?.addEventListener("voiceschanged", fill);
  find("voice-try").onclick = () => say("this is how i sound");
  find("voice-stop").onclick = stopVoice;
}

function showRate() {
  find("voice-rate-shown").textContent = Number(find("voice-rate").value).toFixed(1);
}

/** The voices of this computer: one of a server somewhere would be told each sentence. English ones come first. */
function fill() {
  const menu = find("voice");
  const english = (voice) => voice.lang.toLowerCase().startsWith("en");
  const wanted = menu.value || keptValue(menu);
  voices = (synthesis?.getVoices() ?? []).filter((voice) => voice.localService);
  voices.sort((a, b) => english(b) - english(a));
  const entries = voices.map((voice) => [voice.voiceURI, `${voice.name} (${voice.lang})`]);
  entries.push([NONE, "no voice: show text only"]);
  menu.replaceChildren(...entries.map(([value, textContent]) => make("option", { value, textContent })));
  if (entries.some(([value]) => value === wanted)) menu.value = wanted;
  find("voice-hint").textContent = voices.length
    ? "These are voices of this computer. They need no network."
    : "This browser found no voice on this computer. What you choose is shown as text. To get a voice on Linux, install speech-dispatcher and espeak-ng, and restart the browser.";
}

/** Say a text aloud, and show it. Whatever is being said ends. */
export function say(text) {
  const caption = find("caption");
  const voice = voices.find((one) => one.voiceURI === find("voice").value);
  caption.setAttribute("aria-live", voice ? "off" : "polite"); // two voices at once can't be understood
  caption.hidden = false;
  caption.textContent = text;
  stopVoice();
  if (!voice) return;
  const utterance = new SpeechSynthesisUtterance(text);
  Object.assign(utterance, { voice, lang: voice.lang, rate: Number(find("voice-rate").value) });
  utterance.onstart = () => caption.classList.add("speaking");
  utterance.onend = () => caption.classList.remove("speaking");
  utterance.onerror = ({ error }) => {
    caption.classList.remove("speaking");
    if (!["canceled", "interrupted"].includes(error)) find("voice-hint").textContent = `The voice failed (${error}). Choose another one.`;
  };
  synthesis.speak(utterance);
}

export function stopVoice() {
  find("caption").classList.remove("speaking");
  synthesis?.cancel();
}
