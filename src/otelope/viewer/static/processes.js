// What the instrumented processes say of themselves.

import { ask } from "./api.js";
import { element, head, notice } from "./elements.js";
import { clock } from "./moments.js";

const COUNTERS = ["seen", "stored", "spooled", "dropped"];

export async function processes(query, signal) {
  const { answer } = await ask("api/processes", signal);
  if (!answer.length) return notice("No process has reported yet.");
  return element("table", { class: "processes" },
    head("service", "process", ...COUNTERS.map((name) => `#${name}`), "lane", "instrumented", "last heard"),
    element("tbody", {}, ...answer.map(row)));
}

function row(process) {
  const status = typeof process.status === "object" && process.status !== null ? process.status : {};
  const counters = status.counters ?? {};
  const libraries = Object.entries(status.instrumented ?? {});
  const working = libraries.filter(([, state]) => state === "instrumented").map(([name]) => name);
  const troubles = libraries.filter(([, state]) => !["instrumented", "not imported"].includes(state));
  return element("tr", {},
    element("td", {}, process.service, element("small", {}, ` ${process.version}`)),
    element("td", {}, process.pid === null ? process.instance : `pid ${process.pid}`),
    ...COUNTERS.map((name) => element("td", {
      class: name === "dropped" && counters[name] ? "number error" : "number",
    }, Number(counters[name] ?? 0).toLocaleString("en"))),
    element("td", {}, status.lane ?? ""),
    element("td", {}, working.map((name) => name.split(".").pop()).join(", ") || "nothing yet",
      ...troubles.map(([name, state]) => element("p", { class: "error" }, `${name}: ${state}`)),
      status.spool_failure ? element("p", { class: "error" }, `waits in memory only: ${status.spool_failure}`) : ""),
    element("td", { class: "when" }, clock(process.last_seen)));
}
