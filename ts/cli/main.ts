#!/usr/bin/env node
// The command line: which commands and options there are, and what the exit status means. 0: done. 1: a
// check failed or somebody said no. 2: the configuration or the command is wrong. 3: a device, an
// address or an origin could not be used. Errors of ours are sentences for people; anything else is a
// bug and says so. Each command loads its own modules: a start waits for no others.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { systemClock } from '../clock.js';
import { presetNames } from '../config/presets.js';
import { MillraceError } from '../errors.js';
import { parseSize } from '../units.js';
import type { PurgeOptions } from './commands/purge.js';
import type { WarmOptions } from './commands/warm.js';
import type { Named } from './named-config.js';

const exitUsage = 2;
const exitUnusable = 3;
const exitBug = 70;

const output = {
  stdout: (line: string): void => void process.stdout.write(`${line}\n`),
  stderr: (line: string): void => void process.stderr.write(`${line}\n`),
};

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function readSize(text: string): number {
  const size = parseSize(text);
  if (size === null || size === 0) {
    throw new InvalidArgumentError('allowed: a size such as "100GiB" or 107374182400.');
  }
  return size;
}

function readBlockSize(text: string): number {
  const size = parseSize(text);
  if (size === null || size < 512 || size > 65536 || !Number.isInteger(Math.log2(size))) {
    throw new InvalidArgumentError('allowed: a power of two from 512 to 65536.');
  }
  return size;
}

function readWhole(text: string, minimum: number, maximum: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (value >= minimum && value <= maximum) return value;
  throw new InvalidArgumentError(`allowed: a whole number from ${minimum} to ${maximum}.`);
}

