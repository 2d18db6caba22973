// An analysis of denoised frames: raw, denoised, error and residual with one zoom, counts of regions, peaks.

import * as api from "./api.js";
import { verdictCard } from "./answers.js";
import { el, say } from "./dom.js";
import { countsPlot, framePictures, onFrameZoom, onLine } from "./frame_plots.js";
import { plain, withError } from "./format.js";
import { lineThrough, profileCard } from "./profile.js";

const PAUSE_MS = 250;
const POINTS = Math.min(1000, Math.round(480 * devicePixelRatio));
const KINDS = ["raw", "rate", "error", "residual"];
const MOST_PEAKS = 50;

/** Fill `main`, below its heading, while it shows the `current` analysis; returns what draws the plots anew. */
export async function showFrames(main, record, current) {
  const tables = ["frames", "peaks", ...(record.recipe.regions.length ? ["regions"] : [])];
  const [summary, verdict, ...columns] = await Promise.all([api.framesSummary(record.id), api.verdict(record.id), ...tables.map((name) => api.table(record.id, name))]);
  if (!current()) return null;
  const view = layout(record, summary, verdict, Object.fromEntries(tables.map((name, n) => [name, columns[n]])));
  main.firstElementChild.after(view.verdict);
  main.append(...view.sections);
  await view.draw();
  return view.draw;
}

function layout(record, summary, verdict, tables) {
  const [height, width] = summary.shape;
  const whole = { x: [-0.5, width - 0.5], y: [height - 0.5, -0.5] };
  const failed = (error) => say(error.message);
  const state = { frame: 0, view: whole, logarithmic: true, region: 1 };
  const pictures = el("div", { class: "plot" });
  const counts = el("div", { class: "plot" });
  const about = el("output", { class: "under", for: "frame-number" });
  const slider = el("input", { id: "frame-number", class: "slide", type: "range", min: 0, max: summary.n_frames - 1, value: 0, "aria-label": "Frame", oninput: () => choose(Number(slider.value)) });
  const log = el("input", { type: "checkbox", checked: true, onchange: () => ((state.logarithmic = log.checked), show().catch(failed)) });
  const back = el("button", { class: "button small", type: "button", hidden: true, onclick: () => look(null) }, "Show the whole frame");
  const detail = el("span", { class: "under", "aria-live": "polite" });
  const peaks = el("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": "Table of peaks" });
  const pickRegion = el("select", { class: "pick", "aria-label": "Region", onchange: () => ((state.region = Number(pickRegion.value)), drawCounts().catch(failed)) },
    summary.regions.map(({ region }) => el("option", { value: region }, `region ${region}`)));
  const cards = {
    frames: el("section", { class: "card", "aria-label": "Frames" },
      el("div", { class: "head" }, el("h3", {}, "Raw and denoised frame"), about, detail, back, el("label", { class: "tick" }, log, "logarithmic")),
      summary.n_frames > 1 ? slider : null, pictures),
    regions: card(tables.regions ? "Counts of a region" : "Counts of whole frames", counts, tables.regions ? pickRegion : el("span", { class: "under" }, "Name regions in the recipe to have their counts.")),
    peaks: card("Peaks of this frame", peaks),
  };
  const first = lineThrough(tables.peaks.frame.length ? rowsOf(tables.peaks)[strongest(tables.peaks)] : null, summary.shape);
  const profile = profileCard(summary.shape, first, (line) => api.frameProfile(record.id, state.frame, line), () => show().catch(failed));
  const read = { frame: null, window: null, parts: null, wholes: null };
  let asked = new AbortController();

  function choose(frame) {
    if (frame === state.frame) return;
    state.frame = frame;
    slider.value = frame;
    drawFrame(PAUSE_MS / 2).catch(failed);
  }

  function look(view) {
    state.view = view ?? whole;
    show(PAUSE_MS).catch(failed);
  }

  /** Show the frame at once as coarse as it is known, and in detail where it is zoomed; a newer wish stops this. */
  async function show(pause = 0) {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    try {
      if (read.frame !== state.frame) {
        if (pause) await new Promise((done) => setTimeout(done, pause));
        signal.throwIfAborted();
        const wholes = await load(pixelsOf(whole), signal);
        Object.assign(read, { frame: state.frame, wholes });
      }
      await put(read.wholes);
      if (state.view === whole || read.wholes.raw.step === 1) return;
      await new Promise((done) => setTimeout(done, pause));
      signal.throwIfAborted();
      await put(await load(pixelsOf(state.view), signal));
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  async function load(window, signal) {
    const parts = await Promise.all(KINDS.map((kind) => api.frame(record.id, state.frame, kind, POINTS, window, signal)));
    return Object.fromEntries(KINDS.map((kind, n) => [kind, parts[n]]));
  }

  let listening = false;
  async function put(parts) {
    const { line, drawing } = profile.current;
    const marks = { regions: record.recipe.regions, peaks: peaksOf(tables.peaks, state.frame), line, drawing };
    await framePictures(pictures, parts, state.view, state.logarithmic, marks);
    const { step } = parts.raw;
    detail.textContent = step === 1 ? "" : `each point the mean of ${step} × ${step} pixels; drag over a part to see it in detail`;
    back.hidden = state.view === whole;
    if (listening) return;
    listening = true;
    onFrameZoom(pictures, look);
    onLine(pictures, profile.drawn);
  }

  function pixelsOf({ x, y }) {
    const edges = (ends, length) => {
      const [low, high] = [Math.min(...ends), Math.max(...ends)];
      const first = Math.max(0, Math.min(length - 1, Math.floor(low + 0.5)));
      return [first, Math.max(first + 1, Math.min(length, Math.ceil(high + 0.5)))];
    };
    return { rows: edges(y, height), columns: edges(x, width) };
  }

  function words() {
    const row = state.frame;
    const value = tables.frames.scan_value[row];
    const scanned = summary.scan_variable && value !== null ? ` · ${summary.scan_variable.name} ${plain(value, 5)} ${summary.scan_variable.unit}` : "";
    const added = tables.frames.frames_summed[row];
    return `frame ${row} of 0 – ${summary.n_frames - 1}${scanned}${added > 1 ? ` · ${added} frames added` : ""}`;
  }

  function drawPeaks() {
    const own = peaksOf(tables.peaks, state.frame).sort((a, b) => b.significance - a.significance);
    cards.peaks.querySelector("h3").textContent = own.length > MOST_PEAKS ? `Peaks of this frame, the first ${MOST_PEAKS} of ${own.length}` : "Peaks of this frame";
    peaks.replaceChildren(own.length ? peakTable(own.slice(0, MOST_PEAKS), near) : el("p", { class: "empty" }, `No peak of ${plain(summary.significance)} σ or more.`));
  }

  /** Look closely at a peak. */
  function near({ row, column, width: wide }) {
    const reach = Math.max(12, 4 * wide);
    look({ x: [Math.max(whole.x[0], column - reach), Math.min(whole.x[1], column + reach)], y: [Math.min(whole.y[0], row + reach), Math.max(whole.y[1], row - reach)] });
    cards.frames.scrollIntoView({ block: "start" });
  }

  let clickable = false;
  async function drawCounts() {
    const variable = summary.scan_variable && tables.frames.scan_value.some((one) => one !== null) ? summary.scan_variable : { name: "", unit: "" };
    const rows = tables.regions ? only(tables.regions, "region", state.region) : wholeFrames(tables.frames);
    await countsPlot(counts, rows, { variable: variable.name, unit: variable.unit }, state.frame);
    if (clickable) return;
    clickable = true;
    counts.on("plotly_click", ({ points: [point] }) => choose(point.customdata));
  }

  async function drawFrame(pause = 0) {
    about.textContent = words();
    drawPeaks();
    await Promise.all([drawCounts(), show(pause), profile.show()]);
  }

  /** A sentence of the verdict leads to the frame or the region that it is about. */
  function lead(picture, region) {
    if (picture === "regions" && tables.regions && region) {
      pickRegion.value = region;
      state.region = region;
      drawCounts().catch(failed);
    }
    if (picture === "peaks" && tables.peaks.frame.length) choose(tables.peaks.frame[strongest(tables.peaks)]);
    if (picture === "frames") choose(Math.max(0, tables.frames.unlike.findIndex((one) => one !== "" && one !== null)));
    const target = cards[picture] ?? cards.frames;
    target.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "center" });
    target.classList.add("shown");
    setTimeout(() => target.classList.remove("shown"), 1600);
  }

  return {
    draw: () => drawFrame(),
    verdict: verdictCard(verdict, lead),
    sections: [cards.frames, profile.section, el("div", { class: "pair" }, cards.regions, cards.peaks)],
  };
}

