// The comparison of the strategies: how far it is, then its table. No text becomes markup.
"use strict";

const ASK_EVERY_MS = 300;
// From here on, the shorter bars could not be told from nothing.
const FAR_APART = 30;

function make(kind, text, className) {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// How long a bar is, of 100, and what the scale is.
function barScale(rows) {
  const values = rows.map((row) => Math.max(row.p50_ms, 0.001));
  const [top, bottom] = [Math.max(...values), Math.min(...values)];
  if (top / bottom < FAR_APART) return { name: "from 0", length: (value) => 100 * value / top };
  const floor = 10 ** Math.floor(Math.log10(bottom / 2));
  const length = (value) => 100 * Math.log10(Math.max(value, floor) / floor) / Math.log10(top / floor);
  return { name: `logarithmic, from ${floor} ms`, length };
}

function bar(length) {
  const cell = make("td", undefined, "bar");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const rectangle = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rectangle.setAttribute("width", length.toFixed(1));
  rectangle.setAttribute("height", "10");
  svg.append(rectangle);
  cell.append(svg);
  return cell;
}

function comparisonLine(row, scale) {
  const line = make("tr");
  const name = make("th", row.strategy);
  name.scope = "row";
  const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  const stale = row.stale > 0 ? `${row.stale} of ${row.reads}` : "0";
  line.append(
    name,
    bar(scale.length(row.p50_ms)),
    make("td", number(row.p50_ms, 2)),
    make("td", number(row.p99_ms, 2)),
    make("td", number(row.hits_percent, 1)),
    make("td", (row.at_least ? "≥ " : "") + number(row.requests_per_100_reads, 1)),
    make("td", stale, row.stale > 0 ? "stale" : "fresh"),
    make("td", number(row.oldest_stale_s, 1)),
    make("td", String(row.reads)),
  );
  return line;
}

function comparisonTable(rows) {
  const scale = barScale(rows);
  const titles = ["Strategy", `p50 (${scale.name})`, "p50, ms", "p99, ms", "Hits, %", "Requests to sources per 100 reads", "Stale, not marked", "Oldest stale, s", "Reads"];
  const head = make("tr");
  head.append(...titles.map((title, place) => {
    const cell = make("th", title, place === 1 ? "bar" : "");
    cell.scope = "col";
    return cell;
  }));
  const [table, top, body] = [make("table"), make("thead"), make("tbody")];
  top.append(head);
  body.append(...rows.map((row) => comparisonLine(row, scale)));
  table.append(top, body);
  return table;
}

function comparisonProgress({ step, done, of }) {
  const progress = make("progress");
  progress.max = of;
  progress.value = done;
  progress.setAttribute("aria-label", step);
  return progress;
}

// Answers whether there is more to come.
function drawComparison(standing) {
  const content = document.querySelector("#compared");
  const said = document.querySelector("#comparing");
  if (standing.state === "running") {
    say(said, "Reading one page by each strategy in turn: about 12 seconds, longer where a source is slow. Everything else remains usable: Esc closes this until it is done.");
    said.className = "";
    content.replaceChildren(comparisonProgress(standing));
    return true;
  }
  const failed = standing.state === "failed";
  said.className = failed ? "failed" : "";
  said.textContent = failed ? `The comparison broke off: ${standing.why}.` : "";
  content.replaceChildren();
  if (standing.state !== "done") return false;
  const how = make("div", undefined, "how");
  how.append(...standing.how.map((sentence) => make("p", sentence)));
  content.append(comparisonTable(standing.rows), how);
  return false;
}

const comparison = document.querySelector("#comparison");
let followed = false;

// Also while the dialog is closed: what came of it is shown in any case.
async function followComparison() {
  followed = true;
  let standing;
  do {
    standing = await fetch("/comparison").then((answer) => answer.json(), () => ({ state: "failed", why: "the lab does not answer" }));
    if (drawComparison(standing)) await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  } while (standing.state === "running");
  followed = false;
  if (!comparison.open) comparison.showModal();
}

// Once the lab has answered a click: the comparison that was begun, or that runs already.
function showComparison() {
  if (!comparison.open) comparison.showModal();
  if (!followed) followComparison();
}

document.querySelector("#comparison button").addEventListener("click", () => comparison.close());
