// A recipe in the making: a form, what the service makes of it, and where its ROIs lie, before anything is computed.

import * as api from "./api.js";
import { el, say } from "./dom.js";
import { at, blame, explain, fieldOf, firstOf, FRAME_GROUPS, GROUPS, put, putRegion, SHAPES, shapeOf } from "./fields.js";
import { duration } from "./format.js";

const PAUSE_MS = 350;

/** Fill `main` with the recipe for a run; `submitted` gets the analysis that was asked for. */
export async function showRecipe(main, uid, from, current, submitted) {
  const known = from ? await api.analysis(from) : null;
  if (!current()) return;
  const first = known ?? (await api.plan(uid, null));
  if (!current()) return;
  const recipe = structuredClone(first.request);
  const view = editor(uid, recipe, current, submitted);
  main.replaceChildren(heading(first, known, uid, view), view.body);
  await view.check();
}

function heading(told, known, uid, view) {
  const name = told.sample || (told.scan_id ? `scan ${told.scan_id}` : `run ${uid.slice(0, 8)}`);
  return el("div", { class: "title" },
    el("h2", {}, "Recipe", el("small", { class: "of" }, ` for ${name}`)),
    el("span", { class: "actions" }, known ? el("a", { class: "button", href: `#${known.id}` }, "Back to the analysis") : null, view.submit));
}

function editor(uid, recipe, current, submitted) {
  let plan = null;
  let drawn = "";
  const form = el("form", { class: "recipe-form", "aria-label": "Recipe", onsubmit: (event) => event.preventDefault() });
  const json = el("textarea", { id: "recipe-json", spellcheck: "false", rows: 10, oninput: () => typed(), "aria-describedby": "recipe-json-about" });
  const trouble = el("p", { class: "trouble", role: "alert", hidden: true });
  const outcome = el("div", { class: "outcome" });
  const picture = preview();
  const submit = el("button", { class: "button primary", type: "button", disabled: true, onclick: () => ask() }, "Analyse");

  /** Draw the form anew from the recipe, such as after its text was edited. */
  function fill() {
    const own = isFrames() ? FRAME_GROUPS : GROUPS;
    const groups = own.map(([title, fields]) => group(title, fields.map((field) => fieldOf(field, told(field), (value) => changed(field, value)))));
    if (!isFrames()) groups.splice(1, 0, regions());
    groups.unshift(kinds());
    form.replaceChildren(...groups);
    if (plan) explain(form, plan);
  }

  const isFrames = () => recipe.kind === "frames";

  /** Correlation functions or denoised frames; another kind begins with an empty recipe. */
  function kinds() {
    const select = el("select", { id: "field-kind", onchange: () => {
      for (const key of Object.keys(recipe)) delete recipe[key];
      if (select.value === "frames") recipe.kind = "frames";
      plan = null;
      drawn = "";
      write();
      fill();
      form.querySelector("#field-kind").focus();
      later();
    } }, [["xpcs", "correlation functions"], ["frames", "denoised frames"]].map(([key, name]) => el("option", { value: key }, name)));
    select.value = isFrames() ? "frames" : "xpcs";
    return group("Analysis", [el("div", { class: "field wide" }, el("label", { for: "field-kind" }, "What to compute"), select)]);
  }

  // A box that nobody touched shows what holds: ticked, as all boxes of the form are by default.
  const told = (field) => at(recipe, field.path) ?? (field.tick ? true : undefined);

  function changed(field, value) {
    if (field.path.startsWith("regions.")) putRegion(recipe, field.path, value);
    else put(recipe, field.path, field.tick && value === true ? undefined : value);
    write();
    later();
  }

  function regions() {
    const shape = shapeOf(recipe);
    const select = el("select", { id: "field-shape", onchange: () => reshape(select.value) },
      [["", "as the run or the defaults say"], ...Object.entries(SHAPES).map(([key, one]) => [key, one.label]), ...(shape === "other" ? [["other", "others, see the JSON below"]] : [])].map(([key, name]) => el("option", { value: key }, name)));
    select.value = shape;
    const fields = (SHAPES[shape]?.fields ?? []).map((field) =>
      fieldOf(field, at(recipe.rois[0], field.path), (value) => {
        put(recipe.rois[0], field.path, field.tick && value === false ? undefined : value);
        write();
        later();
      }, `rois.0.${field.path}`));
    return group("Regions of interest", [el("div", { class: "field wide" }, el("label", { for: "field-shape" }, "Shape"), select), ...fields]);
  }

  function reshape(shape) {
    if (shape === "other") return;
    put(recipe, "rois", shape ? firstOf(shape, plan) : undefined);
    write();
    fill();
    form.querySelector("#field-shape").focus();
    later();
  }

  const write = () => (json.value = JSON.stringify(recipe, null, 2));

  function typed() {
    let read;
    try {
      read = JSON.parse(json.value || "{}");
    } catch (error) {
      refuse(`The recipe is no JSON: ${error.message}.`);
      return;
    }
    if (typeof read !== "object" || read === null || Array.isArray(read)) {
      refuse("The recipe is no JSON object; write fields in braces, such as {\"fit\": {\"ages\": 4}}.");
      return;
    }
    for (const key of Object.keys(recipe)) delete recipe[key];
    Object.assign(recipe, read);
    fill();
    later();
  }

  function refuse(sentence) {
    clearTimeout(waiting);
    turn++;
    trouble.textContent = sentence;
    trouble.hidden = false;
    if (sentence.startsWith("The recipe is no JSON")) json.setAttribute("aria-invalid", "true");
    blame(form, sentence);
    submit.disabled = true;
    outcome.classList.add("stale");
    picture.stale(true);
  }

  let turn = 0;
  let waiting;
  function later() {
    clearTimeout(waiting);
    submit.disabled = true;
    waiting = setTimeout(() => check().catch((error) => say(error.message)), PAUSE_MS);
  }

  /** Ask the service what it makes of the recipe; the answer to an older question is dropped. */
  async function check() {
    const mine = ++turn;
    const asked = structuredClone(recipe);
    const fresh = () => mine === turn && current();
    let found;
    try {
      found = await api.plan(uid, asked);
    } catch (error) {
      if (fresh()) refuse(error.message);
      return;
    }
    if (!fresh()) return;
    plan = found;
    trouble.hidden = true;
    json.removeAttribute("aria-invalid");
    blame(form, "");
    explain(form, plan);
    outcome.classList.remove("stale");
    outcome.replaceChildren(...results(plan));
    submit.disabled = false;
    submit.textContent = plan.status === "done" ? "Show the analysis" : "Analyse";
    await outline(asked, fresh);
  }

  async function outline(asked, fresh) {
    const { detector } = plan;
    const { geometry, orientation, regions, rois, masks, min_pixels } = plan.recipe;
    picture.show(api.runFrameAddress(uid, detector, orientation ?? geometry.orientation));
    const where = JSON.stringify([geometry ?? orientation, rois ?? regions, masks, min_pixels]);
    if (where !== drawn) {
      const image = await api.planOutlines(uid, asked);
      if (!fresh()) return;
      picture.lay(image);
      drawn = where;
    }
    picture.stale(false);
  }

  async function ask() {
    submit.disabled = true;
    try {
      submitted(await api.analyse(uid, recipe, ["failed", "cancelled"].includes(plan?.status)));
    } catch (error) {
      refuse(error.message);
    }
  }

  fill();
  write();
  const text = group("Recipe as JSON", [el("div", { class: "field wide" }, el("label", { class: "hidden", for: "recipe-json" }, "Recipe as JSON"), json,
    el("span", { class: "source", id: "recipe-json-about" }, "What differs from the run and the defaults; everything that has no field above is written here."))]);
  const right = el("div", { class: "recipe-side" }, trouble, el("section", { class: "card" }, el("h3", {}, "Regions of interest on the frame"), picture.node), outcome);
  return { body: el("div", { class: "recipe" }, el("div", {}, form, text), right), submit, check };
}

