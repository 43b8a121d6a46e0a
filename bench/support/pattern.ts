// The bytes of a generated body: a function of the object's name and the offset alone, so that the origin
// keeps no files and a client can compare every byte that it gets. The period is a prime just above
// 1 MiB: a chunk or a page that lands in the wrong place does not look right by chance. A name says what
// kind of body it is by ?kind=, and is noise without.

export const bodyKinds = ['noise', 'text', 'sparse'] as const;
/**
 * noise: nobody makes it smaller. text: words, as in logs and pages. sparse: zeros, as in images of
 * disks.
 */
export type BodyKind = (typeof bodyKinds)[number];

const period = 1_048_583;
const namesKept = 4096;

/** Of each kind two periods, so that a slice of up to one period is contiguous. Made when asked for. */
const tables = new Map<BodyKind, Buffer>();
const shifts = new Map<string, number>();

/** A linear congruential generator: incompressible enough that nobody gains by compressing its bytes. */
function makeRandom(): () => number {
  let state = 0x2545f491;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state >>> 24;
  };
}

const words =
  'the of and to in a is that for it as was with be by on not he his but at are this have from or had ' +
  'an they which one you were all her she there would their we him been has when who will no more if out';

const makers: Readonly<Record<BodyKind, (made: Buffer) => void>> = {
  noise: (made) => {
    const random = makeRandom();
    for (let index = 0; index < period; index += 1) made[index] = random();
  },
  text: (made) => {
    const random = makeRandom();
    const list = words.split(' ');
    for (let at = 0; at < period; ) {
      at += made.write(`${list[random() % list.length]} `, at, Math.min(8, period - at), 'latin1');
    }
  },
  sparse: (made) => {
    const random = makeRandom();
    made.fill(0);
    for (let at = 0; at < period; at += 64) made[at] = random();
  },
};

export function kindOf(name: string): BodyKind {
  const named = /[?&]kind=([a-z]+)/.exec(name)?.[1];
  return bodyKinds.find((kind) => kind === named) ?? 'noise';
}

function tableOf(kind: BodyKind): Buffer {
  const known = tables.get(kind);
  if (known !== undefined) return known;
  const made = Buffer.allocUnsafe(2 * period);
  makers[kind](made);
  made.copy(made, period, 0, period);
  tables.set(kind, made);
  return made;
}

/** The first bytes of every body of a kind, before names shift them. */
export function sampleOf(kind: BodyKind, length: number): Buffer {
  return tableOf(kind).subarray(0, Math.min(length, period));
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
  return tableOf(kindOf(name)).subarray(start, start + Math.min(length, period));
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
