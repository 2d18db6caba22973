// The page: lists on the left kept live by events, one analysis on the right, its id in the address.

import * as api from "./api.js";
import { showAnalysis, showProgress } from "./analysis.js";
import { say } from "./dom.js";
import { showAnalyses, showRuns } from "./lists.js";

const at = (id) => document.getElementById(id);
const main = at("analysis");
const state = { analyses: new Map(), runs: [], chosen: location.hash.slice(1) || null, redraw: null };

const failed = (error) => say(error.message);
const words = () => at("search").value.trim().toLowerCase();

function draw() {
  const all = [...state.analyses.values()].sort((a, b) => b.created_time - a.created_time);
  const number = showAnalyses(at("analyses"), all, state.chosen, words(), choose);
  at("analyses-count").textContent = number ? `(${number})` : "";
  showRuns(at("runs"), state.runs, words(), (uid) => ask(uid));
}

async function reload() {
  const [listed, runs] = await Promise.all([api.analyses(), api.runs()]);
  state.analyses = new Map(listed.analyses.map((one) => [one.id, one]));
  state.runs = runs.runs;
  if (!state.chosen && listed.analyses.length) state.chosen = (listed.analyses.find((one) => one.status === "done") ?? listed.analyses[0]).id;
  draw();
}

async function open(id) {
  main.dataset.id = id;
  const record = await api.analysis(id);
  if (main.dataset.id !== id) return;
  document.title = `${record.sample || `scan ${record.scan_id}`} · twotime`;
  state.redraw = await showAnalysis(main, record, { cancel, again });
}

function choose(id) {
  state.chosen = id;
  history.replaceState(null, "", `#${id}`);
  draw();
  main.scrollTop = 0;
  open(id).catch(failed);
}

async function ask(uid, recipe = null, force = false) {
  try {
    const record = await api.analyse(uid, recipe, force);
    state.analyses.set(record.id, record);
    choose(record.id);
  } catch (error) {
    failed(error);
  }
}

const again = (record) => ask(record.raw_uid, record.recipe, true);
const cancel = (record) => api.cancel(record.id).catch(failed);

/** Take in one event; an analysis that is new or has ended is read again in full. */
function changed(event) {
  const before = state.analyses.get(event.id);
  const ended = ["done", "failed", "cancelled"].includes(event.status) && before?.status !== event.status;
  if (!before || ended) {
    later(reload);
    if (event.id === state.chosen && ended) open(event.id).catch(failed);
  }
  if (!before) return;
  Object.assign(before, { status: event.status, stage: event.stage, progress: event.progress, error: event.error, attempt: event.attempt });
  draw();
  if (event.id === state.chosen && !ended) showProgress(main, before);
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
  if (live && lost) reload().catch(failed);
  lost = !live;
}

at("search").addEventListener("input", draw);
addEventListener("hashchange", () => location.hash.length > 1 && choose(location.hash.slice(1)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.redraw?.().catch(failed));

api.listen({ analysis: changed, run: () => later(reload), tiled: (said) => said.reachable || say(said.message) }, connected);
reload()
  .then(() => state.chosen && open(state.chosen))
  .catch(failed);
