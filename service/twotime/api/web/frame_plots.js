// Pictures of denoised frames, which share one zoom, and counts of regions against what was scanned.

import { ABOVE, axis, bar, colour, CONFIG, DIVERGING, layout, MAGMA } from "./plots.js";

const LARGEST_RESIDUAL = 4;
const DECADES = 4;
const TITLES = { raw: "raw counts", rate: "denoised rate", error: "standard error of the rate", residual: "residual, in standard deviations" };
const LINE_COLOUR = "#ff5a4d";
const LEFT = 48;
const RIGHT = 96;

/**
 * Raw counts, rate, error and residual of one frame, two by two, or one below the other where it is narrow.
 *
 * `parts` are {rows, step, start} by kind, `view` {x, y} in pixels, `marks` {regions, peaks} are drawn over them.
 */
export function framePictures(div, parts, view, logarithmic, marks) {
  const kinds = Object.keys(TITLES);
  const stacked = div.clientWidth < 640;
  const columns = stacked ? 1 : 2;
  const across = (div.clientWidth - LEFT - RIGHT) / columns - (stacked ? 0 : 26);
  const high = Math.max(150, Math.min((across * Math.abs(view.y[0] - view.y[1])) / (view.x[1] - view.x[0]), stacked ? 420 : 460));
  const rows = kinds.length / columns;
  const figure = layout({ height: rows * (high + 44) + 40, margin: { l: LEFT, r: RIGHT, t: 26, b: 40 }, annotations: [], shapes: [], hovermode: "closest" });
  figure.plot_bgcolor = colour("missing");
  kinds.forEach((kind, n) => place(figure, kind, n, columns, rows, view));
  const ends = { counts: endsOf(parts.rate, view), error: endsOf(parts.error, view) };
  const axes = { counts: scaleOf(ends.counts, "Viridis", logarithmic), error: scaleOf(ends.error, MAGMA, logarithmic), residual: { colorscale: DIVERGING, cmin: -LARGEST_RESIDUAL, cmax: LARGEST_RESIDUAL } };
  const share = 1 / rows;
  const spans = stacked ? { counts: [1 - 2 * share, 1], error: [share, 2 * share], residual: [0, share] } : { counts: [0.53, 1], error: [0.27, 0.47], residual: [0, 0.21] };
  const titles = { counts: "counts", error: "error", residual: "σ" };
  Object.entries(axes).forEach(([name, scale], n) => {
    const [from, to] = spans[name];
    figure[`coloraxis${n ? n + 1 : ""}`] = { ...scale, colorbar: { ...bar(titles[name], 1.01, spans[name], false), ...scale.colorbar, y: (from + to) / 2, len: (to - from) * 0.96, yanchor: "middle" } };
  });
  const traces = kinds.map((kind, n) => heatmap(parts[kind], kind, n, logarithmic && kind !== "residual", kind === "error" ? ends.error : ends.counts));
  kinds.forEach((_, n) => figure.shapes.push(...outlines(marks.regions, n), ...(marks.line ? [drawnLine(marks.line, n)] : [])));
  if (marks.drawing) Object.assign(figure, { dragmode: "drawline", newshape: { line: { color: LINE_COLOUR, width: 2 } } });
  traces.push(circles(marks.peaks, 1));
  return Plotly.react(div, traces, figure, { ...CONFIG, doubleClick: false, showTips: false });
}

