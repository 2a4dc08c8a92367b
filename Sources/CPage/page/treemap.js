// What fills the disk: a treemap in which a place is as large as its share, drawn as buttons.

const disk = { value: null, path: [], chosen: null, asList: remembered.get("disk") === "list" };
const hues = [48, 235, 150, 310, 95, 195, 15, 275];
const diskKinds = { registry: "registry", repository: "repository", image: "image", rest: "smaller ones together", other: "what no image needs" };

function diskPath() {
  const [registry, repository] = disk.path;
  const query = new URLSearchParams();
  if (registry) query.set("registry", registry);
  if (repository) query.set("repository", repository);
  const text = query.toString();
  return `/dashboard/disk.json${text ? `?${text}` : ""}`;
}

/** Rows of rectangles as near to squares as can be (Bruls, Huizing, van Wijk: "Squarified Treemaps"). */
function squarify(values, x, y, width, height) {
  const total = values.reduce((sum, value) => sum + value, 0);
  const places = [];
  if (total <= 0 || width <= 0 || height <= 0) return values.map(() => ({ x, y, width: 0, height: 0 }));
  const scale = (width * height) / total;
  let start = 0;
  while (start < values.length) {
    const side = Math.min(width, height);
    let end = start;
    let sum = 0;
    let worst = Infinity;
    while (end < values.length) {
      const area = Math.max(values[end] * scale, 1e-6);
      const next = sum + area;
      const thick = next / side;
      const largest = Math.max(values[start] * scale, 1e-6) / thick;
      const smallest = area / thick;
      const ratio = Math.max(largest / thick, thick / smallest);
      if (ratio > worst) break;
      worst = ratio;
      sum = next;
      end += 1;
    }
    const thick = sum / side;
    let offset = 0;
    for (let index = start; index < end; index += 1) {
      const length = Math.max(values[index] * scale, 1e-6) / thick;
      places.push(width >= height
        ? { x, y: y + offset, width: thick, height: length }
        : { x: x + offset, y, width: length, height: thick });
      offset += length;
    }
    if (width >= height) {
      x += thick;
      width -= thick;
    } else {
      y += thick;
      height -= thick;
    }
    start = end;
  }
  return places;
}

function hueOf(registry) {
  const names = disk.value ? disk.value.registries : [];
  return hues[Math.max(0, names.indexOf(registry)) % hues.length];
}

/** Everything that is drawn: groups with what is in them, or what has nothing in it. */
function diskTiles(width, height) {
  const nodes = disk.value.nodes;
  const tiles = [];
  const places = squarify(nodes.map((node) => node.attributedBytes), 0, 0, width, height);
  nodes.forEach((node, index) => {
    const place = inset(places[index], 2);
    const children = node.children || [];
    const holds = children.length > 0 && place.width > 70 && place.height > 60;
    tiles.push({ node, place, isGroup: holds, step: (index % 3) * 0.025 });
    if (!holds) return;
    const inner = squarify(
      children.map((child) => child.attributedBytes), place.x + 4, place.y + 26, place.width - 8, place.height - 30);
    children.forEach((child, order) => {
      tiles.push({ node: child, place: inset(inner[order], 1.5), isGroup: false, step: (order % 3) * 0.025 });
    });
  });
  return tiles.filter((tile) => tile.place.width >= 3 && tile.place.height >= 3);
}

function inset(place, by) {
  return { x: place.x + by / 2, y: place.y + by / 2, width: place.width - by, height: place.height - by };
}

function showDisk() {
  const value = disk.value;
  if (!value) return;
  showCrumbs();
  showDiskList();
  const map = byId("map");
  const box = { width: map.clientWidth, height: map.clientHeight };
  const note = map.querySelector(".note");
  if (note) note.remove();
  byId("disk").dataset.empty = String(value.nodes.length === 0);
  if (value.nodes.length === 0) {
    map.replaceChildren(make("p", { class: "note" },
      disk.path.length ? "There is nothing here any more." : "The store is empty. What is pulled shows up here."));
    showDetail(null);
    return;
  }
  if (box.width === 0) return showDetail(null);
  const focused = map.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const tiles = diskTiles(box.width, box.height);
  reconcile(map, tiles, (tile) => tile.node.key, () => makeTile(), updateTile);
  const roving = tiles.find((tile) => tile.node.key === focused) || tiles[0];
  for (const button of map.children) button.tabIndex = roving && button.dataset.key === roving.node.key ? 0 : -1;
  if (focused && document.activeElement === document.body) focusTile(map.querySelector('[tabindex="0"]'));
  const chosen = tiles.find((tile) => tile.node.key === disk.chosen);
  showDetail(chosen ? chosen.node : null);
}

