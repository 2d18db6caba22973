// Many scans beside each other; what is shown stands in the address, so that a link leads back to it.

import * as api from "./api.js";
import { copy, el, say } from "./dom.js";
import { mapCard } from "./dynamics_map.js";
import { moment, plain, withError } from "./format.js";
import { curvesPlot, inWords, nameOf, qOf, scansPlot, trendPlot } from "./series_plots.js";

const OF_ROIS = { relaxation_rate: "Γ", beta: "β", baseline: "C∞", alpha: "α" };
const OF_SCANS = { diffusion: "D", exponent: "p of Γ ∝ q^p", rate_change: "change of Γ" };
const QUANTITIES = { ...OF_ROIS, ...OF_SCANS };
const LAWS = { "": "no law", linear: "line", power: "power law", arrhenius: "Arrhenius" };
const PARAMETERS = { intercept: "y₀", slope: "slope", amplitude: "y₀", exponent: "exponent", activation_energy: "E" };
const WHEN = { "": "whenever", today: "today", day: "last 24 h", week: "last 7 days" };
const DAY_S = 86400;

/** Start time from which on scans count, s since 1970. */
function since(when) {
  const now = new Date();
  if (when === "today") return Math.floor(new Date(now.getFullYear(), now.getMonth(), now.getDate()) / 1000);
  return when === "day" || when === "week" ? Math.floor(now / 1000) - DAY_S * (when === "day" ? 1 : 7) : null;
}

/** What the service is asked for, from the parts of the address. */
function wanted(view) {
  const asked = new URLSearchParams();
  for (const name of ["sample", "first_scan_id", "last_scan_id", "with_bad", "x", "y", "law", "x_unit"]) if (view[name]) asked.set(name, view[name]);
  for (const id of view.id ? view.id.split(",") : []) asked.append("id", id);
  const start = since(view.when);
  if (start !== null) asked.set("since", start);
  return asked;
}

