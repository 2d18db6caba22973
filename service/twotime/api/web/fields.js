// The fields of the recipe's form, and a recipe as plain data that holds only what was said.

import { el } from "./dom.js";

const number = (path, label, unit = "", hint = "") => ({ path, label, unit, hint });
const tick = (path, label) => ({ path, label, tick: true });
const pick = (path, label, options) => ({ path, label, options });

export const GROUPS = [
  ["Geometry", [
    number("geometry.beam_center_y", "Beam centre, row", "pixel"),
    number("geometry.beam_center_x", "Beam centre, column", "pixel"),
    number("geometry.distance_m", "Distance", "m"),
    number("geometry.wavelength_angstrom", "Wavelength", "Å"),
    number("geometry.pixel_size_m", "Pixel size", "m"),
    number("geometry.frame_time_s", "Frame time", "s"),
  ]],
  ["Frames", [
    number("frames.start", "First frame"),
    number("frames.stop", "Stop before"),
    number("frames.stride", "Every n-th"),
    number("frames.bin", "Add neighbours"),
  ]],
  ["Masks", [
    number("masks.hot_above_counts", "Leave out above", "counts"),
    tick("masks.from_data", "Find dead and hot pixels in the frames"),
    tick("masks.noisy", "Find pixels that flicker or drift"),
  ]],
  ["Denoising", [
    pick("denoise.contrast", "Contrast", [["window", "of each window"], ["global", "of the whole scan"]]),
    number("denoise.stride", "Every n-th frame"),
    tick("denoise.enabled", "Denoise"),
  ]],
  ["Fit", [
    number("fit.ages", "Age cuts"),
    number("fit.fixed.baseline", "Fixed baseline C∞"),
  ]],
];

/** Fields of a recipe of denoised frames; its regions are written as JSON. */
export const FRAME_GROUPS = [
  ["Frames", [
    number("frames.start", "First frame"),
    number("frames.stop", "Stop before"),
    number("frames.stride", "Every n-th"),
    number("frames.sum", "Add so many to one"),
    number("gain", "Value of one photon", "", "for detectors that integrate"),
  ]],
  ["Masks", [
    number("masks.hot_above_counts", "Leave out above", "counts"),
    tick("masks.pixel_mask", "Leave out what the detector masks"),
    tick("masks.isolated", "Find pixels that are dead or hot among their neighbours"),
  ]],
  ["Peaks", [
    number("peaks.significance", "Least significance", "σ"),
    number("peaks.most", "At most per frame"),
    tick("peaks.find", "Look for peaks"),
  ]],
  ["Regions", [
    { path: "regions.0.rows", label: "Rows of region 1", pair: true, hint: "first and one past the last, such as 310 331" },
    { path: "regions.0.columns", label: "Columns of region 1", pair: true, hint: "further regions as JSON below" },
    { path: "scan_variable", label: "Against", words: true, hint: "a scalar of the run; none: one that changes" },
  ]],
];

const UNITS = [["1/A", "1/Å"], ["pixel", "pixel"]];
const RINGS = [
  { path: "unit", label: "Unit", options: UNITS, needed: true },
  number("inner_radius", "Inner radius"),
  number("width", "Width"),
  number("spacing", "Spacing"),
  number("num_rings", "Number"),
];
const within = (part, fields) => fields.map((field) => ({ ...field, path: `${part}.${field.path}` }));
const ANGLES = [
  number("inner", "From", "°"),
  number("outer", "To", "°"),
  number("num", "Sectors"),
  tick("symmetric", "Join with the sector across the beam"),
];

/** Shapes of ROIs that the form knows: their name, fields, and what a first one looks like. */
export const SHAPES = {
  rings: { label: "Rings, evenly spaced", fields: RINGS },
  edges: { label: "Rings by their edges", fields: [RINGS[0], { path: "edges", label: "Inner and outer edges", pairs: true, wide: true, hint: "such as 30 40, 45 55" }] },
  sectors: { label: "Sectors of rings", fields: [...within("rings", RINGS), ...within("angles", ANGLES)] },
};

/** Which shape the ROIs of a recipe have: "" where it names none, "other" where the form cannot show them. */
export function shapeOf(recipe) {
  const rois = recipe.rois;
  if (rois === undefined || (Array.isArray(rois) && !rois.length)) return "";
  if (!Array.isArray(rois) || rois.length !== 1 || typeof rois[0] !== "object" || rois[0] === null) return "other";
  const { kind = "rings", edges, centers, rings } = rois[0];
  if (kind === "rings" && !centers) return edges ? "edges" : "rings";
  return kind === "qphi" && rings && !rings.edges && !rings.centers ? "sectors" : "other";
}

/** ROIs of a shape to begin with, from the rings that the plan has now. */
export function firstOf(shape, plan) {
  const now = plan?.recipe.rois[0];
  const series = now?.rings ?? now;
  const { unit, inner_radius, width, spacing, num_rings } = series?.num_rings ? series : evenly(plan);
  const rings = { unit, inner_radius, width, spacing: spacing ?? 0, num_rings };
  if (shape === "sectors") return [{ kind: "qphi", rings, angles: { inner: 0, outer: 180, num: 6, symmetric: true } }];
  if (shape === "rings") return [{ kind: "rings", ...rings }];
  const step = width + rings.spacing;
  const rounded = (value) => Number(value.toPrecision(5));
  return [{ kind: "rings", unit, edges: Array.from({ length: num_rings }, (_, k) => [rounded(inner_radius + k * step), rounded(inner_radius + k * step + width)]) }];
}

