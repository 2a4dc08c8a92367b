// The images, searched and paged by the server: a store may have a hundred thousand.

const images = { value: null, query: "", sort: "name", order: "asc", offset: 0, limit: 25, tool: remembered.get("tool") || "docker" };

/** How each tool is told to pull through this server and nothing else, whatever its own configuration says. */
const pullTools = {
  docker: (name) => `docker pull ${name.here}`,
  podman: (name) => `podman pull --tls-verify=false ${name.here}`,
  "ctr (containerd)": (name) => `ctr images pull --plain-http ${name.here}`,
  nerdctl: (name) => `nerdctl pull --insecure-registry ${name.here}`,
  skopeo: (name) => `skopeo copy --src-tls-verify=false docker://${name.here} oci-archive:${name.file}.tar`,
  crane: (name) => `crane pull --insecure ${name.here} ${name.file}.tar`,
  "name alone (engine uses Amargo as its mirror)": (name) => name.full,
};

function pullNames(image) {
  const reference = image.tag ? `:${image.tag}` : `@${image.digest}`;
  const prefix = engines.pathName(image.registry);
  return {
    here: `${engines.address}/${prefix ? `${prefix}/` : ""}${image.repository}${reference}`,
    full: `${image.registry}/${image.repository}${reference}`,
    file: image.repository.split("/").pop() + (image.tag ? `-${image.tag}` : ""),
  };
}

function pullCommand(image) {
  return (pullTools[images.tool] || pullTools.docker)(pullNames(image));
}

function imagesPath() {
  const query = new URLSearchParams({ sort: images.sort, order: images.order, offset: images.offset, limit: images.limit });
  if (images.query) query.set("q", images.query);
  // A plus is one to the server.
  return `/dashboard/images.json?${query.toString().replaceAll("+", "%20")}`;
}

const imagesFeed = new Feed(imagesPath, 5000, (value) => {
  images.value = value;
  // The list may have become shorter than where we are.
  if (value.images.length === 0 && value.matching > 0 && images.offset > 0) {
    images.offset = 0;
    imagesFeed.ask();
    return;
  }
  showImages();
});

function showImages() {
  const { value } = images;
  if (!value) return;
  setText(byId("images-count"), images.query
    ? `${count(value.matching)} of ${counted(value.total, "image")}`
    : counted(value.total, "image"));
  reconcile(byId("image-rows"), value.images, (image) => `${image.registry}/${image.repository}:${image.tag || ""}@${image.digest}`, makeImage, updateImage);
  const empty = byId("images-empty");
  empty.hidden = value.images.length > 0;
  setText(empty, images.query
    ? "No image has all of this in its name, digest or platforms."
    : "There is no image yet. What is pulled through Amargo is listed here.");
  const last = Math.min(images.offset + images.limit, value.matching);
  byId("pager").hidden = value.matching <= images.limit;
  setText(byId("page-text"), `${count(images.offset + 1)} to ${count(last)} of ${count(value.matching)}`);
  byId("previous").disabled = images.offset === 0;
  byId("next").disabled = last >= value.matching;
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.closest("th").setAttribute("aria-sort", button.dataset.sort !== images.sort ? "none" : images.order === "asc" ? "ascending" : "descending");
  }
  byId("order").value = images.sort;
}

function makeImage() {
  const row = make("tr", {},
    make("td", { class: "image" }), make("td", { class: "platforms" }), make("td", { class: "size right" }), make("td", { class: "state" }),
    make("td", { class: "pulled" }), make("td", { class: "command" }));
  row.lastElementChild.append(copyButton(() => pullCommand(row.image), "the pull command"));
  return row;
}

function updateImage(row, image) {
  const text = JSON.stringify([image, image.freshUntil > state.now()]);
  const [name, platforms, size, condition, pulled, command] = row.children;
  row.image = image;
  setText(pulled, image.lastPulled ? ago(image.lastPulled, state.now()) : "never");
  pulled.title = moment(image.lastPulled);
  if (row.shown === text) return;
  row.shown = text;
  const full = `${image.registry}/${image.repository}${image.tag ? `:${image.tag}` : ""}`;
  name.replaceChildren(imageName(full), make("div", { class: "digest", title: image.digest }, shortDigest(image.digest)));
  const absent = image.absentPlatforms ? [make("span", { class: "more" }, ` ${image.platforms.length ? "and " : ""}${image.absentPlatforms} not stored`)] : [];
  platforms.replaceChildren(image.platforms.join(", ") || (absent.length ? "" : "–"), ...absent);
  setText(size, bytes(image.bytes));
  condition.replaceChildren(make("div", { class: "tags" }, ...imageTags(image)));
  command.firstElementChild.setAttribute("aria-label", `Copy the pull command of ${full}`);
}

function imageTags(image) {
  const tag = (text, level, hint) => make("span", { class: `tag ${level}`, title: hint }, text);
  const tags = [];
  if (image.missing > 0) tags.push(tag(`${counted(image.missing, "blob")} missing`, "warn", "A pull needs its registry."));
  else if (image.complete) tags.push(tag("complete", "good", "A pull needs no registry."));
  else tags.push(tag("no platform stored", "warn", "A pull needs its registry."));
  if (image.imported) tags.push(tag("imported", "", "It came in a bundle."));
  else if (image.freshUntil > state.now()) {
    tags.push(tag("fresh", "", `The tag is believed for ${duration(image.freshUntil - state.now())} more.`));
  } else if (image.freshUntil) tags.push(tag("stale", "warn", "At the next pull the registry is asked whether the tag still points here."));
  if (image.pinned) tags.push(tag("pinned", "", "It is never evicted."));
  if (image.referrers) tags.push(tag(counted(image.referrers, "referrer"), "", "Signatures, SBOMs and what else refers to it."));
  return tags;
}

function searchImages(text) {
  byId("query").value = text;
  setQuery(text);
  byId("images").scrollIntoView();
  byId("query").focus({ preventScroll: true });
}

function setQuery(text) {
  images.query = text.trim();
  images.offset = 0;
  imagesFeed.ask();
}

function setSort(sort, order) {
  Object.assign(images, { sort, order, offset: 0 });
  imagesFeed.ask();
}

function startImages() {
  let timer = 0;
  const query = byId("query");
  query.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => setQuery(query.value), 180);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && query.value) {
      query.value = "";
      setQuery("");
      event.preventDefault();
    }
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    query.focus();
  });
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const first = button.dataset.sort === "name" ? "asc" : "desc";
      const isSame = images.sort === button.dataset.sort;
      setSort(button.dataset.sort, isSame ? (images.order === "asc" ? "desc" : "asc") : first);
    });
  }
  byId("order").addEventListener("change", () => setSort(byId("order").value, byId("order").value === "name" ? "asc" : "desc"));
  byId("previous").addEventListener("click", () => turnPage(-1));
  byId("next").addEventListener("click", () => turnPage(1));
  const tool = byId("tool");
  tool.append(...Object.keys(pullTools).map((name) => make("option", { value: name }, name)));
  if (!pullTools[images.tool]) images.tool = "docker";
  tool.value = images.tool;
  tool.addEventListener("change", () => {
    images.tool = tool.value;
    remembered.set("tool", images.tool);
  });
}

function turnPage(by) {
  images.offset = Math.max(0, images.offset + by * images.limit);
  imagesFeed.ask();
  byId("images").scrollIntoView();
}
