// The page: lists on the left kept live by events, one analysis on the right, its id in the address.

import * as api from "./api.js";
import { showAnalysis, showProgress } from "./analysis.js";
import { el, say } from "./dom.js";
import { showAnalyses, showLives, showQueue, showRuns } from "./lists.js";
import { showLive } from "./live.js";
import { showRecipe } from "./recipe.js";
import { showSeries } from "./series.js";

const at = (id) => document.getElementById(id);
const main = at("analysis");
const LIVE = "live/";
const RECIPE = "recipe/";
const SERIES = "series";
const state = { analyses: new Map(), runs: [], lives: new Map(), queue: { paused: false, waiting: [], expected_starts_s: [] }, chosen: null, seen: {}, words: "", ticked: null, redraw: null, live: null, series: null, kind: "", read: false };

/** Take the id and the view out of the address: `#id~roi=2&age=0.5&zoom=x0,x1,y0,y1` or `#series~sample=gel&x=time`. */
function readAddress() {
  const [id, view = ""] = location.hash.slice(1).split("~");
  state.words = view;
  const words = new URLSearchParams(view);
  const number = (name) => (words.has(name) && Number.isFinite(Number(words.get(name))) ? Number(words.get(name)) : undefined);
  const zoom = (words.get("zoom") ?? "").split(",").map(Number);
  const known = zoom.length === 4 && zoom.every(Number.isFinite);
  state.seen = { roi: number("roi"), age: number("age"), zoom: known ? { x: zoom.slice(0, 2), y: zoom.slice(2) } : null };
  return id || null;
}
state.chosen = readAddress();

const failed = (error) => say(error.message);
const words = () => at("search").value.trim().toLowerCase();

function draw() {
  // Events may come before the lists, which then would seem to be empty.
  if (!state.read) return;
  const known = [...state.analyses.values()].sort((a, b) => b.created_time - a.created_time);
  const all = known.filter((one) => !state.kind || one.kind === state.kind);
  at("kind").hidden = !state.kind && new Set(known.map((one) => one.kind)).size < 2;
  const number = showAnalyses(at("analyses"), all, state.chosen, words(), choose, state.ticked && { has: (id) => state.ticked.has(id), toggle: tick });
  at("analyses-count").textContent = number ? `(${number})` : "";
  const running = [...state.lives.values()].filter((one) => one.state === "running");
  at("live-section").hidden = running.length === 0;
  showLives(at("lives"), running, state.chosen, choose);
  drawQueue();
  showRuns(at("runs"), state.runs, words(), (uid) => choose(RECIPE + uid));
}

function drawQueue() {
  const { paused, waiting } = state.queue;
  at("queue-section").hidden = !paused && waiting.length === 0;
  at("queue-count").textContent = waiting.length ? `(${waiting.length})` : "";
  at("queue-pause").textContent = paused ? "Resume" : "Pause";
  at("queue-words").textContent = paused ? "Paused: nothing further is begun." : "";
  showQueue(at("queue"), state.queue, state.analyses, { choose, first, cancel });
}

/** Take in the queue as the service tells it. */
function queued(queue) {
  state.queue = queue;
  drawQueue();
}

const first = (record) => api.first(record.id).then(queued).catch(failed);

let asking;
/** Ask for the queue, once for many events. */
function askQueue() {
  clearTimeout(asking);
  asking = setTimeout(() => api.queue().then(queued).catch(failed), 150);
}

async function reload() {
  const [listed, ofKind, runs, lives, queue] = await Promise.all([api.analyses(), state.kind ? api.analyses(state.kind) : { analyses: [] }, api.runs(), api.lives(), api.queue()]);
  Object.assign(state, { queue, read: true });
  // The newest of all may hold few of one kind.
  state.analyses = new Map([...listed.analyses, ...ofKind.analyses].map((one) => [one.id, one]));
  state.runs = runs.runs;
  state.lives = new Map(lives.map((one) => [one.uid, one]));
  const running = lives.find((one) => one.state === "running");
  if (!state.chosen && running) state.chosen = LIVE + running.uid;
  if (!state.chosen && listed.analyses.length) state.chosen = (listed.analyses.find((one) => one.status === "done") ?? listed.analyses[0]).id;
  draw();
  // Whoever was faster than the lists has something open already, and perhaps began to type in it.
  if (turn === 0 && state.chosen) open(state.chosen).catch(failed);
}

