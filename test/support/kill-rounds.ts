// One store, many lives that end by SIGKILL: in each, what was known to be on the device is asked for, then
// come random requests and purges, and in the middle of them the end. All that is known of what must be
// true lies in this process, which is not killed. The kill loop (test/fault/kill-loop.ts) counts rounds.

import { type Cleanup, type Running, startCommand } from './command.js';
import { noCounts } from './kill-counts.js';
import { type Seen, VerifyingClient } from './verifying-client.js';
import {
  below,
  groups,
  host,
  type Random,
  VersionedObjects,
  type VersionedOrigin,
} from './versioned-objects.js';

const objectCount = 160;
const askedAgain = 16;
const looksMax = 4000;
/** Requests under way at a time. */
const concurrency = 6;

export interface KillOptions {
  readonly random: Random;
  readonly origin: VersionedOrigin;
  readonly objects: VersionedObjects;
  readonly config: string;
  /** What is wrong; the round goes on. */
  readonly onWrong: (text: string) => void;
  /** Something that was on the device is not found. */
  readonly onLost: (text: string) => void;
}

export function makeObjects(): VersionedObjects {
  return new VersionedObjects(objectCount);
}

interface OnDevice {
  readonly version: number;
  /** How many segments had been begun, over all lives, when it was asked for. */
  readonly segment: number;
}

interface Life {
  readonly running: Running;
  readonly client: VerifyingClient;
}

interface VolumeView {
  readonly appended: number;
  readonly flushed: number;
  readonly recovered: number;
  readonly reclaimed: number;
  /** Begun in this life, of so many in the ring. */
  readonly begun: number;
  readonly segments: number;
  /** Of this life: records that were not written, by whatever policy or pressure. */
  readonly refused: number;
  readonly isQuiet: boolean;
}

export class KillRounds {
  readonly counts = noCounts();
  readonly #options: KillOptions;
  /** Answered from the disk or filled, not yet known to be flushed. */
  readonly #offered = new Map<number, OnDevice>();
  readonly #flushed = new Map<number, OnDevice>();
  /** Versions below it were invalidated by an unsafe method in an earlier life. */
  readonly #unsafe = new Map<number, number>();
  #view: VolumeView | null = null;
  /** Segments begun in earlier lives. */
  #begunBefore = 0;
  /** Of this life, or of the last one until the next has been compared with it. */
  #isPurging = false;
  /** By object: purges and unsafe methods that were begun, and those that are under way. */
  readonly #purgesBegun = new Map<number, number>();
  readonly #purgesOpen = new Map<number, number>();
  #eventsLeft = Number.POSITIVE_INFINITY;
  #kill = () => {};

  constructor(options: KillOptions) {
    this.#options = options;
  }

  /** One life. Rejects where the process does not start or does not come to rest. */
  async round(cleanup: Cleanup): Promise<void> {
    const { random, objects, origin } = this.#options;
    objects.newLife();
    origin.hold(null);
    const life = await this.#start(cleanup);
    try {
      await this.#compareRecovered(life);
      this.#isPurging = random() < 0.6;
      await this.#askForFlushed(life);
      await this.#load(life, 6 + below(random, 14));
      await this.#settle(life);
      await this.#loadUntilKilled(life);
    } finally {
      life.running.child.kill('SIGKILL');
      await life.running.ended;
      life.client.close();
      this.#offered.clear();
    }
    this.counts.rounds += 1;
  }

  /** The device was formatted: nothing of it is expected any more. */
  forget(): void {
    this.#flushed.clear();
    this.#unsafe.clear();
    this.#view = null;
    this.#begunBefore = 0;
  }

