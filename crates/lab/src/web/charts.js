// Four small charts of the last minute, one line per replica.
"use strict";

const CHART_SPAN_MS = 60_000;
const SVG = "http://www.w3.org/2000/svg";
// By chart and replica: points of [time, value].
const chartData = { took: {}, hits: {}, age: {}, fetches: {} };
const chartBefore = {};

function chartNote(chart, name, now, value) {
  const points = (chartData[chart][name] ??= []);
  if (value !== null && value !== undefined && Number.isFinite(value)) points.push([now, value]);
  while (points.length && points[0][0] < now - CHART_SPAN_MS) points.shift();
}

// Counts become rates once a second; a restart or another strategy begins anew.
function chartRates(part, strategy, now) {
  const before = chartBefore[part.name];
  const worth = part.worth;
  if (!worth) return;
  const anew = !before || before.strategy !== strategy || worth.reads < before.worth.reads;
  if (!anew && now - before.at < 1000) return;
  chartBefore[part.name] = { at: now, worth, strategy };
  if (anew) return;
  const reads = worth.reads - before.worth.reads;
  if (reads > 0) chartNote("hits", part.name, now, 100 * (worth.hits - before.worth.hits) / reads);
  chartNote("fetches", part.name, now, 1000 * (worth.fetches - before.worth.fetches) / (now - before.at));
}

function chartLine(svg, place, points, now, top) {
  let line = svg.querySelectorAll("polyline")[place];
  if (!line) {
    line = document.createElementNS(SVG, "polyline");
    if (place > 0) line.setAttribute("class", "second");
    svg.append(line);
  }
  const at = ([time, value]) => `${(300 * (1 - (now - time) / CHART_SPAN_MS)).toFixed(1)},${(48 - 46 * Math.min(1, value / top)).toFixed(1)}`;
  line.setAttribute("points", points.map(at).join(" "));
}

function chartNumber(value) {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)}k`;
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function chartDraw(chart, names, now) {
  const svg = document.querySelector(`[data-chart="${chart}"]`);
  svg.setAttribute("viewBox", "0 0 300 50");
  svg.setAttribute("preserveAspectRatio", "none");
  const values = names.flatMap((name) => (chartData[chart][name] ?? []).map((point) => point[1]));
  const top = Math.max(chart === "hits" ? 100 : 1, ...values);
  names.forEach((name, place) => chartLine(svg, place, chartData[chart][name] ?? [], now, top));
  const latest = names.map((name) => chartData[chart][name]?.at(-1)?.[1]).map((value) => (value === undefined ? "–" : chartNumber(value)));
  const shown = document.querySelector(`[data-latest="${chart}"]`);
  shown.replaceChildren(...latest.map((text, place) => {
    const element = document.createElement("i");
    element.className = place ? "second" : "first";
    element.textContent = (place ? " " : "") + text;
    return element;
  }), ` of ${chartNumber(top)}`);
}

const chartDrawn = {};

function drawCharts(picture) {
  const now = performance.now();
  const replicas = picture.parts.filter((part) => part.layer === "edge");
  for (const part of replicas) {
    const answer = part.answer;
    if (answer && answer.number !== chartDrawn[part.name]) {
      chartDrawn[part.name] = answer.number;
      chartNote("took", part.name, now, answer.took_ms);
      chartNote("age", part.name, now, answer.age_ms);
    }
    chartRates(part, picture.strategy, now);
  }
  for (const chart of Object.keys(chartData)) chartDraw(chart, replicas.map((part) => part.name), now);
}
