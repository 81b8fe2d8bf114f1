// Shows the routes of /openapi.json and sends requests to them. Whatever came from the server is put on
// the page as text, never as markup. The token lives in one variable and goes with the page.
"use strict";

const state = { document: null, token: "" };
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a string is a text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ""));
  return made;
}

/** What a `$ref` refers to, or the value itself. */
function resolve(value) {
  if (!value || !value.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((at, key) => at[key], state.document);
}

/** A schema in a few lines: `name: type` for each member, indented. */
function sketch(schema, depth = 0) {
  const known = resolve(schema) ?? {};
  const pad = "  ".repeat(depth + 1);
  if (depth > 5) return "…";
  if (known.properties) {
    const required = new Set(known.required ?? []);
    const lines = Object.entries(known.properties).map(
      ([name, member]) => `${pad}${name}${required.has(name) ? "" : "?"}: ${sketch(member, depth + 1)}`);
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  if (known.items) return `[${sketch(known.items, depth)}]`;
  const choices = known.oneOf ?? known.anyOf;
  if (choices) return choices.map((choice) => sketch(choice, depth)).join(" or ");
  if (known.enum) return known.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (known.const !== undefined) return JSON.stringify(known.const);
  const bounds = [
    ["minimum", "from"], ["maximum", "to"], ["minLength", "at least"], ["maxLength", "at most"],
  ].filter(([key]) => known[key] !== undefined).map(([key, word]) => `${word} ${known[key]}`);
  const kind = [].concat(known.type ?? "anything").join(" or ");
  return [known.format ? `${kind} (${known.format})` : kind, ...bounds].join(", ");
}

/** The parts of a path that `{…}` stand for, by name, if it fits. */
function taken(template, path) {
  const [wanted, given] = [template.split("/"), path.split("/")];
  if (wanted.length !== given.length) return null;
  const found = {};
  for (let place = 0; place < wanted.length; place += 1) {
    if (wanted[place].startsWith("{")) found[wanted[place].slice(1, -1)] = decodeURIComponent(given[place]);
    else if (wanted[place] !== given[place]) return null;
  }
  return found;
}

/** One route: what it is, a form to ask it, and what it answers. */
function route(path, method, operation) {
  const inside = element("div", { class: "inside" });
  const who = (operation.security ?? []).flatMap((scheme) => ["token", ...Object.values(scheme).flat()]);
  const summary = element("summary", {},
    element("span", { class: "method" }, method.toUpperCase()), element("span", { class: "path" }, path),
    element("span", { class: "faint" }, operation.summary), element("span", { class: "faint" }, who.join(" ")));
  const box = element("details", { class: "route", id: operation.operationId, ontoggle: () => {
    if (box.open && !inside.hasChildNodes()) inside.append(...form(path, method, operation));
  } }, summary, inside);
  box.dataset.words = `${method} ${path} ${operation.summary} ${operation.description ?? ""}`.toLowerCase();
  return box;
}

/** What is inside an opened route. */
function form(path, method, operation) {
  const fields = new Map();
  const field = (parameter) => {
    const { name, schema, description } = parameter;
    const attributes = { value: parameter.example, placeholder: sketch(schema), required: parameter.required };
    const input = schema.enum
      ? element("select", {}, element("option", { value: "" }, ""),
        ...schema.enum.map((word) => element("option", { value: word }, word)))
      : element("input", { type: "text", spellcheck: "false", ...attributes });
    fields.set(parameter, input);
    return element("label", {}, `${name} `, element("span", { class: "faint" }, description ?? ""), input);
  };
  const parameters = element("div", { class: "fields" }, ...(operation.parameters ?? []).map(field));
  const body = operation.requestBody && element("textarea", { spellcheck: "false" });
  const answer = element("div", { role: "status", "aria-live": "polite" });
  const send = element("button", { type: "submit" }, "Send");

  const fill = (example) => {
    const url = new URL(example.path, location.origin);
    const inPath = taken(path, url.pathname) ?? {};
    for (const [{ name, in: place }, input] of fields) {
      input.value = (place === "path" ? inPath[name] : place === "query" ? url.searchParams.get(name) : "") ?? "";
    }
    if (body) body.value = example.body === null ? "" : JSON.stringify(example.body, null, 2);
  };
  const examples = operation["x-examples"] ?? [];
  const choice = element("select", { onchange: () => fill(examples[choice.value]) },
    ...examples.map((example, place) => element("option", { value: String(place) }, `${example.summary} (${example.status})`)));
  if (examples.length > 0) fill(examples[0]);

  const request = element("form", { onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      await ask(path, method, fields, body, answer);
    } finally {
      send.disabled = false;
    }
  } },
  (operation.parameters ?? []).length > 0 ? element("h3", {}, "Parameters") : "", parameters,
  body ? element("h3", {}, "Body") : "", body ? element("label", {}, "JSON", body) : "",
  element("div", { class: "act" }, send, examples.length > 0 ? element("label", {}, "Example", choice) : ""));

  const schema = operation.requestBody?.content["application/json"].schema;
  return [
    operation.description ? element("p", {}, operation.description) : "", request, answer,
    schema ? element("h3", {}, "Body it takes") : "", schema ? element("pre", { tabindex: "0" }, sketch(schema)) : "",
    element("h3", {}, "Answers"), answers(operation),
  ].filter((part) => part !== "");
}

