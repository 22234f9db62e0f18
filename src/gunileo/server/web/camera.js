// The camera: seen in a video element, and recorded.

export async function openCamera(video) {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("The camera needs localhost or https. Open this page on the computer that serves it, or through a tunnel (ssh -L).");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25, max: 30 }, facingMode: "user" },
    });
  } catch (error) {
    const why = { NotAllowedError: "This page may not use the camera. Allow it in the browser, and try again.", NotFoundError: "No camera was found. Plug one in, or choose a video file." };
    throw new Error(why[error.name] || `The camera can't be used (${error.name}). Close other programs that use it.`);
  }
  video.srcObject = stream;
  await video.play();
  return stream;
}

export function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Records a stream until `stop` is called or `seconds` are over; gives { stop, done }, done with { blob, name }. */
export function startRecording(stream, seconds) {
  const type = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((kind) => MediaRecorder.isTypeSupported(kind));
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 3_000_000 });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const done = new Promise((resolve) => {
    recorder.onstop = () => resolve({ blob: new Blob(parts, { type }), name: type.includes("mp4") ? "camera.mp4" : "camera.webm" });
  });
  const stop = () => recorder.state === "recording" && recorder.stop();
  recorder.start();
  const timer = setTimeout(stop, 1000 * seconds);
  done.then(() => clearTimeout(timer));
  return { stop, done };
}
