// What is stored, the newest first: filtered, or followed as it comes.

import { ask } from "./api.js";
import { channel, element, head, kind, source, treeAddress } from "./elements.js";
import { clock } from "./moments.js";

const PAGE = 100;
const MOST_FOLLOWED = 1000;
const FOLLOW_EVERY = 1000;
const TEXTS = ["type", "source", "channel", "text"];
const FLAGS = ["failed", "stuck"];

export async function envelopes(query, signal) {
  const rows = element("tbody", { id: "envelopes" });
  const state = element("p", { class: "state", role: "status" });
  const follows = query.get("follow") === "1";
  if (follows) await follow(rows, state, signal);
  else await list(rows, state, query, signal);
  return element("section", {},
    filters(query, follows),
    state,
    element("table", { class: "envelopes" },
      head("when", "type", "kind", "from", "to", ""),
      rows));
}

async function list(rows, state, query, signal) {
  const asked = new URLSearchParams();
  for (const name of [...TEXTS, ...FLAGS]) if (query.get(name)) asked.set(name, query.get(name));
  const limit = Number(query.get("limit")) || PAGE;
  asked.set("limit", limit + 1);
  const { answer } = await ask(`api/find?${asked}`, signal);
  rows.replaceChildren(...answer.slice(0, limit).map(row));
  if (!answer.length) state.append(empty(query));
  if (answer.length > limit) {
    const more = new URLSearchParams(query);
    more.set("limit", limit * 5);
    state.append(`The newest ${limit}. `, element("a", { href: `#/?${more}` }, "More"));
  }
}

function empty(query) {
  const filtered = [...TEXTS, ...FLAGS].some((name) => query.get(name));
  return filtered
    ? "No envelope is like that."
    : "No envelope is stored yet. Start a service under opentelemetry-instrument, and let it send "
      + "to this address by OTEL_EXPORTER_OTLP_ENDPOINT.";
}

async function follow(rows, state, signal) {
  let cursor = "";
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  const look = async () => {
    const asked = new URLSearchParams(cursor ? { after: cursor } : { last: PAGE });
    const { answer } = await ask(`api/tail?${asked}`, signal);
    cursor = answer.cursor;
    for (const item of answer.items) {
      if (item.what === "envelope") rows.prepend(row(item));
      else failure(rows, item);
    }
    while (rows.children.length > MOST_FOLLOWED) rows.lastElementChild.remove();
    state.textContent = "Following: what is stored comes on top.";
  };
  const again = async () => {
    try {
      // Nobody reads a page that is hidden.
      if (!document.hidden) await look();
    } catch (error) {
      if (signal.aborted) return;
      state.textContent = error.message;
    }
    if (!signal.aborted) timer = setTimeout(again, FOLLOW_EVERY);
  };
  await look();
  timer = setTimeout(again, FOLLOW_EVERY);
}

// A handling that failed is told at its envelope, which may have come long before.
function failure(rows, item) {
  const told = [...rows.children].find((each) => each.dataset.id === item.id);
  if (told) told.lastElementChild.replaceChildren(failed());
}

function row(envelope) {
  return element("tr", { "data-id": envelope.id },
    element("td", { class: "when" }, clock(envelope.timestamp)),
    element("td", {}, element("a", { href: treeAddress(envelope.id), title: envelope.id }, envelope.type || "(no type)")),
    element("td", {}, kind(envelope)),
    element("td", {}, source(envelope)),
    element("td", {}, channel(envelope.channel)),
    element("td", {}, envelope.failed ? failed() : ""));
}

function failed() {
  return element("span", { class: "outcome error" }, "failed");
}

function filters(query, follows) {
  const text = (name, label) => element("label", {}, label,
    element("input", { name, value: query.get(name) ?? "", spellcheck: "false" }));
  const flag = (name, label) => element("label", { class: "flag" },
    element("input", { type: "checkbox", name, value: "1", checked: query.get(name) === "1" }), label);
  const form = element("form", { class: "filters" },
    text("type", "Type"), text("source", "Source"), text("channel", "Channel"), text("text", "Contains"),
    flag("failed", "Failed"), flag("stuck", "Stuck in an outbox"),
    element("button", {}, "Find"),
    element("a", { href: follows ? "#/" : "#/?follow=1", class: "button", "aria-pressed": String(follows) },
      follows ? "Stop following" : "Follow"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value.trim()) wanted.set(name, value.trim());
    location.hash = `#/?${wanted}`;
  });
  return form;
}
