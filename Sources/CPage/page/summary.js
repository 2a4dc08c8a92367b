// Is it healthy, how full is it, how much does it save.

const state = { live: null, at: 0, now: () => (state.live ? state.live.now + (performance.now() - state.at) / 1000 : Date.now() / 1000) };

function showHealth(live) {
  const broken = live.upstreams.filter((upstream) => upstream.down);
  const degraded = live.health.status !== "ok";
  let verdict = "Healthy";
  let reason = null;
  let level = "ok";
  if (degraded) {
    verdict = "Degraded";
    level = "degraded";
    reason = `${sentence(live.health.reason)} Pulls go on; nothing new is stored until that is mended.`;
  } else if (broken.length > 0) {
    level = "attention";
    verdict = broken.length === 1 ? `The registry ${broken[0].name} does not answer` : `${broken.length} registries do not answer`;
    reason = `${sentence(broken[0].lastError || "The last request failed")} What is stored is served as it was last known.`;
  } else if (live.health.lastRefusal) {
    level = "attention";
    verdict = "No room for something";
    reason = `${sentence(live.health.lastRefusal)} It was passed on without being stored.`;
  } else if (live.offline) {
    verdict = "Healthy, and offline";
  }
  setText(byId("verdict"), verdict);
  byId("reason").hidden = !reason;
  if (reason) setText(byId("reason"), reason);
  byId("summary").dataset.state = level;
  setText(byId("about"),
    `Up for ${duration(live.now - live.startedAt)}, ${counted(live.store.repositories, "repository", "repositories")} with `
    + `${counted(live.store.blobs, "blob")}${live.offline ? "; no registry is asked (--offline)" : ""}`);
  document.title = level === "ok" ? "Amargo" : `${verdict} · Amargo`;
  setText(byId("foot"), `Amargo ${live.version} · store ${live.store.path} · amargo du, stats and top show the same on the terminal.`);
}

/** A text that completes another one, by itself; a name at its beginning stays as it is. */
function sentence(text) {
  const trimmed = text.trim();
  const first = /^[a-z]+('s)?\s/.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function showFigures(live) {
  const store = live.store;
  const free = store.freeBytes;
  const room = free === null ? null : Math.max(0, free - store.minFree);
  // The cap, or what the disk has room for, whichever comes first.
  const limits = [store.maxSize > 0 ? store.maxSize : Infinity, room === null ? Infinity : store.usedBytes + room];
  const isDiskFirst = limits[1] < limits[0];
  const whole = Math.min(...limits) === Infinity ? 0 : Math.min(...limits);
  setText(byId("disk-used"), bytes(store.usedBytes));
  setText(byId("disk-of"), whole ? `of ${bytes(whole)}` : "");
  const share = whole ? store.usedBytes / whole : 0;
  setMeter(byId("disk-meter"), share, share > 0.97 ? "full" : share > 0.85 ? "high" : "normal");
  const left = free === null ? "" : `${bytes(free)} free on the disk`;
  setText(byId("disk-free"), store.maxSize > 0 && !isDiskFirst
    ? `${percent(store.usedBytes, whole)} of its cap; ${left}`
    : `${left}, ${bytes(store.minFree)} stay free; ${store.maxSize > 0 ? `the cap is ${bytes(store.maxSize)}` : "no cap"}`);

  const all = live.traffic.all;
  const saved = all.bytesSaved;
  setText(byId("saved"), bytes(saved));
  setMeter(byId("saved-meter"), all.bytesServed ? saved / all.bytesServed : 0);
  setText(byId("saved-more"), all.bytesServed
    ? `of ${bytes(all.bytesServed)} served since ${moment(live.traffic.since).slice(0, 10)}; `
      + `${counted(all.requestsSaved, "request")} to registries saved`
    : "Nothing has been served yet.");

  const day = live.traffic.day;
  const spared = day.answers - day.misses;
  setText(byId("ratio"), percent(spared, day.answers));
  setMeter(byId("ratio-meter"), day.answers ? spared / day.answers : 0);
  setText(byId("ratio-more"), day.answers
    ? `${count(spared)} of ${counted(day.answers, "answer")} needed nothing fetched`
      + `${day.stale ? `, ${count(day.stale)} stale` : ""}${day.failed ? `; ${count(day.failed)} failed` : ""}`
    : "Nothing has been asked for.");

  setText(byId("pulls"), count(day.pulls));
  setText(byId("pulls-more"), `${count(live.traffic.hour.pulls)} in the last hour, ${count(all.pulls)} in all`);
}

/** The last day's pulls as small bars. */
function showSpark(points) {
  const box = byId("pulls-spark");
  const most = Math.max(1, ...points);
  const svg = makeSVG("svg", { viewBox: `0 0 ${points.length * 4 - 1} 16`, preserveAspectRatio: "none" });
  points.forEach((value, index) => {
    const height = value ? Math.max(1.5, (value / most) * 16) : 0.6;
    svg.append(makeSVG("rect", { x: index * 4, y: 16 - height, width: 3, height, opacity: value ? 1 : 0.35 }));
  });
  box.replaceChildren(svg);
}

function showConnection(isThere) {
  const pulse = byId("pulse");
  pulse.dataset.state = isThere ? "live" : "lost";
  setText(byId("pulse-text"), isThere ? "live" : "not connected");
  const banner = byId("lost");
  banner.hidden = isThere;
  banner.textContent = isThere ? "" : "Amargo does not answer. What stands here is how it was; this page goes on by itself when it is back.";
}