function evenly(plan) {
  const edges = (plan?.rois ?? []).filter((roi) => roi.q_inner !== null);
  if (!edges.length) return { unit: "1/A", inner_radius: 0.002, width: 0.0005, num_rings: 8 };
  const inner = Math.min(...edges.map((roi) => roi.q_inner));
  const outer = Math.max(...edges.map((roi) => roi.q_outer));
  const count = new Set(edges.map((roi) => roi.q_inner)).size;
  return { unit: "1/A", inner_radius: Number(inner.toPrecision(4)), width: Number(((outer - inner) / count).toPrecision(4)), num_rings: count };
}

/** Put an edge of a region; one that has lost both is gone. */
export function putRegion(recipe, path, value) {
  const [, place, name] = path.split(".");
  const regions = [...(recipe.regions ?? [])];
  const one = { ...regions[place] };
  if (value === undefined) delete one[name];
  else one[name] = value;
  if (one.rows || one.columns || one.vertices || one.array) regions[place] = one;
  else regions.splice(Number(place), 1);
  put(recipe, "regions", regions.length ? regions : undefined);
}

export const at = (tree, path) => path.split(".").reduce((branch, part) => branch?.[part], tree);

/** Put a value into a tree, or take it away with the branches that it leaves bare. */
export function put(tree, path, value) {
  const [first, ...rest] = path.split(".");
  if (!rest.length) {
    if (value === undefined) delete tree[first];
    else tree[first] = value;
    return;
  }
  if (typeof tree[first] !== "object" || tree[first] === null) {
    if (value === undefined) return;
    tree[first] = {};
  }
  put(tree[first], rest.join("."), value);
  if (!Object.keys(tree[first]).length) delete tree[first];
}

/** A field that calls `changed` with its value, undefined when empty; `full` is its path in the whole recipe. */
export function fieldOf(field, value, changed, full = field.path) {
  const id = `field-${full.replaceAll(".", "-")}`;
  const about = el("span", { class: "source", id: `${id}-about` }, field.hint ?? "");
  const base = { id, "data-path": full, "aria-describedby": `${id}-about` };
  if (field.tick) {
    const box = el("input", { ...base, type: "checkbox", onchange: () => changed(box.checked) });
    box.checked = Boolean(value);
    return el("div", { class: "field tick" }, el("label", { for: id }, box, field.label), about);
  }
  const label = el("label", { for: id }, field.label, field.unit ? el("small", {}, ` (${field.unit})`) : null);
  let input;
  if (field.options) {
    const none = field.needed ? [] : [["", "default"]];
    input = el("select", { ...base, onchange: () => changed(input.value || undefined) }, [...none, ...field.options].map(([key, name]) => el("option", { value: key }, name)));
    input.value = value ?? (field.needed ? field.options[0][0] : "");
  } else {
    const read = field.pairs ? pairsOf : field.pair ? (typed) => pairsOf(typed)?.[0] : field.words ? (typed) => typed.trim() || undefined : meant;
    input = el("input", { ...base, type: "text", inputmode: field.pairs || field.pair || field.words ? "text" : "decimal", autocomplete: "off", spellcheck: "false", oninput: () => changed(read(input.value)) });
    input.value = value === undefined || value === null ? "" : field.pairs ? written(value) : field.pair ? value.join(" ") : String(value);
  }
  return el("div", { class: field.wide ? "field wide" : "field" }, label, input, about);
}

/** What was typed as a number; words go to the service as they are, which says what is wrong with them. */
function meant(typed) {
  const words = typed.trim().replace("−", "-");
  if (words === "") return undefined;
  return Number.isFinite(Number(words)) ? Number(words) : words;
}

function pairsOf(typed) {
  if (!typed.trim()) return undefined;
  return typed.split(/[,;\n]/).filter((part) => part.trim()).map((part) => part.trim().split(/[\s–]+/).map(meant));
}

const written = (pairs) => (Array.isArray(pairs) ? pairs.map((pair) => (Array.isArray(pair) ? pair.join(" ") : String(pair))).join(", ") : String(pairs));

/** Show beside each field what holds when it is empty, and where that came from. */
export function explain(form, plan) {
  for (const input of form.querySelectorAll("[data-path]")) {
    const path = input.dataset.path;
    if (path.startsWith("rois") || path.startsWith("regions")) continue;
    const value = at(plan.recipe, path);
    if (input.type === "text") input.placeholder = typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value ?? "none");
    const about = input.closest(".field").querySelector(".source");
    const source = plan.sources[path];
    const words = source === "recipe" ? "this recipe" : (source ?? "").replace(/^descriptor configuration /, "").replace(/^run [0-9a-f]{8}$/, "the run");
    if (!source) continue;
    about.textContent = words;
    about.title = source;
  }
}

/** Mark the fields that a sentence of the service begins with. */
export function blame(form, sentence) {
  for (const input of form.querySelectorAll("[data-path]")) {
    if (sentence.includes(`${input.dataset.path} `) || sentence.includes(`${input.dataset.path}:`)) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}
