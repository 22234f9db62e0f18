// Words with their confidences: by colour, by the line beneath and in figures.

import { make, percent } from "./dom.js";

/** When a sentence was said, in seconds: from its first word to its last word's end. */
export const spokenFrom = (sentence) => sentence.segments[0].start;
export const spokenUntil = (sentence) => sentence.segments.at(-1).end;

const level = (confidence) => (confidence >= 0.8 ? "high" : confidence >= 0.5 ? "some" : "low");

/** The words of a transcript, one after the other. */
export const wordsOf = ({ segments }) => segments.flatMap(({ words }) => words).map((one) => ({ ...one, word: one.word.trim() }));

/** Fill a list with a button a word; `jump(word)` is called when one is pressed. */
export function showWords(list, words, jump) {
  list.replaceChildren(
    ...words.map((word) => {
      const sure = percent(word.probability);
      const button = make("button", { type: "button" }, make("b", { textContent: word.word }), make("small", { textContent: sure }));
      button.setAttribute("aria-label", `${word.word}, ${sure} sure, at ${word.start.toFixed(1)} seconds`);
      button.onclick = () => jump(word);
      return make("li", { className: level(word.probability) }, button);
    }),
  );
}

/** Mark the word that is said at a time. */
export function markWord(list, words, time) {
  words.forEach((word, at) => list.children[at]?.firstChild.classList.toggle("now", word.start <= time && time < word.end));
}

/** What "not sure" means. */
export function doubt(model) {
  const known = model?.taught ? "the commands and the face that it was taught" : model?.imported ? "only what its authors trained it on" : model?.unseen_wer_grammar ? "GRID's sentences" : "one speaker's face";
  const text = (...parts) => make("p", {}, ...parts);
  return [
    text("This is a guess. ", make("b", { textContent: `${model?.name ?? "The model"} knows ${known}` }), ". Most readings of other videos are wrong."),
    model?.taught
      ? text("To get better readings, ", make("a", { href: "#teach", textContent: "add recordings of the commands that it confuses" }), ".")
      : text("To get better readings, ", make("a", { href: "#teach", textContent: "teach it your face and your sentences" }), "."),
  ];
}
