// Downloads in flight, recent pulls, and how the registries are.

const flights = new Map();

/** Takes note of what has come since, for the speed: the last few seconds count. */
function noteFlights(live) {
  const now = performance.now() / 1000;
  const present = new Set();
  for (const download of live.downloads) {
    present.add(download.id);
    const known = flights.get(download.id) || { samples: [], ended: null };
    known.download = download;
    known.ended = null;
    known.samples.push([now, download.received]);
    while (known.samples.length > 2 && now - known.samples[0][0] > 5) known.samples.shift();
    flights.set(download.id, known);
  }
  for (const [id, known] of flights) {
    if (present.has(id)) continue;
    known.ended = known.ended ?? now;
    // What has just ended is shown for a moment, so that a short one is seen at all.
    if (now - known.ended > 4) flights.delete(id);
  }
}

function speedOf(known) {
  const first = known.samples[0];
  const last = known.samples[known.samples.length - 1];
  if (last[0] - first[0] > 0.5) return (last[1] - first[1]) / (last[0] - first[0]);
  const seconds = known.download.seconds;
  return seconds > 0.5 ? known.download.received / seconds : null;
}

function showDownloads(live) {
  noteFlights(live);
  const rows = [...flights.values()];
  const speed = rows.reduce((sum, known) => sum + (known.ended === null ? speedOf(known) || 0 : 0), 0);
  setText(byId("downloads-count"), live.downloadCount
    ? `${count(live.downloadCount)} in flight, ${bytes(speed)}/s${live.downloadCount > live.downloads.length ? `; the first ${live.downloads.length} are shown` : ""}`
    : "");
  byId("downloads-empty").hidden = rows.length > 0;
  reconcile(byId("download-rows"), rows, (known) => known.download.id, makeDownload, updateDownload);
}

function makeDownload({ download }) {
  return make("li", {},
    make("div", { class: "line" }, make("span", {}, imageName(download.repository)), make("span", { class: "side" })),
    make("div", { class: "track", role: "progressbar", "aria-label": `Download of ${download.repository}`, "aria-valuemin": "0", "aria-valuemax": "100" }, make("i")),
    make("div", { class: "under" }, make("span", {}), make("span", {})));
}

function updateDownload(row, known) {
  const { download, ended } = known;
  const [line, track, under] = row.children;
  const share = download.size ? download.received / download.size : null;
  const isDone = ended !== null;
  track.dataset.state = isDone ? "done" : share === null ? "unknown" : "running";
  track.firstElementChild.style.transform = isDone ? "scaleX(1)" : share === null ? "" : `scaleX(${share})`;
  if (share === null && !isDone) track.removeAttribute("aria-valuenow");
  else track.setAttribute("aria-valuenow", String(isDone ? 100 : Math.floor(share * 100)));
  setText(line.lastElementChild, isDone ? "ended" : share === null ? bytes(download.received) : `${Math.floor(share * 100)} %`);
  const speed = speedOf(known);
  const rest = speed && download.size ? (download.size - download.received) / speed : null;
  setText(under.firstElementChild, isDone
    ? `${bytes(download.size || download.received)}`
    : `${bytes(download.received)}${download.size ? ` of ${bytes(download.size)}` : ""}`
      + `${speed !== null ? `, ${bytes(speed)}/s` : ""}${rest !== null && rest > 1 && rest < 86400 ? `, ${duration(rest)} left` : ""}`);
  setText(under.lastElementChild, isDone ? shortDigest(download.digest)
    : `${download.clients === 0 ? "no client waits" : counted(download.clients, "client")} · ${shortDigest(download.digest)}`);
}

const outcomes = {
  hit: ["from the store", "good"], revalidated: ["from the store, confirmed", "good"], miss: ["fetched", ""], collapsed: ["shared a download", ""],
  stale: ["stale", "warn"],
};

