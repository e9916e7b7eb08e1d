// One chain: what caused what, who handled it, when, and how that ended.

import { ask, settings } from "./api.js";
import { details } from "./details.js";
import { channel, element, kind, notice, source, treeAddress } from "./elements.js";
import { clock, duration } from "./moments.js";

// Of a wide envelope's children at first, and of a chain's rows; the rest is a press away.
const CHILDREN = 50;
const ROWS = 500;
// A chain may be thousands of generations deep: beyond these the indentation stays.
const GENERATIONS = 24;
const INDENT_EM = 1.25;

export async function tree(id, query, signal) {
  const path = `api/tree/${encodeURIComponent(id)}?flat=1`;
  const { status, answer } = await ask(path, signal, [300, 404]);
  if (status === 404) return notice(`${answer.error} Envelopes that were sent a moment ago take a second to arrive.`);
  if (status === 300) return choice(id, answer.candidates);
  const { jaeger } = await settings();
  return new Chain(answer, jaeger, signal).element(id);
}

function choice(id, candidates) {
  return element("section", {},
    element("p", { class: "state" }, `${id} may mean one of these:`),
    element("ul", { class: "candidates" }, ...candidates.map((each) => element("li", {},
      element("a", { href: treeAddress(each.id) }, each.id),
      " ", element("b", {}, each.type), " ", source(each), " ", clock(each.timestamp)))));
}

class Chain {
  constructor(answer, jaeger, signal) {
    this.nodes = answer.nodes;
    this.counts = answer.counts;
    this.truncated = answer.truncated;
    this.jaeger = jaeger;
    this.signal = signal;
    this.children = this.nodes.map(() => []);
    this.depths = this.nodes.map(() => 0);
    this.nodes.forEach((node, index) => {
      if (node.parent === null) return;
      this.children[node.parent].push(index);
      this.depths[index] = this.depths[node.parent] + 1;
    });
    this.shownChildren = this.nodes.map(() => CHILDREN);
    this.collapsed = new Set();
    this.most = ROWS;
    [this.first, this.last] = span(this.nodes);
    this.rows = element("div", { role: "tree", "aria-label": "What caused what", class: "tree" });
    this.rows.addEventListener("keydown", (event) => this.key(event));
    this.detail = element("aside", { class: "detail", "aria-label": "The selected envelope", "aria-live": "polite" });
  }

  element(id) {
    const asked = this.nodes.findIndex((node) => node.id.toLowerCase().startsWith(id.toLowerCase()));
    this.selected = Math.max(0, asked);
    this.reveal(this.selected);
    this.draw();
    this.select(this.selected);
    return element("section", { class: "chain" },
      element("div", { class: "summary" }, this.summary()),
      element("div", { class: "panes" }, this.rows, this.detail));
  }

  summary() {
    const { envelopes, deliveries, failed } = this.counts;
    const parts = [counted(envelopes, "envelope"), counted(deliveries, "handling"), duration(this.last - this.first)];
    return [
      element("span", {}, parts.join(" · ")),
      failed ? element("span", { class: "outcome error" }, `${failed} failed`) : "",
      this.truncated ? element("span", { class: "outcome error" }, "cut off: there are more envelopes than can be shown") : "",
    ];
  }

  // Let a row be among those that are drawn, whatever stands before it.
  reveal(index) {
    for (let at = index; this.nodes[at].parent !== null; at = this.nodes[at].parent) {
      const place = this.children[this.nodes[at].parent].indexOf(at) + 1;
      const parent = this.nodes[at].parent;
      this.shownChildren[parent] = Math.max(this.shownChildren[parent], place);
      this.collapsed.delete(parent);
    }
    this.most = Math.max(this.most, index + ROWS);
  }

  draw() {
    const drawn = [];
    // Without recursion: a chain may be deeper than a stack.
    const pending = [0];
    while (pending.length) {
      const item = pending.pop();
      if (drawn.length >= this.most) {
        drawn.push(this.more("There are more rows below.", "Show more", () => { this.most += ROWS; }));
        break;
      }
      if (typeof item !== "number") { drawn.push(item.row()); continue; }
      drawn.push(this.row(item));
      if (this.collapsed.has(item)) continue;
      const children = this.children[item];
      const shown = this.shownChildren[item];
      if (children.length > shown) pending.push({ row: () => this.rest(item, children.length - shown) });
      for (const child of children.slice(0, shown).reverse()) pending.push(child);
    }
    this.rows.replaceChildren(...drawn);
  }

  rest(index, count) {
    const row = this.more(`${counted(count, "more envelope")} caused by this ${this.nodes[index].type ?? ""}.`,
      "Show", () => { this.shownChildren[index] += 10 * CHILDREN; this.most += 10 * CHILDREN; });
    indent(row, this.depths[index] + 1);
    return row;
  }

  more(text, label, change) {
    return element("div", { class: "more", role: "none" }, text, " ",
      element("button", { onclick: () => { change(); this.draw(); this.mark(); } }, label));
  }

