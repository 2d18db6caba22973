// The service's REST interface; every failure becomes an Error with the sentence of the problem document.

const BASE = "/api/v1";

async function answer(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer; it may be restarting.");
  }
  if (response.ok) return response;
  if (response.status === 401) location.reload();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The service answers ${response.status}.`);
}

const json = async (path, options) => (await answer(path, options)).json();

const posted = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const analyses = (kind = "") => json(`/analyses?limit=200${kind ? `&kind=${kind}` : ""}`);
export const analysis = (id) => json(`/analyses/${id}`);
export const runs = () => json("/runs?limit=30");
export const result = (id) => json(`/analyses/${id}/result`);
export const table = async (id, name) => (await json(`/analyses/${id}/${name}`)).columns;
export const intensity = (id) => json(`/analyses/${id}/intensity`);
export const ageCut = (id, roi, age) => json(`/analyses/${id}/age-cut?roi=${roi}&age_s=${age}`);
export const verdict = (id) => json(`/analyses/${id}/verdict`);
export const advice = (id, roi, error) => json(`/analyses/${id}/advice?roi=${roi}&relative_error=${error}`);
/** Many scans; `asked` as URLSearchParams. */
export const series = (asked) => json(`/series?${asked}`);
export const seriesCurves = (asked) => json(`/series/g2?${asked}`);
export const seriesMap = (asked) => json(`/series/map?${asked}`);
export const twoTimeAddress = (id, roi) => `${BASE}/analyses/${id}/two-time/${roi}.png?kind=denoised&size=220`;
export const seriesAddress = (ending, asked) => `${BASE}/series${ending}?${asked}`;
export const cancel = (id) => json(`/analyses/${id}/cancel`, { method: "POST" });
export const mark = (id, value, note) => json(`/analyses/${id}/mark`, posted({ mark: value, note }));
export const frameAddress = (id, attempt) => `${BASE}/analyses/${id}/mean-frame.png?size=700&rois=true&attempt=${attempt}`;

export const framesSummary = (id) => json(`/analyses/${id}/frames/summary`);
/** Part {rows, columns} of a denoised frame, averaged to at most `size` points: {rows, step, start}. */
export function frame(id, number, kind, size, { rows, columns }, signal) {
  const [[row, row_stop], [column, column_stop]] = [rows, columns];
  return picture(`/analyses/${id}/frame/${number}.f32?${new URLSearchParams({ kind, size, row, row_stop, column, column_stop })}`, { signal });
}

/** Counts and rates along a line {row, column, row_stop, column_stop, width}. */
export const frameProfile = (id, number, line) => json(`/analyses/${id}/frame/${number}/profile?${new URLSearchParams(line)}`);

export const queue = () => json("/queue");
export const first = (id) => json(`/analyses/${id}/first`, { method: "POST" });
export const pause = (paused) => json(`/queue/${paused ? "pause" : "resume"}`, { method: "POST" });

export const lives = async () => (await json("/live")).scans;
export const live = (uid) => json(`/live/${uid}`);
export const liveG2 = async (uid, roi) => (await json(`/live/${uid}/g2?roi=${roi}`)).columns;
export const liveIntensity = (uid) => json(`/live/${uid}/intensity`);
export const liveTwoTime = (uid, roi, kind) => picture(`/live/${uid}/two-time/${roi}.f32?kind=${kind}`);
export const liveFrame = (uid, kind) => picture(`/live/${uid}/frame.f32?kind=${kind}`);
export const liveTable = async (uid, name) => (await json(`/live/${uid}/${name}`)).columns;
export const liveFrameAddress = (uid, frames) => `${BASE}/live/${uid}/mean-frame.png?size=500&frames=${frames}`;

export const runFrameAddress = (uid, detector, orientation) =>
  `${BASE}/runs/${encodeURIComponent(uid)}/frame.png?${new URLSearchParams({ size: 700, detector, orientation })}`;
export const plan = (uid, recipe) => json("/plans", posted({ uid, recipe }));
/** Outlines of the ROIs in the size of the frame, as a picture to be laid over it. */
export const planOutlines = async (uid, recipe) => (await answer("/plans/rois.png", posted({ uid, recipe, size: 700 }))).blob();

export const analyse = (uid, recipe = null, force = false) => json("/analyses", posted({ uid, recipe, force }));

/** A window {rows, columns} of a two-time correlation function, averaged to at most `size` points: {rows, scale, step, start}. */
export function twoTime(id, roi, kind, size, { rows, columns }, signal) {
  const [[start, stop], [start_2, stop_2]] = [rows, columns];
  return picture(`/analyses/${id}/two-time/${roi}.f32?${new URLSearchParams({ kind, size, start, stop, start_2, stop_2 })}`, { signal });
}

async function picture(path, options) {
  const response = await answer(path, options);
  const numbers = (name, instead) => (response.headers.get(name) ?? instead).split(",").map(Number);
  const [height, width] = numbers("X-Shape");
  const values = new Float32Array(await response.arrayBuffer());
  const rows = Array.from({ length: height }, (_, i) => values.subarray(i * width, (i + 1) * width));
  return { rows, scale: numbers("X-Scale", "0,1"), step: numbers("X-Step")[0], start: numbers("X-Start", "0,0") };
}

/** Call `heard[kind]` with each event and `connected` with true or false; the browser reconnects by itself. */
export function listen(heard, connected) {
  const source = new EventSource(`${BASE}/events`);
  for (const [kind, take] of Object.entries(heard)) source.addEventListener(kind, (event) => take(JSON.parse(event.data)));
  source.onopen = () => connected(true);
  source.onerror = () => {
    connected(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(heard, connected), 3000);
  };
}
