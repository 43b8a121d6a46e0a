// The bytes of a generated body: a function of the object's name and the offset alone, so that the origin
// keeps no files and a client can compare every byte that it gets. The period is a prime just above
// 1 MiB: a chunk or a page that lands in the wrong place does not look right by chance.

const period = 1_048_583;
const namesKept = 4096;

/** Two periods, so that any slice of up to one period is contiguous. */
const bytes = makeBytes();
const shifts = new Map<string, number>();

function makeBytes(): Buffer {
  const made = Buffer.allocUnsafe(2 * period);
  // A linear congruential generator: incompressible enough that nobody gains by compressing.
  let state = 0x2545f491;
  for (let index = 0; index < period; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    made[index] = state >>> 24;
  }
  made.copy(made, period, 0, period);
  return made;
}

function shiftOf(name: string): number {
  const known = shifts.get(name);
  if (known !== undefined) return known;
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  // Ten thousand names of one suite must not become memory of the origin.
  if (shifts.size >= namesKept) shifts.clear();
  shifts.set(name, (hash >>> 0) % period);
  return (hash >>> 0) % period;
}

/** At most `length` bytes of the body from `offset` on, without a copy; at least one. */
export function sliceOf(name: string, offset: number, length: number): Buffer {
  const start = (shiftOf(name) + offset) % period;
  return bytes.subarray(start, start + Math.min(length, period));
}

/** True where `found` is what the body of `name` has at `offset`. */
export function isBodyOf(name: string, offset: number, found: Uint8Array): boolean {
  for (let at = 0; at < found.length; ) {
    const expected = sliceOf(name, offset + at, found.length - at);
    if (expected.compare(found, at, at + expected.length) !== 0) return false;
    at += expected.length;
  }
  return true;
}
