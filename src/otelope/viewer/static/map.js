// Who caused what in whom: services, and what goes between them.

import { ask } from "./api.js";
import { channel, element, head, notice } from "./elements.js";
import { clock } from "./moments.js";

const PERIODS = [["1", "hour"], ["24", "day"], ["168", "week"], ["", "ever"]];
const HOUR_MS = 3_600_000;
const BOX = { width: 150, height: 36, across: 300, down: 76, margin: 16 };
const OUTSIDE = "(no parent)";

export async function interactions(query, signal) {
  const hours = query.get("hours") ?? "24";
  const asked = hours ? `?since=${Date.now() - Number(hours) * HOUR_MS}` : "";
  const { answer } = await ask(`api/interactions${asked}`, signal);
  return element("section", {},
    element("p", { class: "periods" }, "Of the last ", ...PERIODS.map(([value, name]) =>
      element("a", { href: `#/map?hours=${value}`, class: "button", "aria-pressed": String(value === hours) }, name))),
    answer.length
      ? [picture(answer), table(answer)]
      : notice("Nothing was caused in that time."));
}

function table(found) {
  return element("table", { class: "interactions" },
    head("caused by", "in", "led to", "of", "to", "#times", "last"),
    element("tbody", {}, ...found.map((each) => element("tr", {},
      element("td", {}, each.parent_type || ""),
      element("td", { class: "source" }, each.parent_source || ""),
      element("td", {}, element("a", { href: `#/?${new URLSearchParams({ type: each.type, source: each.source })}` }, each.type)),
      element("td", { class: "source" }, each.source),
      element("td", {}, channel(each.channel)),
      element("td", { class: "number" }, each.count.toLocaleString("en")),
      element("td", { class: "when" }, clock(each.last))))));
}

// Services in columns, each right of what causes something in it; what goes round, or past a
// column, is drawn below.
function picture(found) {
  const edges = new Map();
  for (const each of found) {
    const from = each.parent_source || OUTSIDE;
    const key = JSON.stringify([from, each.source]);
    const edge = edges.get(key) ?? { from, to: each.source, count: 0, types: new Set() };
    edge.count += each.count;
    edge.types.add(each.type);
    edges.set(key, edge);
  }
  const places = arranged([...edges.values()].sort((one, other) => other.count - one.count));
  const lines = [...edges.values()].map((edge) => line(edge, places));
  const wide = Math.max(...[...places.values()].map(({ x }) => x)) + BOX.width + BOX.margin;
  const high = Math.max(...[...places.values()].map(({ y }) => y + BOX.height), ...lines.map(({ low }) => low)) + BOX.margin;
  const drawn = svg("svg", { viewBox: `0 0 ${wide} ${high}`, class: "map", role: "img",
    "aria-label": "Services and what they cause in each other; the table below says the same" });
  drawn.style.maxWidth = `${wide}px`;
  const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  arrow.append(svg("path", { d: "M0 0 L8 4 L0 8 z", class: "head" }));
  drawn.append(arrow, ...lines.map(({ path }) => path));
  for (const [name, place] of places) drawn.append(...box(name, place));
  drawn.append(...lines.map(({ label }) => label));
  return drawn;
}

function arranged(edges) {
  const names = [...new Set([OUTSIDE, ...edges.flatMap(({ from, to }) => [from, to])])];
  const led = new Map(names.map((name) => [name, edges.filter(({ from }) => from === name).map(({ to }) => to)]));
  // Depth first, from what nothing causes: an edge to where we come from goes round. In reverse,
  // the order in which services are left has every cause before its effects.
  const order = [];
  const round = new Set();
  const seen = new Map();
  const visit = (name) => {
    seen.set(name, "open");
    for (const next of led.get(name)) {
      if (seen.get(next) === "open") round.add(JSON.stringify([name, next]));
      else if (!seen.has(next)) visit(next);
    }
    seen.set(name, "left");
    order.unshift(name);
  };
  for (const name of names) if (!seen.has(name)) visit(name);
  const column = new Map(names.map((name) => [name, 0]));
  for (const name of order) {
    for (const next of led.get(name)) {
      if (!round.has(JSON.stringify([name, next]))) column.set(next, Math.max(column.get(next), column.get(name) + 1));
    }
  }
  const filled = [];
  const places = new Map();
  for (const name of order) {
    if (name === OUTSIDE && !led.get(name).length) continue;
    const at = column.get(name);
    filled[at] = (filled[at] ?? 0) + 1;
    places.set(name, { at, x: BOX.margin + at * BOX.across, y: BOX.margin + 24 + (filled[at] - 1) * BOX.down });
  }
  return places;
}

function box(name, { x, y }) {
  const short = name.length > 20 ? `${name.slice(0, 19)}…` : name;
  const outside = name === OUTSIDE;
  return [
    svg("rect", { x, y, width: BOX.width, height: BOX.height, rx: 6, class: outside ? "service outside" : "service" }),
    svg("text", { x: x + BOX.width / 2, y: y + BOX.height / 2 + 4, class: "name" }, short),
  ];
}

function line({ from, to, count, types }, places) {
  const [a, b] = [places.get(from), places.get(to)];
  let path;
  let label;
  let low = 0;
  if (from === to) {
    const [x, y] = [a.x + BOX.width / 2, a.y];
    path = `M ${x - 18} ${y} C ${x - 34} ${y - 26}, ${x + 34} ${y - 26}, ${x + 18} ${y}`;
    label = [x, y - 22];
  } else if (b.at === a.at + 1) {
    const [x1, y1, x2, y2] = [a.x + BOX.width, a.y + BOX.height / 2, b.x, b.y + BOX.height / 2];
    path = `M ${x1} ${y1} C ${x1 + 50} ${y1}, ${x2 - 50} ${y2}, ${x2 - 1} ${y2}`;
    label = [(x1 + x2) / 2, (y1 + y2) / 2 - 6];
  } else {
    const shift = b.at > a.at ? 24 : -24;
    const [x1, y1, x2, y2] = [a.x + BOX.width / 2 + shift, a.y + BOX.height, b.x + BOX.width / 2 - shift, b.y + BOX.height];
    // A curve is at three quarters of its depth in the middle: let that be below every box there.
    const [left, right] = a.at < b.at ? [a.at, b.at] : [b.at, a.at];
    const between = [...places.values()].filter(({ at }) => left <= at && at <= right);
    const floor = Math.max(...between.map(({ y }) => y)) + BOX.height + 10 + 6 * (right - left);
    const deep = (8 * floor - y1 - y2) / 6;
    path = `M ${x1} ${y1} C ${x1} ${deep}, ${x2} ${deep}, ${x2} ${y2 + 1}`;
    label = [(x1 + x2) / 2, floor + 4];
    low = floor + 12;
  }
  const names = [...types];
  const text = names.length > 1 ? `${names.length} types` : names[0];
  const drawn = svg("path", { d: path, class: "caused", "marker-end": "url(#arrow)" });
  drawn.append(svg("title", {}, `${from} → ${to}: ${names.join(", ")}`));
  return { path: drawn, low, label: svg("text", { x: label[0], y: label[1], class: "label" }, `${text} ×${count.toLocaleString("en")}`) };
}

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
