// What the server says, again and again, for as long as the page is looked at.

const connection = {
  /** Nil until the first answer, or the first that did not come. */
  isThere: null,
  failures: 0,
  listeners: [],
  /** Called with whether the server answers and how that was before, when it changes. */
  onChange(listener) {
    this.listeners.push(listener);
  },
  note(isThere) {
    const before = this.isThere;
    this.isThere = isThere;
    this.failures = isThere ? 0 : this.failures + 1;
    if (before !== isThere) for (const listener of this.listeners) listener(isThere, before);
  },
};

/** The server has answered, but not with what was asked for. */
class Refused extends Error {}

async function fetchJSON(path, limit = 10000) {
  const response = await fetch(path, { cache: "no-cache", credentials: "omit", signal: AbortSignal.timeout(limit) });
  if (!response.ok) throw new Refused(`${path}: ${response.status}`);
  return { value: await response.json(), tag: response.headers.get("etag") };
}

/** Asks for one document at intervals; what has not changed is not shown again. */
class Feed {
  constructor(path, interval, show) {
    this.pathOf = typeof path === "function" ? path : () => path;
    this.intervalOf = typeof interval === "function" ? interval : () => interval;
    this.show = show;
    this.timer = 0;
    this.turn = 0;
    this.lastTag = null;
    this.lastPath = null;
  }

  /** Asks now, and from now on; an answer to an earlier question is forgotten. */
  async ask() {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    const path = this.pathOf();
    let answer = null;
    let isThere = true;
    try {
      answer = await fetchJSON(path);
    } catch (error) {
      isThere = error instanceof Refused;
    }
    if (turn !== this.turn) return;
    connection.note(isThere);
    if (answer && (!answer.tag || answer.tag !== this.lastTag || path !== this.lastPath)) {
      [this.lastTag, this.lastPath] = [answer.tag, path];
      this.show(answer.value);
    }
    // Showing it may have led to the next question.
    if (turn !== this.turn) return;
    if (document.hidden) return;
    const wait = answer ? this.intervalOf() : Math.min(5000, 1000 * 2 ** Math.min(3, Math.max(1, connection.failures)));
    this.timer = setTimeout(() => this.ask(), wait);
  }

  stop() {
    clearTimeout(this.timer);
    this.turn += 1;
  }
}

const feeds = [];
document.addEventListener("visibilitychange", () => {
  for (const feed of feeds) {
    if (document.hidden) feed.stop();
    else feed.ask();
  }
});
