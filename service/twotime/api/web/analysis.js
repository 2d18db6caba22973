// The right side: one analysis, from its state to its dynamics.

import * as api from "./api.js";
import { adviceCard, verdictCard } from "./answers.js";
import { copy, el, say } from "./dom.js";
import { duration, moment, plain, withError } from "./format.js";
import { showFrames } from "./frames.js";
import { agePlot, dispersionPlot, g2Plot, intensityPlot } from "./plots.js";
import { MARKS } from "./lists.js";
import { roiTable, select } from "./rois.js";
import { twoTimes } from "./two_times.js";

const DOUBLE_CLICK_MS = 320;
const AGAINST_Q = { relaxation_rate: "Γ against q²", beta: "β against q", baseline: "C∞ against q", alpha: "α against q" };

/** Fill `main` with the analysis while it is the `current` one, as a `seen` view {roi, age, zoom} was left; returns what redraws the plots, or null without a result. */
export async function showAnalysis(main, record, actions, current, seen = {}) {
  main.replaceChildren(header(record, actions), ...notes(record));
  if (record.status !== "done") {
    main.append(state(record));
    return null;
  }
  if (record.kind === "frames") return showFrames(main, record, current);
  const [result, verdict] = await Promise.all([api.result(record.id), api.verdict(record.id)]);
  if (!current()) return null;
  const view = layout(record, result, verdict, seen);
  main.firstElementChild.after(view.verdict);
  main.append(...view.sections);
  await view.draw();
  await view.recall();
  return view.draw;
}

/** Change state and progress in place while an analysis runs. */
export function showProgress(main, record) {
  main.querySelector(".waiting")?.replaceWith(state(record));
  const label = main.querySelector(".title .state");
  if (!label) return;
  label.textContent = record.status;
  label.className = `state ${record.status}`;
}

function header(record, { cancel, again, change, series, mark }) {
  const open = record.status === "queued" || record.status === "running";
  return el(
    "div",
    {},
    el(
      "div",
      { class: "title" },
      el("h2", {}, record.sample || `Scan ${record.scan_id ?? record.raw_uid.slice(0, 8)}`),
      el("span", { class: `state ${record.status}` }, record.status),
      el("span", { class: "actions" },
        open
          ? el("button", { class: "button", type: "button", onclick: () => cancel(record) }, "Cancel")
          : el("button", { class: "button", type: "button", onclick: () => again(record) }, "Compute again"),
        el("button", { class: "button", type: "button", onclick: () => change(record) }, "Change the recipe"),
        record.status === "done" && record.kind === "xpcs" && record.sample ? el("button", { class: "button", type: "button", title: "All scans of this sample beside each other", onclick: () => series(record) }, "Series") : null,
        record.status === "done" ? filesOf(record).map(([name, words]) => el("a", { class: "button", href: `/api/v1/analyses/${record.id}/${name}`, download: `${record.id}-${name}` }, words)) : null,
      ),
    ),
    facts(record),
    open ? null : markForm(record, mark),
  );
}

/** What somebody says of the scan who has looked at it: a mark that series heed, and a note. */
function markForm(record, mark) {
  const said = record.mark ?? { value: null, note: "", by: "" };
  const save = () => mark(record, pick.value || null, note.value.trim());
  const pick = el("select", { class: "pick", "aria-label": "Mark of the scan", onchange: save },
    [["", "no mark"], ...Object.entries(MARKS).map(([value, [words]]) => [value, words])].map(([value, words]) => el("option", { value, selected: value === (said.value ?? "") }, words)));
  const note = el("input", { class: "pick note", "aria-label": "Note on the scan", placeholder: "Note", maxlength: 2000, value: said.note });
  note.addEventListener("change", save);
  return el("form", { class: "mark-form", onsubmit: (event) => { event.preventDefault(); note.blur(); } }, pick, note, record.mark ? el("span", { class: "under" }, `by ${said.by}, ${moment(said.time)}`) : null);
}

const FILES = {
  xpcs: [["export.pdf", "Report as PDF"], ["fits.csv", "Fits as CSV"], ["g2.csv", "g₂ as CSV"]],
  frames: [["export.pdf", "Report as PDF"], ["export.nxs", "NeXus file"], ["export.tif", "Rates as TIFF"], ["peaks.csv", "Peaks as CSV"], ["regions.csv", "Regions as CSV"]],
};

