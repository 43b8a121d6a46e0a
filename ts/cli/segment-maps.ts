// The segments of a device as maps of one character each: how full, how old, how much of what they hold is
// used.

import type { SegmentUse } from '../store/contract.js';
import type { DeviceReport } from '../store/inspect.js';

const mapWidth = 64;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

type Segment = DeviceReport['segments'][number];

/** Long rings are drawn by the first of every so many segments. */
function mapOf(count: number, characterOf: (segment: number) => string, rowsMax: number): string[] {
  const step = Math.max(1, Math.ceil(count / (mapWidth * rowsMax)));
  const characters: string[] = [];
  for (let segment = 0; segment < count; segment += step) characters.push(characterOf(segment));
  const lines: string[] = [];
  for (let at = 0; at < characters.length; at += mapWidth) {
    lines.push(`${String(at * step).padStart(7)} ${characters.slice(at, at + mapWidth).join('')}`);
  }
  if (step > 1) lines.push(`        (every ${step}th segment)`);
  return lines;
}

const tenth = (part: number, whole: number): string =>
  whole === 0 ? '-' : String(Math.min(9, Math.floor((part / whole) * 10)));

/** '.' empty, 0 to 9 for tenths of a sealed one, '>' where the write head stood, '!' unreadable. */
export function segmentMap({ segments, segmentSize }: DeviceReport, rowsMax = 32): string[] {
  const characterOf = ({ finding, used }: Segment): string => {
    if (finding === 'empty') return '.';
    if (finding === 'open') return '>';
    if (finding === 'unreadable') return '!';
    return tenth(used, segmentSize);
  };
  return mapOf(segments.length, (segment) => characterOf(segments[segment]!), rowsMax);
}

/** '.' empty, 'm' opened within the hour, 'h' the day, 'd' the week, 'w' before, '?' not known. */
export function ageMap({ segments }: DeviceReport, now: number, rowsMax = 32): string[] {
  const characterOf = ({ finding, openedMs }: Segment): string => {
    if (finding === 'empty') return '.';
    if (openedMs === 0) return '?';
    const age = now - openedMs;
    if (age < hour) return 'm';
    if (age < day) return 'h';
    return age < 7 * day ? 'd' : 'w';
  };
  return mapOf(segments.length, (segment) => characterOf(segments[segment]!), rowsMax);
}

/** Tenths of the records that were hit; '.' where none is found. */
export function hitMap(uses: readonly SegmentUse[], rowsMax = 32): string[] {
  const characterOf = ({ records, hit }: SegmentUse): string =>
    records === 0 ? '.' : tenth(hit, records);
  return mapOf(uses.length, (segment) => characterOf(uses[segment]!), rowsMax);
}
