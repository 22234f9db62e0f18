// Live: the camera's pictures go to the server as they come, sentences come back and are chosen, and a voice says them.

import { closeCamera, openCamera } from "./camera.js";
import { dropChoices, offer, setUpChoices } from "./choices.js";
import { find, say } from "./dom.js";
import { remember, setUpHistory } from "./history.js";
import { setUpKeys } from "./keys.js";
import { leaveLarge, setUpLarge } from "./large.js";
import { modelNamed } from "./models.js";
import { setUpPhrases } from "./phrases.js";
import { sendPictures } from "./pictures.js";
import { keepField } from "./settings.js";
import { quit, setUpTalk, talking } from "./talk.js";
import { say as speak, setUpVoice, stopVoice } from "./voice.js";
import { spokenFrom, spokenUntil } from "./words.js";

const PRACTICE = "my face"; // what corrections of a model that comes with the package teach
const mirror = find("mirror");
let socket = null;
let trouble = ""; // why nothing can be read, if that is so
let asked = false; // whether somebody waits for what they said

export function setUpLive() {
  find("live-start").onclick = () => (socket ? stop() : start());
  find("live-flush").onclick = () => ask("flush");
  keepField(find("live-talk"), "free");
  keepField(find("live-keys"), true);
  keepField(find("live-auto"), false);
  keepField(find("live-teach"), false);
  find("live-talk").addEventListener("change", changeTalk);
  setUpTalk(begin, () => ask("end"));
  setUpVoice();
  setUpChoices(refocus);
  setUpHistory();
  setUpPhrases();
  setUpKeys();
  setUpLarge();
  changeTalk();
}

/** Leave the room: camera, voice and choice end. */
export function leaveLive() {
  stop();
  dropChoices();
  stopVoice();
  leaveLarge();
}

/** The camera and the connection end. */
function stop(text = "The camera is off.", bad = false) {
  socket?.close();
  socket = null;
  quit();
  closeCamera(mirror);
  find("live-start").textContent = "Start the camera";
  find("live-flush").disabled = find("talk").disabled = true;
  find("live-mouth").hidden = true;
  say(find("live-status"), text, bad);
}

async function start() {
  const status = find("live-status");
  try {
    say(status, "Opening the camera…");
    await openCamera(mirror);
  } catch (error) {
    return say(status, error.message, true);
  }
  const address = new URL(`v1/live?${new URLSearchParams({ model: find("live-model").value })}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const opened = (socket = new WebSocket(address));
  opened.onmessage = (event) => socket === opened && receive(JSON.parse(event.data), opened);
  opened.onclose = () => socket === opened && stop("The connection ended. Check that gunileo serve is still running.", true);
  find("live-start").textContent = "Stop";
}

/** The focus of a button that is gone goes to push to talk. */
function refocus() {
  const gone = document.activeElement === document.body || document.activeElement?.closest("[hidden]");
  if (gone && pushes()) find("talk").focus();
}

const pushes = () => find("live-talk").value === "push";

/** Hands-free, or push to talk: nothing is read until the button is held. */
function changeTalk() {
  quit();
  find("talk").hidden = find("talk-help").hidden = !pushes();
  find("live-flush").hidden = pushes();
  if (ready()) socket.send(pushes() ? "end" : "free");
}

const ready = () => socket?.readyState === WebSocket.OPEN && !find("live-flush").disabled;

function begin() {
  dropChoices();
  stopVoice();
  socket?.send("begin");
  say(find("choices-status"), "Speak now, and let go when you are done.");
}

function ask(what) {
  asked = true;
  socket?.send(what);
}

function receive(told, opened) {
  if (told.error) return stop(told.error, true);
  if (told.ready) begun(opened);
  else if (told.sentence) show(told.sentence);
  else if (told.taught) say(find("correction-status"), `Kept for Teach: “${told.text}”, with the recordings of ${told.taught}.`);
  else if (told.refused) say(find("correction-status"), `Not kept for Teach: ${told.refused}`, true);
  else if ("face" in told) see(told);
  else if (told.flushed === 0 && asked) say(find("choices-status"), "No words were read. Look into the camera, and say it again.");
  if ("flushed" in told) asked = false;
}

function begun(opened) {
  find("live-flush").disabled = find("talk").disabled = false;
  say(find("live-status"), "Looking for a face…");
  if (pushes()) {
    socket.send("end");
    find("talk").focus();
  }
  sendPictures(mirror, opened, () => socket !== opened, (reason) => {
    trouble = reason;
    if (trouble) say(find("live-status"), trouble, true);
  });
}

function see({ face, mouth }) {
  const status = find("live-status");
  const text = face ? "Your mouth is seen. You can speak." : "No face yet. Look into the camera, in good light.";
  if (!trouble && status.textContent !== text) say(status, text);
  if (mouth) find("live-mouth").src = mouth;
  find("live-mouth").hidden = !face;
}

/** A sentence that was read: what it may have been is offered, and what is chosen is said aloud. */
function show(sentence) {
  const texts = sentence.alternatives?.map(({ text }) => text) ?? [sentence.text];
  const said = remember(sentence);
  if (talking()) return; // the next is being said already
  const choose = (at) => {
    said(texts[at]);
    speak(texts[at]);
    if (at > 0 && find("live-teach").checked) teach(sentence, texts[at]);
  };
  offer(texts, { sure: sentence.sure, auto: sentence.sure && find("live-auto").checked, choose });
}

/** What was meant, where something else came first, becomes a recording. */
function teach(sentence, text) {
  if (!ready()) return say(find("correction-status"), "Not kept for Teach: the camera is off.", true);
  const name = modelNamed(sentence.model)?.taught ? sentence.model : PRACTICE;
  say(find("correction-status"), "Keeping it for Teach…");
  socket.send(JSON.stringify({ teach: name, text, start: spokenFrom(sentence), end: spokenUntil(sentence) }));
}
