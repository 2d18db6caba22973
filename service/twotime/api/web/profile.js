// A profile: raw counts and the denoised rate, with errors, along a line through a frame.

import { el, say } from "./dom.js";
import { card } from "./frames.js";
import { profilePlot } from "./frame_plots.js";

const FIELDS = [["row", "from row"], ["column", "from column"], ["row_stop", "to row"], ["column_stop", "to column"], ["width", "averaged across, pixels"]];

/**
 * The card of a line {row, column, row_stop, column_stop, width} through frames of `shape`.
 *
 * `ask(line)` fetches the profile; `moved()` is called when the line is another one.
 */
export function profileCard(shape, line, ask, moved) {
  const plot = el("div", { class: "plot" });
  const most = { row: shape[0] - 1, column: shape[1] - 1, row_stop: shape[0] - 1, column_stop: shape[1] - 1, width: 1000 };
  const inputs = Object.fromEntries(FIELDS.map(([name, words]) => [name, el("input", { class: "pick", type: "number", id: `line-${name}`, min: name === "width" ? 1 : 0, max: most[name], step: name === "width" ? 1 : "any", value: line[name], "aria-label": words, onchange: typed })]));
  const fields = el("div", { class: "controls" }, FIELDS.map(([name, words]) => el("label", { class: "control" }, words, inputs[name])));
  const current = { line, drawing: false, logarithmic: false };
  const draw = el("button", { class: "button small", type: "button", "aria-pressed": "false", onclick: () => begin(!current.drawing) }, "Draw a line in the pictures");
  const log = el("input", { type: "checkbox", onchange: () => ((current.logarithmic = log.checked), show().catch((error) => say(error.message))) });
  const section = card("Profile along a line", plot, draw, el("label", { class: "tick" }, log, "logarithmic"));
  plot.before(fields);

  function begin(drawing) {
    current.drawing = drawing;
    draw.setAttribute("aria-pressed", String(drawing));
    moved();
  }

  function typed() {
    if (Object.values(inputs).every((one) => one.value !== "" && one.checkValidity())) take(Object.fromEntries(FIELDS.map(([name]) => [name, Number(inputs[name].value)])));
  }

  /** Take another line and show its profile. */
  function take(next) {
    current.line = { ...current.line, ...next };
    for (const [name] of FIELDS) inputs[name].value = Math.round(100 * current.line[name]) / 100;
    begin(false);
    show().catch((error) => say(error.message));
  }

  let turn = 0;
  async function show() {
    const mine = ++turn;
    const found = await ask(current.line);
    if (mine === turn) await profilePlot(plot, found, current.logarithmic);
  }

  /** A line that was drawn, its ends clipped to the frame. */
  function drawn({ x0, y0, x1, y1 }) {
    const within = (value, edge) => Math.max(0, Math.min(edge - 1, value));
    const [row, row_stop] = [y0, y1].map((value) => within(value, shape[0]));
    const [column, column_stop] = [x0, x1].map((value) => within(value, shape[1]));
    if (Math.hypot(row - row_stop, column - column_stop) >= 1) take({ row, column, row_stop, column_stop });
    else begin(false);
  }

  return { section, current, show, drawn };
}

/** A horizontal line through a peak, or through the middle of the frame where there is none. */
export function lineThrough(peak, [height, width]) {
  const row = peak ? Math.round(peak.row) : Math.floor(height / 2);
  const [middle, reach] = peak ? [peak.column, Math.max(20, 6 * peak.width)] : [width / 2, width];
  return { row, column: Math.max(0, Math.round(middle - reach)), row_stop: row, column_stop: Math.min(width - 1, Math.round(middle + reach)), width: 1 };
}
