// Elements of a page. What an envelope says becomes text, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function notice(text) {
  return element("p", { class: "notice" }, text);
}

// A command, an event or neither; in parentheses where that is inferred from the type's name.
export function kind(envelope) {
  if (!envelope.kind) return "";
  const text = envelope.kind_inferred ? `(${envelope.kind})` : envelope.kind;
  return element("span", { class: `kind ${envelope.kind}` }, text);
}

export function source(envelope) {
  const name = envelope.source?.name || envelope.service;
  if (!name) return "";
  const version = envelope.source?.version;
  return element("span", { class: "source" }, name, version ? element("small", {}, ` ${version}`) : "");
}

export function channel(name) {
  return name ? element("span", { class: "channel" }, name) : "";
}

export function treeAddress(id) {
  return `#/tree/${encodeURIComponent(id)}`;
}

// The head of a table; of names that begin with # the columns hold numbers.
export function head(...names) {
  return element("thead", {}, element("tr", {}, ...names.map((name) => (name.startsWith("#")
    ? element("th", { scope: "col", class: "number" }, name.slice(1))
    : element("th", { scope: "col" }, name)))));
}
