// What the server is asked. Paths have no slash before them, as the server may be below one: they are the page's.

/** The answer to a request, or an Error with the server's one line. */
export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Check that gunileo serve is still running.");
  }
  if (response.status === 401) location.reload(); // to the page that asks for the token
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const error = new Error(told.error || `The server answers ${response.status}.`);
  error.again = response.status === 503 ? Number(response.headers.get("Retry-After")) || 2 : 0;
  throw error;
}

/** A form with a file in it. */
export function form(file, name) {
  const body = new FormData();
  body.append("file", file, name);
  return body;
}

/** What the server tells while it reads a file, one thing at a time. Waits where too much is waiting already. */
export async function* reading(file, name, parameters, signal) {
  const options = { method: "POST", headers: { Accept: "application/x-ndjson" }, signal };
  let response;
  while (!response) {
    try {
      response = await ask(`v1/transcribe?${new URLSearchParams(parameters)}`, { ...options, body: form(file, name) });
    } catch (error) {
      if (!error.again) throw error;
      yield { waiting: error.again };
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.again));
    }
  }
  const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await lines.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) {
      const told = JSON.parse(part);
      if (told.error) throw new Error(told.error);
      yield told;
    }
  }
}
