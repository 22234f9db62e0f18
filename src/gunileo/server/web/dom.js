// Small helpers that every room uses.

export const find = (id) => document.getElementById(id);

/** An element with its properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Say how things are; an error is also marked as one. */
export function say(element, text, bad = false) {
  element.textContent = text;
  element.classList.toggle("bad", bad);
}

export const percent = (share) => `${Math.round(100 * share)} %`;