const filesOf = (record) => FILES[record.kind].filter(([name]) => name !== "regions.csv" || record.recipe.regions.length);

function facts(record) {
  const { frames, geometry } = record.recipe;
  const number = frames?.stop ? Math.ceil((frames.stop - frames.start) / frames.stride) : null;
  const step = geometry?.frame_time_s ? geometry.frame_time_s * frames.stride : null;
  const took = record.started_time && record.finished_time ? record.finished_time - record.started_time : null;
  const rows = [
    ["scan", record.scan_id ?? "–"],
    ["run", el("code", { title: record.raw_uid }, record.raw_uid.slice(0, 8))],
    ["frames", number ?? "–"],
    ...(record.kind === "frames"
      ? [["added to one", frames?.sum ?? "–"], ["denoiser", record.versions.frame_denoiser ?? "–"]]
      : [["frame time", duration(step)], ["ensemble", record.versions.ensemble ?? "–"]]),
    ["software", record.versions.twotime ?? "–"],
    ["requested", moment(record.created_time)],
    record.finished_time ? ["analysed", moment(record.finished_time)] : null,
    took ? ["computing took", `${plain(took, 3)} s`] : null,
  ];
  return el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "object" ? value : String(value)))));
}

/** What to mind, as lists in words. */
export function notes(record) {
  const error = record.error && record.status !== "done" ? [el("ul", { class: "notes error" }, el("li", {}, record.error))] : [];
  const warnings = record.warnings.length ? [el("ul", { class: "notes", "aria-label": "Warnings" }, record.warnings.map((one) => el("li", {}, one)))] : [];
  return [...error, ...warnings];
}

function state(record) {
  const words = { queued: "Waits for a worker.", running: record.stage, failed: "No result. Change the recipe, or compute again.", cancelled: "Stopped on request." };
  return el(
    "div",
    { class: "card waiting", role: "status" },
    el("h3", {}, record.status === "running" ? `${words.running} · ${Math.round(100 * record.progress)} %` : words[record.status]),
    record.status === "running" ? el("progress", { max: 1, value: record.progress, "aria-label": record.stage }) : null,
  );
}

export const card = (title, plot, ...extra) => el("section", { class: "card" }, el("div", { class: "head" }, el("h3", {}, title), ...extra), plot);

