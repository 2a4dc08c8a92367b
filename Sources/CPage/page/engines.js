// What each engine needs, with the address by which it calls this server.

const engines = {
  value: null,
  address: location.host,
  chosen: remembered.get("engine") || "docker",

  /** What stands before a repository's name in a pull from this address. */
  pathName(registry) {
    const known = this.value && this.value.registries.find((candidate) => candidate.namespace === registry);
    if (!known) return registry;
    return known.isDefault ? "" : known.pathName || registry;
  },

  /** This host's own texts, or those for others with the address put in. */
  configuration(engine) {
    const isOwn = this.address === this.value.address;
    const put = (text) => (isOwn ? text : text.replaceAll(this.value.placeholder, this.address)
      .replaceAll(this.value.placeholder.split(":")[0], this.address.replace(/:\d+$/, "")));
    const source = isOwn ? engine.own : engine.others;
    return {
      error: source.error,
      files: source.files.map((file) => ({ path: put(file.path), text: put(file.text) })),
      notes: source.notes.map(put),
    };
  },
};

const isLoopback = (host) => /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
const isAddress = (text) => /^(\[[0-9a-f:.]+\]|[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?)(:\d{1,5})?$/i.test(text);

function showEngines() {
  const { value } = engines;
  if (!value) return;
  if (!value.engines.some((engine) => engine.name === engines.chosen)) engines.chosen = value.engines[0].name;
  reconcile(byId("engine-tabs"), value.engines, (engine) => engine.name,
    (engine) => make("button", {
      type: "button", role: "tab", id: `tab-${engine.name}`, "aria-controls": "engine-panel", click: () => chooseEngine(engine.name),
    }, engine.title),
    (button, engine) => {
      button.setAttribute("aria-selected", String(engine.name === engines.chosen));
      button.tabIndex = engine.name === engines.chosen ? 0 : -1;
    });
  byId("engine-panel").setAttribute("aria-labelledby", `tab-${engines.chosen}`);
  const engine = value.engines.find((candidate) => candidate.name === engines.chosen);
  const { files, notes, error } = engines.configuration(engine);
  const parts = files.map((file) => codeBlock(file.path, file.text, `the configuration of ${engine.title}`));
  if (error) parts.push(make("p", { class: "error" }, sentence(error)));
  if (notes.length > 0) {
    parts.push(make("ul", { class: "notes" }, ...notes.map((note) => make("li", { class: /^ /.test(note) ? "mono" : null }, note))));
  }
  byId("engine-panel").replaceChildren(...parts);
  const isLocal = isLoopback(engines.address.replace(/:\d+$/, ""));
  setText(byId("address-note"), isLocal
    ? "This address is right for engines on this host; others need a name or an address that leads here."
    : "The address that this page was opened by, unless you write another.");
  const docker = value.engines.find((candidate) => candidate.name === "docker");
  const first = docker && engines.configuration(docker).files[0];
  if (first) {
    byId("start-code").replaceChildren(...codeBlock(first.path, first.text, "the configuration of Docker").children);
    setText(byId("start-text"), "For Docker: put this into its configuration, restart it, then pull any image. It appears here by itself.");
  }
}

function chooseEngine(name, focuses = false) {
  engines.chosen = name;
  remembered.set("engine", name);
  showEngines();
  if (focuses) byId(`tab-${name}`).focus();
}

async function startEngines() {
  const { value } = await fetchJSON("/dashboard/engines.json");
  engines.value = value;
  // Behind a tunnel the page's own address is nobody's but the browser's.
  engines.address = isLoopback(location.hostname) ? value.address : location.host;
  const input = byId("address");
  if (document.activeElement !== input) input.value = engines.address;
  showEngines();
}

function listenToEngines() {
  const input = byId("address");
  input.addEventListener("input", () => {
    const text = input.value.trim();
    const isGood = isAddress(text);
    input.setAttribute("aria-invalid", String(!isGood));
    if (!isGood || !engines.value) return;
    const port = engines.value.address.match(/:\d+$/);
    engines.address = /:\d+$/.test(text) || !port ? text : text + port[0];
    showEngines();
  });
  byId("engine-tabs").addEventListener("keydown", (event) => {
    const names = engines.value.engines.map((engine) => engine.name);
    const at = names.indexOf(engines.chosen);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    chooseEngine(names[(next + names.length) % names.length], true);
  });
}
