// Everything that is known of one envelope.

import { ask } from "./api.js";
import { element, head, treeAddress } from "./elements.js";
import { duration } from "./moments.js";

export async function details(node, parent, jaeger, signal) {
  const told = [element("h2", {}, node.missing ? "Not recorded" : node.type || "(no type)"), facts(node, parent, jaeger)];
  const done = [
    ...node.stores.map((each) => [each.outbox ? "outbox" : "store", each]),
    ...node.sends.map((each) => ["send", each]),
    ...node.deliveries.map((each) => ["handling", each]),
  ].sort(([, one], [, other]) => one.started - other.started);
  if (done.length) told.push(element("h3", {}, "What was done with it"), story(node, done, jaeger));
  if (node.missing) {
    told.push(element("p", {}, "Others name it as their parent. Whoever made it is not instrumented, or its record has not arrived."));
    return told;
  }
  try {
    const { answer } = await ask(`api/envelope/${encodeURIComponent(node.id)}`, signal);
    told.push(element("h3", {}, "The envelope"), element("pre", { class: "body" }, pretty(answer.body)));
  } catch (error) {
    if (!signal.aborted) told.push(element("p", { class: "error" }, error.message));
  }
  return told;
}

function facts(node, parent, jaeger) {
  const name = node.source && [node.source.name, node.source.version].filter(Boolean).join(" ");
  const kept = [
    ["id", element("code", {}, node.id)],
    ["parent", node.parent_id && element("a", { href: treeAddress(node.parent_id) },
      parent && !parent.missing ? parent.type : node.parent_id)],
    ["time", node.timestamp !== null && new Date(node.timestamp).toISOString()],
    ["since its parent", node.lag_ms !== null && duration(node.lag_ms)],
    ["source", name],
    ["recorded by", node.service !== node.source?.name && node.service],
    ["channel", node.channel],
    ["in the outbox", node.outbox_ms !== null && node.outbox_ms !== undefined && duration(node.outbox_ms)],
    ["trace", node.trace_id && trace(node.trace_id, jaeger)],
  ].filter(([, value]) => value);
  return element("dl", {}, ...kept.flatMap(([name_, value]) => [element("dt", {}, name_), element("dd", {}, value)]));
}

function trace(id, jaeger) {
  const text = element("code", {}, id);
  if (!jaeger) return text;
  return element("a", { href: `${jaeger}/trace/${id}`, target: "_blank", rel: "noopener" }, text, " in Jaeger");
}

function story(node, done, jaeger) {
  const first = node.timestamp ?? done[0][1].started;
  return element("table", { class: "story" },
    head("", "by", "#after", "#took", "outcome"),
    element("tbody", {}, ...done.map(([what, each]) => element("tr", {},
      element("td", {}, what),
      element("td", {}, each.service, element("small", {}, ` ${each.version}`),
        each.channel && each.channel !== node.channel ? element("p", { class: "channel" }, each.channel) : ""),
      element("td", { class: "number" }, duration(each.started - first)),
      element("td", { class: "number" }, each.duration_ms === null ? "" : duration(each.duration_ms)),
      element("td", {}, outcome(each, node, jaeger))))));
}

function outcome(each, node, jaeger) {
  const words = [each.outcome === "error" ? each.error_type ?? "failed" : each.outcome];
  if (each.attempt > 1) words.push(`attempt ${each.attempt}`);
  if (each.redelivered) words.push("redelivered");
  if (each.duplicate) words.push("handled before");
  const told = element("span", { class: `outcome ${each.outcome}` }, words.join(", "));
  const elsewhere = jaeger && each.trace_id && each.trace_id !== node.trace_id;
  return elsewhere ? [told, " ", trace(each.trace_id, jaeger)] : told;
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