function layout(record, result, verdict, seen) {
  const plots = Object.fromEntries(["twoTime", "g2", "dispersion", "age", "intensity"].map((name) => [name, el("div", { class: "plot" })]));
  const known = Object.fromEntries([...new Set(result.rois.map((roi) => roi.roi))].map((roi) => [roi, true]));
  const sound = result.rois.find((roi) => roi.trusted) ?? result.rois[0];
  const chosen = { roi: known[seen.roi] ? seen.roi : sound.roi, third: "spread", cut: null };
  const about = el("span", { class: "under" });
  const choose = (roi) => {
    if (!known[roi] || roi === chosen.roi) return;
    chosen.roi = roi;
    drawRoi().catch((error) => say(error.message));
  };
  const detail = el("span", { class: "under", "aria-live": "polite" });
  const back = el("button", { class: "button small", type: "button", hidden: true, onclick: () => pictures.showWhole() }, "Show all frames");
  const tell = (words, whole) => {
    detail.textContent = words;
    back.hidden = whole;
  };
  const pictures = twoTimes(plots.twoTime, record, result, tell, (error) => say(error.message));
  const age = el("select", { class: "pick", "aria-label": "Age of the curve", onchange: () => cutAt(age.value === "" ? null : Number(age.value)) });
  const aboutCut = el("p", { class: "reason", "aria-live": "polite", hidden: true });
  const law = el("span", { class: "under" }, diffusion(result));
  const parameter = el("select", { class: "pick", "aria-label": "Parameter against q", onchange: () => drawDispersion().catch((error) => say(error.message)) },
    Object.entries(AGAINST_Q).map(([name, words]) => el("option", { value: name }, words)));
  const table = roiTable(result, chosen.roi, choose);
  const third = choice(["spread", "difference"], chosen.third, (kind) => {
    chosen.third = kind;
    drawTwoTime().catch((error) => say(error.message));
  });

  const colours = el("select", { class: "pick", "aria-label": "Colours of the two-time functions", onchange: () => drawTwoTime().catch((error) => say(error.message)) },
    [["decay", "colours: from C∞ to C∞ + β"], ["values", "colours: all values"]].map(([name, words]) => el("option", { value: name }, words)));
  const link = el("button", { class: "button small", type: "button", title: "Copy a link to this ROI, age and zoom", onclick: () => copy(addressOfView()) }, "Copy link to this view");
  const advised = adviceCard(record);

  /** Ends of the colours that show the decay, with some room for noise below; null where no decay is known. */
  function decayColours(roi) {
    const { beta, baseline } = roi[roi.headline] ?? roi.raw;
    if (colours.value !== "decay" || !(beta.value > 0) || baseline.value === null) return null;
    return [baseline.value - 0.2 * beta.value, baseline.value + beta.value];
  }

  function addressOfView() {
    const zoom = pictures.view();
    const parts = { roi: chosen.roi, age: chosen.cut?.age_s, zoom: zoom && [...zoom.x, ...zoom.y].map((one) => Number(one.toPrecision(6))).join() };
    const words = new URLSearchParams(Object.entries(parts).filter(([, value]) => value));
    return `${location.origin}${location.pathname}#${record.id}~${words}`;
  }

  /** Age and zoom as they were when the link was copied. */
  async function recall() {
    if (seen.zoom) pictures.look(seen.zoom);
    if (seen.age !== undefined) await cutAt(seen.age);
  }

  function show(picture, roi) {
    if (known[roi] && picture !== "intensity") choose(roi);
    const target = places[picture];
    target.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "center" });
    target.classList.add("shown");
    setTimeout(() => target.classList.remove("shown"), 1600);
  }

  const tables = {};
  const load = (name) => (tables[name] ??= api.table(record.id, name));
  const rowsOf = (columns, roi) => {
    const own = columns.roi.flatMap((one, i) => (one === roi ? [i] : []));
    return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, own.map((i) => values[i])]));
  };

  async function drawTwoTime() {
    const roi = result.rois.find((one) => one.roi === chosen.roi);
    third.hidden = !roi.denoised;
    await pictures.draw(roi.roi, roi.denoised ? ["raw", "denoised", chosen.third] : ["raw"], decayColours(roi));
    listen();
  }

  let listening = false;
  /** A click on a picture chooses the age there; on the same age again, or Escape, the whole scan comes back. */
  function listen() {
    if (listening) return;
    listening = true;
    let clicked;
    let doubled = -Infinity;
    plots.twoTime.on("plotly_doubleclick", () => {
      clearTimeout(clicked);
      doubled = performance.now();
    });
    plots.twoTime.on("plotly_click", ({ points: [point] }) => {
      clearTimeout(clicked);
      // The second click of two is told as one more. Where something is zoomed it may follow, and asks for the whole instead.
      if (performance.now() - doubled < DOUBLE_CLICK_MS) return;
      clicked = setTimeout(() => clickedAt(point), pictures.zoomed() ? DOUBLE_CLICK_MS : 0);
    });
    function clickedAt(point) {
      if (age.options.length < 2) return say("This analysis has no age cuts; set the number of age cuts in its recipe.");
      const wanted = (point.x + point.y) / 2;
      const again = chosen.cut && wanted >= chosen.cut.first_age_s && wanted <= chosen.cut.last_age_s;
      return cutAt(again ? null : wanted);
    }
    document.addEventListener("keydown", function leave(event) {
      if (!plots.twoTime.isConnected) document.removeEventListener("keydown", leave);
      else if (event.key === "Escape" && chosen.cut) cutAt(null);
    });
  }

  let asked = 0;
  async function cutAt(wanted) {
    const mine = ++asked;
    try {
      const cut = wanted === null ? null : await api.ageCut(record.id, chosen.roi, wanted);
      if (mine !== asked) return;
      chosen.cut = cut;
      await Promise.all([pictures.mark(cut), drawCurve()]);
    } catch (error) {
      say(error.message);
    }
  }

  async function drawCurve() {
    const { cut } = chosen;
    age.value = cut ? String(cut.age_s) : "";
    aboutCut.hidden = !cut;
    aboutCut.replaceChildren(...(cut ? cutInWords(cut) : []));
    await g2Plot(plots.g2, cut ?? rowsOf(await load("g2"), chosen.roi));
  }

  async function drawRoi() {
    const roi = result.rois.find((one) => one.roi === chosen.roi);
    select(table, chosen.roi);
    about.textContent = `ROI ${roi.roi}, q = ${plain(roi.q)} 1/Å${roi.denoised_stride > 1 ? `, denoised on one frame in ${roi.denoised_stride}` : ""}`;
    const [ages, counts] = await Promise.all([load("fits-age"), (tables.intensity ??= api.intensity(record.id))]);
    const own = rowsOf(ages, roi.roi);
    cards.age.hidden = !own.age_s?.length;
    age.hidden = !own.age_s?.length;
    age.replaceChildren(el("option", { value: "" }, "whole scan"), ...(own.age_s ?? []).map((one) => el("option", { value: one }, `age ${duration(one)}`)));
    if (chosen.cut) chosen.cut = await api.ageCut(record.id, roi.roi, chosen.cut.age_s);
    if (roi.roi !== chosen.roi) return;
    await Promise.all([
      drawCurve(),
      own.age_s?.length ? agePlot(plots.age, own, roi.headline) : null,
      intensityPlot(plots.intensity, counts, roi.roi),
      drawTwoTime(),
      advised.draw(roi.roi),
    ]);
  }

  async function drawDispersion() {
    cards.dispersion.querySelector("h3").textContent = AGAINST_Q[parameter.value];
    law.hidden = parameter.value !== "relaxation_rate";
    await dispersionPlot(plots.dispersion, result.rois, result.q_dependence, parameter.value);
  }

  async function draw() {
    await Promise.all([drawDispersion(), drawRoi()]);
  }

  const frame = el("img", { class: "frame", src: api.frameAddress(record.id, record.attempt), alt: "Mean of the analysed frames, logarithmic, with the outlines of the ROIs; gaps and masked pixels are grey" });
  const cards = { age: card("Γ against age", plots.age), dispersion: card(AGAINST_Q.relaxation_rate, plots.dispersion, law, parameter) };
  const places = {
    table: el("section", { class: "card" }, el("div", { class: "head" }, el("h3", {}, "Dynamics"), link), table),
    two_time: card("Two-time correlation", plots.twoTime, about, detail, back, colours, third),
    g2: card("One-time correlation", el("div", {}, plots.g2, aboutCut), age),
    dispersion: cards.dispersion,
    age: cards.age,
    intensity: card("Intensity", plots.intensity),
  };
  return {
    draw,
    recall,
    verdict: verdictCard(verdict, show),
    sections: [
      places.table,
      places.two_time,
      el("div", { class: "pair" }, places.g2, cards.dispersion),
      el("div", { class: "pair three" }, cards.age, places.intensity, card("Mean frame", frame)),
      advised.card,
    ],
  };
}