/** A row for each status. */
function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) => {
    const known = resolve(response);
    const shape = response.$ref ? undefined : Object.values(known.content ?? {})[0]?.schema;
    return element("tr", {}, element("td", { class: status < 400 ? "good" : "bad" }, status),
      element("td", {}, known.description, shape ? element("pre", { tabindex: "0" }, sketch(shape)) : ""));
  });
  return element("table", {}, element("tbody", {}, ...rows));
}

/** Sends a request and shows its answer. */
async function ask(path, method, fields, body, answer) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const [{ name, in: place }, input] of fields) {
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value !== "" && place === "query") query.set(name, input.value);
    else if (input.value !== "") headers[name] = input.value;
  }
  if (query.size > 0) target += `?${query}`;
  if (state.token !== "") headers.Authorization = `Bearer ${state.token}`;
  if (body) headers["Content-Type"] = "application/json";
  const began = performance.now();
  try {
    const response = await fetch(target, {
      method: method.toUpperCase(), headers, body: body ? body.value : undefined, cache: "no-store", credentials: "omit",
    });
    const text = await response.text();
    const ms = Math.round(performance.now() - began);
    remember(path, response.ok, text);
    const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    answer.replaceChildren(
      element("h3", {}, "Answer"),
      element("p", { class: response.ok ? "good" : "bad" }, `${response.status} ${response.statusText}, ${ms} ms, ${target}`),
      element("pre", { tabindex: "0", "aria-label": "Header fields" }, lines),
      element("pre", { tabindex: "0", "aria-label": "Body" }, pretty(text)));
  } catch (error) {
    answer.replaceChildren(element("p", { class: "bad" }, `The request failed: ${error.message}`));
  }
}

/** Takes the token out of an answer to a login. */
function remember(path, ok, text) {
  if (!ok || !/\/(login|register)$/.test(path)) return;
  try {
    const answer = JSON.parse(text);
    const token = answer.token ?? answer.access_token;
    if (typeof token === "string") byId("token").value = state.token = token;
  } catch {
    // Not JSON: nothing to remember.
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, SHOWN_MAX);
  } catch {
    return text.slice(0, SHOWN_MAX);
  }
}

/** More than this makes the page slow and nobody reads it. */
const SHOWN_MAX = 200_000;

function show() {
  const { info, tags, paths } = state.document;
  byId("version").textContent = info.version;
  const main = byId("routes");
  const about = info.description.split("\n\n").map((part) => element("p", {}, part));
  main.replaceChildren(...about, ...tags.map((tag) => {
    const section = element("section", {}, element("h2", {}, tag.name), element("p", { class: "faint" }, tag.description));
    for (const [path, item] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags.includes(tag.name)) section.append(route(path, method, operation));
      }
    }
    return section;
  }));
  main.setAttribute("aria-busy", "false");
  const wanted = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
  if (wanted) wanted.open = true;
}

function find() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const box of document.querySelectorAll("details.route")) {
    box.hidden = !words.every((word) => box.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("main section")) {
    section.hidden = section.querySelectorAll("details.route:not([hidden])").length === 0;
  }
}

byId("settings").addEventListener("submit", (event) => event.preventDefault());
byId("token").addEventListener("input", (event) => { state.token = event.target.value.trim(); });
byId("find").addEventListener("input", find);
fetch("/openapi.json", { credentials: "omit" })
  .then((response) => response.json())
  .then((document) => { state.document = document; show(); })
  .catch((error) => { byId("state").textContent = `The document can't be shown: ${error.message}`; });
