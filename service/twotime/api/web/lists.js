// The left side: analyses with their live state, and recent runs with what the automatic mode makes of them.

import { el, refill } from "./dom.js";
import { moment } from "./format.js";

const named = (one) => one.sample || `scan ${one.scan_id ?? one.uid ?? one.raw_uid}`;
const fits = (one, words) =>
  !words || [one.sample, one.scan_id, one.raw_uid, one.uid, one.id, one.mark?.value, one.mark?.note].some((value) => String(value ?? "").toLowerCase().includes(words));

/** What is said of scans, and the colour of it. */
export const MARKS = { good: ["✓ good", "good"], bad: ["✗ bad", "bad"], "look again": ["? look again", "mind"] };

const under = (...parts) => el("span", { class: "under" }, parts.filter(Boolean).join(" · "));

/** `ticking` {has, toggle} puts a box before each finished one. */
export function showAnalyses(list, analyses, chosen, words, choose, ticking = null) {
  const shown = analyses.filter((one) => fits(one, words));
  refill(list, shown.length ? shown.map((one) => el("li", ticking ? { class: "ticking" } : {}, ticking ? box(one, ticking) : null, analysisItem(one, chosen, choose))) : [el("li", { class: "empty" }, words ? "Nothing fits the search." : "None yet.")]);
  return shown.length;
}

const box = (one, { has, toggle }) =>
  el("input", { type: "checkbox", "data-key": `tick ${one.id}`, checked: has(one.id), disabled: one.status !== "done" || one.kind !== "xpcs", "aria-label": `Tick ${named(one)}, scan ${one.scan_id ?? one.id}`, onchange: () => toggle(one.id) });

function analysisItem(one, chosen, choose) {
  const running = one.status === "running";
  return el(
    "button",
    { class: "item", type: "button", "data-key": one.id, "aria-current": one.id === chosen ? "true" : null, onclick: () => choose(one.id) },
    el("span", { class: "name" }, named(one)),
    el("span", { class: `state ${one.status}` }, running && one.progress !== null ? `${Math.round(100 * one.progress)} %` : one.status),
    running
      ? el("progress", { max: 1, value: one.progress ?? 0, "aria-label": `${one.stage ?? "running"}` })
      : null,
    under(one.kind === "frames" ? "frames" : null, one.scan_id ? `scan ${one.scan_id}` : null, running ? one.stage : one.raw_uid.slice(0, 8), moment(one.created_time)),
    one.mark ? el("span", { class: `under marked ${MARKS[one.mark.value]?.[1] ?? ""}` }, [MARKS[one.mark.value]?.[0], one.mark.note].filter(Boolean).join(": ")) : null,
  );
}

/** What waits, the next one first, each with a hand on it. */
export function showQueue(list, { waiting, expected_starts_s: starts }, analyses, actions) {
  const known = waiting.map((id) => analyses.get(id) ?? { id, raw_uid: id });
  refill(list, known.map((one, place) => el("li", {}, waitingItem(one, place, starts[place], actions))));
}

/** A duration as people say it, coarse as an expectation is. */
const about = (seconds) => (seconds < 90 ? `${Math.max(5, 5 * Math.round(seconds / 5))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`);

function waitingItem(one, place, start, { choose, first, cancel }) {
  const name = named(one);
  const button = (words, act, label) => el("button", { class: "button small", type: "button", "data-key": `${words} ${one.id}`, "aria-label": `${label}: ${name}`, onclick: () => act(one) }, words);
  return el("div", { class: "item" },
    el("button", { class: "link name", type: "button", "data-key": `waiting ${one.id}`, onclick: () => choose(one.id) }, name),
    el("span", { class: "hands" }, place ? button("Next", first, "Let this be the next one") : null, button("Cancel", cancel, "Cancel")),
    under(place ? `place ${place + 1}` : "next", start ? `in about ${about(start)}` : null, one.scan_id ? `scan ${one.scan_id}` : null, one.raw_uid.slice(0, 8)));
}

export function showLives(list, scans, chosen, choose) {
  refill(list, scans.map((one) => el("li", {}, liveItem(one, chosen, choose))));
}

function liveItem(one, chosen, choose) {
  const key = `live/${one.uid}`;
  return el(
    "button",
    { class: "item", type: "button", "data-key": key, "aria-current": key === chosen ? "true" : null, onclick: () => choose(key) },
    el("span", { class: "name" }, named(one)),
    el("span", { class: "state running" }, `${one.n_frames} frames`),
    one.announced ? el("progress", { max: one.announced, value: one.n_frames, "aria-label": "Frames so far" }) : null,
    under(one.scan_id ? `scan ${one.scan_id}` : null, one.uid.slice(0, 8)),
  );
}

export function showRuns(list, runs, words, analyse) {
  const shown = runs.filter((one) => fits(one, words));
  refill(list, shown.length ? shown.map((one) => el("li", {}, runItem(one, analyse))) : [el("li", { class: "empty" }, "No runs.")]);
}

const AUTOMATIC = { taken: "analysed automatically", skipped: "not analysed automatically" };

function runItem(run, analyse) {
  const label = run.exit_status === null ? "running" : (AUTOMATIC[run.automatic] ?? run.automatic);
  const offer = run.exit_status !== null;
  return el(
    "div",
    { class: "item" },
    el("span", { class: "name" }, named(run)),
    offer
      ? el("button", { class: "button small", type: "button", "data-key": `run ${run.uid}`, onclick: () => analyse(run.uid), "aria-label": `Analyse… ${named(run)}` }, "Analyse…")
      : el("span", { class: `state ${label}` }, label),
    under(offer ? label : null, run.scan_id ? `scan ${run.scan_id}` : null, run.plan_name, run.uid.slice(0, 8), moment(run.time)),
    run.automatic === "taken" ? null : under(run.reason),
  );
}