function place(figure, kind, n, columns, rows, view) {
  const id = n ? n + 1 : "";
  const [row, column] = [Math.floor(n / columns), n % columns];
  const gap = columns === 1 ? 0 : 0.03;
  const width = (1 - gap * (columns - 1)) / columns;
  const space = 0.1 / rows;
  const height = (1 - space * (rows - 1)) / rows;
  const top = 1 - row * (height + space);
  const first = n === 0;
  const last = row === rows - 1;
  const tail = { showgrid: false, constrain: "domain" };
  figure[`xaxis${id}`] = axis(last ? "column" : "", { ...tail, domain: [column * (width + gap), column * (width + gap) + width], anchor: `y${id}`, range: [...view.x], ...(first ? {} : { matches: "x" }), showticklabels: last || columns === 1 });
  figure[`yaxis${id}`] = axis(column === 0 ? "row" : "", { ...tail, domain: [top - height, top], anchor: `x${id}`, range: [...view.y], scaleanchor: `x${id}`, ...(first ? {} : { matches: "y" }), showticklabels: column === 0 });
  figure.annotations.push({ text: TITLES[kind], xref: `x${id} domain`, yref: `y${id} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 13 } });
}

/** Ends of the colours: the bulk of what is above zero in the view, over four decades at most. */
function endsOf({ rows, step, start }, view) {
  const edge = (ends, from, number) => {
    const [low, high] = [Math.min(...ends), Math.max(...ends)].map((one) => (one + 0.5 - from) / step);
    const first = Math.max(0, Math.min(number - 1, Math.floor(low)));
    return [first, Math.max(first + 1, Math.min(number, Math.ceil(high)))];
  };
  const [top, bottom] = edge(view.y, start[0], rows.length);
  const [left, right] = edge(view.x, start[1], rows[0].length);
  const every = Math.max(1, Math.floor(((bottom - top) * (right - left)) / 40000));
  const known = [];
  for (let i = 0; i < (bottom - top) * (right - left); i += every) {
    const value = rows[top + Math.floor(i / (right - left))][left + (i % (right - left))];
    if (value > 0) known.push(value);
  }
  if (!known.length) return [0.1, 1];
  known.sort((a, b) => a - b);
  const at = (share) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  const high = at(0.999);
  const low = Math.max(at(0.01), high / 10 ** DECADES);
  return high > 1.01 * low ? [low, high] : [low / 2, 2 * high];
}

function scaleOf([low, high], colorscale, logarithmic) {
  if (!logarithmic) return { colorscale, cmin: 0, cmax: high, colorbar: {} };
  const ticks = [];
  const fine = Math.log10(high / low) < 2;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of fine ? [1, 2, 5] : [1]) {
      const value = step * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return { colorscale, cmin: Math.log10(low), cmax: Math.log10(high), colorbar: { tickvals: ticks.map(Math.log10), ticktext: ticks.map((one) => String(Number(one.toPrecision(2)))) } };
}

/** On logarithmic colours zero counts have the lowest one. */
function heatmap(part, kind, n, logarithmic, [low]) {
  const shown = logarithmic ? part.rows.map((row) => row.map((value) => (Number.isNaN(value) ? NaN : Math.log10(Math.max(value, low))))) : part.rows;
  const half = part.step / 2 - 0.5;
  return {
    type: "heatmap",
    z: shown,
    customdata: part.rows,
    x0: part.start[1] + half,
    dx: part.step,
    y0: part.start[0] + half,
    dy: part.step,
    xaxis: `x${n ? n + 1 : ""}`,
    yaxis: `y${n ? n + 1 : ""}`,
    coloraxis: `coloraxis${{ raw: "", rate: "", error: 2, residual: 3 }[kind]}`,
    hoverongaps: false,
    hovertemplate: `row %{y:.0f}, column %{x:.0f}<br><b>%{customdata:.4g}</b>${kind === "residual" ? " σ" : ""}<extra>${TITLES[kind]}</extra>`,
  };
}

/** Regions of the recipe as outlines; label arrays are drawn nowhere but in the mean frame. */
function outlines(regions, n) {
  const style = { type: "path", xref: `x${n ? n + 1 : ""}`, yref: `y${n ? n + 1 : ""}`, line: { color: n === 3 ? "#333333" : "#ffffff", width: 1.4 } };
  return regions.flatMap(({ kind = "box", rows, columns, vertices }) => {
    const box = () => [[rows[0], columns[0]], [rows[0], columns[1]], [rows[1], columns[1]], [rows[1], columns[0]]].map(([r, c]) => [r - 0.5, c - 0.5]);
    const corners = { box, polygon: () => vertices }[kind]?.();
    return corners ? [{ ...style, path: `M ${corners.map(([r, c]) => `${c},${r}`).join(" L ")} Z` }] : [];
  });
}

function drawnLine({ row, column, row_stop, column_stop }, n) {
  const id = n ? n + 1 : "";
  return { type: "line", xref: `x${id}`, yref: `y${id}`, x0: column, y0: row, x1: column_stop, y1: row_stop, line: { color: LINE_COLOUR, width: 1.4, dash: "dot" } };
}

function circles(peaks, n) {
  return {
    type: "scatter", mode: "markers", name: "peaks", xaxis: `x${n + 1}`, yaxis: `y${n + 1}`,
    x: peaks.map((one) => one.column), y: peaks.map((one) => one.row),
    marker: { symbol: "circle-open", size: 13, color: "#ff5a4d", line: { width: 1.6 } },
    text: peaks.map((one) => `${one.counts.toFixed(0)} ± ${one.counts_error.toFixed(0)} counts, ${one.significance.toFixed(1)} σ`),
    hovertemplate: "peak at row %{y:.1f}, column %{x:.1f}<br>%{text}<extra></extra>",
  };
}

/** Tell `look` what the pictures were zoomed to, {x, y} in pixels, or null for all of it. */
export function onFrameZoom(div, look) {
  div.on("plotly_relayout", (change) => {
    if (Object.keys(change).some((name) => /^[xy]axis\d*\.range/.test(name))) look({ x: [...div.layout.xaxis.range], y: [...div.layout.yaxis.range] });
  });
  div.on("plotly_doubleclick", () => look(null));
}

/** Tell `take` of a line that was drawn, {x0, y0, x1, y1} in pixels. */
export function onLine(div, take) {
  div.on("plotly_relayout", ({ shapes }) => {
    const last = shapes?.at(-1);
    if (last?.type === "line" && last.line.color === LINE_COLOUR && last.line.dash !== "dot") take(last);
  });
}

/** Raw counts and the denoised rate, with its error as a band, along a line. */
export function profilePlot(div, rows, logarithmic) {
  // On a logarithmic axis the band ends where nothing is left of it.
  const floor = logarithmic ? Math.min(...rows.rate.filter((one) => one > 0)) / 10 : -Infinity;
  const ends = [1, -1].map((sign) => rows.rate.map((one, i) => Math.max(floor, one + sign * rows.rate_error[i])));
  const places = rows.distance.map((_, i) => [rows.row[i], rows.column[i]]);
  const band = { x: rows.distance, type: "scatter", mode: "lines", line: { width: 0, color: colour("denoised") }, hoverinfo: "skip", showlegend: false };
  const traces = [
    { ...band, y: ends[1] },
    { ...band, y: ends[0], fill: "tonexty", opacity: 0.25 },
    {
      name: "raw", x: rows.distance, y: rows.raw, customdata: places, type: "scatter", mode: "markers", marker: { color: colour("raw"), size: 6, symbol: "circle-open" },
      error_y: { array: rows.raw_error, color: colour("raw"), thickness: 1, width: 0 },
      hovertemplate: "row %{customdata[0]:.1f}, column %{customdata[1]:.1f}<br><b>%{y:.3g}</b> ± %{error_y.array:.2g} counts<extra>raw</extra>",
    },
    {
      name: "denoised, with its standard error", x: rows.distance, y: rows.rate, customdata: places.map((place, i) => [...place, rows.rate_error[i]]), type: "scatter", mode: "lines", line: { color: colour("denoised"), width: 2 },
      hovertemplate: "row %{customdata[0]:.1f}, column %{customdata[1]:.1f}<br><b>%{y:.3g}</b> ± %{customdata[2]:.2g} counts<extra>denoised</extra>",
    },
  ];
  const figure = layout({ height: 320, showlegend: true, legend: ABOVE, xaxis: axis("distance along the line (pixel)"), yaxis: axis("counts per pixel", logarithmic ? { type: "log" } : { rangemode: "tozero" }), hovermode: "closest" });
  return Plotly.react(div, traces, figure, CONFIG);
}

/** Counts, raw and denoised, against the scan variable or the number of the frame; a line marks the chosen frame. */
export function countsPlot(div, rows, about, chosen) {
  const along = about.variable ? rows.scan_value : rows.frame;
  const traces = [["raw", "counts", "circle-open", 11], ["denoised", "counts_denoised", "circle", 6]].filter(([, name]) => rows[name]).map(([kind, name, symbol, size]) => ({
    name: kind, mode: "markers", type: "scatter", x: along, y: rows[name], customdata: rows.frame,
    error_y: { array: rows[`${name}_error`], color: colour(kind), thickness: kind === "raw" ? 3 : 1.2, width: 4 },
    marker: { color: colour(kind), size, symbol, line: { width: 1.5, color: colour(kind) } },
    hovertemplate: `frame %{customdata}, %{x:.5g}${about.unit ? ` ${about.unit}` : ""}<br><b>%{y:.1f}</b> ± %{error_y.array:.1f} counts<extra>${kind}</extra>`,
  }));
  const place = along[rows.frame.indexOf(chosen)];
  const line = { type: "line", x0: place, x1: place, yref: "paper", y0: 0, y1: 1, line: { color: colour("soft"), width: 1.2, dash: "dash" } };
  const title = about.variable ? `${about.variable}${about.unit ? ` (${about.unit})` : ""}` : "frame";
  const figure = layout({ height: 320, showlegend: true, legend: ABOVE, shapes: place === undefined ? [] : [line], xaxis: axis(title), yaxis: axis("counts"), hovermode: "closest" });
  return Plotly.react(div, traces, figure, CONFIG);
}
