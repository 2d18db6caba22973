// The two-time correlation functions of one ROI: the whole averaged for the screen, and again in detail where it is zoomed.

import * as api from "./api.js";
import { markAge, onZoom, twoTimePlot } from "./plots.js";

const PAUSE_MS = 250;
const TITLES = { raw: "measured", denoised: "denoised", spread: "standard error of the denoised", difference: "measured − denoised" };
const POINTS = Math.min(840, Math.round(420 * devicePixelRatio));

/** Pictures in `div` that read in detail what is zoomed; `tell` is told what one point is, and whether that is the whole. */
export function twoTimes(div, record, result, tell, failed) {
  const number = result.n_frames;
  const whole = { rows: [0, number], columns: [0, number] };
  const end = number * result.frame_time_s;
  const state = { roi: null, kinds: [], colours: null, view: null, window: whole, cut: null };
  const read = { of: "", wholes: [], window: whole, parts: [] };
  let asked = new AbortController();

  /** Show kinds of a ROI, in the window that is zoomed already. */
  function draw(roi, kinds, colours = null) {
    Object.assign(state, { roi, kinds, colours });
    return renew();
  }

  function look(view) {
    Object.assign(state, { view, window: framesOf(view ?? { x: [0, end], y: [0, end] }) });
    renew(PAUSE_MS).catch(failed);
  }

  /** Show what is known at once, and its details when they have come; whoever asks for something else stops this. */
  async function renew(pause = 0) {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const all = (window) => Promise.all(state.kinds.map((kind) => api.twoTime(record.id, state.roi, kind, POINTS, window, signal)));
    try {
      const of = [state.roi, ...state.kinds].join();
      if (read.of !== of) {
        const wholes = await all(whole);
        Object.assign(read, { of, wholes, window: whole, parts: wholes });
      }
      if (isWhole(state.window) || !within(state.window, read.window)) Object.assign(read, { window: whole, parts: read.wholes });
      await show(read.parts);
      listen();
      if (isWhole(state.window) || read.parts[0].step === 1) return;
      await new Promise((done) => setTimeout(done, pause));
      signal.throwIfAborted();
      const { window } = state;
      const parts = await all(window);
      Object.assign(read, { window, parts });
      await show(parts);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  async function show(parts) {
    const panels = parts.map((part, n) => ({ kind: state.kinds[n], title: TITLES[state.kinds[n]], own: n === 2, ...part, scale: n < 2 && state.colours ? state.colours : part.scale }));
    await twoTimePlot(div, panels, result.frame_time_s, state.view ?? { x: [0, end], y: [0, end] });
    await markAge(div, state.cut, end);
    tell(inWords(state.window, parts[0].step), isWhole(state.window));
  }

  let listening = false;
  function listen() {
    if (listening) return;
    listening = true;
    onZoom(div, look);
  }

  function framesOf({ x, y }) {
    const frames = ([low, high]) => {
      // Rounding of seconds must not take in a frame more.
      const first = Math.max(0, Math.min(number - 1, Math.floor(low / result.frame_time_s + 1e-6)));
      return [first, Math.max(first + 1, Math.min(number, Math.ceil(high / result.frame_time_s - 1e-6)))];
    };
    return { rows: frames(y), columns: frames(x) };
  }

  const isWhole = ({ rows, columns }) => [rows, columns].every(([first, last]) => first === 0 && last === number);

  function inWords(window, step) {
    const point = step === 1 ? "at full resolution" : `each point the mean of ${step} × ${step} frames`;
    if (isWhole(window)) return step === 1 ? "" : `${point}; drag over a part to see it in detail`;
    const from = ([first, last]) => `${first} to ${last - 1}`;
    return `frames ${from(window.columns)} and ${from(window.rows)}, ${point}`;
  }

  /** Lay the lines of an age cut over the pictures; none where there is no cut. */
  function mark(cut) {
    state.cut = cut;
    return markAge(div, cut, end);
  }

  return { draw, mark, look, view: () => (isWhole(state.window) ? null : state.view), showWhole: () => look(null), zoomed: () => !isWhole(state.window) };
}

const within = (inner, outer) =>
  ["rows", "columns"].every((edge) => inner[edge][0] >= outer[edge][0] && inner[edge][1] <= outer[edge][1]);