function cutInWords(cut) {
  const kinds = [["estimate", "estimate"], ["raw", "measured"], ["denoised", "denoised"]].filter(([kind]) => cut[kind]);
  const rates = kinds.flatMap(([kind, name], n) => {
    const rate = withError(cut[kind].relaxation_rate).filter(Boolean).join(" ± ");
    const doubt = cut[kind].trusted ? "" : el("b", { title: cut[kind].reason }, " (doubtful)");
    return [`${n ? "; " : ""}${name} Γ = ${rate} 1/s`, doubt];
  });
  return [`Age ${duration(cut.age_s)}, from ${duration(cut.first_age_s)} to ${duration(cut.last_age_s)}: `, ...rates, "."];
}

function diffusion(result) {
  const headline = result.q_dependence.find((one) => one.kind === "headline");
  if (!headline || headline.diffusion.value === null) return headline?.reason ?? "";
  const text = (quantity) => withError(quantity).filter(Boolean).join(" ± ");
  const law = headline.exponent.value === null ? "" : `; Γ ∝ q^p, p = ${text(headline.exponent)}`;
  return `D = ${text(headline.diffusion)} ${headline.diffusion.unit}${law}`;
}

function choice(kinds, chosen, choose) {
  return el(
    "fieldset",
    { class: "choice", "aria-label": "Third picture" },
    kinds.map((kind) => el("label", {}, el("input", { type: "radio", name: "third", value: kind, checked: kind === chosen, onchange: () => choose(kind) }), kind)),
  );
}
