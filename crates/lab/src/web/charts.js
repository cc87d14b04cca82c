// Four small charts of the last minute, a line per replica, drawn by uPlot.
"use strict";

const CHART_SPAN_S = 60;
const CHART_HEIGHT = 56;
const chartReplicas = [...document.querySelectorAll(".replica")].map((replica) => replica.dataset.part);
// The colours of the page's style, asked for at every drawing, because light may turn dark.
const chartColour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const chartFont = "10px system-ui, sans-serif";

// Where another strategy was chosen: [time, strategy].
const chartChoices = [];

function chartNumber(value) {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)}k`;
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : value.toFixed(0);
}

function chartDrawChoices({ ctx, bbox, valToPos }) {
  ctx.save();
  ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = chartColour("--soft")();
  for (const [time, strategy] of chartChoices) {
    const x = valToPos(time, "x", true);
    if (x < bbox.left) continue;
    ctx.fillRect(x, bbox.top, devicePixelRatio, bbox.height);
    ctx.fillText(strategy, x + 3 * devicePixelRatio, bbox.top + 9 * devicePixelRatio);
  }
  ctx.restore();
}

class Chart {
  constructor(place) {
    this.top = Number(place.dataset.top);
    this.latest = document.querySelector(`[data-latest="${place.dataset.chart}"]`);
    this.when = document.querySelector(`[data-when="${place.dataset.chart}"]`);
    // The times, and each replica's values.
    this.data = [[], ...chartReplicas.map(() => [])];
    const line = (name, index) => ({
      label: name,
      stroke: chartColour(index ? "--second" : "--line"),
      dash: index ? [5, 3] : undefined,
      width: 2,
      spanGaps: true,
      points: { show: false },
    });
    const grid = { stroke: chartColour("--edge"), width: 1 };
    const options = {
      width: place.clientWidth,
      height: CHART_HEIGHT,
      padding: [4, 0, 4, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false }, sync: { key: "charts" }, points: { size: 5 } },
      scales: {
        x: { time: false, range: () => [this.now - CHART_SPAN_S, this.now] },
        y: { range: (_, least, most) => [0, Math.max(this.top, most ?? 0)] },
      },
      axes: [
        { size: 0, ticks: { show: false }, grid, splits: () => [45, 30, 15].map((ago) => this.now - ago), values: () => [] },
        { size: 32, gap: 2, space: 18, font: chartFont, stroke: chartColour("--soft"), ticks: { show: false }, grid, values: (_, splits) => splits.map(chartNumber) },
      ],
      series: [{}, ...chartReplicas.map(line)],
      hooks: { drawAxes: [chartDrawChoices], setCursor: [() => this.say()] },
    };
    this.now = performance.now() / 1000;
    this.plot = new uPlot(options, this.data, place);
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: CHART_HEIGHT })).observe(place);
  }

  note(name, value) {
    if (!Number.isFinite(value)) return;
    const [times, ...lines] = this.data;
    if (times.at(-1) !== this.now) {
      times.push(this.now);
      lines.forEach((line) => line.push(null));
    }
    lines[chartReplicas.indexOf(name)][times.length - 1] = value;
  }

  // Ends what is too old, and draws the rest.
  draw() {
    while (this.data[0][0] < this.now - CHART_SPAN_S) this.data.forEach((column) => column.shift());
    this.plot.setData(this.data);
    this.say();
  }

  // What each line shows under the pointer, or else at last.
  say() {
    if (!this.plot) return;
    const under = this.plot.cursor.idx;
    const [times, ...lines] = this.data;
    const upTo = under ?? times.length - 1;
    const values = lines.map((line) => line.slice(0, upTo + 1).findLast((value) => value !== null));
    this.latest.replaceChildren(...values.map((value, index) => {
      const element = document.createElement("i");
      element.className = index ? "second" : "first";
      element.textContent = value === undefined ? "–" : chartNumber(value);
      return element;
    }));
    this.when.textContent = under === null || under === undefined ? "last minute" : `${Math.round(this.now - times[under])} s ago`;
  }
}

const charts = Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((place) => [place.dataset.chart, new Chart(place)]));
const chartBefore = {};

// Counts become rates once a second; a restart or another strategy begins anew.
function chartRates(part, strategy, now) {
  const before = chartBefore[part.name];
  const worth = part.worth;
  if (!worth) return;
  const anew = !before || before.strategy !== strategy || worth.reads < before.worth.reads;
  if (!anew && now - before.at < 1) return;
  chartBefore[part.name] = { at: now, worth, strategy };
  if (anew) return;
  const reads = worth.reads - before.worth.reads;
  if (reads > 0) charts.hits.note(part.name, 100 * (worth.hits - before.worth.hits) / reads);
  charts.fetches.note(part.name, (worth.fetches - before.worth.fetches) / (now - before.at));
}

const chartDrawn = {};

function drawCharts(picture) {
  const now = performance.now() / 1000;
  for (const chart of Object.values(charts)) chart.now = now;
  if (chartChoices.at(-1)?.[1] !== picture.strategy) chartChoices.push([now, picture.strategy]);
  for (const part of picture.parts.filter((part) => part.layer === "edge")) {
    const answer = part.answer;
    if (answer && answer.number !== chartDrawn[part.name]) {
      chartDrawn[part.name] = answer.number;
      charts.took.note(part.name, answer.took_ms);
      // An answer may be complete up to a moment after its request was sent.
      charts.age.note(part.name, typeof answer.age_ms === "number" ? Math.max(0, answer.age_ms) : NaN);
    }
    chartRates(part, picture.strategy, now);
  }
  for (const chart of Object.values(charts)) chart.draw();
}
