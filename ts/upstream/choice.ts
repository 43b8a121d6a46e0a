// Which of several origins gets a request. By key: weighted rendezvous hashing, so that one key is asked of
// one origin as long as that one is well, and only the keys of an origin that goes out move, spread over
// all others. A cache wants that: validators of two servers often differ for the same bytes, and then every
// revalidation would be a transfer and every resumed range a new version. By weight alone: smooth
// weighted turns, for origins that are the same in every bit.

export interface Weighted {
  readonly weight: number;
  /** Of its address; see hashOf. */
  readonly seed: number;
}

const two32 = 2 ** 32;

/** Of murmur3: every bit of the input changes half of the output. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** FNV-1a with a better end; spreads keys, and keeps nobody from choosing them. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mixed(hash);
}

/** Grows with the weight such that each origin wins its share of all keys. */
function scoreOf({ weight, seed }: Weighted, keyHash: number): number {
  const place = (mixed(keyHash ^ seed) + 1) / (two32 + 1);
  return weight / -Math.log(place);
}

/** The one among `candidates`, which are not empty, that this key belongs to. */
export function chosenByKey<Item extends Weighted>(candidates: readonly Item[], key: string): Item {
  const keyHash = hashOf(key);
  let best = candidates[0]!;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const score = scoreOf(candidate, keyHash);
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** Turns in proportion to the weights, never several of one origin in a row where that can be helped. */
export class SmoothTurns<Item extends Weighted> {
  readonly #credits = new Map<Item, number>();

  /** `candidates` are not empty, and may be others each time. */
  next(candidates: readonly Item[]): Item {
    let best = candidates[0]!;
    let total = 0;
    for (const candidate of candidates) {
      total += candidate.weight;
      this.#credits.set(candidate, (this.#credits.get(candidate) ?? 0) + candidate.weight);
      if (this.#credits.get(candidate)! > this.#credits.get(best)!) best = candidate;
    }
    this.#credits.set(best, this.#credits.get(best)! - total);
    return best;
  }
}
