// Fills the page from the pictures that the lab sends, and sends what is clicked. No text becomes markup.
"use strict";

const all = (selector, under = document) => [...under.querySelectorAll(selector)];
const one = (selector, under = document) => under.querySelector(selector);
const say = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
const card = (name) => one(`[data-part="${name}"]`);
const field = (name, wanted) => one(`[data-field="${wanted}"]`, card(name));

let picture = null;

// What a toggle does next, by the state of its part: control, word, whether a fault is on, and the command in a terminal.
const lab = (control) => `curl -X POST '${location.origin}/do/${control}'`;
const toggles = {
  pause: (part) => part.state === "paused"
    ? ["resume", "Go on", true, `kill -CONT -- -${part.process_id}`]
    : ["pause", "Pause", false, `kill -STOP -- -${part.process_id ?? "…"}`],
  // That the naive page does not run is no fault.
  kill: (part) => part.state === "down" ? ["start", "Start", part.layer !== "naive"] : ["kill", "Kill", false],
  stop: (part) => part.state === "down" ? ["start", "Start", true] : ["stop", "Stop", false],
  cut: (part) => part.cut ? ["mend", "Mend the link", true] : ["cut", "Cut off from NATS", false],
  slow: (part) => part.injected_ms
    ? ["slow", "Full speed", true, null, "&ms=0"]
    : ["slow", "Slow down", false, null, `&ms=${encodeURIComponent(one(`[data-ms="${part.name}"]`).value || 0)}`],
};

function meaning(button) {
  const part = picture?.parts.find((part) => part.name === button.dataset.of);
  if (!part) return null;
  const [control, word, fault, command, more = ""] = toggles[button.dataset.toggle](part);
  const path = `${control}?part=${part.name}${more}`;
  return { path, word, fault, command: command ?? lab(path) };
}

// As text within a JSON string, within single quotes in a terminal.
const quoted = (text) => JSON.stringify(text).slice(1, -1).replaceAll("'", "'\\''");

function filled(template, encode, value) {
  const endpoint = picture?.parts.map((part) => part.answer?.endpoint).find(Boolean) ?? 1;
  const values = { endpoint, account: picture?.account ?? "", strategy: picture?.strategy ?? "", value: value || "…", name: one("#name").value || (encode ? "" : "renamed") };
  return template.replace(/\{(account|endpoint|strategy|value|name)\}/g, (_, key) => encode ? encodeURIComponent(values[key]) : quoted(String(values[key])));
}

function commandOf(element) {
  if (element.dataset.toggle) return meaning(element)?.command;
  // A select without a value sends no header.
  const unset = element.tagName === "SELECT" && element.value === "";
  const command = unset ? element.dataset.command?.replace(/-H '[^']*\{value\}' /, "") : element.dataset.command;
  return command && filled(command, false, element.value);
}

async function perform(path, element) {
  element?.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`/do/${path}`, { method: "POST" });
    const said = await answer.json();
    say(one("#done"), answer.ok ? `Done: ${said.done}.` : `Refused: ${said.detail ?? said.title}.`);
    // Also when it was refused because one runs already: that one is shown.
    if (path === "compare" && (answer.ok || answer.status === 409)) showComparison();
  } catch {
    say(one("#done"), "The lab does not answer.");
  }
  element?.removeAttribute("aria-busy");
}

function showCommand(event) {
  const element = event.target.closest?.("[data-toggle], [data-command]");
  const command = element && commandOf(element);
  if (command) say(one("#command"), command);
}

document.addEventListener("focusin", showCommand);
document.addEventListener("pointerover", showCommand);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button?.dataset.toggle && !button?.dataset.do) return;
  showCommand(event);
  const path = button.dataset.toggle ? meaning(button)?.path : filled(button.dataset.do, true);
  if (path) perform(path, button);
});
document.addEventListener("change", (event) => {
  const select = event.target.closest("select");
  if (!select) return;
  select.chosenAt = performance.now();
  showCommand(event);
  // No value: what is chosen by itself.
  perform(select.value === "" ? select.dataset.do.split("?")[0] : select.dataset.do + encodeURIComponent(select.value), select);
});

function stateOf(part) {
  if (part.state !== "running") return part.state;
  if (part.answers === null) return "unknown";
  return part.answers ? "up" : "silent";
}

