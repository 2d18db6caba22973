// Pictures of a series: a quantity against a field of the runs or against q, and curves laid over each other.

import { ABOVE, CONFIG, around, axis, colour, layout } from "./plots.js";
import { duration, plain, timeUnit } from "./format.js";

const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** Colour of place k of n; ends that would vanish into the ground are left out. */
export function shade(k, n) {
  const [low, high] = dark() ? [0.3, 1] : [0, 0.86];
  const place = (low + (high - low) * (n > 1 ? k / (n - 1) : 0.4)) * (VIRIDIS.length - 1);
  const [i, share] = [Math.min(Math.floor(place), VIRIDIS.length - 2), place - Math.min(Math.floor(place), VIRIDIS.length - 2)];
  return `rgb(${VIRIDIS[i].map((one, c) => Math.round(one + share * (VIRIDIS[i + 1][c] - one))).join()})`;
}

const unitOf = (unit) => (unit && unit !== "1" ? ` (${unit})` : "");
/** Local time as Plotly's axes of dates take it. */
const local = (seconds) => new Date((seconds - new Date(seconds * 1000).getTimezoneOffset() * 60) * 1000).toISOString().slice(0, -1);
export const nameOf = (field) => ({ scan_id: "scan", time: "start of the scan" }[field.name] ?? field.name.replace(/^baseline\./, ""));
export const qOf = (group) => `q = ${plain(group.q, 3)} 1/Å${group.phi === null ? "" : `, ${plain(group.phi, 3)}°`}`;

/** One set of points with errors; open symbols where a value is not trusted. */
function points(name, tint, xs, own, more) {
  return {
    name, mode: "markers", type: "scatter", x: xs,
    y: own.map((one) => one.y),
    error_y: { array: own.map((one) => one.error ?? 0), color: tint, thickness: 1.2, width: 0 },
    marker: { color: tint, size: 8, symbol: own.map((one) => (one.trusted ? "circle" : "circle-open")), opacity: own.map((one) => (one.trusted ? 1 : 0.45)), line: { width: 1.5, color: tint } },
    customdata: own.map((one) => one.id),
    text: own.map((one) => `${one.label}${one.trusted ? "" : "<br>not trusted"}`),
    ...more,
  };
}

