// What a scenario may expect of a message. An expectation that does not hold throws with a sentence that
// says what was there instead; the scenario adds the transcript of both sides.

import { Buffer } from 'node:buffer';
import { linesOf, type Received } from './reader.js';
import { visible } from './transcript.js';

/** A text: exactly one line with that value. A list: these lines in that order. Null: no such field. */
export type FieldExpectation = string | RegExp | readonly string[] | null;

export type FieldExpectations = Readonly<Record<string, FieldExpectation>>;

export interface Expected {
  /** 200 where nothing is said. */
  readonly status?: number;
  readonly reason?: string;
  readonly fields?: FieldExpectations;
  readonly body?: string | Uint8Array | RegExp;
  /** X-Cache: where the answer came from. */
  readonly cache?: 'HIT' | 'STALE' | 'REVALIDATED' | 'EXPIRED' | 'MISS' | 'BYPASS' | 'NONE';
  /** Whole seconds, or a least and a most; null: no Age. */
  readonly age?: number | readonly [number, number] | null;
  /** The body ended visibly before its end. False where nothing is said. */
  readonly isCut?: boolean;
  /** Statuses below 200 that came before. */
  readonly interim?: readonly number[];
  readonly trailers?: FieldExpectations;
}

export interface ExpectedRequest {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: FieldExpectations;
  readonly body?: string;
}

export class Unmet extends Error {}

export function expectFields(where: string, fields: readonly string[], all: FieldExpectations) {
  for (const [name, wanted] of Object.entries(all)) {
    const lines = linesOf(fields, name.toLowerCase());
    const found = lines.length === 0 ? 'none' : lines.map((line) => visible(line)).join(' and ');
    const say = (what: string) => {
      throw new Unmet(`${where}: ${name} should be ${what}, was ${found}`);
    };
    if (wanted === null) {
      if (lines.length > 0) say('absent');
    } else if (typeof wanted === 'string') {
      if (lines.length !== 1 || lines[0] !== wanted) say(visible(wanted));
    } else if (wanted instanceof RegExp) {
      if (lines.length !== 1 || !wanted.test(lines[0]!)) say(`one line like ${wanted}`);
    } else if (lines.length !== wanted.length || lines.some((line, at) => line !== wanted[at])) {
      say(wanted.join(' and '));
    }
  }
}

export function expectResponse(where: string, received: Received, expected: Expected): void {
  const say = (what: string, wanted: unknown, found: unknown) => {
    throw new Unmet(`${where}: ${what} should be ${wanted}, was ${found}`);
  };
  const { status = 200, isCut = false } = expected;
  if (received.status !== status) say('the status', status, received.status);
  if (expected.reason !== undefined && received.reason !== expected.reason) {
    say('the reason', expected.reason, received.reason);
  }
  if (expected.cache !== undefined) {
    expectFields(where, received.fields, { 'X-Cache': expected.cache });
  }
  if (expected.age !== undefined) expectAge(where, received.fields, expected.age);
  expectFields(where, received.fields, expected.fields ?? {});
  expectBody(where, received.body, expected.body);
  if (received.isCut !== isCut) {
    say('the body', isCut ? 'cut short' : 'whole', received.isCut ? 'cut short' : 'whole');
  }
  if (expected.interim !== undefined) {
    const found = received.interim.map((each) => each.status).join();
    if (found !== expected.interim.join()) say('interim responses', expected.interim.join(), found);
  }
  expectFields(`${where}, trailers`, received.trailers, expected.trailers ?? {});
}

function expectAge(
  where: string,
  fields: readonly string[],
  age: number | readonly [number, number] | null,
): void {
  if (age === null || typeof age === 'number') {
    expectFields(where, fields, { Age: age === null ? null : `${age}` });
    return;
  }
  expectFields(where, fields, { Age: /^\d+$/ });
  const seconds = Number(linesOf(fields, 'age')[0]);
  if (seconds < age[0] || seconds > age[1]) {
    throw new Unmet(`${where}: Age should be within ${age.join(' and ')}, was ${seconds}`);
  }
}

function expectBody(where: string, body: Buffer, wanted: Expected['body']): void {
  if (wanted === undefined) return;
  const found = `${visible(body.toString('latin1').slice(0, 120))} (${body.length} bytes)`;
  if (wanted instanceof RegExp) {
    if (!wanted.test(body.toString('latin1'))) {
      throw new Unmet(`${where}: the body should be like ${wanted}, was ${found}`);
    }
    return;
  }
  const bytes = typeof wanted === 'string' ? Buffer.from(wanted, 'latin1') : Buffer.from(wanted);
  if (!bytes.equals(body)) {
    const shown = visible(bytes.toString('latin1').slice(0, 120));
    throw new Unmet(`${where}: the body should be ${shown} (${bytes.length} bytes), was ${found}`);
  }
}