function drawPart(part) {
  const state = stateOf(part);
  const chip = field(part.name, "state");
  const waits = part.layer === "naive" && state === "down";
  say(chip, waits ? "not started" : { silent: "no answer", unknown: "looking" }[state] ?? state);
  chip.className = `state ${waits ? "unknown" : state}`;
  card(part.name).classList.toggle("off", state !== "up" && state !== "unknown");
  const pending = field(part.name, "pending");
  if (pending) {
    say(pending, part.pending === null ? "unknown" : `${part.pending} waiting`);
    pending.classList.toggle("bad", part.pending > 0);
    const injected = field(part.name, "injected");
    say(injected, part.injected_ms ? `${part.injected_ms} ms injected` : "no");
    injected.classList.toggle("bad", Boolean(part.injected_ms));
  }
}

const words = { green: "true", amber: "marked", red: "stale, not marked", grey: "not known" };

function seconds(value) {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

function drawVerdict(part) {
  const answer = part.answer;
  const colour = answer?.colour ?? "grey";
  one(".verdict", card(part.name)).className = `verdict ${colour}`;
  const young = colour === "amber" && answer.why.startsWith("lacks");
  say(field(part.name, "colour"), young ? "a moment behind" : words[colour]);
  say(field(part.name, "why"), (answer?.why ?? "not read yet") + cutOff(part));
}

// It says no moment and marks nothing, so there is little to show of it.
function drawNaive(part) {
  const runs = part.state !== "down";
  field(part.name, "what").hidden = runs;
  one(".verdict", card(part.name)).hidden = !runs;
  drawVerdict(part);
  say(field(part.name, "cache_status"), `Cache-Status: ${part.answer?.cache_status ?? "–"}`);
}

// A page that depends on events and receives none asks instead.
function cutOff(part) {
  if (!part.cut) return "";
  const asks = part.feeds.length && ["invalidate", "prepopulate"].includes(picture.strategy);
  return ` · cut off from NATS${asks ? ", so it asks" : ""}`;
}

function drawReplica(part) {
  const answer = part.answer;
  drawVerdict(part);
  const link = field(part.name, "name");
  link.href = `${link.dataset.base}/accounts/${picture.account}`;
  say(link, answer?.name ?? `account ${picture.account}`);
  const count = (value, word) => (value === null || value === undefined ? `no ${word}` : `${value} ${word}`);
  const revisions = (answer?.revisions ?? []).map((revision) => revision ?? "–").join(" · ");
  say(field(part.name, "content"), answer?.cache_status ? `${count(answer.endpoints, "endpoints")}, ${count(answer.samples, "samples")}, revisions ${revisions}` : "");
  say(field(part.name, "cache_status"), answer?.cache_status ?? "–");
  field(part.name, "cache_status").title = answer?.cache_status ?? "";
  say(field(part.name, "age"), answer?.age_ms === null || answer?.age_ms === undefined ? "–" : answer.age_ms < 1 ? "when it was asked for" : `${seconds(answer.age_ms)} before the request`);
  linkTrace(field(part.name, "trace_id"), answer?.trace_id, answer?.trace_id ?? "–");
  drawFeeds(part);
  drawCounts(part);
}

const HIGHLIGHTED_MS = 800;
const counted = {};

// A restart or another strategy begins anew: what is then lower or of another kind did not rise.
function drawCounts(part) {
  const before = counted[part.name];
  const worth = part.worth;
  const now = { strategy: picture.strategy, fenced: part.fenced, refreshed: worth?.refreshes ?? 0, read: worth?.reads ?? 0 };
  counted[part.name] = now;
  for (const count of ["fenced", "refreshed", "read"]) {
    const element = field(part.name, count);
    say(element, part.answers ? (now[count] ?? 0).toLocaleString("en") : "–");
    if (before?.strategy !== now.strategy || !(now[count] > before[count])) continue;
    element.classList.add("rose");
    clearTimeout(element.fading);
    element.fading = setTimeout(() => element.classList.remove("rose"), HIGHLIGHTED_MS);
  }
}

// Where there is a viewer of traces, an id leads to its trace.
function linkTrace(element, id, text) {
  const viewer = document.body.dataset.traces;
  say(element, text);
  if (viewer && id) element.href = `${viewer}/traces/${id}`;
  else element.removeAttribute("href");
}

function drawFeeds(part) {
  const list = field(part.name, "feeds");
  const lines = part.feeds.map((feed) => {
    const line = document.createElement("li");
    const add = (text, kind = "") => { const span = document.createElement("span"); span.textContent = text; span.className = kind; line.append(span); };
    add(feed.source);
    add(feed.trusted ? "trusted" : "not trusted", feed.trusted ? "yes" : "no");
    add(feed.age === null ? "no watermark yet" : `watermark ${seconds(feed.age * 1000)}`);
    return line;
  });
  list.replaceChildren(...lines);
}

let newest = null;

function drawEvents(events) {
  const first = events[0]?.id ?? null;
  if (first === newest) return;
  newest = first;
  one("#events").replaceChildren(...events.map((event) => {
    const line = document.createElement("li");
    const add = (kind, text) => { const element = document.createElement(kind); element.textContent = text; line.append(element); return element; };
    add("span", event.account);
    add("span", event.source);
    add("span", event.kind);
    add("span", `r${event.revision}`);
    add("em", "").title = "Every replica that runs has shown it";
    const trace = add("a", "");
    trace.target = "_blank";
    trace.rel = "noopener";
    linkTrace(trace, event.trace_id, event.trace_id ? event.trace_id.slice(0, 6) : "not traced");
    line.title = `${event.time}, trace ${event.trace_id ?? "none"}`;
    return line;
  }));
}

// In the order of an answer's revisions.
const SOURCES = document.body.dataset.sources.split(" ");

// An event of the account shown is read once no replica that runs shows less.
function drawRead(events) {
  const replicas = picture.parts.filter((part) => part.layer === "edge" && part.state === "running");
  all("#events li").forEach((line, place) => {
    const { source, account, revision } = events[place];
    const ours = Number(account) === picture.account;
    const shows = ({ answer }) => answer?.account === picture.account && answer.revisions?.[SOURCES.indexOf(source)] >= Number(revision);
    line.classList.toggle("ours", ours);
    say(one("em", line), ours && replicas.length > 0 && replicas.every(shows) ? "read" : "");
  });
}

function drawToggles() {
  for (const button of all("[data-toggle]")) {
    const next = meaning(button);
    if (!next) continue;
    say(button, next.word);
    button.classList.toggle("fault", next.fault);
    const part = picture.parts.find((part) => part.name === button.dataset.of);
    button.disabled = button.dataset.toggle === "pause" && part.state === "down" && document.activeElement !== button;
    button.setAttribute("aria-label", `${next.word}: ${button.dataset.of}`);
  }
}

// How long a choice may take to show in the pictures.
const CHOICE_SHOWS_WITHIN_MS = 1500;

function choose(select, value) {
  const chosenNow = document.activeElement === select && performance.now() - (select.chosenAt ?? -Infinity) < CHOICE_SHOWS_WITHIN_MS;
  if (!chosenNow && select.value !== value) select.value = value;
}

function draw(next) {
  // The lab was started again with other parts.
  if (next.parts.some((part) => !card(part.name))) return location.reload();
  picture = next;
  for (const part of next.parts) {
    drawPart(part);
    if (part.layer === "edge") drawReplica(part);
    if (part.layer === "naive") drawNaive(part);
  }
  drawToggles();
  drawEvents(next.events);
  drawRead(next.events);
  choose(one("#account"), String(next.account));
  const name = next.parts.map((part) => part.answer?.name).find(Boolean);
  if (name && document.activeElement !== one("#account")) say(one(`#account option[value="${next.account}"]`), `${next.account} · ${name}`);
  choose(one("#strategy"), next.strategy);
  choose(one("#wait"), String(next.wait_ms ?? ""));
  choose(one("#max-age"), String(next.max_age_s ?? ""));
  drawCharts(next);
}

const stream = new EventSource("/events");
const live = (text, off) => { say(one("#live"), text); one("#live").classList.toggle("off", off); one("main").classList.toggle("gone", off); };
stream.onmessage = (message) => { draw(JSON.parse(message.data)); live("live", false); };
stream.onerror = () => live("the lab does not answer", true);
