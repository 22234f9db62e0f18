// A page of the API, made from its own description.

import { ask } from "./api.js";
import { find, make } from "./dom.js";

const api = await (await ask("openapi.json")).json();
/** Text with `code` in it. */
const prose = (text = "") => text.split("`").map((part, at) => (at % 2 ? make("code", { textContent: part }) : part));

find("about").append(...prose(api.info.description));
find("try").textContent = `curl -F file=@clip.mp4 ${new URL("v1/transcribe", location.href)}`;
for (const [path, methods] of Object.entries(api.paths))
  for (const [method, route] of Object.entries(methods)) {
    const list = (entries) => make("dl", {}, ...entries.flatMap(([name, parts]) => [make("dt", {}, make("code", { textContent: name })), make("dd", {}, ...parts)]));
    const parameters = (route.parameters ?? []).map((one) => [one.name, [`${one.in}: `, ...prose(one.description ?? kind(one.schema))]]);
    for (const [type, { schema }] of Object.entries(route.requestBody?.content ?? {})) {
      const { properties } = schema.$ref ? schema.$ref.split("/").slice(1).reduce((part, key) => part[key], api) : schema;
      for (const name of Object.keys(properties)) parameters.push([name, [`body, ${type}`]]);
    }
    const answers = Object.entries(route.responses).map(([status, answer]) => [status, [...prose(answer.description), " ", ...Object.keys(answer.content ?? {}).join(", ")]]);
    find("routes").append(
      make("article", { className: "card" },
        make("h2", {}, make("code", { textContent: `${method.toUpperCase()} ${path}` })),
        make("p", {}, route.summary, ". ", ...prose(route.description)),
        parameters.length ? list(parameters) : "",
        make("details", {}, make("summary", { textContent: "Answers" }), list(answers))),
    );
  }

function kind(schema) {
  return schema.enum?.join(", ") ?? schema.anyOf?.map(kind).join(" or ") ?? schema.type;
}
