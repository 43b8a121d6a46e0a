// `millrace format` with a person to ask and without, over real files: what is asked when, what is said,
// and above all what is left alone.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { formatCommand } from '../../../ts/cli/commands/format.js';
import { StoreError } from '../../../ts/errors.js';
import { temporaryFolder } from '../../support/command.js';

const size = 256 * 2 ** 20;

interface Asked {
  size?: number;
  yes?: boolean;
  /** What the person answers; null: nobody is there. */
  answer?: boolean | null;
  zeroFill?: boolean;
}

async function run(path: string, { answer = null, ...asked }: Asked) {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const questions: string[] = [];
  const progress = new PassThrough();
  const confirm =
    answer === null
      ? null
      : async (question: string) => {
          questions.push(question);
          return answer;
        };
  const status = await formatCommand(
    { path, blockSize: 4096, zeroFill: false, yes: false, directIo: true, ...asked },
    {
      stdout: (line) => stdout.push(line),
      stderr: (line) => stderr.push(line),
      progress: progress as unknown as NodeJS.WriteStream,
      confirm,
    },
  );
  return { status, stdout, stderr, questions, progress: String(progress.read() ?? '') };
}

/** Bytes that every format of a store writes anew: they hold its random identity. */
function identityOf(path: string): string {
  const bytes = Buffer.alloc(256 * 1024);
  const file = openSync(path, 'r');
  readSync(file, bytes);
  closeSync(file);
  return bytes.toString('base64');
}

test('format: makes a file, shows the way, and says what came of it', async (t) => {
  const path = join(temporaryFolder(t), 'store.disk');
  const { status, stdout, questions, progress } = await run(path, { size, zeroFill: true });
  t.is(status, 0);
  t.deepEqual(questions, []);
  t.is(stdout[0], `${path} is a millrace store now`);
  t.is(stdout[1], `  size        ${size} bytes (256MiB)`);
  t.regex(stdout[2] ?? '', /^ {2}segments {4}47 of 4MiB$/);
  t.regex(stdout[3] ?? '', /^ {2}direct I\/O {2}(yes|no: \S.*)$/);
  t.true(stdout.includes(`  device_path: ${JSON.stringify(path)}`));
  t.regex(progress, /format: 100% \(256MiB of 256MiB\)\n$/);
});

test('format: a store that is there is emptied only after a yes', async (t) => {
  const path = join(temporaryFolder(t), 'store.disk');
  await run(path, { size });
  const first = identityOf(path);
  const refused = await run(path, { answer: false });
  t.is(refused.status, 1);
  t.is(refused.questions.length, 1);
  t.regex(refused.questions[0] ?? '', /holds a millrace store/);
  t.deepEqual(refused.stdout, []);
  t.is(identityOf(path), first);
  const alone = await t.throwsAsync(run(path, {}), { instanceOf: StoreError });
  t.is(alone?.code, 'ERR_MILLRACE_STORE_BUSY');
  t.regex(alone?.message ?? '', /--yes/);
  t.is(identityOf(path), first);
  t.is((await run(path, { answer: true })).status, 0);
  const second = identityOf(path);
  t.not(second, first);
  const forced = await run(path, { yes: true });
  t.is(forced.status, 0);
  t.deepEqual(forced.questions, []);
  t.not(identityOf(path), second);
});

test('format: what is not ours is left alone, whatever is answered', async (t) => {
  const path = join(temporaryFolder(t), 'database');
  writeFileSync(path, '');
  truncateSync(path, size);
  writeFileSync(path, 'SQLite format 3', { flag: 'r+' });
  for (const asked of [{}, { yes: true }, { answer: true }]) {
    const error = await t.throwsAsync(run(path, asked), { instanceOf: StoreError });
    t.is(error?.code, 'ERR_MILLRACE_STORE_FOREIGN_DEVICE');
    t.regex(error?.message ?? '', /unknown data at offset 0.*delete the file yourself/);
  }
  truncateSync(path, 2 ** 20);
  const bytes = readFileSync(path);
  t.is(bytes.subarray(0, 15).toString(), 'SQLite format 3');
  t.true(bytes.subarray(15).every((byte) => byte === 0));
});

test('format: a path that cannot be used is told with what to do', async (t) => {
  const folder = temporaryFolder(t);
  const refusal = async (path: string, asked: Asked) => {
    const error = await t.throwsAsync(run(path, asked), { instanceOf: StoreError });
    t.true(error?.message.startsWith(path), error?.message);
    return error?.message.slice(path.length) ?? '';
  };
  const none = join(folder, 'none');
  t.regex(await refusal(none, {}), /^ does not exist; .*--size 100GiB$/);
  t.regex(await refusal(join(none, 'deep'), { size }), /make the directory .*none first$/);
  t.regex(await refusal('/dev/millrace-none', {}), /does not exist; check the path$/);
  t.regex(await refusal(none, { size: 1000 }), /ask for 256MiB to 32TiB$/);
  t.false(existsSync(none));
  mkdirSync(none);
  t.regex(await refusal(none, {}), /is a directory; a store needs/);
  const small = join(folder, 'small');
  writeFileSync(small, 'x');
  t.regex(await refusal(small, {}), /smaller than 256 MiB; choose one of 256MiB to 32TiB$/);
  t.regex(await refusal(small, { size }), /a file of 1 bytes, not one of 268435456 bytes/);
  t.is(readFileSync(small, 'utf8'), 'x');
});

test('format: more than there is space for names both numbers and leaves no file', async (t) => {
  const path = join(temporaryFolder(t), 'huge');
  const wanted = 30 * 2 ** 40;
  const error = await t.throwsAsync(run(path, { size: wanted }), { instanceOf: StoreError });
  t.is(error?.code, 'ERR_MILLRACE_STORE_NO_SPACE');
  t.regex(error?.message ?? '', RegExp(`${wanted} bytes are asked for and \\d+ bytes are free`));
  t.false(existsSync(path));
});
