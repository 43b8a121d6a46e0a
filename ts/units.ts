// Sizes and durations as people write them, and back. Sizes are whole bytes, durations whole
// milliseconds, both as plain numbers below 2^53. A text that means nothing gives null: whoever
// asked knows the key and the file, and writes the sentence.

const sizeUnits: Readonly<Record<string, number>> = {
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const wholeOrNull = (value: number): number | null =>
  Number.isSafeInteger(value) && value >= 0 ? value : null;

/**
 * Bytes of `104857600`, `"104857600"`, `"100MiB"`, `"1.5 GB"`. A bare letter ("100M") is refused,
 * for nobody agrees whether it counts in 1000 or in 1024.
 */
export function parseSize(value: unknown): number | null {
  if (typeof value === 'number') return wholeOrNull(value);
  if (typeof value !== 'string') return null;
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(value.trim());
  if (match === null) return null;
  const unit = match[2] === '' ? 1 : sizeUnits[match[2]!.toLowerCase()];
  return unit === undefined ? null : wholeOrNull(Number(match[1]) * unit);
}

/**
 * Milliseconds of `10` (seconds, as in HTTP), `0.5`, `"10"`, `"500ms"`, `"1h"`, `"1h30m"`. Units of
 * a compound fall, so that "1m1h" is taken for the slip it is.
 */
export function parseDuration(value: unknown): number | null {
  if (typeof value === 'number') return secondsToMs(value);
  if (typeof value !== 'string') return null;
  const text = value.trim();
  if (/^\d{1,16}(\.\d{1,3})?$/.test(text)) return secondsToMs(Number(text));
  if (!/^(\d{1,16}(\.\d{1,3})?(ms|[smhd]))+$/.test(text)) return null;
  let total = 0;
  let last = Number.POSITIVE_INFINITY;
  for (const [, count, name] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    const unit = durationUnits[name!]!;
    if (unit >= last) return null;
    last = unit;
    total += Math.round(Number(count) * unit);
  }
  return wholeOrNull(total);
}

// Rounded because 0.1 has no exact form in binary; a thousandth of a second is all that is
// promised.
const secondsToMs = (seconds: number): number | null => wholeOrNull(Math.round(seconds * 1000));

/** The shortest exact text in binary units, else one decimal: "256MiB", "1.5GiB", "1000B". */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let step = 0;
  let value = bytes;
  while (Math.abs(value) >= 1024 && step < names.length - 1) {
    value /= 1024;
    step += 1;
  }
  const text = Number.isInteger(value) ? String(value) : value.toFixed(1);
  return `${text}${names[step]!}`;
}

/** Exact, largest units first: "1h30m", "500ms", "0s"; parseDuration reads back the same. */
export function formatDuration(durationMs: number): string {
  let rest = Math.round(durationMs);
  if (rest <= 0) return '0s';
  let text = '';
  for (const [name, unit] of Object.entries(durationUnits).sort((a, b) => b[1] - a[1])) {
    const count = Math.floor(rest / unit);
    if (count > 0) text += `${count}${name}`;
    rest -= count * unit;
  }
  return text;
}