  get #segment(): number {
    return this.#begunBefore + (this.#view?.begun ?? 0);
  }

  async #start(cleanup: Cleanup): Promise<Life> {
    const running = startCommand(cleanup, ['serve', '-c', this.#options.config]);
    const ready = await running.logged('ready');
    const [address] = ready.listen as string[];
    this.#eventsLeft = Number.POSITIVE_INFINITY;
    this.#kill = () => running.child.kill('SIGKILL');
    const client = new VerifyingClient(this.#options.objects, address!, String(ready.admin), () =>
      this.#event(),
    );
    return { running, client };
  }

  #event(): void {
    this.#eventsLeft -= 1;
    if (this.#eventsLeft === 0) this.#kill();
  }

  #wrong(text: string): void {
    this.counts.bytesWrong += 1;
    this.#options.onWrong(text);
  }

  #judge(id: number, seen: Seen, floor: number): void {
    if (seen.status !== 0) this.counts.answers += 1;
    if (seen.wrong !== null) this.#wrong(seen.wrong);
    if (seen.version === 0) return;
    const path = this.#options.objects.pathOf(id);
    if (seen.version < floor) {
      this.counts.purgesUndone += 1;
      this.#options.onWrong(`${path}: version ${seen.version} is back, purged below ${floor}`);
    }
    // Promised to the life that it was answered in; in a later one it is only counted.
    if (seen.version < (this.#unsafe.get(id) ?? 0)) {
      this.counts.unsafeUndone += 1;
      this.#unsafe.delete(id);
    }
  }

  async #get({ client }: Life, id: number, onlyCached = false): Promise<Seen> {
    const { floor } = this.#options.objects.known(id);
    const segment = this.#segment;
    const isAlone = (this.#purgesOpen.get(id) ?? 0) === 0;
    const purges = this.#purgesBegun.get(id);
    const seen = await client.get(id, onlyCached);
    this.#judge(id, seen, floor);
    const { version, isWhole } = seen;
    // A fill that was begun before a purge is not kept, though its origin answered after it.
    const isKept = seen.isStored && isAlone && this.#purgesBegun.get(id) === purges;
    if (isWhole && isKept) this.#offered.set(id, { version, segment });
    return seen;
  }

  async #look({ client }: Life): Promise<VolumeView | null> {
    let stats = await client.stats();
    // What an earlier life left may still be looked up.
    while (stats?.store?.warming === true) stats = await client.stats();
    if (stats === null) return null;
    const { store, proxy } = stats;
    const [volume] = store!.volumes as Record<string, number>[];
    const count = (name: string) => Number(volume![name]);
    const isQuiet =
      Number(proxy!.exchangesOpen) === 0 &&
      Number(proxy!.fillsOpen) === 0 &&
      Number(store!.stagedBytes) === 0 &&
      count('recordsAppended') === count('recordsFlushed');
    this.#view = {
      appended: count('recordsAppended'),
      flushed: count('recordsFlushed'),
      recovered: count('recoveredRecords'),
      reclaimed: count('segmentsReclaimed'),
      begun: count('segmentsSealed') + 1,
      segments: count('segments'),
      refused: Number(store!.writesDropped) + Number(store!.fillsRefused ?? 0),
      isQuiet,
    };
    return this.#view;
  }

  async #compareRecovered(life: Life): Promise<void> {
    const before = this.#view;
    const now = await this.#look(life);
    if (before === null || now === null) return;
    // One more for what was written between the last look and the kill.
    this.#begunBefore += before.begun + 1;
    // What a purge took does not come back, nor what the ring has come round to.
    if (before.reclaimed > 0 || this.#isPurging) return;
    const expected = before.recovered + before.flushed;
    this.counts.recordsFlushed += expected;
    this.counts.recordsRecovered += Math.min(expected, now.recovered);
  }

  /** What an earlier life had on the device is found, unless the ring may have come round to it. */
  async #askForFlushed(life: Life): Promise<void> {
    const { random, objects } = this.#options;
    // A quarter less than a lap, for segments that are freed ahead of time.
    const oldest = this.#segment - (this.#view?.segments ?? 0) * 0.75;
    const ids = [...this.#flushed.keys()].sort(() => random() - 0.5);
    let asked = 0;
    for (const id of ids) {
      const { version, segment } = this.#flushed.get(id)!;
      const isOld = segment < oldest;
      const isGone = version < objects.known(id).floor || version < (this.#unsafe.get(id) ?? 0);
      if (isOld || isGone) this.#flushed.delete(id);
      if (isOld || isGone || asked >= askedAgain) continue;
      asked += 1;
      const seen = await this.#get(life, id, true);
      this.counts.flushedAsked += 1;
      if (seen.isWhole && seen.version >= version) this.counts.flushedFound += 1;
      else this.#lost(id, version, segment, seen);
    }
    // What was purged must not be there, whether it is expected or not.
    for (let at = 0; at < askedAgain; at += 1) {
      await this.#get(life, below(random, objects.count), true);
    }
  }

  #lost(id: number, version: number, segment: number, seen: Seen): void {
    this.#flushed.delete(id);
    const what = `version ${version} of ${this.#options.objects.pathOf(id)}, flushed`;
    this.#options.onLost(
      `${what} near segment ${segment} of ${this.#segment}: status ${seen.status}`,
    );
  }

  async #load(life: Life, operations: number): Promise<void> {
    let left = operations;
    const worker = async () => {
      while (left > 0 && this.#eventsLeft > 0) {
        left -= 1;
        await this.#operation(life);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  }

  async #operation(life: Life): Promise<void> {
    const { random, objects } = this.#options;
    const dice = random();
    const id = below(random, objects.count);
    if (this.#isPurging && dice < 0.12) return this.#purge(life, id);
    if (this.#isPurging && dice < 0.18) return this.#remove(life, id);
    if (dice < 0.25) objects.change([id]);
    await this.#get(life, id);
  }

  async #purge({ client }: Life, id: number): Promise<void> {
    const { random, objects } = this.#options;
    const group = id % groups;
    const kinds: ReadonlyArray<readonly [object, (other: number) => boolean]> = [
      [{ url: `http://${host}${objects.pathOf(id)}` }, (other) => other === id],
      [{ tag: `o${id}` }, (other) => other === id],
      [{ prefix: `http://${host}/g${group}/` }, (other) => other % groups === group],
      [{ tag: `g${group}` }, (other) => other % groups === group],
      [{ all: true }, () => true],
    ];
    const dice = random();
    const kind = dice < 0.5 ? 0 : dice < 0.75 ? 1 : dice < 0.87 ? 2 : dice < 0.98 ? 3 : 4;
    const [what, covers] = kinds[kind]!;
    const ids = Array.from({ length: objects.count }, (_, other) => other).filter(covers);
    objects.change(ids);
    this.#beginPurge(ids);
    const versions = ids.map((other) => objects.known(other).version);
    const isDurable = await client.purge({ ...what, soft: random() < 0.2 });
    this.#expectNoMore(ids);
    if (isDurable) objects.purged(ids, versions);
    if (isDurable) this.counts.purgesAcknowledged += 1;
    else this.counts.purgesCutShort += 1;
  }

  async #remove({ client }: Life, id: number): Promise<void> {
    this.#beginPurge([id]);
    const version = await client.remove(id);
    this.#expectNoMore([id]);
    if (version === null) return;
    this.counts.unsafeAcknowledged += 1;
    this.#options.objects.invalidated(id, version);
    this.#unsafe.set(id, version);
  }

  #beginPurge(ids: readonly number[]): void {
    for (const id of ids) {
      this.#purgesBegun.set(id, (this.#purgesBegun.get(id) ?? 0) + 1);
      this.#purgesOpen.set(id, (this.#purgesOpen.get(id) ?? 0) + 1);
    }
  }

  /** The purge is over, whether it happened or not. */
  #expectNoMore(ids: readonly number[]): void {
    for (const id of ids) {
      this.#purgesOpen.set(id, (this.#purgesOpen.get(id) ?? 0) - 1);
      this.#offered.delete(id);
      this.#flushed.delete(id);
    }
  }

  /** The last answer before the kill tells what lies behind the flushed position. */
  async #watch(life: Life): Promise<void> {
    while ((await this.#look(life)) !== null);
  }

  /** Everything so far is on the device: what is offered is flushed. */
  async #settle(life: Life): Promise<void> {
    for (let look = 0; look < looksMax; look += 1) {
      const view = await this.#look(life);
      if (view === null) throw new Error('the statistics were not answered');
      if (!view.isQuiet) continue;
      for (const [id, offered] of this.#offered) {
        const { lifeFloor } = this.#options.objects.known(id);
        const isWritten = view.refused === 0 && offered.version >= lifeFloor;
        if (isWritten) this.#flushed.set(id, offered);
        else this.#flushed.delete(id);
      }
      this.#offered.clear();
      return;
    }
    throw new Error(`the store did not come to rest: ${JSON.stringify(this.#view)}`);
  }

  /** The end comes after a number of events: bytes that came, requests and purges that went out. */
  async #loadUntilKilled(life: Life): Promise<void> {
    const { random, origin, objects } = this.#options;
    const purpose = random();
    if (purpose < 0.3) {
      // In the middle of fills: each has half of its body and gets no more.
      let fills = 1 + below(random, 3);
      origin.hold(() => {
        fills -= 1;
        if (fills === 0) this.#kill();
      });
    } else if (this.#isPurging && purpose < 0.8) {
      // In the middle of a purge: a turn or two of this loop after it went out.
      const purge = this.#purge(life, below(random, objects.count));
      for (let turn = below(random, 12); turn > 0; turn -= 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#eventsLeft = 1;
      this.#event();
      await purge;
      return;
    } else {
      this.#eventsLeft = 1 + below(random, 500);
    }
    const load = Promise.all([this.#load(life, 400), this.#watch(life)]);
    await Promise.race([load, life.running.ended]);
    if (purpose < 0.3) this.counts.fillsCutShort += 1;
    this.#eventsLeft = 0;
    this.#kill();
    await load;
  }
}
