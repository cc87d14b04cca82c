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
  const right = bbox.left + bbox.width;
  chartChoices.forEach(([time, strategy], place) => {
    const x = valToPos(time, "x", true);
    if (x < bbox.left) return;
    ctx.fillRect(x, bbox.top, devicePixelRatio, bbox.height);
    // Only where it covers nothing that came after.
    const [next] = chartChoices[place + 1] ?? [];
    const room = (next === undefined ? right : valToPos(next, "x", true)) - x - 6 * devicePixelRatio;
    if (ctx.measureText(strategy).width <= room) ctx.fillText(strategy, x + 3 * devicePixelRatio, bbox.top + 9 * devicePixelRatio);
  });
  ctx.restore();
}

// The time within which a reader should have its answer, as the article has it.
const CHART_BUDGET_MS = 250;

function chartDrawBudget({ ctx, bbox, valToPos }) {
  const y = valToPos(CHART_BUDGET_MS, "y", true);
  if (y < bbox.top) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = chartColour("--red-ground")();
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.fillText(`${CHART_BUDGET_MS} ms`, bbox.left + 3 * devicePixelRatio, y - 2 * devicePixelRatio);
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
      points: { show: false },
    });
    const grid = { stroke: chartColour("--edge"), width: 1 };
    const options = {
      width: place.clientWidth,
      height: CHART_HEIGHT,
      padding: [7, 0, 4, 0],
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
      hooks: { drawAxes: place.dataset.chart === "took" ? [chartDrawChoices, chartDrawBudget] : [chartDrawChoices], setCursor: [() => this.say()] },
    };
    this.now = performance.now() / 1000;
    this.plot = new uPlot(options, this.data, place);
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: CHART_HEIGHT })).observe(place);
  }

  // Another moment: the replicas' values, null where there is none.
  draw(values) {
    const columns = [this.now, ...values.map((value) => (Number.isFinite(value) ? value : null))];
    this.data.forEach((column, place) => column.push(columns[place]));
    while (this.data[0][0] < this.now - CHART_SPAN_S) this.data.forEach((column) => column.shift());
    this.plot.setData(this.data);
    this.say();
  }

  // What each line shows under the pointer, or else at last.
  say() {
    if (!this.plot) return;
    const under = this.plot.cursor.idx;
    const [times, ...lines] = this.data;
    this.latest.replaceChildren(...lines.map((line, index) => {
      const value = line[under ?? times.length - 1] ?? null;
      const element = document.createElement("i");
      element.className = index ? "second" : "first";
      element.textContent = value === null ? "–" : chartNumber(value);
      return element;
    }));
    this.when.textContent = under === null || under === undefined ? "last minute" : `${Math.round(this.now - times[under])} s ago`;
  }
}

const charts = Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((place) => [place.dataset.chart, new Chart(place)]));
// By replica: its scrapes of the last moments.
const CHART_RATE_MS = 2000;
const chartScrapes = {};

// Counts become rates over the last moments; a restart, of the replica or of looking, or another strategy begins anew.
function chartRates({ name, worth, scraped_ms: at }, strategy) {
  const scrapes = (chartScrapes[name] ??= []);
  const last = scrapes.at(-1);
  if (!worth || (last && (last.strategy !== strategy || worth.reads < last.worth.reads || at < last.at))) scrapes.length = 0;
  if (!worth) return {};
  if (scrapes.at(-1)?.at !== at) scrapes.push({ at, worth, strategy });
  while (scrapes.length > 2 && scrapes[1].at <= at - CHART_RATE_MS) scrapes.shift();
  const first = scrapes[0];
  const reads = worth.reads - first.worth.reads;
  return {
    hits: reads > 0 ? 100 * (worth.hits - first.worth.hits) / reads : null,
    fetches: at > first.at ? 1000 * (worth.fetches - first.worth.fetches) / (at - first.at) : null,
  };
}

function drawCharts(picture) {
  const now = performance.now() / 1000;
  for (const chart of Object.values(charts)) chart.now = now;
  if (chartChoices.at(-1)?.[1] !== picture.strategy) chartChoices.push([now, picture.strategy]);
  while (chartChoices[1]?.[0] < now - CHART_SPAN_S) chartChoices.shift();
  const replicas = picture.parts.filter((part) => part.layer === "edge");
  const rates = replicas.map((part) => chartRates(part, picture.strategy));
  charts.took.draw(replicas.map(({ answer }) => answer?.took_ms));
  charts.hits.draw(rates.map(({ hits }) => hits));
  // An answer may be complete up to a moment after its request was sent.
  charts.age.draw(replicas.map(({ answer }) => (typeof answer?.age_ms === "number" ? Math.max(0, answer.age_ms) : null)));
  charts.fetches.draw(rates.map(({ fetches }) => fetches));
}
