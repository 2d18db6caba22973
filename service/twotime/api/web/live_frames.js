// The newest frame of a scan that runs: raw, denoised, error and residual with one zoom, counts of regions so far, peaks.

import * as api from "./api.js";
import { el, say } from "./dom.js";
import { countsPlot, framePictures, onFrameZoom } from "./frame_plots.js";
import { card, only, peakTable, rowsOf, wholeFrames } from "./frames.js";

const KINDS = ["raw", "rate", "error", "residual"];
const MOST_PEAKS = 50;

/** Cards {sections} of a scan, and `draw` that reads what the service shows of its newest frame. */
export function liveFrames(uid, current) {
  const state = { view: null, logarithmic: true, region: 1, newest: null, parts: null, peaks: [], listening: false };
  const pictures = el("div", { class: "plot" });
  const counts = el("div", { class: "plot" });
  const about = el("span", { class: "under", "aria-live": "polite" });
  const peaks = el("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": "Table of peaks" });
  const log = el("input", { type: "checkbox", checked: true, onchange: () => ((state.logarithmic = log.checked), put().catch(failed)) });
  const back = el("button", { class: "button small", type: "button", hidden: true, onclick: () => look(null) }, "Show the whole frame");
  const pick = el("select", { class: "pick", "aria-label": "Region", hidden: true, onchange: () => ((state.region = Number(pick.value)), drawCounts().catch(failed)) });
  const failed = (error) => say(error.message);
  const sections = [
    el("section", { class: "card", "aria-label": "Frames" },
      el("div", { class: "head" }, el("h3", {}, "Newest frame, raw and denoised"), about, back, el("label", { class: "tick" }, log, "logarithmic")), pictures),
    el("div", { class: "pair" }, card("Counts so far", counts, pick), card("Peaks of this frame", peaks)),
  ];

  function look(view) {
    state.view = view;
    put().catch(failed);
  }

  async function put() {
    const [height, width] = state.newest.shape;
    const whole = { x: [-0.5, width - 0.5], y: [height - 0.5, -0.5] };
    back.hidden = !state.view;
    await framePictures(pictures, state.parts, state.view ?? whole, state.logarithmic, { regions: state.newest.regions, peaks: state.peaks });
    if (state.listening) return;
    state.listening = true;
    onFrameZoom(pictures, look);
  }

  async function drawCounts() {
    const { tables } = state;
    const rows = state.newest.regions.length ? only(tables.regions, "region", state.region) : wholeFrames(tables.frames);
    await countsPlot(counts, rows, { variable: "", unit: "" }, state.newest.frame);
  }

  async function draw(newest) {
    const names = ["frames", "peaks", ...(newest.regions.length ? ["regions"] : [])];
    const [parts, tables] = await Promise.all([Promise.all(KINDS.map((kind) => api.liveFrame(uid, kind))), Promise.all(names.map((name) => api.liveTable(uid, name)))]);
    if (!current()) return;
    const known = Object.fromEntries(names.map((name, n) => [name, tables[n]]));
    Object.assign(state, { newest, tables: known, parts: Object.fromEntries(KINDS.map((kind, n) => [kind, parts[n]])) });
    state.peaks = rowsOf(known.peaks).sort((a, b) => b.significance - a.significance).slice(0, MOST_PEAKS);
    about.textContent = `frame ${newest.frame}${newest.frames_summed > 1 ? ` · ${newest.frames_summed} frames added` : ""}`;
    showRegions(known);
    peaks.replaceChildren(state.peaks.length ? peakTable(state.peaks, near) : el("p", { class: "empty" }, `No peak of ${newest.significance} σ or more.`));
    await Promise.all([put(), drawCounts()]);
  }

  function showRegions({ regions }) {
    const numbers = regions ? [...new Set(regions.region)] : [];
    pick.hidden = numbers.length === 0;
    if (pick.options.length !== numbers.length) pick.replaceChildren(...numbers.map((one) => el("option", { value: one }, `region ${one}`)));
  }

  /** Look closely at a peak. */
  function near({ row, column, width: wide }) {
    const [height, width] = state.newest.shape;
    const reach = Math.max(12, 4 * wide);
    look({ x: [Math.max(-0.5, column - reach), Math.min(width - 0.5, column + reach)], y: [Math.min(height - 0.5, row + reach), Math.max(-0.5, row - reach)] });
  }

  return { sections, draw };
}