function makeTile() {
  const button = make("button", { type: "button" }, make("span", {}, make("b"), make("em")));
  button.addEventListener("click", () => openNode(button.node));
  button.addEventListener("pointerenter", () => choose(button));
  button.addEventListener("focus", () => choose(button));
  return button;
}

function updateTile(button, { node, place, isGroup, step }) {
  button.node = node;
  const kind = isGroup ? "group" : node.kind === "rest" || node.kind === "other" ? "cell rest" : "cell";
  const size = isGroup
    ? place.width < 130 ? "one-line" : ""
    : place.width < 46 || place.height < 24 ? "tiny" : place.width < 74 || place.height < 42 ? "one-line" : "";
  button.className = `${kind} ${size}${node.key === disk.chosen ? " chosen" : ""}`;
  const style = button.style;
  style.left = `${place.x}px`;
  style.top = `${place.y}px`;
  style.width = `${place.width}px`;
  style.height = `${place.height}px`;
  style.setProperty("--hue", hueOf(node.registry || disk.path[0] || node.name));
  style.setProperty("--step", step);
  const [name, amount] = button.firstElementChild.children;
  setText(name, node.label || node.name);
  setText(amount, bytes(node.attributedBytes));
  button.setAttribute("aria-label",
    `${node.name}, ${diskKinds[node.kind]}, ${bytes(node.attributedBytes)}, ${percent(node.attributedBytes, disk.value.total.attributedBytes)} of all shown`
    + `${node.uniqueBytes === undefined ? "" : `; removing it frees ${bytes(node.uniqueBytes)}`}`);
}

function choose(button) {
  disk.chosen = button.node.key;
  for (const other of byId("map").children) other.classList.toggle("chosen", other === button);
  showDetail(button.node);
}

function focusTile(button) {
  if (!button) return;
  for (const other of byId("map").children) other.tabIndex = other === button ? 0 : -1;
  button.focus();
}

function canOpen(node) {
  return node.kind === "registry" || node.kind === "repository";
}

function openNode(node) {
  if (node.kind === "registry") goTo([node.name]);
  else if (node.kind === "repository") goTo([node.registry, node.repository]);
  else if (node.kind === "image") searchImages(node.search || node.name);
}

function goTo(path, keepsFocus = true) {
  const hadFocus = byId("disk").contains(document.activeElement) && keepsFocus;
  disk.path = path;
  disk.chosen = null;
  disk.focusNext = hadFocus;
  byId("map").setAttribute("aria-busy", "true");
  diskFeed.ask();
}

function goUp() {
  if (disk.path.length > 0) goTo(disk.path.slice(0, -1));
}

function showCrumbs() {
  const steps = [{ name: "Everything", path: [] }];
  if (disk.path[0]) steps.push({ name: disk.path[0], path: disk.path.slice(0, 1) });
  if (disk.path[1]) steps.push({ name: disk.path[1], path: disk.path.slice(0, 2) });
  const parts = [];
  steps.forEach((step, index) => {
    if (index > 0) parts.push(make("span", { class: "slash", "aria-hidden": "true" }, "/"));
    if (index === steps.length - 1) parts.push(make("span", { "aria-current": "page" }, step.name));
    else parts.push(make("button", { type: "button", click: () => goTo(step.path) }, step.name));
  });
  byId("crumbs").replaceChildren(...parts);
}

const detailHints = {
  image: "Enter or a click finds it among the images below.",
  rest: "They are too small to be drawn one by one; the images below are all there.",
  other: "No image needs it any more, or not yet: it is the first to go when room is needed. amargo gc removes it now.",
};

function showDetail(node) {
  const total = disk.value.total;
  const shown = node || { ...total, name: disk.path[1] || disk.path[0] || "Everything", kind: null };
  const kind = !node
    ? ["All that is stored", "registry", "repository"][disk.path.length]
    : `${diskKinds[node.kind]}${node.kind !== "image" && node.images ? `, ${counted(node.images, "image")}` : ""}`;
  // Of places that are summed up, what they share with each other is not known.
  const known = (value, words) => (value === undefined ? "–" : words(value));
  const rows = [
    ["Share", bytes(shown.attributedBytes), "its part of the disk, with what is shared split among all who use it"],
    ["Unique", known(shown.uniqueBytes, bytes), "what removing it would free"],
    ["Shared", known(shown.sharedBytes, bytes), "what others use as well"],
    ["Logical", bytes(shown.logicalBytes), "what its images would take if nothing were shared"],
    ["Blobs", known(shown.blobs, count)],
    ["Last pulled", shown.lastPulled ? ago(shown.lastPulled, state.now()) : "never", moment(shown.lastPulled)],
    ["Pulls", count(shown.pulls)],
  ];
  const own = (shown.uniqueBytes || 0) + (shown.sharedBytes || 0);
  const bar = make("div", { class: "bar", "aria-hidden": "true" }, make("i"), make("i"));
  bar.children[0].style.width = `${own ? ((shown.uniqueBytes || 0) / own) * 100 : 0}%`;
  bar.children[1].style.width = `${own ? ((shown.sharedBytes || 0) / own) * 100 : 0}%`;
  const list = make("dl", {}, ...rows.map(([name, text, hint]) => make("div", { title: hint }, make("dt", {}, name), make("dd", {}, text))));
  byId("detail").replaceChildren(
    make("h3", {}, shown.name), make("p", { class: "kind" }, kind), bar, list,
    make("p", { class: "explain" }, !node
      ? "Areas are shares: what several images use is split among them. Unique is what removing something would free."
      : detailHints[node.kind] || "Enter or a click shows what is in it."));
}

