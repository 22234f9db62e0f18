// Teach: sentences are prompted, recorded and inspected; the recordings become a model.

import { ask, form } from "./api.js";
import { closeCamera, openCamera, startRecording } from "./camera.js";
import { find, make, say } from "./dom.js";
import { loadModels } from "./models.js";

const LONGEST = 10; // seconds of a recording
const PRACTICE = 10; // sentences at once
const self = find("self");
let session = null; // { name, sentences, at, stream, recorder, last }
let watching = null; // the timer that looks how training goes

export function setUpTeach() {
  find("enrolment-plan").onsubmit = plan;
  find("teach-practice").onclick = practise;
  find("recording").onclick = () => (session.recorder ? session.recorder.stop() : recordOne());
  find("record-again").onclick = recordAgain;
  find("studio-done").onclick = finish;
}

export async function enterTeach() {
  try {
    await refresh();
  } catch (error) {
    say(find("plan-status"), error.message, true);
  }
}

/** Leave the room: the camera goes off. What was recorded stays. */
export function leaveTeach() {
  clearTimeout(watching);
  session?.recorder?.stop();
  closeCamera(self);
  session = null;
  find("plan").hidden = false;
  find("studio").hidden = true;
}

const get = async (path, options) => (await ask(path, options)).json();
const of = (name, rest = "") => `v1/taught/${encodeURIComponent(name)}${rest}`;

// What was taught

async function refresh() {
  clearTimeout(watching);
  const { taught, can_train: canTrain, folder } = await get("v1/taught");
  find("teach-folder").textContent = folder;
  const opened = document.activeElement?.dataset?.action;
  find("taught").replaceChildren(...taught.map((one) => card(one, canTrain)));
  if (opened) find("taught").querySelector(`[data-action="${CSS.escape(opened)}"]`)?.focus();
  if (taught.some((one) => one.enrolment?.running)) watching = setTimeout(enterTeach, 700);
  else await loadModels();
}

function card(one, canTrain) {
  const counts = new Map();
  for (const { text } of one.recordings) counts.set(text, (counts.get(text) ?? 0) + 1);
  const elsewhere = one.model && !one.recordings.length; // its recordings are in a folder that gunileo teach was given
  if (elsewhere) for (const [text, count] of Object.entries(one.model.recordings)) counts.set(text, count);
  const chips = [...counts].map(([text, count]) => make("li", {}, text, " ", make("span", { textContent: `${count}×` })));
  const status = make("p", { className: "status" });
  status.setAttribute("role", "status");
  const made = make("article", { className: "card" }, make("h2", { textContent: one.name }), make("ul", { className: "chips" }, ...chips), status);
  const buttons = make("div", { className: "row" });
  const act = (text, action, quiet, disabled = false) => {
    const button = make("button", { type: "button", textContent: text, className: quiet ? "quiet" : "", disabled });
    button.dataset.action = `${text} ${one.name}`;
    button.setAttribute("aria-label", `${text}: ${one.name}`);
    button.onclick = async () => {
      try {
        await action();
      } catch (error) {
        say(status, error.message, true);
      }
    };
    buttons.append(button);
  };
  const begin = (train) => async () => (await ask(of(one.name, `/enrolment?train=${train}`), { method: "POST" }), await refresh());
  const running = one.enrolment?.running;
  if (running) {
    const bar = make("progress", { max: Math.max(1, one.enrolment.of) });
    if (one.enrolment.of) bar.value = one.enrolment.done;
    bar.setAttribute("aria-label", "Progress");
    made.append(bar);
    act("Stop", async () => (await ask(of(one.name, "/enrolment"), { method: "DELETE" }), await refresh()), true);
  } else {
    const known = JSON.stringify(Object.entries(one.model?.recordings ?? {}).sort()) === JSON.stringify([...counts].sort());
    if (one.model) act("Try it live", () => tryLive(one.name), false);
    if (one.recordings.length && !one.practice && !one.model?.trained && !known) act("Use these recordings", begin(false), Boolean(one.model));
    if (one.recordings.length) act(one.model?.trained ? "Train again" : "Train", begin(true), !one.practice || Boolean(one.model), !canTrain);
    if (!elsewhere) act("Record more", () => enterStudio(one.name, [...new Set([...remembered(one.name), ...counts.keys()])]), true);
    act("Delete", () => remove(one.name), true);
  }
  say(status, told(one, canTrain), Boolean(one.enrolment?.error));
  made.append(buttons);
  return made;
}

/** How a taught model stands, in a sentence. */
function told(one, canTrain) {
  const { enrolment: going, model } = one;
  if (going?.running) {
    const doing = going.doing[0].toUpperCase() + going.doing.slice(1);
    return going.of ? `${doing}: ${going.done} of ${going.of}…` : `${doing}…`;
  }
  if (going?.error) return going.error;
  const skipped = going?.skipped.length ? ` Left out: ${going.skipped.join("; ")}.` : "";
  const needed = canTrain || model?.trained ? "" : ' To train it: pip install "gunileo[train]"';
  if (!model) return one.practice ? `Recorded. Press Train: the network then learns to read your face.${needed}` : "Recorded, but not used yet. Press Use these recordings.";
  const kind = model.trained ? "Trained" : "Uses each recording as an example";
  const tested = model.tested ? `${model.right} of ${model.tested} read right in a test with other recordings` : "record each sentence a second time to test it";
  return `${kind}: ${tested}.${skipped}${needed}`;
}

