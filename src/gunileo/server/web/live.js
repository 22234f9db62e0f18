// Live: the camera's pictures go to the server as they come, sentences come back.

import { closeCamera, openCamera } from "./camera.js";
import { find, make, percent, say } from "./dom.js";

const WIDTH = 480; // pixels of a picture that is sent, at most
const FEWEST = 14; // pictures a second; with fewer, lips seem to rest between them
const FULL = 500_000; // bytes that wait to be sent; more means that reading can't keep up
const COUNTED = 50; // pictures by which the camera's rate is known
const mirror = find("mirror");
let socket = null;
let trouble = ""; // why nothing can be read, if that is so

export function setUpLive() {
  find("live-start").onclick = () => (socket ? leaveLive() : start());
  find("live-flush").onclick = () => socket?.send("flush");
}

/** Leave the room: camera and connection end. */
export function leaveLive(text = "The camera is off.", bad = false) {
  socket?.close();
  socket = null;
  closeCamera(mirror);
  find("live-start").textContent = "Start the camera";
  find("live-flush").disabled = true;
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
  opened.onclose = () => socket === opened && leaveLive("The connection ended. Is gunileo serve still running?", true);
  find("live-start").textContent = "Stop";
}

function receive(told, opened) {
  const status = find("live-status");
  if (told.error) return leaveLive(told.error, true);
  if (told.ready) {
    find("live-flush").disabled = false;
    say(status, "Looking for a face…");
    send(opened);
  } else if (told.sentence) {
    show(told.sentence);
  } else if ("face" in told && !trouble) {
    const text = told.face ? "Your mouth is seen. Speak." : "No face yet. Look into the camera, in good light.";
    if (status.textContent !== text) say(status, text);
    if (told.mouth) find("live-mouth").src = told.mouth;
    find("live-mouth").hidden = !told.face;
  } else if (told.flushed === 0) {
    say(status, "Nothing was said yet.");
  }
}

/** Send each picture of the camera's as it comes, after the time at which it was taken. */
function send(opened) {
  const width = Math.min(WIDTH, mirror.videoWidth);
  const canvas = make("canvas", { width, height: Math.round((width * mirror.videoHeight) / mirror.videoWidth) });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const times = []; // of the pictures sent last
  let busy = false;
  const picture = (now, { captureTime }) => {
    if (socket !== opened || opened.readyState !== WebSocket.OPEN) return;
    mirror.requestVideoFrameCallback(picture);
    const behind = opened.bufferedAmount > FULL;
    const rate = (times.length - 1) / (times.at(-1) - times[0]);
    trouble = behind ? "This computer is too slow to read along; pictures are left out." : "";
    if (times.length === COUNTED && rate < FEWEST)
      trouble = `Only ${rate.toFixed(0)} pictures a second come from the camera, too few to read. More light or fewer open programs help.`;
    if (trouble) say(find("live-status"), trouble, true);
    if (behind || busy) return;
    busy = true;
    const time = (captureTime ?? now) / 1000;
    times.push(time);
    if (times.length > COUNTED) times.shift();
    context.drawImage(mirror, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(
      async (blob) => {
        busy = false;
        const message = new Uint8Array(8 + blob.size);
        new DataView(message.buffer).setFloat64(0, time);
        message.set(new Uint8Array(await blob.arrayBuffer()), 8);
        if (opened.readyState === WebSocket.OPEN) opened.send(message);
      },
      "image/jpeg",
      0.9,
    );
  };
  mirror.requestVideoFrameCallback(picture);
}

function show(sentence) {
  const latency = performance.now() / 1000 - sentence.segments.at(-1).end;
  const sure = make("span", { className: sentence.sure ? "sure" : "unsure", textContent: sentence.sure ? "read" : "not sure" });
  find("spoken").prepend(
    make("li", {}, make("b", { textContent: sentence.text }), make("small", {}, sure, ` · ${percent(sentence.confidence)} · ${latency.toFixed(1)} s after the last word`)),
  );
  while (find("spoken").children.length > 50) find("spoken").lastChild.remove();
}
