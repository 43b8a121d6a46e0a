// The command lines of `npm run bench`, `bench:compare` and `bench:report`: which flags there are, what
// they mean, and what may not go together. Knows no suite; the names of those that exist are handed in.

import { tmpdir } from 'node:os';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { ConfigError } from '../ts/errors.js';
import type { RivalChoice } from './harness.js';
import { isResultName } from './results.js';

export interface BenchFlags {
  readonly quick: boolean;
  readonly rounds: number;
  /** Empty: all. */
  readonly suites: readonly string[];
  readonly rivals: RivalChoice;
  readonly out: string | null;
  readonly commitAs: string | null;
  readonly directory: string;
  readonly list: boolean;
}

/** Five show a spread and still end the same hour; a quick run shows that everything works. */
const roundsDefault = 5;
const roundsOfQuick = 1;
const roundsMax = 1000;

interface Parsed {
  readonly quick: boolean;
  readonly rounds?: number;
  readonly suite: string[];
  readonly rivals: RivalChoice;
  readonly out?: string;
  readonly commitAs?: string;
  readonly directory: string;
  readonly list: boolean;
}

function readRounds(text: string): number {
  const rounds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (rounds < 1 || rounds > roundsMax) {
    throw new InvalidArgumentError(`allowed: a whole number from 1 to ${roundsMax}.`);
  }
  return rounds;
}

function readRivals(text: string): RivalChoice {
  if (text === 'all' || text === 'none') return text;
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new InvalidArgumentError('allowed: all, none, or names such as nginx,varnish.');
  }
  return names;
}

function readName(text: string): string {
  if (isResultName(text)) return text;
  throw new InvalidArgumentError('allowed: a name of a-z, 0-9, "." and "-", without ".json".');
}

const append = (value: string, list: string[]): string[] => [...list, value];

/** A command whose errors are thrown, and which prints its help to where the caller says. */
export function quietCommand(name: string): Command {
  return new Command(name).exitOverride().configureOutput({ writeErr: () => {} });
}

/** Null when help was asked for and printed. Throws ConfigError whose message says what to do. */
export function parseFlags(args: readonly string[], known: readonly string[]): BenchFlags | null {
  const command = quietCommand('npm run bench --')
    .description('Measures millrace at the sockets of its clients, beside other programs.')
    .option('--quick', 'few and small cases, under a minute; for a look, not for a claim', false)
    .option('--suite <name>', 'only this suite; may be given several times', append, [])
    .option('--rivals <names>', 'all, none, or a list such as nginx,varnish', readRivals, 'all')
    .option('--rounds <count>', `rounds of each case (${roundsDefault}; quick: 1)`, readRounds)
    .option('--directory <path>', 'where temporary files go: the disk to measure', tmpdir())
    .option('--out <file>', 'where the result goes (bench/out, named by date)')
    .option('--commit-as <name>', 'write bench/results/NAME.json, for the documents', readName)
    .option('--list', 'name the suites and stop', false);
  const parsed = parseCommand(command, args) as Parsed | null;
  if (parsed === null) return null;
  const { quick, suite: suites, rivals, directory, list } = parsed;
  const unknown = suites.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw usage(`no suite is called ${unknown.join(', ')}; there are: ${known.join(', ')}`);
  }
  const out = parsed.out ?? null;
  const commitAs = parsed.commitAs ?? null;
  if (out !== null && commitAs !== null) throw usage('--out and --commit-as exclude each other');
  if (quick && commitAs !== null) {
    throw usage('--commit-as refuses a quick run: it shows that all works, not how fast it is');
  }
  const rounds = parsed.rounds ?? (quick ? roundsOfQuick : roundsDefault);
  return { quick, rounds, suites, rivals, out, commitAs, directory, list };
}

/** The options; null when help was printed. */
export function parseCommand(command: Command, args: readonly string[]): object | null {
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw usage(error.message.replace(/^error: /, ''));
  }
  return command.opts();
}

export function usage(message: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', message);
}
