// The right side while a scan runs: what its frames say so far, drawn again whenever there is more.

import * as api from "./api.js";
import { card, notes } from "./analysis.js";
import { el } from "./dom.js";
import { duration, plain } from "./format.js";
import { liveFrames } from "./live_frames.js";
import { dispersionPlot, g2Plot, intensityPlot, onZoom, twoTimePlot } from "./plots.js";
import { roiTable, select } from "./rois.js";

/** Fill `main` with a live scan; returns {update, redraw}: `update` reads again what the service shows of it. */
export function showLive(main, uid, current) {
  const plots = Object.fromEntries(["twoTime", "g2", "dispersion", "intensity"].map((name) => [name, el("div", { class: "plot" })]));
  const head = el("div", {});
  const dynamics = el("div", {});
  const about = el("span", { class: "under" });
  const frame = el("img", { class: "frame", alt: "Mean of the frames so far, logarithmic" });
  const waiting = el("div", { class: "card", role: "status" }, el("h3", {}, "Waiting for the first frames."));
  const sections = el(
    "div",
    { hidden: true },
    el("section", { class: "card" }, el("h3", {}, "Dynamics so far"), dynamics),
    card("Two-time correlation", plots.twoTime, about),
    el("div", { class: "pair" }, card("One-time correlation", plots.g2), card("Γ against q²", plots.dispersion)),
    el("div", { class: "pair" }, card("Intensity", plots.intensity), card("Mean frame", frame)),
  );
  main.replaceChildren(head, waiting, sections);
  const state = { frames: null, roi: null, view: null, table: null, busy: false, again: false, zoomed: null, listening: false };

  async function update() {
    if (state.busy) return void (state.again = true);
    state.busy = true;
    try {
      state.view = await api.live(uid);
      if (current()) await draw();
    } finally {
      state.busy = false;
      if (state.again) {
        state.again = false;
        setTimeout(() => current() && update().catch(() => {}), 0);
      }
    }
  }

  async function draw() {
    const { view } = state;
    head.replaceChildren(header(view));
    if (view.newest) return drawFrames();
    if (!view.rois.length) return;
    waiting.hidden = true;
    sections.hidden = false;
    if (!view.rois.some((roi) => roi.roi === state.roi)) state.roi = view.rois[0].roi;
    state.table = roiTable(view, state.roi, choose);
    const focused = dynamics.contains(document.activeElement);
    dynamics.replaceChildren(state.table);
    if (focused) state.table.querySelector('tr[aria-selected="true"]')?.focus();
    frame.src = api.liveFrameAddress(uid, view.n_frames);
    await Promise.all([dispersionPlot(plots.dispersion, view.rois, view.q_dependence), drawRoi()]);
  }

  async function drawFrames() {
    if (!state.frames) {
      state.frames = liveFrames(uid, current);
      waiting.hidden = true;
      main.append(...state.frames.sections);
    }
    await state.frames.draw(state.view.newest);
  }

  async function drawRoi() {
    const { view } = state;
    const roi = view.rois.find((one) => one.roi === state.roi);
    select(state.table, roi.roi);
    about.textContent = `ROI ${roi.roi}, q = ${plain(roi.q)} 1/Å`;
    const kinds = roi.denoised ? ["raw", "denoised"] : ["raw"];
    const [g2, counts, ...read] = await Promise.all([
      api.liveG2(uid, roi.roi),
      api.liveIntensity(uid),
      ...kinds.map((kind) => api.liveTwoTime(uid, roi.roi, kind)),
    ]);
    if (!current() || roi.roi !== state.roi) return;
    const titles = { raw: "measured", denoised: "denoised" };
    const scale = read.at(-1).scale;
    const step = view.frame_time_s;
    await Promise.all([
      g2.lag_s.length ? g2Plot(plots.g2, g2) : null,
      intensityPlot(plots.intensity, { frame: counts.time_s.map((time) => Math.round(time / step)), bad: counts.time_s.map(() => false), counts: counts.counts }, roi.roi),
      twoTimePlot(plots.twoTime, kinds.map((kind, n) => ({ kind, title: titles[kind], own: false, ...read[n], scale })), step, state.zoomed),
    ]);
    if (state.listening) return;
    state.listening = true;
    onZoom(plots.twoTime, (view) => {
      state.zoomed = view;
      draw().catch(() => {});
    });
  }

  function choose(roi) {
    if (!state.view.rois.some((one) => one.roi === roi) || roi === state.roi) return;
    state.roi = roi;
    drawRoi().catch(() => {});
  }

  return { update, redraw: () => (state.view ? draw() : Promise.resolve()) };
}

const WORDS = { running: "live", ended: "scan ended, analysis follows", failed: "no longer followed" };

function header(view) {
  const whole = view.announced ? ` of ${view.announced}` : "";
  const rows = [
    ["scan", view.scan_id ?? "–"],
    ["run", el("code", { title: view.uid }, view.uid.slice(0, 8))],
    ["frames", `${view.n_frames}${whole}`],
    view.frame_time_s === null ? null : ["frame time", duration(view.frame_time_s)],
    view.lag_s === null ? null : ["behind the detector", `${plain(view.lag_s, 2)} s`],
    view.bad_frames ? ["left out", `${view.bad_frames}`] : null,
  ];
  return el(
    "div",
    {},
    el("div", { class: "title" }, el("h2", {}, view.sample || `Scan ${view.scan_id ?? view.uid.slice(0, 8)}`), el("span", { class: `state ${view.state}` }, WORDS[view.state])),
    el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "object" ? value : String(value))))),
    view.announced && view.state === "running" ? el("progress", { class: "whole", max: view.announced, value: view.n_frames, "aria-label": "Frames so far" }) : null,
    ...notes({ error: view.state === "failed" ? view.message : null, status: view.state, warnings: view.warnings }),
  );
}
