// Read: a file or a recording goes to the server, and what it says is shown beside it.

import { ask, form, reading } from "./api.js";
import { closeCamera, openCamera, startRecording } from "./camera.js";
import { find, make, percent, say } from "./dom.js";
import { modelNamed } from "./models.js";
import { doubt, markWord, showWords, wordsOf } from "./words.js";

const LONGEST = 30; // seconds of a recording
const shown = find("shown");
const seen = find("seen");
let stopReading = new AbortController();
let taking = null; // the recording that goes on
let current = null; // what is shown

export function setUpRead() {
  find("file").onchange = (event) => event.target.files[0] && read(event.target.files[0], event.target.files[0].name);
  find("record").onclick = () => (taking ? taking.stop() : record());
  find("another").onclick = () => begin().focus();
  find("read").ondragover = (event) => (event.preventDefault(), find("drop").classList.add("over"));
  find("read").ondragleave = () => find("drop").classList.remove("over");
  find("read").ondrop = (event) => {
    event.preventDefault();
    find("drop").classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) read(file, file.name);
  };
  shown.ontimeupdate = follow;
  shown.onplay = () => requestAnimationFrame(glide);
}

/** Leave the room: the camera goes off. */
export function leaveRead() {
  taking?.stop();
  closeCamera(seen);
  shown.pause();
}

/** As the room was at first; gives what the next file is chosen with. */
function begin() {
  stopReading.abort();
  closeCamera(seen);
  shown.onloadedmetadata = shown.onerror = null;
  for (const id of ["shown", "seen", "strip", "reading", "another", "read-progress", "record-hint"]) find(id).hidden = true;
  find("drop").hidden = find("record").hidden = find("expect").hidden = false;
  find("file").value = "";
  say(find("read-status"), "");
  return find("file");
}

async function record() {
  const button = find("record");
  try {
    begin();
    const stream = await openCamera(seen);
    find("drop").hidden = true;
    seen.hidden = find("record-hint").hidden = false;
    taking = startRecording(stream, LONGEST);
    button.textContent = "Stop and read";
    say(find("read-status"), "Recording.");
    const { blob, name } = await taking.done;
    closeCamera(seen);
    if (find("read").hidden) begin(); // they left the room meanwhile
    else await read(blob, name, true);
  } catch (error) {
    say(find("read-status"), error.message, true);
  } finally {
    taking = null;
    button.textContent = "Record with the camera";
  }
}

async function read(file, name, recorded = false) {
  begin();
  stopReading = new AbortController();
  const { signal } = stopReading;
  const status = find("read-status");
  const bar = find("read-progress");
  find("drop").hidden = find("record").hidden = find("expect").hidden = true;
  bar.hidden = find("another").hidden = false;
  bar.removeAttribute("value");
  if (!recorded) play(file, name, signal);
  const decode = find("read-decode").value;
  const parameters = { model: find("read-model").value, ...(decode && { decode }) };
  say(status, `Reading ${name}…`);
  try {
    for await (const told of reading(file, name, parameters, signal)) {
      if (told.waiting) say(status, `The server is busy. Trying again in ${told.waiting} s.`);
      else if (told.reading) show(told.reading);
      else if (told.of) [bar.max, bar.value] = [told.of, Math.min(told.frames, told.of)];
      else say(status, `Reading ${name}: ${(told.frames / 25).toFixed(0)} s`);
    }
    if (recorded) convert(file, name, signal).catch((error) => signal.aborted || say(status, `The recording can't be shown: ${error.message}`, true));
  } catch (error) {
    if (error.name === "AbortError") return;
    begin();
    say(status, error.message, true);
  } finally {
    if (!signal.aborted) bar.hidden = true;
  }
}

/** Show the file itself, or, where the browser can't play it, a copy that it can. */
function play(file, name, signal) {
  shown.onloadedmetadata = () => ([shown.hidden, shown.onerror] = [false, null]);
  shown.onerror = () => convert(file, name, signal).catch(() => {}); // reading tells what is wrong with it
  load(file);
}

async function convert(file, name, signal) {
  const response = await ask("v1/preview", { method: "POST", body: form(file, name), signal });
  shown.onerror = null;
  load(await response.blob());
  shown.hidden = false;
}

function load(file) {
  URL.revokeObjectURL(shown.src);
  shown.src = URL.createObjectURL(file);
  caption();
}

/** The captions of what is shown now, if it was read. */
function caption() {
  for (const track of shown.querySelectorAll("track")) track.remove();
  if (!current || find("reading").hidden) return;
  const vtt = new Blob([current.files.vtt], { type: "text/vtt" });
  shown.append(make("track", { kind: "captions", label: "What was read", srclang: current.transcript.language, default: true, src: URL.createObjectURL(vtt) }));
  shown.textTracks[0].mode = "showing";
}

function show(read) {
  current = read;
  const { transcript } = read;
  const verdict = transcript.sure ? "Read" : "Not sure";
  say(find("read-status"), transcript.text ? "" : "No words were read. Is the mouth seen, and does it move?");
  find("sentence").replaceChildren(
    make("small", { className: transcript.sure ? "sure" : "unsure", textContent: `${verdict} · ${percent(transcript.confidence)} for the whole text${transcript.calibrated === false ? ", not calibrated" : ""}` }),
    transcript.segments.length > 1 ? read.files.txt.trim() : transcript.text || "…", // of several, the guesses are marked
  );
  showWords(find("words"), wordsOf(transcript), (word) => {
    shown.currentTime = word.start;
    if (!shown.hidden) shown.play();
  });
  find("doubt").hidden = transcript.sure;
  find("doubt").replaceChildren(...doubt(modelNamed(transcript.model)));
  find("others").hidden = read.alternatives.length < 2;
  find("alternatives").replaceChildren(
    ...read.alternatives.map(({ text, share }) => make("li", {}, text, make("span", { textContent: percent(share) }))),
  );
  find("strip-image").src = read.strip;
  find("strip").hidden = find("reading").hidden = false;
  offer(transcript.file, read.files);
  caption();
  follow();
}

function offer(file, files) {
  const stem = file.replace(/\.[^.]*$/, "");
  find("downloads").replaceChildren(
    ...Object.entries(files).map(([suffix, content]) =>
      make("a", { className: "button quiet", download: `${stem}.${suffix}`, href: URL.createObjectURL(new Blob([content])), textContent: suffix }),
    ),
  );
}

/** The word and the place in the strip that the video is at. */
function follow() {
  if (!current) return;
  markWord(find("words"), wordsOf(current.transcript), shown.currentTime);
  find("head").style.left = `${100 * Math.min(1, shown.currentTime / current.seconds)}%`;
}

function glide() {
  follow();
  if (!shown.paused) requestAnimationFrame(glide);
}