function tryLive(name) {
  for (const id of ["live-model", "read-model"]) {
    find(id).value = name;
    find(id).dispatchEvent(new Event("change"));
  }
  location.hash = "live";
}

async function remove(name) {
  if (!confirm(`Delete ${name}, its recordings and its model?`)) return;
  await ask(of(name), { method: "DELETE" });
  await refresh();
  find("teach-name").focus();
}

// A new one

async function practise() {
  const { sentences } = await get(`v1/practice?count=${PRACTICE}`);
  find("teach-text").value = sentences.join("\n");
  if (!find("teach-name").value) find("teach-name").value = "my face";
}

async function plan(event) {
  event.preventDefault();
  const status = find("plan-status");
  try {
    const name = find("teach-name").value.trim();
    const headers = { "Content-Type": "application/json" };
    const text = find("teach-text").value;
    const { model, recordings } = await get(of(name)); // an error if no model can be called so
    if (model && !recordings.length) throw new Error(`${name} was taught by gunileo teach, from a folder. Choose another name.`);
    const { sentences } = await get("v1/sentences", { method: "POST", headers, body: JSON.stringify({ text }) });
    remember(name, sentences);
    say(status, "");
    await enterStudio(name, sentences);
  } catch (error) {
    say(status, error.message, true);
  }
}

/** The sentences of a session are kept in the browser, as those without a recording are nowhere else. */
function remember(name, sentences) {
  localStorage.setItem(`gunileo ${name}`, JSON.stringify(sentences));
}

const remembered = (name) => JSON.parse(localStorage.getItem(`gunileo ${name}`) ?? "[]");

// The studio

async function enterStudio(name, sentences) {
  const { recordings } = await get(of(name));
  const stream = await openCamera(self);
  const fewest = (text) => recordings.filter((one) => one.text === text).length;
  const least = Math.min(...sentences.map(fewest));
  session = { name, sentences, at: sentences.findIndex((text) => fewest(text) === least), stream, recorder: null, last: null };
  find("plan").hidden = true;
  find("studio").hidden = false;
  find("recording-strip").hidden = find("recording-choices").hidden = true;
  say(find("recording-status"), "Press Record, say the sentence, rest your lips, and press Stop.");
  prompt();
  find("recording").focus();
}

function prompt() {
  const { sentences, at } = session;
  find("prompt").textContent = sentences[at % sentences.length];
  find("prompt-count").textContent = `${(at % sentences.length) + 1} of ${sentences.length}${at >= sentences.length ? ", another round" : ""}`;
}

async function recordOne() {
  const here = session;
  const button = find("recording");
  const status = find("recording-status");
  const text = here.sentences[here.at % here.sentences.length];
  try {
    here.recorder = startRecording(here.stream, LONGEST);
    button.textContent = "Stop";
    say(status, "Recording. Say it now.");
    const { blob, name } = await here.recorder.done;
    if (session !== here) return;
    button.disabled = true;
    say(status, "Checking the recording…");
    const parameters = new URLSearchParams({ text });
    const kept = await get(of(here.name, `/recordings?${parameters}`), { method: "POST", body: form(blob, name) });
    if (session !== here) return;
    here.last = kept;
    find("recording-image").src = kept.strip;
    find("recording-strip").hidden = find("recording-choices").hidden = false;
    here.at += 1;
    const taken = kept.read ? ` It was read as “${kept.read}”.` : "";
    const round = here.at % here.sentences.length === 0 ? " You have recorded all of them. Record them again, or finish." : "";
    say(status, `Kept “${kept.text}”. Your mouth was seen for ${kept.seconds.toFixed(1)} s.${taken}${round}`);
    prompt();
  } catch (error) {
    say(status, error.message, true);
  } finally {
    here.recorder = null;
    button.disabled = false;
    button.textContent = "Record";
    button.focus();
  }
}

async function recordAgain() {
  try {
    await ask(of(session.name, `/recordings/${session.last.id}`), { method: "DELETE" });
    session.at -= 1;
    find("recording-strip").hidden = find("recording-choices").hidden = true;
    say(find("recording-status"), "Discarded. Record it again.");
    prompt();
  } catch (error) {
    say(find("recording-status"), error.message, true);
  }
  find("recording").focus();
}

/** Back to the plan; commands are used from now on, what needs training waits for it. */
async function finish() {
  const { name } = session;
  leaveTeach();
  try {
    const { recordings, practice, model } = await get(of(name));
    if (recordings.length && !practice && !model?.trained) await ask(of(name, "/enrolment"), { method: "POST" });
    await refresh();
  } catch (error) {
    say(find("plan-status"), error.message, true);
  }
}
