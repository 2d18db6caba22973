// All plots; colours come from the style sheet, so that light and dark follow it.

import { timeUnit } from "./format.js";

export const MAGMA = [
  [0, "#000004"], [0.13, "#1c1044"], [0.25, "#4f127b"], [0.38, "#812581"], [0.5, "#b5367a"],
  [0.63, "#e55064"], [0.75, "#fb8761"], [0.88, "#fec287"], [1, "#fcfdbf"],
];
export const DIVERGING = [[0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#f7f7f7"], [0.75, "#f4a582"], [1, "#b2182b"]];
export const CONFIG = {
  responsive: true,
  displaylogo: false,
  displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("text") },
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("text") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") },
    margin: { l: 62, r: 14, t: 30, b: 44 },
    showlegend: false,
    ...more,
  };
}

export const ABOVE = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" };

export const axis = (title, more = {}) => ({
  title: { text: title, standoff: 8 },
  gridcolor: colour("line"),
  linecolor: colour("soft"),
  zeroline: false,
  ticks: "outside",
  tickcolor: colour("soft"),
  automargin: true,
  ...more,
});

/** Two-time correlation functions side by side, all of them in `view` {x, y}, s; raw and denoised share their colours. */
export function twoTimePlot(div, panels, frameTime, view) {
  const width = div.clientWidth;
  const stacked = width < 640;
  const number = panels.length;
  const right = stacked ? 76 : 130;
  const side = stacked ? Math.min(width - 62 - right, 460) : Math.min((width - 210) / number - 22, 430);
  const height = stacked ? number * (side + 64) + 40 : side + 86;
  const bars = { ...stackOf(panels) };
  const figure = layout({ height, margin: { l: 62, r: right, t: 28, b: 48 }, annotations: [], hovermode: "closest" });
  const gap = stacked ? 0.075 : 0.045;
  const alone = number === 1 && !stacked;
  const share = alone ? side / (width - 62 - right) : (1 - gap * (number - 1)) / number;
  panels.forEach((panel, n) => {
    const id = n ? n + 1 : "";
    const start = n * (share + gap);
    const along = [start, start + share];
    const tail = { showgrid: false, constrain: "domain" };
    figure[`xaxis${id}`] = axis(!stacked || n === number - 1 ? "t₁ (s)" : "", { ...tail, domain: stacked ? [0, 1] : along, anchor: `y${id}`, range: view?.x });
    figure[`yaxis${id}`] = axis(stacked || n === 0 ? "t₂ (s)" : "", { ...tail, domain: stacked ? [1 - along[1], 1 - along[0]] : [0, 1], anchor: `x${id}`, range: view?.y, scaleanchor: `x${id}`, showticklabels: stacked || n === 0 });
    figure.annotations.push({ text: panel.title, xref: `x${id} domain`, yref: `y${id} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 13 } });
  });
  const values = { colorscale: "Viridis", cmin: panels[0].scale[0], cmax: panels[0].scale[1], colorbar: bar("C₂", alone ? share + 0.01 : 1.01, bars.shared, stacked) };
  const last = panels.find((panel) => panel.own);
  figure.coloraxis = values;
  if (last) {
    figure.coloraxis2 = { colorscale: last.kind === "spread" ? MAGMA : DIVERGING, cmin: last.scale[0], cmax: last.scale[1], colorbar: bar(last.kind, stacked ? 1.01 : 1.085, bars.own, stacked) };
  }
  const traces = panels.map((panel, n) => ({
    type: "heatmap",
    z: panel.rows,
    x0: (panel.start[1] + panel.step / 2) * frameTime,
    dx: panel.step * frameTime,
    y0: (panel.start[0] + panel.step / 2) * frameTime,
    dy: panel.step * frameTime,
    xaxis: `x${n ? n + 1 : ""}`,
    yaxis: `y${n ? n + 1 : ""}`,
    coloraxis: panel.own ? "coloraxis2" : "coloraxis",
    hoverongaps: false,
    hovertemplate: "t₁ %{x:.4g} s<br>t₂ %{y:.4g} s<br><b>%{z:.4f}</b><extra></extra>",
  }));
  figure.plot_bgcolor = colour("missing");
  return Plotly.react(div, traces, figure, { ...CONFIG, scrollZoom: false, doubleClick: false, showTips: false });
}

/** Tell `look` what one of the pictures was zoomed to, {x, y} in s, or null for all of it. */
export function onZoom(div, look) {
  div.on("plotly_relayout", (change) => {
    const [, id] = Object.keys(change).map((name) => name.match(/^[xy]axis(\d*)\./)).find(Boolean) ?? [];
    if (id !== undefined) look(square(div.layout[`xaxis${id}`].range, div.layout[`yaxis${id}`].range));
  });
  div.on("plotly_doubleclick", () => look(null));
}

/** The same length along both axes, which a hand and whole pixels only nearly give: all pictures are then of one size. */
function square(...ranges) {
  const half = Math.max(...ranges.map(([low, high]) => high - low)) / 2;
  const [x, y] = ranges.map(([low, high]) => [(low + high) / 2 - half, (low + high) / 2 + half]);
  return { x, y };
}

/** Lines of constant age over all pictures: the middle of a cut and its two ends; none where there is no cut. */
export function markAge(div, cut, end) {
  const number = div.data.length;
  const line = (age, name, style) => {
    const early = Math.max(0, 2 * age - end);
    const late = Math.min(end, 2 * age);
    return Array.from({ length: number }, (_, n) => ({
      type: "line", name, xref: `x${n ? n + 1 : ""}`, yref: `y${n ? n + 1 : ""}`,
      x0: early, y0: late, x1: late, y1: early, line: { color: "#ffffff", ...style },
    }));
  };
  const thin = { width: 1.5, dash: "dash" };
  const shapes = cut ? [...line(cut.age_s, "age", { width: 2 }), ...line(cut.first_age_s, "first age", thin), ...line(cut.last_age_s, "last age", thin)] : [];
  return Plotly.relayout(div, { shapes });
}

const stackOf = (panels) => {
  const own = panels.findIndex((panel) => panel.own);
  const number = panels.length;
  return { shared: own < 0 ? [0, 1] : [1 - own / number, 1], own: [0, 1 / number] };
};

export const bar = (title, x, span, stacked) => ({
  title: { text: title, side: "top" },
  thickness: 11,
  x,
  xanchor: "left",
  outlinewidth: 0,
  tickfont: { size: 11 },
  ...(stacked ? { y: (span[0] + span[1]) / 2, len: Math.abs(span[1] - span[0]) * 0.92 } : { len: 1.02 }),
});

/** g2 against the lag on a logarithmic axis: points with error bars, fitted curves as lines. */
export function g2Plot(div, rows) {
  const thin = spread(rows.lag_s.length);
  const [second, unit] = timeUnit(rows.lag_s[Math.floor(rows.lag_s.length / 2)]);
  const lags = rows.lag_s.map((lag) => lag / second);
  const traces = [];
  for (const [kind, name] of [["raw", "measured"], ["denoised", "denoised"]]) {
    const known = rows.lag_s.flatMap((_, i) => (rows[`g2_${kind}`][i] === null ? [] : [i]));
    const use = spread(known.length).map((k) => known[k]);
    if (!use.length) continue;
    const pick = (column) => use.map((i) => rows[column][i]);
    traces.push({
      name, x: use.map((i) => lags[i]), y: pick(`g2_${kind}`), mode: "markers", type: "scatter", opacity: kind === "raw" ? 0.75 : 1,
      marker: { color: colour(kind), size: kind === "raw" ? 5 : 6, symbol: kind === "raw" ? "circle-open" : "circle" },
      error_y: { array: pick(`g2_${kind}_error`), color: colour(kind), thickness: 1, width: 0 },
      hovertemplate: `lag %{x:.4g} ${unit}<br>g₂ <b>%{y:.4f}</b> ± %{error_y.array:.4f}<extra>${name}</extra>`,
    });
    traces.push({
      name: `${name}, fit`, x: lags, y: rows[`g2_${kind}_fit`], mode: "lines", type: "scatter",
      line: { color: colour(kind), width: 1.6, dash: kind === "raw" ? "dot" : "solid" }, hoverinfo: "skip",
    });
  }
  if (rows.g2_estimate?.some((value) => value !== null)) {
    traces.push({
      name: "estimate", x: lags, y: rows.g2_estimate, mode: "lines", type: "scatter",
      line: { color: colour("estimate"), width: 2.4 }, hoverinfo: "skip",
    });
  }
  const early = thin.filter((i) => i < Math.max(10, 0.6 * rows.lag_s.length));
  const range = around([
    ...early.flatMap((i) => [rows.g2_raw[i], rows.g2_denoised[i]]),
    ...thin.flatMap((i) => [rows.g2_raw_fit[i], rows.g2_denoised_fit[i]]),
  ]);
  const figure = layout({
    height: 330, showlegend: true,
    legend: ABOVE,
    xaxis: axis(`lag τ (${unit})`, { type: "log", exponentformat: "power", dtick: decades(lags) }),
    yaxis: axis("g₂(τ)", { range }),
  });
  return Plotly.react(div, traces, figure, CONFIG);
}

const NAMES = { estimate: "estimate", raw: "measured", denoised: "denoised" };
const SYMBOLS = { relaxation_rate: "Γ", beta: "β", baseline: "C∞", alpha: "α" };

/** A parameter of the fits against q; the rate against q², with the line of the diffusion coefficient. */
export function dispersionPlot(div, rois, dependence, name = "relaxation_rate") {
  const isRate = name === "relaxation_rate";
  const place = (roi) => (isRate ? roi.q ** 2 : roi.q);
  const traces = ["raw", "denoised", "estimate"].flatMap((kind) => pointsOf(rois, kind, name, place));
  const end = 1.08 * Math.max(...rois.map(place));
  const headline = dependence.find((one) => one.kind === "headline");
  if (isRate && headline && headline.diffusion.value !== null) {
    traces.push({ name: "D q²", x: [0, end], y: [0, headline.diffusion.value * end], mode: "lines", line: { color: colour("text"), width: 1.3 }, hoverinfo: "skip" });
  }
  const known = rois.flatMap((roi) => [roi.estimate, roi.raw, roi.denoised]).filter((one) => one && one[name].value !== null);
  const sound = known.filter((one) => one.trusted);
  const shown = (sound.length ? sound : known).map((one) => one[name]);
  const ends = shown.flatMap(({ value, error }) => [value - (error ?? 0), value + (error ?? 0)]);
  const unit = isRate ? " (1/s)" : "";
  const figure = layout({
    height: 330, showlegend: true,
    legend: ABOVE,
    xaxis: axis(isRate ? "q² (1/Å²)" : "q (1/Å)", { range: [0, end], exponentformat: "power" }),
    yaxis: axis(`${SYMBOLS[name]}${unit}`, { range: isRate ? [0, 1.25 * Math.max(0, ...shown.map((one) => one.value))] : around(ends), exponentformat: "power" }),
  });
  return Plotly.react(div, traces, figure, CONFIG);
}

function pointsOf(rois, kind, name, place) {
  const use = rois.filter((roi) => roi[kind] && roi[kind][name].value !== null);
  if (!use.length) return [];
  const label = NAMES[kind];
  return [{
    name: label, mode: "markers", type: "scatter",
    x: use.map(place),
    y: use.map((roi) => roi[kind][name].value),
    error_y: { array: use.map((roi) => roi[kind][name].error ?? 0), color: colour(kind), thickness: 1, width: 0 },
    marker: { color: colour(kind), size: 8, symbol: use.map((roi) => (roi[kind].trusted ? "circle" : "circle-open")), line: { width: 1.5, color: colour(kind) } },
    text: use.map((roi) => `ROI ${roi.roi}${roi[kind].trusted ? "" : "<br>" + roi[kind].reason}`),
    customdata: use.map((roi) => roi[kind][name].error?.toPrecision(2) ?? "?"),
    hovertemplate: `%{text}<br>${SYMBOLS[name]} <b>%{y:.4g}</b> ± %{customdata}${name === "relaxation_rate" ? " 1/s" : ""}<extra>${label}</extra>`,
  }];
}

/** Γ at constant age, and what the leading kind says of it from all ages together, as a line in a band of one error. */
export function agePlot(div, rows, leading) {
  const [second, unit] = timeUnit(Math.max(...rows.age_s));
  const ages = rows.age_s.map((age) => age / second);
  const traces = trendOf(rows, leading, ages);
  const points = ["raw", "denoised", "estimate"].filter((kind) => rows[`${kind}_relaxation_rate`]).map((kind) => {
    const use = rows.age_s.map((_, i) => i).filter((i) => rows[`${kind}_relaxation_rate`]?.[i] != null && rows[`${kind}_trusted`][i]);
    const pick = (column) => use.map((i) => rows[column][i]);
    return {
      name: NAMES[kind], mode: "markers", type: "scatter",
      x: use.map((i) => ages[i]), y: pick(`${kind}_relaxation_rate`),
      error_y: { array: pick(`${kind}_relaxation_rate_error`), color: colour(kind), thickness: kind === leading ? 1.4 : 0.9, width: kind === leading ? 3 : 2 },
      opacity: kind === leading ? 1 : 0.6,
      marker: { color: colour(kind), size: kind === leading ? 8 : 6, symbol: kind === "raw" ? "circle-open" : "circle" },
      hovertemplate: `age %{x:.4g} ${unit}<br>Γ <b>%{y:.4g}</b> ± %{error_y.array:.2g} 1/s<extra></extra>`,
    };
  });
  traces.push(...points);
  const figure = layout({ height: 300, showlegend: true, legend: ABOVE, xaxis: axis(`age (${unit})`), yaxis: axis("Γ (1/s)", { range: [0, topOf(rows, leading)] }) });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** Above the leading points and their errors, and above most of the others', so that one vague point does not flatten all. */
function topOf(rows, leading) {
  const ends = (kind) => (rows[`${kind}_relaxation_rate`] ?? []).flatMap((rate, i) => (rate !== null && rows[`${kind}_trusted`][i] ? [rate + (rows[`${kind}_relaxation_rate_error`][i] ?? 0)] : []));
  const own = ends(leading);
  const others = ["raw", "denoised", "estimate"].flatMap(ends).sort((a, b) => a - b);
  const top = Math.max(...own, ...(own.length ? [] : others));
  return Number.isFinite(top) ? 1.12 * Math.max(top, Math.min(1.6 * top, others.at(-1))) : 1;
}

function trendOf(rows, kind, ages) {
  const rate = rows[`${kind}_trend_relaxation_rate`];
  const error = rows[`${kind}_trend_relaxation_rate_error`];
  if (!rate || rate[0] === null) return [];
  const back = [...rate.keys()].reverse();
  const band = [...rate.map((one, i) => one + error[i]), ...back.map((i) => rate[i] - error[i])];
  return [
    { x: [...ages, ...back.map((i) => ages[i])], y: band, mode: "lines", type: "scatter", fill: "toself", fillcolor: colour(kind), line: { width: 0 }, opacity: 0.18, hoverinfo: "skip", showlegend: false },
    { name: "all ages together", x: ages, y: rate, mode: "lines", type: "scatter", line: { color: colour(kind), width: 1.6 }, hoverinfo: "skip" },
  ];
}

/** Predicted relative error of a rate against what is changed, on logarithmic axes, with the one that is wanted. */
export function advicePlot(div, { options, target }) {
  const kinds = { frames: ["frames", "accent"], repeats: ["repeats", "good"], flux: ["flux", "denoised"], frame_time: ["frame time", "estimate"] };
  const traces = Object.entries(kinds).map(([kind, [name, tint]]) => {
    const own = options.filter((one) => one.change === kind);
    return { name, x: own.map((one) => one.factor), y: own.map((one) => 100 * one.relative_error), mode: "lines+markers", type: "scatter", line: { color: colour(tint), width: 1.8 }, marker: { size: 6 }, hovertemplate: `${name} × %{x:.3g}<br>error <b>%{y:.2g} %</b><extra></extra>` };
  });
  const line = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 100 * target, y1: 100 * target, line: { color: colour("soft"), width: 1.2, dash: "dash" } };
  const figure = layout({ height: 260, showlegend: true, legend: ABOVE, shapes: [line], xaxis: axis("times as much", { type: "log", dtick: "D2" }), yaxis: axis("error of Γ (%)", { type: "log", dtick: "D2" }) });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** Mean count per pixel against time, with the frames that were left out. */
export function intensityPlot(div, { frame, bad, counts }, roi) {
  const own = counts[roi - 1];
  const traces = [
    { name: "counts", x: frame, y: own.map((value, i) => (bad[i] ? null : value)), mode: "lines", line: { color: colour("raw"), width: 1 }, hovertemplate: "frame %{x}<br>%{y:.4g}<extra></extra>" },
    { name: "left out", x: frame.filter((_, i) => bad[i]), y: own.filter((_, i) => bad[i]), mode: "markers", marker: { color: colour("bad"), size: 7, symbol: "x" }, hovertemplate: "frame %{x} left out<br>%{y:.4g}<extra></extra>" },
  ];
  const figure = layout({ height: 300, showlegend: bad.some(Boolean), legend: ABOVE, xaxis: axis("frame"), yaxis: axis("counts per pixel", { rangemode: "tozero" }) });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** About 45 places of 0..n-1, all at first, then ever farther apart. */
function spread(n) {
  const places = new Set();
  for (let k = 0; k <= 60; k++) places.add(Math.min(n - 1, Math.round(n ** (k / 60)) - 1));
  return [...places].filter((i) => i >= 0);
}

export function around(values) {
  const known = values.filter((value) => value !== null && value !== undefined && Number.isFinite(value));
  if (!known.length) return undefined;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = 0.12 * (high - low || 0.1);
  return [low - margin, high + margin];
}

const decades = (lags) => (Math.log10(lags.at(-1) / lags[0]) > 1.3 ? 1 : undefined);

