// The map of dynamics: one dot per ROI and scan; like dynamics lie near each other.

import * as api from "./api.js";
import { el, say } from "./dom.js";
import { moment, plain, withError } from "./format.js";
import { CONFIG, axis, colour, layout } from "./plots.js";

const COLOURS = {
  relaxation_rate: { name: "Γ (1/s)", log: true }, alpha: { name: "α" }, beta: { name: "β" }, baseline: { name: "C∞" },
  rate_change: { name: "change of Γ over the scan" }, q: { name: "q (1/Å)" }, time: { name: "start of the scan", words: moment },
};
const HEIGHT = 400;

/**
 * Card with the map; `draw(asked, current)` asks for it and draws, `current` says whether it is still wanted. A scan that
 * comes in while the map stands there is announced if it is unlike the earlier ones.
 */
export function mapCard() {
  const plot = el("div", { class: "plot" });
  const words = el("span", { class: "under map-words" });
  const far = el("ul", { class: "notes few", hidden: true });
  const picture = el("img", { alt: "", hidden: true, onerror: () => (picture.hidden = true) });
  const told = el("p", {}, "Point at a dot to see its two-time function; click it to open its scan.");
  const pick = el("select", { class: "pick", "aria-label": "Colour of the dots", onchange: () => state.found && show() },
    Object.entries(COLOURS).map(([value, { name }]) => el("option", { value }, name)));
  const node = el("section", { class: "card" },
    el("div", { class: "head" }, el("h3", {}, "Map of dynamics"), words, el("span", { class: "choices" }, el("label", { class: "control" }, el("span", {}, "colour"), pick))),
    far, el("div", { class: "map" }, plot, el("div", { class: "dot", "aria-live": "polite" }, picture, told)));
  const state = { found: null, asked: null, listening: false };

  async function draw(asked, current) {
    const found = await api.seriesMap(asked);
    if (!current()) return;
    if (state.asked === String(asked)) found.sentences.filter((one) => !state.found.sentences.includes(one)).forEach(say);
    state.asked = String(asked);
    state.found = found;
    node.hidden = !found.dots.n_rows;
    words.textContent = `${found.dots.n_rows} ROIs of ${found.n_scans} scan${found.n_scans === 1 ? "" : "s"}${found.without_place ? `, ${found.without_place} without a place` : ""}; neighbours have like two-time functions`;
    far.hidden = !found.sentences.length;
    far.replaceChildren(...found.sentences.map((one) => el("li", {}, one)));
    if (found.dots.n_rows) await show();
  }

  async function show() {
    const { columns } = state.found.dots;
    const { name, log, words } = COLOURS[pick.value];
    const unlike = new Set(state.found.scans.columns.analysis_id.filter((_, k) => state.found.scans.columns.unlike[k]));
    const values = columns[pick.value].map((one) => (log ? (one > 0 ? Math.log10(one) : null) : one));
    const known = values.filter((one) => one !== null);
    const ticks = scale(known, log, words);
    const everything = columns.analysis_id.map((id, k) => [id, columns.roi[k], k]);
    // Dots whose number is not known keep their place, in the colour of text that matters less.
    const part = (keep, more) => {
      const some = everything.filter(([, , k]) => keep(k));
      return { x: some.map(([, , k]) => columns.map_x[k]), y: some.map(([, , k]) => columns.map_y[k]), customdata: some, mode: "markers", type: "scatter", hoverinfo: "none", showlegend: false, ...more(some) };
    };
    const ring = (k) => (unlike.has(columns.analysis_id[k]) ? 2.5 : 0);
    const marker = (some, more) => ({ size: 9, line: { color: colour("bad"), width: some.map(([, , k]) => ring(k)) }, ...more });
    const traces = [
      part((k) => values[k] === null, (some) => ({ marker: marker(some, { color: colour("soft"), opacity: 0.5 }) })),
      part((k) => values[k] !== null, (some) => ({ marker: marker(some, { color: some.map(([, , k]) => values[k]), colorscale: "Viridis", colorbar: { title: { text: name, side: "right" }, thickness: 12, outlinewidth: 0, ...ticks } }) })),
    ];
    const figure = layout({
      height: HEIGHT, hovermode: "closest", dragmode: "pan",
      xaxis: axis("first latent coordinate"), yaxis: axis("second latent coordinate", { scaleanchor: "x" }),
    });
    await Plotly.react(plot, traces, figure, { ...CONFIG, scrollZoom: true });
    listen();
  }

  function listen() {
    if (state.listening) return;
    state.listening = true;
    plot.on("plotly_hover", ({ points: [one] }) => tell(one.customdata));
    plot.on("plotly_click", ({ points: [one] }) => (location.hash = `${one.customdata[0]}~roi=${one.customdata[1]}`));
  }

  function tell([id, roi, k]) {
    const { columns } = state.found.dots;
    const number = (name) => withError({ value: columns[name][k], error: columns[`${name}_error`][k] }).filter(Boolean).join(" ± ");
    const address = api.twoTimeAddress(id, roi);
    if (picture.getAttribute("src") !== address) picture.setAttribute("src", address);
    picture.alt = `Denoised two-time function of ROI ${roi}`;
    picture.hidden = false;
    const distance = columns.distance[k];
    told.replaceChildren(
      el("b", {}, `${columns.scan_id[k] === null ? id : `Scan ${columns.scan_id[k]}`}, ROI ${roi}`), el("br"),
      `${columns.sample[k] ?? "no sample"}, q = ${plain(columns.q[k], 3)} 1/Å`, el("br"),
      `Γ ${number("relaxation_rate") || "–"} 1/s, α ${number("alpha") || "–"}${columns.trusted[k] ? "" : ", not trusted"}`, el("br"),
      `place ${number("map_x")}, ${number("map_y")}${columns.map_x_error[k] === null ? ", error unknown (too few windows)" : ""}`, el("br"),
      distance === null ? "no earlier scans to compare with" : `${plain(distance, 2)} usual distances from earlier scans`);
  }

  return { node, draw, redraw: () => (state.found?.dots.n_rows ? show() : Promise.resolve()) };
}

/** Range and labels of a colour bar, without the outermost hundredth at each end. */
function scale(values, log, words) {
  if (!values.length) return {};
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))];
  const [low, high] = [at(0.01), at(0.99)];
  if (!log && !words) return {};
  if (words) {
    const places = [0, 1, 2, 3].map((i) => low + (i / 3) * (high - low));
    return { tickvals: places, ticktext: places.map(words) };
  }
  const decades = [];
  for (let power = Math.floor(low); power <= high; power++) decades.push(...[1, 2, 5].map((digit) => Math.log10(digit) + power));
  const round = decades.filter((one) => one >= low && one <= high);
  const places = round.length > 1 ? round : [low, (low + high) / 2, high];
  return { tickvals: places, ticktext: places.map((one) => plain(10 ** one, 3)) };
}
