// What the browser remembers of how somebody likes to talk. Nothing of it is sent anywhere.

/** What was stored under a name, or `otherwise` where there is nothing, or nothing may be stored. */
export function stored(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function store(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // a browser that stores nothing: it is so until the page is closed
  }
}

const SETTINGS = "gunileo-live";

/** Let a field keep its value, or a box its tick, from one visit to the next. */
export function keepField(field, otherwise) {
  const property = field.type === "checkbox" ? "checked" : "value";
  field[property] = stored(SETTINGS, {})[field.id] ?? otherwise;
  field.addEventListener("change", () => store(SETTINGS, { ...stored(SETTINGS, {}), [field.id]: field[property] }));
}

/** The value that a field had on the last visit. */
export const keptValue = (field) => stored(SETTINGS, {})[field.id];
