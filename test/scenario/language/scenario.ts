// A scenario: an origin, a proxy and clients over real sockets, read from top to bottom in one place; the
// role that varnishtest has for Varnish. Time stands still unless the scenario advances it. What fails is
// shown with the transcript of both sides.
//
//   scenario('5.1 s-maxage comes before max-age', async ({ origin, client, clock }) => {
//     origin.plays(answer('Cache-Control: max-age=60, s-maxage=5', 'one'), answer('', 'two'));
//     await client.get('/a').gives({ body: 'one' });
//     clock.advance(5);
//     await client.get('/a').gives({ body: 'two' });
//   });

import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../../ts/config/schema.js';
import { formatHttpDate } from '../../../ts/http/http-date.js';
import { type ProxyOptions, type Scene, withProxy } from '../../support/harness.js';
import { until } from '../../support/until.js';
import { ScenarioClient } from './client.js';
import { answer, ScenarioOrigin } from './origin.js';
import { Transcript } from './transcript.js';

export { answer, bytes, chunked, hangUp, head, notModified, type Play } from './origin.js';

export interface ScenarioClock {
  /** Seconds, fractions allowed. */
  advance(seconds: number): void;
  /** The HTTP date so many seconds from now. */
  date(offset?: number): string;
}

export interface Stage {
  readonly origin: ScenarioOrigin;
  readonly client: ScenarioClient;
  readonly clock: ScenarioClock;
  /** Counters, purges, restarts. */
  readonly proxy: Scene;
  /** Every exchange and fill is at its end, but for what waits for a play of the origin. */
  settled(): Promise<void>;
  /** A response with these lines answers a second request too; the origin hears of one. */
  isReused(lines: string | readonly string[], requestLines?: readonly string[]): Promise<void>;
  /** The second request reaches the origin. */
  isNotReused(lines: string | readonly string[], requestLines?: readonly string[]): Promise<void>;
}

export type ScenarioOptions = Omit<ProxyOptions, 'origin'>;

type RouteCache = NonNullable<NonNullable<ConfigInput['routes']>[number]['cache']>;

/** One route for everything, with these caching rules. */
export function withCache(cache: RouteCache): ScenarioOptions {
  return { config: () => ({ routes: [{ cache }] }) };
}

type Run = (stage: Stage) => Promise<void>;

/** Registers a test. Titles begin with section and clause: they are the index of rfc-coverage.md. */
export function scenario(title: string, run: Run): void;
export function scenario(title: string, options: ScenarioOptions, run: Run): void;
export function scenario(title: string, ...rest: [Run] | [ScenarioOptions, Run]): void {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  // One after another: each has a proxy and a store of its own.
  test.serial(title, async (t) => {
    await playScenario(t, options, run);
    t.pass();
  });
}

/** Plays it in a test that exists; rejects with what did not hold and the transcript. */
export async function playScenario(
  t: ExecutionContext,
  options: ScenarioOptions,
  run: Run,
): Promise<void> {
  const transcript = new Transcript();
  const origin = new ScenarioOrigin(transcript);
  await withProxy(t, { ...options, origin: origin.script }, async (proxy) => {
    const stage = stageOf(proxy, origin, transcript);
    try {
      await run(stage);
      origin.finish();
    } catch (error) {
      const cause = error as Error;
      throw new Error(`${cause.message}\n\n${transcript.text()}\n`, { cause });
    } finally {
      stage.client.leave();
    }
  });
}

function stageOf(proxy: Scene, origin: ScenarioOrigin, transcript: Transcript): Stage {
  const settled = () =>
    until('the end of every exchange and fill', () => {
      const { exchangesOpen, fillsOpen } = proxy.counters();
      return exchangesOpen === 0 && (fillsOpen === 0 || origin.busy > 0);
    });
  const client = new ScenarioClient({ transcript, address: () => proxy.address, settled });
  let pairs = 0;
  const askTwice = async (
    lines: string | readonly string[],
    requestLines: readonly string[],
    second: 'one' | 'two',
  ) => {
    pairs += 1;
    const target = `/pair-${pairs}`;
    origin.plays(answer(lines, 'one'));
    if (second === 'two') origin.plays(answer(lines, 'two'));
    await client.get(target, ...requestLines).gives({ body: 'one' });
    const again = await client.get(target, ...requestLines);
    if (again.body.toString() !== second) {
      const what = second === 'one' ? 'be reused' : 'not be reused';
      const shown = typeof lines === 'string' ? lines : lines.join(' / ');
      throw new Error(`a response with ${shown} should ${what}`);
    }
  };
  return {
    origin,
    client,
    proxy,
    settled,
    clock: {
      advance(seconds) {
        transcript.note('scene', `${seconds} s pass`);
        proxy.clock.advance(seconds * 1000);
      },
      date: (offset = 0) => formatHttpDate(proxy.clock.now() / 1000 + offset),
    },
    isReused: (lines, requestLines = []) => askTwice(lines, requestLines, 'one'),
    isNotReused: (lines, requestLines = []) => askTwice(lines, requestLines, 'two'),
  };
}