export const card = (title, plot, ...extra) => el("section", { class: "card", "aria-label": title }, el("div", { class: "head" }, el("h3", {}, title), ...extra), plot);

const strongest = ({ significance }) => significance.indexOf(Math.max(...significance));

export function only(columns, name, value) {
  const own = columns[name].flatMap((one, i) => (one === value ? [i] : []));
  return Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, own.map((i) => values[i])]));
}

/** Columns of a table as rows. */
export const rowsOf = (columns) => columns.frame.map((_, i) => Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[i]])));

const peaksOf = (columns, frame) => rowsOf(only(columns, "frame", frame));

/** Counts of whole frames, whose errors are those of counting. */
export const wholeFrames = (frames) => ({ frame: frames.frame, scan_value: frames.scan_value, counts: frames.counts, counts_error: frames.counts.map(Math.sqrt) });

const COLUMNS = [["row", ""], ["column", ""], ["σ", ""], ["raw counts", ""], ["denoised", ""], ["width", "pixel"]];

export function peakTable(peaks, near) {
  const head = el("tr", {}, COLUMNS.map(([name, unit]) => el("th", { scope: "col" }, name, unit ? el("small", {}, ` (${unit})`) : "")));
  const cell = (one, name) => {
    const [value, error] = withError({ value: one[name], error: one[`${name}_error`] });
    return el("td", {}, value, el("span", { class: "error" }, error ? ` ± ${error}` : ""));
  };
  const rows = peaks.map((one) => el("tr", { onclick: () => near(one), title: "Look closely" },
    ...["row", "column"].map((name) => cell(one, name)), el("td", { class: "lead" }, plain(one.significance, 3)), ...["counts", "counts_denoised", "width"].map((name) => cell(one, name))));
  return el("table", { class: "peaks", "aria-label": "Peaks of this frame" }, el("thead", {}, head), el("tbody", {}, rows));
}