/** A quantity against x, one colour for each q; laws as lines. `sets` are [{group, label, points}]. */
export function trendPlot(div, { x, y, sets, fits, height }) {
  const date = x.name === "time";
  const place = (value) => (date ? local(value) : value);
  const unit = unitOf(y.unit);
  const traces = [];
  sets.forEach((set, k) => {
    const tint = set.group === null ? colour("accent") : shade(k, sets.length);
    traces.push(points(set.label, tint, set.points.map((one) => place(one.x)), set.points, {
      hovertemplate: `%{text}<br>${nameOf(x)} %{x}<br>${y.symbol} <b>%{y:.4g}</b> ± %{error_y.array:.2g}${unit}<extra>${set.label}</extra>`,
    }));
    const law = fits.find((one) => one.group === set.group);
    if (law?.x.length) traces.push({ x: law.x.map(place), y: law.y, mode: "lines", type: "scatter", line: { color: tint, width: 1.8 }, hoverinfo: "skip", showlegend: false });
  });
  const figure = layout({
    height, showlegend: sets.length > 1, hovermode: "closest",
    legend: { ...ABOVE, font: { size: 11 } },
    xaxis: axis(`${nameOf(x)}${date ? "" : unitOf(x.unit)}`, { type: date ? "date" : "linear", ...(x.name === "scan_id" ? { tickformat: "d", nticks: 12 } : {}) }),
    yaxis: axis(`${y.symbol}${unit}`, { exponentformat: "power", range: rangeOf(sets, y.name) }),
  });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** A quantity of ROIs against q, one colour for each scan; the rate against q². */
export function scansPlot(div, { x, y, scans, height }) {
  const square = y.name === "relaxation_rate";
  const traces = scans.map((scan, k) => points(scan.title, shade(k, scans.length), scan.points.map((one) => (square ? one.q ** 2 : one.q)), scan.points, {
    mode: "lines+markers", line: { color: shade(k, scans.length), width: 1, dash: "dot" },
    hovertemplate: `%{text}<br>${y.symbol} <b>%{y:.4g}</b> ± %{error_y.array:.2g}${unitOf(y.unit)}<extra></extra>`,
  }));
  const figure = layout({
    height, hovermode: "closest", showlegend: scans.length > 1 && scans.length <= 14, legend: { ...ABOVE, font: { size: 11 } },
    xaxis: axis(square ? "q² (1/Å²)" : "q (1/Å)", { rangemode: "tozero", exponentformat: "power" }),
    yaxis: axis(`${y.symbol}${unitOf(y.unit)}`, { exponentformat: "power", range: rangeOf(scans, y.name) }),
  });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** From the trusted values and their errors, where there are some; rates from 0. */
function rangeOf(sets, name) {
  const all = sets.flatMap((set) => set.points).filter((one) => one.y !== null);
  const sound = all.filter((one) => one.trusted);
  const ends = (sound.length ? sound : all).flatMap(({ y, error }) => [y - (error ?? 0), y + (error ?? 0)]);
  const range = around(ends);
  return range && ["relaxation_rate", "diffusion"].includes(name) ? [Math.min(0, Math.min(...ends)), range[1]] : range;
}

/** Curves over each other, each {name, lag_s, g2, error, fit, q}; lags times q² where `scaled`. */
export function curvesPlot(div, curves, { scaled, height }) {
  const longest = Math.max(...curves.flatMap((one) => one.lag_s.slice(-1)));
  const [second, unit] = scaled ? [1, "s/Å²"] : timeUnit(longest / 10);
  const traces = curves.flatMap((one, k) => {
    const tint = shade(k, curves.length);
    const lags = one.lag_s.map((lag) => (scaled ? lag * one.q ** 2 : lag / second));
    const few = sparse(lags.length);
    return [
      { name: one.name, x: few.map((i) => lags[i]), y: few.map((i) => one.g2[i]), mode: "markers", type: "scatter", marker: { color: tint, size: 5, symbol: "circle-open" },
        error_y: { array: few.map((i) => one.error[i]), color: tint, thickness: 0.8, width: 0 }, hovertemplate: `lag %{x:.4g} ${unit}<br>g₂ <b>%{y:.4f}</b><extra>${one.name}</extra>` },
      { x: lags, y: one.fit, mode: "lines", type: "scatter", line: { color: tint, width: 1.7 }, hoverinfo: "skip", showlegend: false },
    ];
  });
  const early = curves.flatMap((one) => [...one.fit, ...sparse(one.g2.length).slice(0, -4).map((i) => one.g2[i])]);
  const figure = layout({
    height, showlegend: curves.length <= 14, legend: { ...ABOVE, font: { size: 11 } }, hovermode: "closest",
    xaxis: axis(scaled ? "lag × q² (s/Å²)" : `lag τ (${unit})`, { type: "log", exponentformat: "power", nticks: 8 }),
    yaxis: axis("g₂", { range: around(early) }),
  });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** Some 30 places of 0..n-1, evenly on a logarithmic axis. */
function sparse(n) {
  const places = new Set();
  for (let k = 0; k <= 30; k++) places.add(Math.min(n - 1, Math.round(n ** (k / 30)) - 1));
  return [...places].filter((i) => i >= 0);
}

/** A value of x in words. */
export function inWords(x, value) {
  if (x.name === "time") return new Date(value * 1000).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  if (x.unit === "s") return duration(value);
  return `${plain(value, x.name === "scan_id" ? 9 : 5)}${x.unit === "1" ? "" : ` ${x.unit}`}`;
}