/** Fill `main` with the series of an address; `move(view)` puts a changed view into the address. */
export function showSeries(main, words, known, current, move) {
  const view = { x: "scan_id", y: "relaxation_rate", by: "q", ...Object.fromEntries(new URLSearchParams(words)) };
  if (!view.sample && !view.id && !view.first_scan_id && !view.last_scan_id && !view.when && known.newest) view.sample = known.newest;
  const state = { found: null, group: null, busy: false, again: false };
  const plots = { trend: el("div", { class: "plot" }), curves: el("div", { class: "plot" }) };
  const title = el("h2", {}, "Series");
  const count = el("span", { class: "state" }, "");
  const controls = el("form", { class: "controls", "aria-label": "What the series shows", onsubmit: (event) => event.preventDefault() });
  const trouble = el("ul", { class: "notes error", hidden: true, role: "status" });
  const laws = el("div", { class: "laws" });
  const table = el("div", { class: "scroll tall" });
  const curvesWords = el("span", { class: "under" });
  const body = el("div", { hidden: true });
  const overlay = el("span", { class: "choices" });
  const link = (name, ending) => el("a", { class: "button", "data-ending": ending, download: `series${ending.slice(ending.lastIndexOf("."))}`, href: "#" }, name);
  const actions = el("span", { class: "actions" }, link("CSV", ".csv"),
    link("Report", "/report.html"),
    el("button", { class: "button", type: "button", onclick: () => Plotly.downloadImage(plots.trend, { format: "png", scale: 2, filename: "series" }) }, "Picture"),
    el("button", { class: "button", type: "button", onclick: () => copy(python()) }, "Copy as Python"),
    el("button", { class: "button", type: "button", onclick: () => copy(location.href) }, "Copy link"));
  const heading = el("h3", {}, "");
  const map = mapCard();
  body.append(
    el("div", { class: "pair series" },
      el("section", { class: "card" }, el("div", { class: "head" }, heading), plots.trend, laws),
      el("section", { class: "card" }, el("div", { class: "head" }, el("h3", {}, "g₂ over each other"), curvesWords, overlay), plots.curves)),
    map.node,
    el("section", { class: "card" }, el("h3", {}, "Scans"), table));
  main.replaceChildren(el("div", { class: "title" }, title, count, actions), controls, trouble, body);

  function change(part) {
    Object.assign(view, part);
    move(address());
    update().catch((error) => say(error.message));
  }

  const address = () => new URLSearchParams(Object.entries(view).filter(([, value]) => value)).toString();

  async function update() {
    if (state.busy) return void (state.again = true);
    state.busy = true;
    try {
      await ask();
    } finally {
      state.busy = false;
      if (state.again) {
        state.again = false;
        if (current()) await update();
      }
    }
  }

  async function ask() {
    const asked = wanted(view);
    title.textContent = view.id ? "Series of chosen scans" : `Series${view.sample ? `: ${view.sample}` : ""}`;
    for (const one of actions.querySelectorAll("a")) one.setAttribute("href", api.seriesAddress(one.dataset.ending, asked));
    try {
      const found = await api.series(asked);
      if (!current()) return;
      state.found = found;
      trouble.hidden = true;
    } catch (error) {
      if (!current()) return;
      state.found = null;
      trouble.replaceChildren(el("li", {}, error.message));
      trouble.hidden = false;
    }
    body.hidden = !state.found;
    actions.hidden = !state.found;
    count.textContent = state.found ? `${state.found.n_scans} scan${state.found.n_scans === 1 ? "" : "s"}${state.found.without_x ? `, ${state.found.without_x} without ${nameOf(state.found.x)}` : ""}${state.found.marked_bad ? `, ${state.found.marked_bad} marked as bad left out` : ""}` : "";
    drawControls();
    if (state.found) await draw();
  }

  function drawControls() {
    const focused = controls.contains(document.activeElement) ? document.activeElement.name : null;
    const fields = state.found?.fields ?? [];
    const has = (name) => name === "scan_id" || name === "time" || fields.some((one) => one.name === name);
    const given = state.found && !has(state.found.x.name) ? [state.found.x] : [];
    const x = state.found?.x.name ?? view.x;
    const select = (name, label, options, chosen) => el("label", { class: "control" }, el("span", {}, label),
      el("select", { name, class: "pick", onchange: (event) => change({ [name]: event.target.value }) },
        options.map(([value, text]) => el("option", { value, selected: value === chosen }, text))));
    const input = (name, label, more) => el("label", { class: "control" }, el("span", {}, label),
      el("input", { name, class: "pick", value: view[name] ?? "", onchange: (event) => change({ [name]: event.target.value.trim(), id: "" }), ...more }));
    const samples = [...new Set([...known.samples(), ...(view.sample ? [view.sample] : [])])];
    controls.replaceChildren(...[
      view.id
        ? el("span", { class: "control" }, el("span", {}, "scans"), el("button", { class: "button small", type: "button", onclick: () => change({ id: "" }) }, `${view.id.split(",").length} ticked ×`))
        : select("sample", "sample", [["", "any"], ...samples.map((one) => [one, one])], view.sample ?? ""),
      view.id ? null : input("first_scan_id", "from scan", { inputmode: "numeric", size: 6 }),
      view.id ? null : input("last_scan_id", "to scan", { inputmode: "numeric", size: 6 }),
      select("when", "started", Object.entries(WHEN), view.when ?? ""),
      select("x", "against", [["scan_id", "scan number"], ["time", "time"], ...[...fields, ...given].map((one) => [one.name, `${nameOf(one)}${one.unit === "1" ? "" : ` (${one.unit})`}`])], x),
      select("y", "show", Object.entries(QUANTITIES), view.y),
      view.y in OF_ROIS ? select("by", "colours", [["q", "by q"], ["scan", "by scan"]], view.by) : null,
      select("law", "law", Object.entries(LAWS), view.law ?? ""),
      state.found?.marked_bad || view.with_bad ? select("with_bad", "bad scans", [["", "left out"], ["true", "shown"]], view.with_bad ?? "") : null,
      view.law === "arrhenius" && state.found?.x.unit === "1" ? select("x_unit", "unit of x", [["", "?"], ["K", "K"], ["°C", "°C"]], view.x_unit ?? "") : null,
    ].filter(Boolean));
    if (focused) controls.elements[focused]?.focus();
  }

  /** Rows of a table by columns as objects. */
  const rowsOf = ({ n_rows, columns }) => Array.from({ length: n_rows }, (_, i) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]])));
  const labelOf = (row) => `scan ${row.scan_id ?? row.analysis_id}`;

  async function draw() {
    const { found } = state;
    const y = { name: view.y, symbol: QUANTITIES[view.y], unit: found.y_unit };
    const rows = rowsOf(found.rows);
    const scans = rowsOf(found.scans);
    const point = (row, trusted) => ({ x: row.x, y: row[view.y], error: row[`${view.y}_error`], trusted, id: row.analysis_id, q: row.q, label: labelOf(row) });
    const height = matchMedia("(max-width: 900px)").matches ? 340 : 380;
    const against = view.by === "scan" && view.y in OF_ROIS;
    heading.textContent = `${y.symbol} against ${against ? (view.y === "relaxation_rate" ? "q²" : "q") : nameOf(found.x)}`;
    if (against) {
      const sets = scans.map((scan) => ({ title: `${found.x.name === "scan_id" ? "scan " : ""}${inWords(found.x, scan.x)}`, points: rows.filter((row) => row.analysis_id === scan.analysis_id).map((row) => point(row, row.trusted)) }));
      await scansPlot(plots.trend, { x: found.x, y, scans: sets, height });
    } else {
      const sets = view.y in OF_SCANS
        ? [{ group: null, label: "", points: scans.filter((row) => row[view.y] !== null).map((row) => point(row, true)) }]
        : found.groups.map((group) => ({ group: group.group, label: qOf(group), points: rows.filter((row) => row.group === group.group).map((row) => point(row, row.trusted)) }));
      await trendPlot(plots.trend, { x: found.x, y, sets, fits: found.fits, height });
    }
    drawLaws();
    drawTable(scans);
    drawOverlay();
    await drawCurves(height);
    await map.draw(ofScans(), () => current() && found === state.found);
    listen();
  }

  /** A click on a point shows the curves of its scan. */
  function listen() {
    if (state.listening) return;
    state.listening = true;
    plots.trend.on("plotly_click", ({ points: [one] }) => one.customdata && change({ scan: one.customdata }));
  }

  function drawLaws() {
    const { fits, groups } = state.found;
    const names = { q: (group) => qOf(groups[group - 1]) };
    const reasons = [...new Set(fits.map((one) => one.reason).filter(Boolean))];
    if (fits.length && reasons.length === 1 && fits.every((one) => one.reason)) return laws.replaceChildren(el("p", { class: "reason" }, reasons[0]));
    const cells = (one) => Object.entries(one.parameters).filter(([name]) => name !== "intercept" && (name !== "amplitude" || fits.length === 1)).map(([name, quantity]) => {
      const unit = quantity.unit === "1" ? "" : ` ${quantity.unit.replace(/ \/ 1$/, "")}`;
      return `${PARAMETERS[name]} = ${withError(quantity).filter(Boolean).join(" ± ")}${unit}`;
    });
    laws.replaceChildren(...fits.map((one) => el("p", {}, one.group === null ? "" : el("span", { class: "under" }, `${names.q(one.group)}: `),
      one.reason || `${cells(one).join(", ")} (χ² ${plain(one.chi2, 2)}, ${one.n} scans)`)));
  }

  function drawTable(scans) {
    const { x } = state.found;
    const ofOne = Boolean(view.sample);
    const columns = ["scan", ...(x.name === "scan_id" ? [] : [`${nameOf(x)}${x.unit === "1" || x.unit === "s" ? "" : ` (${x.unit})`}`]), ...(x.name === "time" ? [] : ["started"]), ...(ofOne ? [] : ["sample"]), "trusted ROIs", "D (Å²/s)", "p of Γ ∝ q^p", "change of Γ (%)", "verdict"];
    const number = (row, name, scale = 1) => withError({ value: row[name] === null ? null : scale * row[name], error: row[`${name}_error`] === null ? null : scale * row[`${name}_error`] }).filter(Boolean).join(" ± ");
    const body = scans.map((row) => el("tr", { "aria-selected": String(row.analysis_id === view.scan) },
      el("td", {}, el("a", { href: `#${row.analysis_id}`, title: "Open this analysis" }, row.scan_id ?? row.analysis_id)),
      x.name === "scan_id" ? null : el("td", {}, inWords({ ...x, unit: x.unit === "s" ? "s" : "1" }, row.x)),
      x.name === "time" ? null : el("td", {}, moment(row.time)),
      ofOne ? null : el("td", { class: "text" }, row.sample ?? ""),
      el("td", {}, `${row.n_trusted} of ${row.n_rois}`),
      el("td", {}, number(row, "diffusion")), el("td", {}, number(row, "exponent")), el("td", {}, number(row, "rate_change", 100)),
      el("td", { class: "text", title: row.verdict }, row.mark ? el("b", {}, `${row.mark}${row.note ? `: ${row.note}` : ""} `) : null, row.verdict)));
    table.replaceChildren(el("table", { class: "plain", "aria-label": "Scans of the series" }, el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, body)));
  }

  function drawOverlay() {
    const { groups, scans } = state.found;
    const ids = scans.columns.analysis_id;
    if (view.scan && !ids.includes(view.scan)) view.scan = "";
    const options = [...groups.map((one) => [`g${one.group}`, `${qOf(one)}, all scans`]), ...ids.map((id, k) => [`s${id}`, `scan ${scans.columns.scan_id[k] ?? id}, all q`])];
    const chosen = view.scan ? `s${view.scan}` : `g${groups.some((one) => String(one.group) === view.group) ? view.group : groups[0].group}`;
    overlay.replaceChildren(
      el("label", { class: "tick" }, el("input", { type: "checkbox", checked: Boolean(view.scaled), onchange: (event) => change({ scaled: event.target.checked ? "1" : "" }) }), "lag × q²"),
      el("select", { class: "pick", "aria-label": "Curves", onchange: (event) => change(event.target.value[0] === "g" ? { group: event.target.value.slice(1), scan: "" } : { scan: event.target.value.slice(1) }) },
        options.map(([value, text]) => el("option", { value, selected: value === chosen }, text))));
  }

  async function drawCurves(height) {
    const { found } = state;
    const curves = view.scan ? await curvesOfScan(found) : await curvesOfGroup(found);
    if (!current() || found !== state.found) return;
    curvesWords.textContent = !view.scan && found.n_scans > curves.length ? `${curves.length} of ${found.n_scans} scans` : "";
    await curvesPlot(plots.curves, curves, { scaled: Boolean(view.scaled), height });
  }

  /** The part of what is asked for that chooses the scans, and `more` names. */
  function ofScans(...more) {
    const asked = wanted(view);
    for (const name of ["x", "y", "law", "x_unit"]) if (!more.includes(name)) asked.delete(name);
    return asked;
  }

  async function curvesOfGroup(found) {
    const asked = ofScans("x");
    asked.set("group", found.groups.some((one) => String(one.group) === view.group) ? view.group : found.groups[0].group);
    return split(await api.seriesCurves(asked), "analysis_id", (row) => `${found.x.name === "scan_id" ? "scan " : ""}${inWords(found.x, row.x)}`);
  }

  async function curvesOfScan(found) {
    const columns = await api.table(view.scan, "g2");
    const fit = columns.g2_estimate?.some((one) => one !== null) ? columns.g2_estimate : columns.g2_raw_fit;
    const table = { n_rows: columns.roi.length, columns: { roi: columns.roi, q: columns.q, lag_s: columns.lag_s, g2: columns.g2_raw, g2_error: columns.g2_raw_error, g2_fit: fit } };
    return split(table, "roi", (row) => `q = ${plain(row.q, 3)} 1/Å`);
  }

  /** A table of curves as one object for each value of a column. */
  function split(columns, by, name) {
    const sets = new Map();
    for (const row of rowsOf(columns)) {
      if (!sets.has(row[by])) sets.set(row[by], { name: name(row), q: row.q, lag_s: [], g2: [], error: [], fit: [] });
      const one = sets.get(row[by]);
      one.lag_s.push(row.lag_s);
      one.g2.push(row.g2);
      one.error.push(row.g2_error);
      one.fit.push(row.g2_fit);
    }
    return [...sets.values()];
  }

  function python() {
    const parts = [...wanted(view)].filter(([name]) => !["y", "law", "x_unit", "id"].includes(name)).map(([name, value]) => `${name}=${["sample", "x"].includes(name) ? JSON.stringify(value) : name === "with_bad" ? "True" : value}`);
    const ids = view.id ? [`id=${JSON.stringify(view.id.split(","))}`] : [];
    const law = [view.law ? `, law=${JSON.stringify(view.law)}` : "", view.x_unit ? `, x_unit=${JSON.stringify(view.x_unit)}` : ""].join("");
    return [
      "from twotime.client import connect", "",
      `series = connect(${JSON.stringify(location.origin)}).series(${[...parts, ...ids].join(", ")})  # the key: TWOTIME_API_KEY`,
      `series.plot(${JSON.stringify(view.y)}${law})`,
    ].join("\n");
  }

  return { update, redraw: () => (state.found ? draw() : Promise.resolve()) };
}
