// The answers: the verdict in sentences that lead to the pictures, and what to measure next.

import * as api from "./api.js";
import { copyButton, el, say } from "./dom.js";
import { duration, plain } from "./format.js";
import { advicePlot } from "./plots.js";

const MARKS = { good: "✓", note: "•", mind: "!" };

/** The verdict on top: each sentence a button that shows what it is about, by `show(picture, roi)`. */
export function verdictCard({ text, statements }, show) {
  const sentences = statements.map(({ level, sentence, picture, rois }) =>
    el("li", { class: level }, el("span", { class: "mark", "aria-hidden": "true" }, MARKS[level]),
      el("button", { class: "sentence", type: "button", title: "Show the picture", onclick: () => show(picture, rois[0]) }, sentence)));
  return el("section", { class: "card verdict", "aria-label": "Verdict" }, el("ul", {}, sentences), copyButton(text, "Copy the verdict"));
}

const TARGETS = [0.02, 0.05, 0.1, 0.2];
const NAMES = { frames: "frames", repeats: "repeats", flux: "flux", frame_time: "frame time" };

/** The card of what to measure next; `draw(roi)` shows it for a ROI. */
export function adviceCard(record) {
  const plot = el("div", { class: "plot" });
  const sentence = el("p", { class: "advice", "aria-live": "polite" });
  const rows = el("tbody", {});
  const notes = el("ul", { class: "notes" });
  const target = el("select", { class: "pick", "aria-label": "Error of Γ that is wanted", onchange: () => draw(state.roi).catch((error) => say(error.message)) },
    TARGETS.map((one) => el("option", { value: one, selected: one === 0.05 }, `to ${100 * one} %`)));
  const head = el("tr", {}, ["", "frames", "frame time", "photons", "error of Γ"].map((name) => el("th", { scope: "col" }, name)));
  const table = el("table", { class: "plain", "aria-label": "What reaches the error that is wanted" }, el("thead", {}, head), rows);
  const card = el("section", { class: "card", "aria-label": "What to measure next" },
    el("div", { class: "head" }, el("h3", {}, "What to measure next"), target), sentence, notes,
    el("div", { class: "pair" }, plot, el("div", { class: "scroll" }, table)));
  const state = { roi: null };

  async function draw(roi) {
    state.roi = roi;
    const found = await api.advice(record.id, roi, target.value);
    if (roi !== state.roi) return;
    sentence.textContent = found.sentence;
    notes.hidden = !found.notes.length;
    notes.replaceChildren(...found.notes.map((one) => el("li", {}, one)));
    const now = found.options.find((one) => one.change === "frames" && one.factor === 1);
    const shown = [...(now ? [[now, "as measured"]] : []), ...found.needed.map((one) => [one, `${NAMES[one.change]} × ${plain(one.factor, 2)}`])];
    rows.replaceChildren(...shown.map(([one, name]) => el("tr", {}, el("td", {}, name),
      el("td", {}, one.change === "repeats" && one.factor > 1 ? `${plain(one.factor, 2)} × ${one.n_frames}` : String(one.n_frames)),
      el("td", {}, duration(one.frame_time_s)), el("td", {}, plain(one.photons, 2)), el("td", {}, `${plain(100 * one.relative_error, 2)} %`))));
    plot.hidden = !found.options.length;
    if (found.options.length) await advicePlot(plot, found);
  }

  return { card, draw };
}
