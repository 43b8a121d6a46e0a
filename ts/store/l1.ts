// The policy of the memory tier: which records deserve native pages. S3-FIFO (Yang et al., "FIFO queues are
// all you need for cache eviction", SOSP 2023): a small queue that new records pass through, a main queue
// for those that were hit on the way, and a memory of what left the small queue, which goes straight to
// main when it comes back. State is typed arrays over native slot numbers; nothing here touches a byte
// of a body, and no reader ever waits for it.

const none = -1;
const inNoQueue = 0;
const inSmall = 1;
const inMain = 2;

/** Set in a slot number of an event: the slot is empty now. Twin of MemoryTier::kRemovedEvent. */
export const removedEvent = 0x8000_0000;

/** Share of the budget that the small queue may hold before main gives way (the paper's 10 %). */
const smallShare = 0.1;
/** A record hit more often than this in the small queue moves to main (the paper's threshold). */
const hitsForMain = 1;

/** Native memory that the tier and its policy share; one element per slot. */
export interface SlotViews {
  readonly sizes: Uint32Array;
  readonly hits: Uint8Array;
  readonly hashes: Uint32Array;
}

export interface EvictionTarget {
  /** Bytes that live records may take at most. */
  readonly bytes: number;
  /** Slots that may be occupied at most. */
  readonly slots: number;
}

interface Queue {
  head: number;
  tail: number;
  bytes: number;
}

export class L1Policy {
  readonly #views: SlotViews;
  readonly #previous: Int32Array;
  readonly #next: Int32Array;
  readonly #queueOf: Uint8Array;
  readonly #generations: Uint32Array;
  /** Size under which a slot was counted: the native one may change before its event arrives. */
  readonly #counted: Uint32Array;
  readonly #small: Queue = { head: none, tail: none, bytes: 0 };
  readonly #main: Queue = { head: none, tail: none, bytes: 0 };
  /** Hash to its place in the ring; a place whose hash came back or moved on is passed over. */
  readonly #ghosts = new Map<number, number>();
  readonly #ghostRing: Uint32Array;
  #ghostNext = 0;
  #records = 0;

  constructor(views: SlotViews) {
    const slots = views.sizes.length;
    this.#views = views;
    this.#previous = new Int32Array(slots).fill(none);
    this.#next = new Int32Array(slots).fill(none);
    this.#queueOf = new Uint8Array(slots);
    this.#generations = new Uint32Array(slots);
    this.#counted = new Uint32Array(slots);
    this.#ghostRing = new Uint32Array(slots);
  }

  /** Bytes of the records that the policy knows of. */
  get bytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Takes in `count` pairs (slot, generation) as the native tier reports them. */
  apply(pairs: Uint32Array, count: number): void {
    for (let at = 0; at < 2 * count; at += 2) {
      const word = pairs[at]!;
      const slot = (word & ~removedEvent) >>> 0;
      if (slot >= this.#queueOf.length) continue;
      this.#unlink(slot);
      if (word < removedEvent && this.#views.sizes[slot]! > 0) {
        this.#generations[slot] = pairs[at + 1]!;
        const known = this.#ghosts.delete(this.#views.hashes[slot]!);
        this.#push(slot, known ? inMain : inSmall);
      }
    }
  }

  /** Writes up to pairs.length / 2 victims as (slot, generation); returns how many. */
  selectVictims(target: EvictionTarget, pairs: Uint32Array): number {
    let count = 0;
    const limit = pairs.length >> 1;
    const smallBytes = target.bytes * smallShare;
    while (
      count < limit &&
      this.#records > 0 &&
      (this.bytes > target.bytes || this.#records > target.slots)
    ) {
      const fromSmall = this.#main.tail === none || this.#small.bytes > smallBytes;
      const victim = fromSmall ? this.#nextOfSmall() : this.#nextOfMain();
      if (victim === none) continue;
      pairs[2 * count] = victim;
      pairs[2 * count + 1] = this.#generations[victim]!;
      count += 1;
    }
    return count;
  }

  /** One step of the small queue: its oldest record is a victim or moves to main. */
  #nextOfSmall(): number {
    const slot = this.#small.tail;
    if (slot === none) return none;
    this.#unlink(slot);
    if (this.#views.hits[slot]! > hitsForMain) {
      this.#views.hits[slot] = 0;
      this.#push(slot, inMain);
      return none;
    }
    this.#remember(this.#views.hashes[slot]!);
    return slot;
  }

  /** One step of the main queue: its oldest record is a victim, or goes round again one hit poorer. */
  #nextOfMain(): number {
    const slot = this.#main.tail;
    this.#unlink(slot);
    const hits = this.#views.hits[slot]!;
    if (hits > 0) {
      this.#views.hits[slot] = hits - 1;
      this.#push(slot, inMain);
      return none;
    }
    return slot;
  }

  #remember(hash: number): void {
    // As many as there are slots: the paper's "as many as main holds", without its lower end. A ring says
    // which is the oldest: asking a Set for its first member walks over everything deleted before it.
    const place = this.#ghostNext;
    this.#ghostNext = (place + 1) % this.#ghostRing.length;
    const oldest = this.#ghostRing[place]!;
    if (this.#ghosts.get(oldest) === place) this.#ghosts.delete(oldest);
    this.#ghostRing[place] = hash;
    this.#ghosts.set(hash, place);
  }

  #push(slot: number, where: number): void {
    const queue = where === inSmall ? this.#small : this.#main;
    this.#queueOf[slot] = where;
    this.#counted[slot] = this.#views.sizes[slot]!;
    queue.bytes += this.#counted[slot]!;
    this.#records += 1;
    this.#previous[slot] = none;
    this.#next[slot] = queue.head;
    if (queue.head === none) queue.tail = slot;
    else this.#previous[queue.head] = slot;
    queue.head = slot;
  }

  #unlink(slot: number): void {
    const where = this.#queueOf[slot];
    if (where === inNoQueue) return;
    const queue = where === inSmall ? this.#small : this.#main;
    const before = this.#previous[slot]!;
    const after = this.#next[slot]!;
    if (before === none) queue.head = after;
    else this.#next[before] = after;
    if (after === none) queue.tail = before;
    else this.#previous[after] = before;
    queue.bytes -= this.#counted[slot]!;
    this.#records -= 1;
    this.#queueOf[slot] = inNoQueue;
  }
}