const readConcurrency = (text: string): number => readWhole(text, 1, 256);
const readPort = (text: string): number => readWhole(text, 1, 65535);

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} Type yes: `);
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}

interface CheckArguments extends Named {
  readonly url?: string;
  readonly method?: string;
}

interface JsonArguments extends Named {
  readonly json: boolean;
}

type WarmArguments = Omit<WarmOptions, 'list'> & Named;
type PurgeArguments = PurgeOptions & Named;

interface DeviceArguments extends Named {
  readonly json: boolean;
}

interface InspectArguments extends DeviceArguments {
  readonly url?: string;
}

interface FormatArguments {
  readonly size?: number;
  readonly blockSize: number;
  readonly zeroFill: boolean;
  readonly yes: boolean;
  readonly directIo: boolean;
}

interface DemoArguments {
  readonly keep: boolean;
  readonly size: number;
}

/** `done` is told the exit status of the command that ran. */
function makeProgram(done: (status: number) => void): Command {
  const program = new Command('millrace')
    .description('A streaming caching reverse proxy for Node.js that keeps terabytes on a raw disk')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(millrace --help lists what there is)');
  const withConfig = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the configuration; without one, --preset and --set are')
      .option('--preset <name>', `one of ${presetNames.join(', ')}, laid under the configuration`)
      .option('--set <key=value...>', 'replace values of the configuration', []);

  withConfig('serve', 'run the proxy').action(async (options: Named) => {
    const { serveCommand } = await import('./commands/serve.js');
    const { sourceNamed } = await import('./named-config.js');
    done(await serveCommand(sourceNamed(options)));
  });
  withConfig('check', 'judge a configuration without starting anything')
    .option('--url <url>', 'also tell the route, key and policy of a request for this URL')
    .option('--method <method>', 'its method', 'GET')
    .action(async (options: CheckArguments) => {
      const { checkCommand } = await import('./commands/check.js');
      const { explainUrl } = await import('../proxy/explain.js');
      const { sourceNamed } = await import('./named-config.js');
      done(await checkCommand({ ...options, ...sourceNamed(options) }, output, explainUrl));
    });
  program
    .command('preset')
    .description(
      'print a preset as configuration to read and copy; without a name, which there are',
    )
    .argument('[name]', `one of ${presetNames.join(', ')}`)
    .action(async (name: string | undefined) => {
      const { presetCommand } = await import('./commands/preset.js');
      done(presetCommand(name, output));
    });
  withConfig('stats', 'show the counters of the running instance')
    .option('--json', 'as it comes, for programs', false)
    .action(async (options: JsonArguments) => {
      const { statsCommand } = await import('./commands/stats.js');
      const { sourceNamed } = await import('./named-config.js');
      done(await statsCommand({ ...options, ...sourceNamed(options) }, output));
    });
  withConfig('purge', 'make stored objects of the running instance gone, or stale')
    .option('--url <url>', 'the object that a GET of it is served from, with all variants')
    .option('--key <key>', 'the same by its key, as check --url prints it')
    .option('--prefix <url>', 'every key that begins so')
    .option('--tag <name>', 'every response that named it in Surrogate-Key or Cache-Tag')
    .option('--all', 'everything')
    .option('--soft', 'stale instead of gone', false)
    .option('--json', 'the answer as it comes, for programs', false)
    .action(async (options: PurgeArguments) => {
      const { purgeCommand } = await import('./commands/purge.js');
      const { sourceNamed } = await import('./named-config.js');
      done(await purgeCommand({ ...options, ...sourceNamed(options) }, output));
    });
  withConfig('warm', 'ask the running instance for URLs, so that they are stored')
    .argument('[list]', 'file with one URL a line; - for the standard input', '-')
    .option('--concurrency <count>', 'requests at a time, 1 to 256', readConcurrency, 4)
    .option('--header <field...>', '"Name: value" of every request', [])
    .option('--port <port>', 'of the listener, where the configuration has 0', readPort)
    .option('--json', 'for programs', false)
    .action(async (list: string, options: WarmArguments) => {
      const { warmCommand } = await import('./commands/warm.js');
      const io = { ...output, progress: process.stderr, input: process.stdin };
      const { sourceNamed } = await import('./named-config.js');
      done(await warmCommand({ ...options, ...sourceNamed(options), list }, io));
    });
  withConfig('doctor', 'look for what keeps an instance from starting or running well')
    .option('--json', 'for programs', false)
    .action(async (options: JsonArguments) => {
      const { doctorCommand } = await import('./commands/doctor.js');
      const { sourceNamed } = await import('./named-config.js');
      done(await doctorCommand({ ...options, ...sourceNamed(options) }, output));
    });
  const onDevices = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .argument('[path]', 'of the file or block device; else the devices of --config')
      .option('-c, --config <file>', 'the configuration')
      .option('--preset <name>', `one of ${presetNames.join(', ')}, laid under the configuration`)
      .option('--set <key=value...>', 'replace values of the configuration', [])
      .option('--json', 'for programs', false);
  onDevices('inspect', 'show what a device holds: superblocks, segments, a record by its URL')
    .option('--url <url>', 'what is stored under it')
    .action(async (path: string | undefined, options: InspectArguments) => {
      const { inspectCommand } = await import('./commands/inspect.js');
      const { adminNamed, devicesNamed, keyNamed } = await import('./targets.js');
      const io = { ...output, progress: process.stderr };
      const key = keyNamed(options);
      const { json } = options;
      const admin = adminNamed(options);
      const now = systemClock.now();
      const paths = devicesNamed(path, options);
      done(await inspectCommand({ paths, key, json, admin, now }, io));
    });
  onDevices('verify', 'read every record of a device and compare it with its checksums').action(
    async (path: string | undefined, { json, ...options }: DeviceArguments) => {
      const { verifyCommand } = await import('./commands/verify.js');
      const { devicesNamed } = await import('./targets.js');
      const io = { ...output, progress: process.stderr };
      done(await verifyCommand({ paths: devicesNamed(path, options), json }, io));
    },
  );
  program
    .command('format')
    .description('make a file or block device a store')
    .argument('<path>', 'of the file or block device')
    .option('--size <size>', 'make a file of this size', readSize)
    .option('--block-size <bytes>', 'writes are padded to this', readBlockSize, 4096)
    .option('--no-zero-fill', 'quick: zero segments only ahead of the writing')
    .option('--no-direct-io', 'go through the page cache')
    .option('--yes', 'empty a millrace store that is there without asking', false)
    .action(async (path: string, options: FormatArguments) => {
      const { formatCommand } = await import('./commands/format.js');
      const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
      const io = { ...output, progress: process.stderr, confirm: isTerminal ? confirm : null };
      done(await formatCommand({ path, ...options }, io));
    });
  program
    .command('demo')
    .description('show a proxy at work on this machine: origin, cold, warm, after a restart')
    .option('--keep', 'leave it running and print commands to try', false)
    .option('--size <size>', 'of the raw file in the temp folder', readSize, 2 ** 30)
    .action(async (options: DemoArguments) => {
      const { demoCommand } = await import('./commands/demo.js');
      done(await demoCommand(options, { ...output, progress: process.stderr }));
    });
  program
    .command('build-addon')
    .description('compile the native part here, where no prebuilt one fits')
    .action(async () => {
      const { buildAddonCommand } = await import('./commands/build-addon.js');
      done(buildAddonCommand(output));
    });
  return program;
}

/** Errors of a right configuration whose addresses cannot be used. */
const unusable = new Set<string>(['ERR_MILLRACE_LISTEN_FAILED', 'ERR_MILLRACE_ADMIN_UNREACHABLE']);

/** Prints what went wrong and gives the exit status for it. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed it already.
    return error.exitCode === 0 ? 0 : exitUsage;
  }
  if (error instanceof MillraceError) {
    output.stderr(error.message);
    const isWrong = error.source === 'config' && !unusable.has(error.code);
    return isWrong ? exitUsage : exitUnusable;
  }
  output.stderr(error instanceof Error ? (error.stack ?? error.message) : String(error));
  output.stderr('this is a bug in millrace; please report it with the lines above');
  return exitBug;
}

async function main(): Promise<void> {
  let status = 0;
  try {
    await makeProgram((value) => {
      status = value;
    }).parseAsync();
  } catch (error) {
    status = explain(error);
  }
  // The work is over; nothing that is still open may keep the process.
  process.exit(status);
}

void main();
