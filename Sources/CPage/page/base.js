"use strict";
// Elements, numbers and lists. Text from outside goes in by textContent alone; the page's policy (Trusted Types) allows no other way.

const byId = (id) => document.getElementById(id);

/** Makes an element. Attributes that are functions are listeners; null and false are left out. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function makeSVG(tag, attributes = {}, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Sets a text only when it differs: what has not changed is not read out again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes a list's elements those of the items, and keeps what is there: focus, and what is being animated. */
function reconcile(container, items, keyOf, create, update) {
  const known = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let place = container.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = known.get(key);
    if (element) known.delete(key);
    else {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else container.insertBefore(element, place);
  }
  for (const element of known.values()) element.remove();
}

// Numbers as the commands write them.

function bytes(number) {
  for (const [factor, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (number >= factor) {
      const tenths = Math.floor(number / (factor / 10));
      return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} ${unit}`;
    }
  }
  return `${Math.max(0, Math.round(number))} bytes`;
}

const counting = new Intl.NumberFormat("en");
const count = (number) => counting.format(number);
const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Rounded down: 100 % is all. */
function percent(part, whole) {
  if (!whole) return "–";
  const tenths = Math.floor((part / whole) * 1000);
  return tenths >= 100 || tenths % 10 === 0 ? `${Math.floor(tenths / 10)} %` : `${(tenths / 10).toFixed(1)} %`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

const ago = (at, now) => (!at ? "never" : now - at < 5 ? "just now" : `${duration(now - at)} ago`);
const moment = (at) => (at ? `${new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")}Z` : "never");
const shortDigest = (digest) => digest.slice(digest.indexOf(":") + 1).slice(0, 12);

/** A name with the registry set back, which breaks behind its parts when it must. */
function imageName(name) {
  const parts = name.split(/(?<=[/:@])/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
  const slash = name.indexOf("/");
  if (slash > 0) parts[0] = make("span", { class: "host" }, name.slice(0, parts[0].length));
  return make("span", { class: "name" }, ...parts);
}

function setMeter(element, share, level) {
  const part = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  element.firstElementChild.style.transform = `scaleX(${part})`;
  element.setAttribute("aria-valuenow", String(Math.round(part * 100)));
  if (level) element.dataset.level = level;
}

// Copying

let toastTimer = 0;
function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("shown"), 3200);
}

/** Copies; where the browser's clipboard is closed (plain HTTP from another host), by the old way. */
async function copyText(text) {
  try {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: the old way may still do.
  }
  const area = make("textarea", { class: "hidden", readonly: true, "aria-hidden": "true" });
  area.value = text;
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  let copied = false;
  try {
    copied = document.execCommand("copy");
  } catch {
    copied = false;
  }
  area.remove();
  if (focused) focused.focus({ preventScroll: true });
  return copied;
}

function copyButton(textOf, what, label = "Copy") {
  const button = make("button", { type: "button", class: "button copy", "aria-label": `${label} ${what}` }, label);
  button.addEventListener("click", async () => {
    const text = textOf();
    const copied = await copyText(text);
    toast(copied ? `Copied: ${text.length > 160 ? what : text}` : `The browser does not let this page copy. Here it is: ${text}`);
    button.textContent = copied ? "Copied" : label;
    button.classList.toggle("done", copied);
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("done");
    }, 2000);
  });
  return button;
}

function codeBlock(path, text, what) {
  return make("div", { class: "code" },
    make("div", { class: "code-head" }, make("span", {}, path), copyButton(() => text, what)),
    make("pre", { tabindex: "0" }, text));
}

/** What the browser remembers for this page, where it remembers anything. */
const remembered = {
  get(name) {
    try {
      return localStorage.getItem(`amargo.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`amargo.${name}`, value);
    } catch {
      // Then it is asked again next time.
    }
  },
};