let turn = 0;
/** Show an analysis or a live scan; whoever was still being drawn gives way. */
async function open(id) {
  const mine = ++turn;
  const current = () => mine === turn;
  state.live = null;
  state.series = null;
  at("series").setAttribute("aria-pressed", String(id === SERIES));
  if (id === SERIES) {
    const view = showSeries(main, state.words, { newest: newestSample(), samples }, current, moveSeries);
    state.series = view;
    state.redraw = view.redraw;
    document.title = "series · twotime";
    await view.update();
    return;
  }
  if (id.startsWith(LIVE)) {
    const view = showLive(main, id.slice(LIVE.length), current);
    state.live = view;
    state.redraw = view.redraw;
    document.title = "live · twotime";
    await view.update();
    return;
  }
  if (id.startsWith(RECIPE)) {
    const [uid, from] = id.slice(RECIPE.length).split("/");
    document.title = "recipe · twotime";
    state.redraw = null;
    await showRecipe(main, uid, from, current, shown);
    return;
  }
  const record = await api.analysis(id);
  if (!current()) return;
  document.title = `${record.sample || `scan ${record.scan_id}`} · twotime`;
  state.redraw = await showAnalysis(main, record, { cancel, again, change, mark, series: (record) => openSeries(new URLSearchParams({ sample: record.sample }).toString()) }, current, state.seen);
}

const done = () => [...state.analyses.values()].filter((one) => one.status === "done" && one.kind === "xpcs").sort((a, b) => b.created_time - a.created_time);
const samples = () => [...new Set(done().map((one) => one.sample).filter(Boolean))];
const newestSample = () => samples()[0];

/** Show a series; `words` are its part of the address. */
function openSeries(words = "") {
  choose(SERIES, words);
}

/** Keep the address as the series is changed; the history holds each view. */
function moveSeries(words) {
  state.words = words;
  history.pushState(null, "", `#${SERIES}~${words}`);
}

/** Begin or end ticking scans in the list. */
function tickScans(begin) {
  state.ticked = begin ? new Set() : null;
  at("tick").textContent = begin ? "Cancel" : "Tick";
  at("tick-bar").hidden = !begin;
  tellTicked();
  draw();
}

function tick(id) {
  if (!state.ticked.delete(id)) state.ticked.add(id);
  tellTicked();
}

function tellTicked() {
  at("ticked").disabled = !state.ticked?.size;
  at("ticked").textContent = `Series of ${state.ticked?.size ?? 0} ticked`;
}

function choose(id, words = "") {
  state.chosen = id;
  state.seen = {};
  state.words = words;
  history.replaceState(null, "", words ? `#${id}~${words}` : `#${id}`);
  draw();
  main.scrollTop = 0;
  open(id).catch(failed);
}

async function ask(uid, recipe = null, force = false) {
  try {
    shown(await api.analyse(uid, recipe, force));
  } catch (error) {
    failed(error);
  }
}

function shown(record) {
  state.analyses.set(record.id, record);
  choose(record.id);
}

const change = (record) => choose(`${RECIPE}${record.raw_uid}/${record.id}`);
const again = (record) => ask(record.raw_uid, record.recipe, true);
const mark = (record, value, note) => api.mark(record.id, value, note).then((said) => {
  state.analyses.set(said.id, said);
  say(value ? `Marked as ${value}${value === "bad" ? "; series leave it out" : ""}.` : said.mark ? "The note is kept." : "The mark is taken back.");
  draw();
}).catch(failed);
const cancel = (record) => api.cancel(record.id).catch(failed);