  row(index) {
    const node = this.nodes[index];
    const children = this.children[index].length;
    const open = !this.collapsed.has(index);
    const row = element("div", {
      role: "treeitem", class: "row", "data-index": index, tabindex: "-1",
      "aria-level": this.depths[index] + 1,
      "aria-expanded": children ? String(open) : null,
      onclick: () => this.select(index),
    });
    const what = element("div", { class: "what" },
      element("button", {
        class: "toggle", tabindex: "-1", disabled: !children, "aria-hidden": "true",
        onclick: (event) => { event.stopPropagation(); this.toggle(index); },
      }, children ? (open ? "▾" : "▸") : "·"),
      ...this.words(node));
    indent(what, this.depths[index]);
    row.append(what, this.done(node), this.bar(node));
    return row;
  }

  words(node) {
    if (node.missing) return [element("b", { class: "missing" }, "not recorded"), " ", element("code", {}, node.id)];
    return [
      element("b", {}, node.type || "(no type)"), kind(node), source(node),
      node.channel ? element("span", { class: "to" }, "→ ", channel(node.channel)) : "",
      node.lag_ms === null ? "" : element("small", { class: "lag" }, `+${duration(node.lag_ms)}`),
      node.parent_inferred ? element("small", { class: "inferred" }, "parent inferred") : "",
    ];
  }

  // What was done with an envelope, where that is more than one good sending.
  done(node) {
    const chips = [];
    for (const each of node.stores) {
      const name = each.outbox ? `outbox ${each.channel ?? ""}` : `stored ${each.channel ?? ""}`;
      chips.push(chip(each, name.trim()));
    }
    if (node.stuck) chips.push(element("span", { class: "outcome error" }, "never published"));
    for (const each of node.sends) if (each.outcome === "error") chips.push(chip(each, "send"));
    for (const each of node.deliveries) {
      const again = [each.attempt > 1 ? `attempt ${each.attempt}` : "", each.duplicate ? "again" : ""].filter(Boolean);
      chips.push(chip(each, [each.service, ...again].join(", ")));
    }
    return element("div", { class: "done" }, ...chips);
  }

  bar(node) {
    const track = element("div", { class: "track", "aria-hidden": "true" });
    if (node.timestamp === null) return track;
    place(track, "envelope", node.timestamp, 0, this);
    for (const each of node.deliveries) {
      place(track, `handling ${each.outcome}`, each.started, each.duration_ms ?? 0, this);
    }
    return track;
  }

  select(index) {
    this.selected = index;
    this.mark();
    const { id } = this.nodes[index];
    history.replaceState(null, "", treeAddress(id));
    details(this.nodes[index], this.nodes[this.nodes[index].parent], this.jaeger, this.signal)
      .then((told) => { if (this.selected === index) this.detail.replaceChildren(...told); });
  }

  mark() {
    for (const row of this.rows.querySelectorAll("[role=treeitem]")) {
      const selected = Number(row.dataset.index) === this.selected;
      row.setAttribute("aria-selected", String(selected));
      row.tabIndex = selected ? 0 : -1;
    }
  }

  toggle(index) {
    if (!this.collapsed.delete(index)) this.collapsed.add(index);
    this.draw();
    this.mark();
  }

  key(event) {
    const rows = [...this.rows.querySelectorAll("[role=treeitem]")];
    const at = rows.findIndex((row) => Number(row.dataset.index) === this.selected);
    const index = this.selected;
    const open = !this.collapsed.has(index) && this.children[index].length > 0;
    const to = {
      ArrowDown: () => rows[at + 1],
      ArrowUp: () => rows[at - 1],
      Home: () => rows[0],
      End: () => rows[rows.length - 1],
      ArrowRight: () => {
        if (open) return rows[at + 1];
        if (this.children[index].length) this.toggle(index);
        return this.at(index);
      },
      ArrowLeft: () => {
        if (!open) return this.at(this.nodes[index].parent ?? index);
        this.toggle(index);
        return this.at(index);
      },
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const row = to();
    if (!row) return;
    this.select(Number(row.dataset.index));
    row.focus();
  }

  at(index) {
    return this.rows.querySelector(`[data-index="${index}"]`);
  }
}

function indent(made, depth) {
  const hidden = depth - GENERATIONS;
  made.style.paddingLeft = `${Math.min(depth, GENERATIONS) * INDENT_EM}em`;
  if (hidden > 0) made.prepend(element("small", { class: "deep" }, `…${hidden} `));
}

function chip(done, text) {
  const took = done.duration_ms === null ? "" : ` ${duration(done.duration_ms)}`;
  const sign = { ok: "✓", error: "✗" }[done.outcome] ?? "?";
  const why = done.error_type ? ` ${done.error_type}` : "";
  return element("span", { class: `outcome ${done.outcome}` }, `${sign} ${text}${why}${took}`);
}

function place(track, name, start, length, { first, last }) {
  const whole = Math.max(last - first, 1e-3);
  const mark = element("span", { class: name });
  mark.style.left = `${(100 * (start - first)) / whole}%`;
  if (length) mark.style.width = `${(100 * length) / whole}%`;
  track.append(mark);
}

// From the first envelope to the end of the last handling.
function span(nodes) {
  let first = Infinity;
  let last = -Infinity;
  for (const node of nodes) {
    if (node.timestamp !== null) {
      first = Math.min(first, node.timestamp);
      last = Math.max(last, node.timestamp);
    }
    for (const each of node.deliveries) {
      first = Math.min(first, each.started);
      last = Math.max(last, each.started + (each.duration_ms ?? 0));
    }
  }
  return first === Infinity ? [0, 0] : [first, last];
}

function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