const group = (title, children) => el("fieldset", { class: "card group" }, el("legend", {}, title), children);

/** The frame of the run with outlines over it. */
function preview() {
  const frame = el("img", { class: "under-outlines", alt: "Mean of the first frames of the run, logarithmic" });
  const lines = el("img", { class: "outlines", alt: "Outlines of the ROIs", hidden: true });
  const words = el("p", { class: "source", hidden: true }, "No frame can be shown.");
  frame.addEventListener("error", () => ((words.hidden = false), (frame.hidden = true)));
  frame.addEventListener("load", () => ((words.hidden = true), (frame.hidden = false)));
  const node = el("div", { class: "overlay" }, frame, lines, words);
  return {
    node,
    show: (address) => frame.getAttribute("src") !== address && frame.setAttribute("src", address),
    lay: (image) => {
      const old = lines.src;
      lines.src = URL.createObjectURL(image);
      lines.hidden = false;
      if (old) URL.revokeObjectURL(old);
    },
    stale: (yes) => node.classList.toggle("stale", yes),
  };
}

/** Warnings and the table of ROIs that the plan leads to. */
function results(plan) {
  const isFrames = plan.recipe.kind === "frames";
  const head = isFrames ? ["region", "pixels"] : ["ROI", "q (1/Å)", "from", "to", "φ", "pixels"];
  const row = (roi) => isFrames ? [roi.roi, roi.n_pixels] : [roi.roi, roi.q?.toFixed(5) ?? "–", roi.q_inner?.toFixed(5) ?? "–", roi.q_outer?.toFixed(5) ?? "–", roi.phi === null ? "–" : `${roi.phi.toFixed(0)}°`, roi.n_pixels];
  const table = el("table", { class: "plain" },
    el("caption", { class: "hidden" }, "ROIs of this recipe"),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, plan.rois.map((roi) => el("tr", {}, row(roi).map((value) => el("td", {}, String(value)))))));
  const facts = `${plan.n_frames} frames, ${duration(plan.frame_time_s)} apart · ${plan.detector}`;
  const name = isFrames ? "region" : "ROI";
  const notes = plan.warnings.length ? [el("ul", { class: "notes few", tabindex: 0, "aria-label": "Warnings" }, plan.warnings.map((one) => el("li", {}, one)))] : [];
  return [
    ...notes,
    el("section", { class: "card" },
      el("div", { class: "head" }, el("h3", {}, `${plan.rois.length} ${name}${plan.rois.length === 1 ? "" : "s"}`), el("span", { class: "under" }, facts)),
      el("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": `Table of ${name}s` }, table),
    ),
  ];
}