function showDiskList() {
  const nodes = disk.value.nodes;
  reconcile(byId("map-rows"), nodes, (node) => node.key,
    () => make("tr", {}, make("td"), ...Array.from({ length: 7 }, () => make("td"))),
    (row, node) => {
      const cells = row.children;
      const old = cells[0].firstElementChild;
      if (!old || old.textContent !== node.name) {
        cells[0].replaceChildren(node.kind === "rest" || node.kind === "other"
          ? make("span", {}, node.name)
          : make("button", { type: "button", click: () => openNode(row.node) }, node.name));
      }
      row.node = node;
      const known = (value, words) => (value === undefined ? "–" : words(value));
      [bytes(node.attributedBytes), known(node.uniqueBytes, bytes), known(node.sharedBytes, bytes), bytes(node.logicalBytes), known(node.blobs, count),
        node.lastPulled ? ago(node.lastPulled, state.now()) : "never", count(node.pulls)]
        .forEach((text, index) => setText(cells[index + 1], text));
    });
}

function showAs(list) {
  disk.asList = list;
  remembered.set("disk", list ? "list" : "map");
  byId("as-map").setAttribute("aria-pressed", String(!list));
  byId("as-list").setAttribute("aria-pressed", String(list));
  byId("map").hidden = list;
  byId("map-list").hidden = !list;
  showDisk();
}

/** The nearest tile in a direction: the least distance, what is off to the side counting double. */
function neighbour(from, dx, dy) {
  const at = centre(from);
  let best = null;
  let least = Infinity;
  for (const other of byId("map").children) {
    if (other === from) continue;
    const there = centre(other);
    const ahead = (there.x - at.x) * dx + (there.y - at.y) * dy;
    if (ahead <= 1) continue;
    const aside = Math.abs((there.x - at.x) * dy) + Math.abs((there.y - at.y) * dx);
    const distance = ahead + 2 * aside;
    if (distance < least) [least, best] = [distance, other];
  }
  return best;
}

function centre(element) {
  // A group is met at its heading.
  const height = element.classList.contains("group") ? 24 : element.offsetHeight;
  return { x: element.offsetLeft + element.offsetWidth / 2, y: element.offsetTop + height / 2 };
}

function startDisk() {
  byId("as-map").addEventListener("click", () => showAs(false));
  byId("as-list").addEventListener("click", () => showAs(true));
  const map = byId("map");
  map.addEventListener("keydown", (event) => {
    const from = document.activeElement;
    if (!map.contains(from) || from === map || event.altKey || event.ctrlKey || event.metaKey) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (moves[event.key]) focusTile(neighbour(from, ...moves[event.key]));
    else if (event.key === "Home") focusTile(map.firstElementChild);
    else if (event.key === "End") focusTile(map.lastElementChild);
    else return;
    event.preventDefault();
  });
  byId("disk").addEventListener("keydown", (event) => {
    if ((event.key === "Escape" || event.key === "Backspace") && disk.path.length > 0) {
      event.preventDefault();
      goUp();
    }
  });
  map.addEventListener("pointerleave", () => {
    if (map.contains(document.activeElement) || !disk.value) return;
    disk.chosen = null;
    for (const button of map.children) button.classList.remove("chosen");
    showDetail(null);
  });
  new ResizeObserver(() => {
    // With the window everything moves at once; with the data one sees what grows.
    map.classList.remove("moves");
    showDisk();
  }).observe(map);
  showAs(disk.asList);
}

const diskFeed = new Feed(diskPath, 5000, (value) => {
  disk.value = value;
  byId("map").removeAttribute("aria-busy");
  byId("map").classList.add("moves");
  showDisk();
  if (disk.focusNext) {
    disk.focusNext = false;
    if (disk.asList) byId("map-list").focus();
    else focusTile(byId("map").firstElementChild);
  }
});
