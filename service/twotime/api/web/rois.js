// The table of ROIs: one row each, the headline in bold, errors beside values; what the flags mean stands once below.

import { copyButton, el } from "./dom.js";
import { withError } from "./format.js";

const COLUMNS = [
  ["ROI", ""], ["q", "1/Å"], ["pixels", ""], ["Γ estimate", "1/s"], ["Γ raw", "1/s"], ["Γ denoised", "1/s"], ["β", ""], ["C∞", ""], ["α", ""], ["flag", ""],
];

/** The table and the sentences of its flags, which are those of the chosen ROI in full colour. */
export function roiTable({ rois, flags }, chosen, choose) {
  const head = el("tr", {}, COLUMNS.map(([name, unit]) => el("th", { scope: "col" }, name, unit ? el("small", {}, ` (${unit})`) : "")));
  const body = el("tbody", {}, rois.map((roi) => row(roi, flags.filter((flag) => flag.rois.includes(roi.roi)), chosen, choose)));
  const table = el("table", { role: "grid", "aria-label": "Dynamics of each ROI" }, el("thead", {}, head), body);
  const view = el("div", {}, el("div", { class: "scroll" }, table), legend(flags, rois.length));
  select(view, chosen);
  return view;
}

export function select(view, chosen) {
  for (const one of view.querySelectorAll("tbody tr")) {
    const mine = Number(one.dataset.roi) === chosen;
    one.setAttribute("aria-selected", String(mine));
    one.tabIndex = mine ? 0 : -1;
  }
  for (const one of view.querySelectorAll(".legend li")) one.classList.toggle("own", one.dataset.rois.split(",").includes(String(chosen)));
}

function legend(flags, number) {
  const whose = ({ rois }) => (rois.length === number && number > 1 ? "all ROIs" : `ROI ${rois.join(", ")}`);
  const items = flags.map((flag) =>
    el("li", { id: id(flag), "data-rois": flag.rois.join() }, el("b", {}, flag.mark), el("span", {}, `${flag.sentence} (${whose(flag)})`)));
  return flags.length ? el("ul", { class: "legend", "aria-label": "What the flags mean" }, items) : null;
}

const id = (flag) => `flag-${flag.mark}`;

function row(roi, flags, chosen, choose) {
  const lead = roi[roi.headline] ?? roi.raw;
  const cell = (quantity, attributes = {}, bound = false, name = "") => {
    const [value, error] = withError(quantity);
    const copied = name && value !== "–" ? copyButton(`${value}${error ? ` ± ${error}` : ""}${quantity.unit && quantity.unit !== "1" ? ` ${quantity.unit}` : ""}`, `Copy ${name} of ROI ${roi.roi}`) : null;
    return el("td", attributes, copied, value, el("span", { class: "error" }, bound ? " at bound" : error ? ` ± ${error}` : ""));
  };
  const shape = (name) => cell(lead[name], {}, lead.on_bound.includes(name));
  const rate = (kind) =>
    roi[kind]
      ? cell(roi[kind].relaxation_rate, { class: roi.headline === kind ? "lead" : "aside" }, roi[kind].on_bound.includes("relaxation_rate"), roi.headline === kind ? "Γ" : "")
      : el("td", { class: "aside" }, "–");
  return el(
    "tr",
    {
      "data-roi": roi.roi,
      "aria-describedby": flags.map(id).join(" ") || null,
      onclick: () => choose(roi.roi),
      onkeydown: (event) => step(event, roi.roi, choose),
    },
    el("td", {}, String(roi.roi)),
    el("td", {}, roi.q === null ? "–" : roi.q.toFixed(5), sector(roi)),
    el("td", { class: "aside" }, String(roi.n_pixels)),
    rate("estimate"),
    rate("raw"),
    rate("denoised"),
    shape("beta"),
    shape("baseline"),
    shape("alpha"),
    el("td", {}, flag(roi, lead, flags)),
  );
}

/** The angle of a sector, beside its q. */
function sector(roi) {
  return roi.phi === null || roi.phi === undefined ? "" : el("span", { class: "error" }, ` ${roi.phi.toFixed(0)}°`);
}

const LABELS = {
  doubtful: ["doubtful", "Do not rely on this rate"],
};

function flag(roi, lead, flags) {
  const why = flags.map((one) => one.sentence).join("; ");
  const marks = flags.length ? el("sup", { title: why }, flags.map((one) => one.mark).join(" ")) : null;
  // A trusted rate is a good result, whichever curve it comes from and whatever is worth reading below.
  if (lead.trusted) return el("span", { class: "flag good", title: why || "Narrow enough to decide on, and the curve looks like a single decay." }, "✓ trusted ", marks);
  const [words, meaning] = LABELS.doubtful;
  return el("span", { class: "flag", title: `${meaning}: ${why}.` }, `⚑ ${words} `, el("sup", {}, flags.map((one) => one.mark).join(" ")));
}

function step(event, roi, choose) {
  const table = event.currentTarget.closest("table");
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (move) {
    const next = table.querySelector(`tr[data-roi="${roi + move}"]`);
    if (next) {
      choose(roi + move);
      next.focus();
    }
  } else if (event.key !== "Enter" && event.key !== " ") return;
  else choose(roi);
  event.preventDefault();
}
