// Which page is shown: what stands behind the address's #.

import { envelopes } from "./envelopes.js";
import { interactions } from "./map.js";
import { processes } from "./processes.js";
import { tree } from "./tree.js";
import { Failure } from "./api.js";
import { element, notice } from "./elements.js";

const page = document.getElementById("page");
let leave = new AbortController();

const routes = [
  [/^\/?$/, (query, signal) => envelopes(query, signal)],
  [/^\/tree\/(.+)$/, (query, signal, id) => tree(decodeURIComponent(id), query, signal)],
  [/^\/map$/, (query, signal) => interactions(query, signal)],
  [/^\/processes$/, (query, signal) => processes(query, signal)],
];

// A page is a function of the query that returns its element, and stops what it does when its
// signal aborts.
async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [path, query = ""] = location.hash.slice(1).split("?", 2);
  const found = routes.map(([pattern, make]) => [path.match(pattern), make]).find(([match]) => match);
  mark(path);
  let shown;
  try {
    shown = found
      ? await found[1](new URLSearchParams(query), signal, found[0][1])
      : notice("There is no such page.");
  } catch (error) {
    if (signal.aborted) return;
    shown = failed(error);
  }
  if (signal.aborted) return;
  page.replaceChildren(shown);
  page.dataset.path = path || "/";
  window.scrollTo(0, 0);
}

function failed(error) {
  if (!(error instanceof Failure)) console.error(error);
  return element("div", { class: "notice", role: "alert" },
    element("p", {}, String(error.message ?? error)),
    element("button", { onclick: show }, "Try again"));
}

function mark(path) {
  for (const link of document.querySelectorAll("header nav a")) {
    const current = link.hash.slice(1) === (path || "/");
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

document.getElementById("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = new FormData(event.target).get("id").trim();
  if (id) location.hash = `#/tree/${encodeURIComponent(id)}`;
});
window.addEventListener("hashchange", show);
show();