function showRecent(live) {
  const recent = live.recent;
  byId("recent-empty").hidden = recent.length > 0;
  const isFirst = byId("recent-rows").childElementCount === 0;
  reconcile(byId("recent-rows"), recent, (pull) => pull.id,
    (pull) => {
      const row = make("li", {},
        make("div", { class: "line" }, make("span", {}, imageName(pull.image)), make("span", { class: "side" })),
        make("div", { class: "under" }, make("span", {}, shortDigest(pull.digest)), make("span", {})));
      if (!isFirst) row.firstElementChild.classList.add("fresh");
      return row;
    },
    (row, pull) => {
      const side = row.firstElementChild.lastElementChild;
      const known = outcomes[pull.outcome];
      if (known && !side.firstElementChild) side.append(make("span", { class: `tag ${known[1]}` }, known[0]));
      const when = row.lastElementChild.lastElementChild;
      setText(when, ago(pull.at, live.now));
      when.title = moment(pull.at);
    });
}

const upstreamStates = {
  ok: ["answers", "good"], unknown: ["not asked yet", ""], failing: ["last request failed", "warn"], down: ["does not answer", "bad"],
  offline: ["never asked", "warn"],
};

/** Those that have been of use, one by one; the others by name. */
function showUpstreams(live) {
  const isUsed = (upstream) => upstream.requests > 0 || upstream.bytes > 0 || upstream.state === "failing";
  const unasked = live.upstreams.filter((upstream) => !isUsed(upstream));
  byId("unasked").hidden = unasked.length === 0;
  setText(byId("unasked"), `Not asked yet: ${unasked.map((upstream) => `${upstream.name} (${upstream.namespaces[0]})`).join(", ")}.`);
  reconcile(byId("upstream-rows"), live.upstreams.filter(isUsed), (upstream) => upstream.name, () => make("li"), (row, upstream) => {
    const text = JSON.stringify([upstream, Math.floor(live.now / 10)]);
    if (row.shown === text) return;
    row.shown = text;
    row.replaceChildren(...upstreamParts(upstream, live.now));
  });
}

function upstreamParts(upstream, now) {
  const [word, level] = upstreamStates[upstream.down ? "down" : upstream.state] || [upstream.state, ""];
  const facts = make("dl", {});
  const fact = (name, value, hint) => facts.append(make("dt", {}, name), make("dd", { title: hint }, value));
  fact("Last answer", upstream.lastAnswerAt ? ago(upstream.lastAnswerAt, now) : "none yet", moment(upstream.lastAnswerAt));
  if (upstream.latencyMs !== null && upstream.latencyMs !== undefined) fact("Answers in", `${count(upstream.latencyMs)} ms`, "on average, lately");
  fact("Requests", count(upstream.requests), "since the start");
  fact("On the disk", `${bytes(upstream.bytes)}${upstream.maxSize ? ` of ${bytes(upstream.maxSize)}` : ""}`);
  const rate = upstream.rateLimit;
  const parts = [
    make("div", { class: "line" }, make("h3", {}, upstream.name), make("span", { class: `tag ${level}` }, word)),
    make("p", { class: "where" }, `${upstream.address} for ${upstream.namespaces.join(", ")}`),
  ];
  if (rate) {
    fact("Pulls left", `${count(rate.remaining)}${rate.limit ? ` of ${count(rate.limit)}` : ""}${rate.windowSeconds ? ` in ${duration(rate.windowSeconds)}` : ""}`,
      "what the registry last said of its rate limit");
    if (rate.limit) {
      const track = make("div", { class: "track", role: "img", "aria-label": `${rate.remaining} of ${rate.limit} pulls left` }, make("i"));
      track.firstElementChild.style.transform = `scaleX(${Math.min(1, rate.remaining / rate.limit)})`;
      facts.append(track);
    }
    if (upstream.tagLifetimeFactor > 1) fact("Tags believed", `${upstream.tagLifetimeFactor} times as long`, "because few pulls are left");
  }
  for (const mirror of upstream.mirrors) {
    fact(mirror.isOrigin ? "Registry" : "Mirror", mirror.leftAlone ? `${mirror.address}: left alone for now` : mirror.address);
  }
  parts.push(facts);
  if (upstream.lastError) {
    const isPast = !upstream.down;
    parts.push(make("p", { class: isPast ? "error past" : "error" },
      `${upstream.lastErrorAt ? `${ago(upstream.lastErrorAt, now)}: ` : ""}${upstream.lastError}`));
  }
  return parts;
}