/** Take in one event; an analysis that is new or has ended is read again in full. */
function changed(event) {
  const before = state.analyses.get(event.id);
  const ended = ["done", "failed", "cancelled"].includes(event.status) && before?.status !== event.status;
  if (before?.status !== event.status || event.status === "queued") askQueue();
  if (!before || ended) {
    later(reload);
    if (event.status === "done") growSeries();
    if (event.id === state.chosen && ended) open(event.id).catch(failed);
    if (state.chosen === LIVE + event.raw_uid && event.status === "done") choose(event.id);
  }
  if (!before) return;
  if (JSON.stringify(before.mark ?? null) !== JSON.stringify(event.mark ?? null)) growSeries();
  Object.assign(before, { status: event.status, stage: event.stage, progress: event.progress, error: event.error, attempt: event.attempt, mark: event.mark });
  draw();
  if (event.id === state.chosen && !ended) showProgress(main, before);
}

/** Take in what is told of a scan that runs. */
function grew(event) {
  const known = state.lives.get(event.uid);
  if (!known) {
    if (event.n_frames) later(reload);
    return;
  }
  Object.assign(known, { state: event.state, n_frames: event.n_frames, announced: event.announced ?? known.announced });
  draw();
  if (state.chosen === LIVE + event.uid && (event.shown !== known.shown || event.state !== "running")) state.live?.update().catch(failed);
  known.shown = event.shown;
}

let growing;
/** A scan more: ask again, once for many that end together. */
function growSeries() {
  clearTimeout(growing);
  growing = setTimeout(() => state.series?.update().catch(failed), 700);
}

let pending;
function later(work) {
  clearTimeout(pending);
  pending = setTimeout(() => work().catch(failed), 150);
}

let lost = false;
function connected(live) {
  at("connection").textContent = live ? "live" : "reconnecting";
  at("connection").classList.toggle("live", live);
  if (live && lost) reload().then(() => state.live?.update()).catch(failed);
  lost = !live;
}

const KEYS = [["?", "this help"], ["/", "search"], ["n, p", "next and previous ROI"], ["v", "back to the verdict"], ["s", "series of many scans"], ["↑ ↓", "ROIs, in the table"], ["Esc", "the whole scan again, after an age was chosen"], ["Tab, Enter", "everything that can be clicked"]];

function help() {
  const box = el("dialog", { class: "help", "aria-label": "Keyboard help", onclose: () => box.remove() },
    el("h2", {}, "Keyboard"), el("dl", {}, KEYS.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)))),
    el("p", {}, "Click a picture to see the curve of that age; drag over a part to see it in detail; double click for all of it."),
    el("form", { method: "dialog" }, el("button", { class: "button" }, "Close")));
  document.body.append(box);
  box.showModal();
}

/** Choose the row after or before the one that is chosen. */
function step(move) {
  const rows = [...main.querySelectorAll("tbody tr[data-roi]")];
  rows[rows.findIndex((row) => row.getAttribute("aria-selected") === "true") + move]?.click();
}

const SHORTCUTS = { "?": help, "/": () => at("search").focus(), n: () => step(1), p: () => step(-1), v: () => main.scrollTo({ top: 0 }), s: () => openSeries() };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || event.target.closest("input, textarea, select")) return;
  if (!SHORTCUTS[event.key]) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});
at("help").addEventListener("click", help);
at("to-list").addEventListener("click", () => document.querySelector(".side").scrollIntoView());
at("series").addEventListener("click", () => openSeries());
at("tick").addEventListener("click", () => tickScans(!state.ticked));
at("ticked").addEventListener("click", () => {
  const ids = [...state.ticked];
  tickScans(false);
  openSeries(`id=${ids.join()}`);
});
at("search").addEventListener("input", draw);
at("kind").addEventListener("change", () => {
  state.kind = at("kind").value;
  reload().catch(failed);
});
at("queue-pause").addEventListener("click", () => api.pause(!state.queue.paused).then(queued).catch(failed));
addEventListener("hashchange", () => {
  const id = readAddress();
  // The link that skips to this part of the page names no analysis.
  if (id === main.id) history.replaceState(null, "", `#${state.chosen ?? ""}`);
  else if (id) {
    state.chosen = id;
    draw();
    open(id).catch(failed);
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.redraw?.().catch(failed));

api.listen({ analysis: changed, live: grew, queue: askQueue, run: () => later(reload), tiled: (said) => said.reachable || say(said.message) }, connected);
reload().catch(failed);
