// Numbers as a scientist writes them: as many digits as the error carries.

const TIMES = "\u2009×\u200910";
const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

const power = (n) => TIMES + [...String(n)].map((c) => SUPERSCRIPT[c]).join("");
const minus = (text) => text.replace("-", "−");

/** "12.3 ± 0.4" as [value, error] texts; the error keeps one digit, two where it begins with 1. */
export function withError({ value, error }) {
  if (value === null) return ["–", ""];
  if (error === null || !(error > 0)) return [plain(value), ""];
  if (error > 1e3 * Math.max(Math.abs(value), 1e-12)) return [plain(value, 2), "unknown"];
  const place = Math.floor(Math.log10(error));
  const digits = error / 10 ** place < 1.95 ? place - 1 : place;
  const largest = Math.floor(Math.log10(Math.max(Math.abs(value), error)));
  if (largest >= 5 || largest <= -4) {
    const decimals = Math.max(0, largest - digits);
    const scaled = (x) => minus((x / 10 ** largest).toFixed(decimals));
    return [`(${scaled(value)}`, `${scaled(error)})${power(largest)}`];
  }
  const unit = 10 ** Math.max(0, digits);
  const rounded = (x) => minus((Math.round(x / unit) * unit).toFixed(0));
  const shown = (x) => (digits >= 0 ? rounded(x) : minus(x.toFixed(-digits)));
  return [shown(value), shown(error)];
}

/** A number to so many significant digits, without an error of its own. */
export function plain(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const place = Math.floor(Math.log10(Math.abs(value)));
  if (place >= 6 || place <= -4) return minus((value / 10 ** place).toFixed(Math.max(0, digits - 2))) + power(place);
  return minus(String(Number(value.toPrecision(digits))));
}

/** A time in the unit that suits it. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  const steps = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [scale, unit] = steps.find(([size]) => seconds >= size) ?? steps[2];
  return `${plain(seconds / scale)} ${unit}`;
}

/** Local date and time of day. */
export function moment(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  return date.toLocaleString([], { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** Unit in which times up to `longest` seconds read best, as [seconds in one, name]. */
export function timeUnit(longest) {
  return [[3600, "h"], [120, "min"], [1, "s"], [1e-3, "ms"]].find(([size]) => longest >= size)?.map((part) => (part === 120 ? 60 : part)) ?? [1e-6, "µs"];
}
