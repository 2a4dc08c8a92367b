// Hit ratio and traffic over time: two small charts above one another, with the same time below both.

const chart = { value: null, window: remembered.get("window") || "day", at: null };
const windowNames = { hour: "last hour", day: "last day", week: "last week" };
// What a point's numbers are, in their order.
const POINT = { pulls: 0, answers: 1, misses: 2, served: 3, fetched: 4 };

function timeLabel(at, window) {
  const options = window === "week" ? { weekday: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat("en", options).format(new Date(at * 1000));
}

/** A round number above the largest: 1, 2 or 5 of a power of ten. */
function roundAbove(number) {
  if (number <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= number);
}

function showChart() {
  const value = chart.value;
  const box = byId("chart");
  const width = box.clientWidth;
  const height = box.clientHeight;
  if (!value || width === 0) return;
  const points = value.points;
  const [left, right, top, gap, bottom] = [58, 8, 10, 26, 22];
  const inner = width - left - right;
  const ratioHeight = Math.round((height - top - gap - bottom) * 0.36);
  const barTop = top + ratioHeight + gap;
  const barHeight = height - bottom - barTop;
  const step = inner / points.length;
  const xOf = (index) => left + step * index;
  const most = roundAbove(Math.max(0, ...points.map((point) => Math.max(point[POINT.served], point[POINT.fetched]))));
  const svg = makeSVG("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });

  for (const part of [0, 0.5, 1]) {
    const y = top + ratioHeight * (1 - part);
    svg.append(makeSVG("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
    if (part !== 0.5) svg.append(makeSVG("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, `${part * 100} %`));
  }
  for (const part of [0, 0.5, 1]) {
    const y = barTop + barHeight * (1 - part);
    svg.append(makeSVG("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
    if (part === 1 && most > 1) svg.append(makeSVG("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, bytes(most)));
    if (part === 0) svg.append(makeSVG("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, "0"));
  }

  // Bars: what was served, of which the lower part had to be fetched.
  const gapBetween = step > 6 ? 1.5 : step > 3 ? 1 : 0;
  points.forEach((point, index) => {
    const fetched = (Math.min(point[POINT.fetched], most) / most) * barHeight;
    const store = (Math.max(0, point[POINT.served] - point[POINT.fetched]) / most) * barHeight;
    const x = xOf(index) + gapBetween / 2;
    const bar = Math.max(0.8, step - gapBetween);
    if (fetched > 0) svg.append(makeSVG("rect", { class: "fetched", x, y: barTop + barHeight - Math.max(1, fetched), width: bar, height: Math.max(1, fetched) }));
    if (store > 0) svg.append(makeSVG("rect", { class: "from-store", x, y: barTop + barHeight - fetched - Math.max(1, store), width: bar, height: Math.max(1, store) }));
  });

  // The ratio has no value where nothing was asked for: the line pauses there.
  let path = "";
  let run = 0;
  points.forEach((point, index) => {
    const ratio = ratioOf(point);
    if (ratio === null) {
      if (run === 1) loneDot(index - 1);
      run = 0;
      return;
    }
    path += `${run ? "L" : "M"}${(xOf(index) + step / 2).toFixed(1)} ${(top + ratioHeight * (1 - ratio)).toFixed(1)}`;
    run += 1;
  });
  if (run === 1) loneDot(points.length - 1);
  svg.append(makeSVG("path", { class: "ratio", d: path }));
  function loneDot(index) {
    svg.append(makeSVG("circle", { class: "ratio-dot", cx: xOf(index) + step / 2, cy: top + ratioHeight * (1 - ratioOf(points[index])), r: 2.5 }));
  }

  const labels = Math.max(2, Math.min(value.window === "week" ? 7 : 6, Math.floor(inner / 90)));
  for (let label = 0; label <= labels; label += 1) {
    const index = Math.round((points.length * label) / labels);
    svg.append(makeSVG("text", {
      x: xOf(index), y: height - 5, "text-anchor": label === 0 ? "start" : label === labels ? "end" : "middle",
    }, label === labels ? "now" : timeLabel(value.start + index * value.step, value.window)));
  }
  if (chart.at !== null && chart.at < points.length) {
    const x = xOf(chart.at) + step / 2;
    svg.append(makeSVG("line", { class: "cursor", x1: x, x2: x, y1: top, y2: barTop + barHeight }));
  }
  box.replaceChildren(svg);
  showReadout();
}

function ratioOf(point) {
  const answers = point[POINT.answers];
  return answers ? (answers - point[POINT.misses]) / answers : null;
}

function showReadout() {
  const { value, at } = chart;
  if (at === null || at >= value.points.length) return setText(byId("readout"), "");
  const point = value.points[at];
  const ratio = ratioOf(point);
  const from = new Date((value.start + at * value.step) * 1000);
  const when = new Intl.DateTimeFormat("en", { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(from);
  setText(byId("readout"),
    `${when}: ${counted(point[POINT.pulls], "pull")}, ${ratio === null ? "nothing asked" : `${Math.floor(ratio * 100)} % hits`}, `
    + `${bytes(point[POINT.served])} served, ${bytes(point[POINT.fetched])} fetched`);
}

function showTrafficSummary() {
  if (!state.live) return;
  const sum = state.live.traffic[chart.window];
  setText(byId("traffic-summary"), sum.answers
    ? `In the ${windowNames[chart.window]}: ${counted(sum.pulls, "pull")}, ${percent(sum.answers - sum.misses, sum.answers)} of `
      + `${counted(sum.answers, "answer")} needed nothing fetched, ${bytes(sum.bytesServed)} served, ${bytes(sum.bytesFetched)} fetched from registries`
      + `${sum.collapsed ? `; ${counted(sum.collapsed, "request")} shared a download that was running` : ""}.`
    : `Nothing has been asked for in the ${windowNames[chart.window]}.`);
}

const chartFeed = new Feed(() => `/dashboard/traffic.json?window=${chart.window}`, 5000, (value) => {
  chart.value = value;
  showChart();
  if (value.window === "day") showSpark(perHour(value));
});

/** Twenty-four bars of a day's points. */
function perHour(value) {
  const size = Math.max(1, Math.round(3600 / value.step));
  const sums = [];
  for (let index = 0; index < value.points.length; index += size) {
    sums.push(value.points.slice(index, index + size).reduce((sum, point) => sum + point[POINT.pulls], 0));
  }
  return sums;
}

function startChart() {
  if (!windowNames[chart.window]) chart.window = "day";
  const buttons = [...byId("windows").children];
  const mark = () => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.window === chart.window)));
  for (const button of buttons) {
    button.addEventListener("click", () => {
      chart.window = button.dataset.window;
      chart.at = null;
      remembered.set("window", chart.window);
      mark();
      showTrafficSummary();
      chartFeed.ask();
    });
  }
  mark();
  const box = byId("chart");
  const point = (event) => {
    if (!chart.value) return;
    const bounds = box.getBoundingClientRect();
    const part = (event.clientX - bounds.left - 58) / (bounds.width - 66);
    chart.at = Math.min(chart.value.points.length - 1, Math.max(0, Math.floor(part * chart.value.points.length)));
    showChart();
  };
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerdown", point);
  const leave = () => {
    chart.at = null;
    if (chart.value) showChart();
  };
  box.addEventListener("pointerleave", leave);
  box.addEventListener("blur", leave);
  box.addEventListener("keydown", (event) => {
    if (!chart.value) return;
    const last = chart.value.points.length - 1;
    const at = chart.at === null ? last + 1 : chart.at;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    chart.at = Math.min(last, Math.max(0, next));
    showChart();
    toast(byId("readout").textContent);
  });
  new ResizeObserver(() => showChart()).observe(box);
}
