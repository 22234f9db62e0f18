// The camera's pictures, sent over a WebSocket as they come.

import { make } from "./dom.js";

const WIDTH = 480; // pixels of a picture that is sent, at most
const FEWEST = 14; // pictures a second; with fewer, lips seem to rest between them
const FULL = 500_000; // bytes that wait to be sent; more means that reading can't keep up
const COUNTED = 50; // pictures by which the camera's rate is known

/** Send each picture of the camera's as it comes, after the time at which it was taken.

`hinder(reason)` is told why nothing can be read, "" if nothing hinders. It ends with the socket, or once `isOver()`. */
export function sendPictures(mirror, opened, isOver, hinder) {
  const width = Math.min(WIDTH, mirror.videoWidth);
  const canvas = make("canvas", { width, height: Math.round((width * mirror.videoHeight) / mirror.videoWidth) });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const times = []; // of the pictures sent last
  let busy = false;
  const picture = (now, { captureTime }) => {
    if (isOver() || opened.readyState !== WebSocket.OPEN) return;
    mirror.requestVideoFrameCallback(picture);
    const behind = opened.bufferedAmount > FULL;
    const rate = (times.length - 1) / (times.at(-1) - times[0]);
    let trouble = behind ? "This computer is too slow for live reading. Some pictures are skipped. Close other programs." : "";
    if (times.length === COUNTED && rate < FEWEST)
      trouble = `The camera gives only ${rate.toFixed(0)} pictures a second. That is too few to read. Use more light, or close other programs.`;
    hinder(trouble);
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
