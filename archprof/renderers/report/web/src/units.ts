// Numbers for people, as archprof/units.py writes them.
const COUNT = ["", "k", "M", "G", "T", "P", "E"];
const BYTES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const TIME = ["", "m", "\u00b5", "n"];

function digits(value: number, significant = 4): string {
  if (!value) return "0";
  const exponent = Number(value.toExponential(significant - 1).split("e")[1]);
  return value.toFixed(Math.max(0, significant - 1 - exponent));
}

function scaled(value: number, base: number, names: string[], unit: string): string {
  let power = 0;
  for (let size = Math.abs(value); size >= base * (1 - 5e-5) && power < names.length - 1; size /= base) power++;
  const number = power ? digits(value / base ** power) : Number.isInteger(value) ? value.toLocaleString("en-US") : digits(value);
  return `${number} ${names[power]}${unit}`.trim();
}

export const count = (value: number, unit = "") => scaled(value, 1000, COUNT, unit);
export const size = (value: number) => scaled(value, 1024, BYTES, "B");
export function duration(value: number): string {
  let power = 0;
  while (value && Math.abs(value) * 1000 ** power < 1 - 5e-5 && power < TIME.length - 1) power++;
  return `${digits(value * 1000 ** power)} ${TIME[power]}s`;
}
export function written(value: unknown, unit: string): string {
  if (value === null || value === undefined) return "-";
  if (typeof value !== "number") return String(value);
  if (unit === "bytes") return size(value);
  if (unit === "s") return duration(value);
  if (unit === "share") return `${(100 * value).toFixed(1)}%`;
  return count(value, unit === "count" ? "" : unit);
}
export function percent(part: number): string {
  if (!part) return "";
  return part < 0.0005 ? "<0.1%" : `${(100 * part).toFixed(1)}%`;
}
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2];
// The bin of a share: 5 from 20 % on, 0 below 1 %; the colours are those of the diagram.
export const level = (share: number) => STEPS.filter((step) => share >= step).length;
