// Puts it all together.

function showLive(live) {
  const before = state.live;
  state.live = live;
  state.at = performance.now();
  showHealth(live);
  showFigures(live);
  showTrafficSummary();
  showDownloads(live);
  showRecent(live);
  showUpstreams(live);
  byId("start").hidden = live.store.blobs > 0 || live.downloadCount > 0;
  byId("newer").hidden = live.page === document.documentElement.dataset.page || !document.documentElement.dataset.page;
  // A server that was started anew may be configured in another way.
  if (before && before.startedAt !== live.startedAt) startEngines().catch(() => {});
  // What has been pulled is in the lists at once, not at their next turn.
  if (before && before.revision !== live.revision) {
    diskFeed.ask();
    imagesFeed.ask();
    chartFeed.ask();
  }
}

// Downloads move; the rest can wait for a moment.
const liveFeed = new Feed("/dashboard/live.json", () => (flights.size > 0 ? 1000 : 2000), showLive);

connection.onChange((isThere, before) => {
  showConnection(isThere);
  if (!isThere || before !== false) return;
  startEngines().catch(() => {});
  for (const feed of feeds) feed.ask();
});

function start() {
  byId("reload").addEventListener("click", () => location.reload());
  startDisk();
  startChart();
  startImages();
  listenToEngines();
  feeds.push(liveFeed, diskFeed, chartFeed, imagesFeed);
  startEngines().catch(() => {});
  for (const feed of feeds) feed.ask();
}

start();
