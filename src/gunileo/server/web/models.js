// Models: what is installed, and what each can be expected to read.

import { ask } from "./api.js";
import { find, make } from "./dom.js";

let known = [];

/** What the server told about a model. */
export const modelNamed = (name) => known.find((model) => model.name === name);

/** Ask for the models; fill the cards and every choice of a model. */
export async function loadModels() {
  const told = await (await ask("v1/models")).json();
  known = told.models;
  const names = known.map((model) => model.name);
  if (!names.includes(told.default)) names.unshift(told.default);
  for (const select of document.querySelectorAll("select.model")) {
    const chosen = select.value || told.default;
    select.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name, selected: name === chosen })));
  }
  find("cards").replaceChildren(...known.map((model) => card(model, model.name === told.default)));
  for (const room of ["read", "live"]) {
    find(`${room}-model`).onchange = () => showOrigin(room);
    showOrigin(room);
  }
}

/** Beside the choice of an imported model: its name, its licence, and whose figures there are. */
function showOrigin(room) {
  const model = modelNamed(find(`${room}-model`).value);
  const note = find(`${room}-origin`);
  note.hidden = !model?.imported;
  if (model?.imported) note.textContent = `${model.name} is imported. Licence: ${model.license.replace(/\.$/, "")}. ${authors(model.imported)}`;
  if (room === "read") find("read-usual").textContent = model?.imported && !model.imported.grammar ? "the likeliest text" : "one of the sentences it knows";
}

const authors = ({ published }) =>
  published ? `Its authors' figure: ${published}. Nothing was measured here.` : "Its authors gave no figure, or it is not known. Nothing was measured here.";

function card(model, chosen) {
  const title = make("h2", { textContent: model.name });
  if (chosen) title.append(" ", make("span", { className: "tag", textContent: "default" }));
  const rows = Object.entries(facts(model)).flatMap(([name, fact]) => [make("dt", { textContent: name }), make("dd", { textContent: fact })]);
  return make("article", { className: "card" }, title, make("dl", {}, ...rows));
}

const rate = (share) => `${(100 * share).toFixed(1)} %`;

function facts(model) {
  if (model.taught) return taughtFacts(model.taught);
  if (model.imported) return importedFacts(model.imported);
  return {
    "trained on": model.trained_on,
    "word error rate": `${rate(model.wer_grammar)} with the grammar, ${rate(model.wer_greedy)} without, on ${model.measured_on}`,
    expect: model.unseen_wer_grammar === null
      ? "GRID's sentences, such as “bin blue at f two now”, from the face that it knows. With other speakers, more than half of the words are wrong."
      : `GRID's sentences, such as “bin blue at f two now”, from any face. On speakers that it never saw, the word error rate is ${rate(model.unseen_wer_grammar)} (${model.unseen_on}).`,
    size: `${(model.parameters / 1e6).toFixed(1)} million parameters, ${(model.bytes / 1e6).toFixed(1)} MB`,
    license: model.license,
  };
}

function importedFacts(model) {
  return {
    imported: `${model.date}, from ${model.source}`,
    expect: authors(model),
    license: model.license,
  };
}

function taughtFacts(taught) {
  const texts = Object.keys(taught.recordings);
  const count = Object.values(taught.recordings).reduce((sum, one) => sum + one, 0);
  return {
    taught: `${count} recordings of ${texts.length} sentences`,
    network: taught.trained ? `trained on them, from ${taught.base}` : `${taught.base}, with the recordings as examples`,
    "read right": taught.tested ? `${taught.right} of ${taught.tested} that were held back` : "not tested yet; record each sentence a second time to test it",
    expect: "Your commands, from your face. Most other videos come out as “not sure”.",
    made: new Date(taught.made).toLocaleString(),
  };
}
