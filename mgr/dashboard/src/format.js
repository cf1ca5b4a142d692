// Numbers as people read them.

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL = ["", "k", "M", "G", "T", "P"];

function scaled(value, base, units, round) {
  let step = 0;
  while (value >= base && step < units.length - 1) {
    value /= base;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  // On an axis zeros behind the point say nothing.
  return [round ? String(Number(value.toFixed(digits))) : value.toFixed(digits), units[step]];
}

/** Number and unit apart, for large print. */
export const bytesParts = (value, round) => scaled(value, 1024, BINARY, round);
export const bytes = (value, round) => bytesParts(value, round).join(" ");
export const bytesRate = (value, round) => `${bytes(value, round)}/s`;
export const countParts = (value, round) => scaled(value, 1000, DECIMAL, round);
export function count(value, round) {
  const [number, unit] = countParts(value, round);
  return unit ? `${number} ${unit}` : number;
}

export const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 1 : 0)} %` : "–");

export function age(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}
