// millrace warm: a list of URLs becomes what is stored in the running instance, through its listener; what
// failed is named, and what was there already costs no body.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configFile, runCommand, startCommand, temporaryFolder } from '../support/command.js';
import { artefactBytes, startArtefacts } from '../support/preset.js';

interface Setting {
  readonly address: string;
  readonly folder: string;
  warm(list: string, ...args: string[]): ReturnType<typeof runCommand>;
}

async function withInstance(t: ExecutionContext, origin: string): Promise<Setting> {
  const folder = temporaryFolder(t);
  const config = configFile(
    folder,
    `upstream_address: "${origin}"\nlisten: "127.0.0.1:0"\nenable_l2_cache: false\n`,
  );
  const { listen } = await startCommand(t, ['serve', '-c', config]).logged('ready');
  const address = (listen as string[])[0]!;
  const list = join(folder, 'list');
  return {
    address,
    folder,
    warm: (text, ...args) => {
      writeFileSync(list, text);
      return runCommand(t, ['warm', '-c', config, '--port', new URL(address).port, list, ...args]);
    },
  };
}

const lifetime = ['Cache-Control', 'max-age=600'];

test('warm: every URL is fetched once, and the second time none', async (t) => {
  const origin = await startArtefacts(t);
  const paths = Array.from({ length: 25 }, (_, number) => `/f${number}`);
  for (const path of paths) {
    origin.files.set(path, { body: artefactBytes(50_000, path), fields: lifetime });
  }
  const { address, warm } = await withInstance(t, origin.address);
  const list = `# the release\n\n${paths.map((path) => address + path).join('\n')}\n`;
  const first = await warm(list);
  t.is(first.status, 0, first.stderr.join('\n'));
  t.deepEqual(first.stdout, ['25 URLs: 0 stored already, 25 fetched (1.2MiB), 0 failed']);
  // Not a terminal: a line for every tenth.
  t.is(first.stderr.length, 11);
  t.is(first.stderr.at(-1), 'warm: 100% (25 URLs of 25 URLs)');
  const second = await warm(list, '--json', '--concurrency', '1');
  t.is(second.status, 0);
  t.deepEqual(JSON.parse(second.stdout.join('\n')), {
    urls: 25,
    stored: 25,
    fetched: 0,
    fetchedBytes: 0,
    failed: [],
  });
  t.is(origin.bodies.length, 25);
  const got = await fetch(`${address}/f7`);
  t.is(got.headers.get('x-cache'), 'HIT');
  t.deepEqual(Buffer.from(await got.arrayBuffer()), artefactBytes(50_000, '/f7'));
});

test('warm: what fails is named with the reason, and the rest is done', async (t) => {
  const origin = await startArtefacts(t);
  origin.files.set('/good', { body: Buffer.from('good'), fields: lifetime });
  origin.files.set('/private', { body: Buffer.from('p'), fields: ['Cache-Control', 'private'] });
  origin.files.set('/token', { body: Buffer.from('t'), fields: lifetime, tokens: ['one'] });
  origin.before = async (request, reply) => {
    if (request.target !== '/broken') return false;
    await reply.head(200, [...lifetime, 'Content-Length', '1000']);
    await reply.raw('short');
    reply.reset();
    return true;
  };
  const { address, warm } = await withInstance(t, origin.address);
  const urls = ['/good', '/private', '/missing', '/token', '/broken'].map((path) => address + path);
  const secure = 'https://elsewhere.example/a';
  const { status, stdout, stderr } = await warm([...urls, secure, 'no url'].join('\n'));
  t.is(status, 1);
  t.deepEqual(stdout, ['7 URLs: 0 stored already, 1 fetched (4B), 6 failed']);
  const named = (url: string) => stderr.find((line) => line.startsWith(`${url}: `)) ?? '';
  t.regex(named(urls[1]!), /answered 200 and is not stored: private/);
  t.regex(named(urls[2]!), /answered 404/);
  t.regex(named(urls[3]!), /answered 401/);
  t.regex(named(urls[4]!), /aborted|broke off|reset|socket hang up/i);
  t.regex(named(secure), /trusted_proxies/);
  t.regex(named('no url'), /not a URL/);
});

test('warm: fields of every request', async (t) => {
  const origin = await startArtefacts(t);
  const fields = ['Cache-Control', 'public, max-age=600'];
  origin.files.set('/token', { body: Buffer.from('t'), fields, tokens: ['one'] });
  const { address, warm } = await withInstance(t, origin.address);
  const { status } = await warm(`${address}/token`, '--header', 'Authorization: Bearer one');
  t.is(status, 0);
  t.is((await fetch(`${address}/token`)).headers.get('x-cache'), 'HIT');
  t.is((await warm(`${address}/token`, '--header', 'nonsense')).status, 2);
});

test('warm: no more requests at a time than it was told', async (t) => {
  const origin = await startArtefacts(t);
  let running = 0;
  let most = 0;
  origin.before = async (_, reply) => {
    running += 1;
    most = Math.max(most, running);
    for (let turn = 0; turn < 50; turn += 1) await new Promise((done) => setImmediate(done));
    running -= 1;
    await reply.send({ fields: lifetime, body: 'x' });
    return true;
  };
  const { address, warm } = await withInstance(t, origin.address);
  const urls = Array.from({ length: 40 }, (_, number) => `${address}/${number}`);
  t.is((await warm(urls.join('\n'), '--concurrency', '3')).status, 0);
  t.true(most > 1 && most <= 3, `${most}`);
});

test('warm: nobody listens is told once, and the status is 3', async (t) => {
  const folder = temporaryFolder(t);
  const config = configFile(folder, 'upstream_address: "a:1"\nenable_l2_cache: false\n');
  writeFileSync(join(folder, 'list'), 'http://a/1\nhttp://a/2\nhttp://a/3\n');
  const socket = `unix:${join(folder, 'none.sock')}`;
  const args = ['warm', '-c', config, '--set', `listen=${socket}`, '--'];
  const { status, stderr } = await runCommand(t, [...args, join(folder, 'list')]);
  t.is(status, 3);
  t.is(stderr.filter((line) => line.startsWith('cannot reach')).length, 1);
});

test('warm: the list comes from the standard input as well', async (t) => {
  const origin = await startArtefacts(t);
  origin.files.set('/a', { body: Buffer.from('a'), fields: lifetime });
  const { address, folder } = await withInstance(t, origin.address);
  const list = join(folder, 'piped');
  writeFileSync(list, `${address}/a\n`);
  const shell = ['sh', '-c', 'list=$1; shift; exec "$@" < "$list"', 'sh', list];
  const args = ['warm', '-c', join(folder, 'millrace.yaml'), '--port', new URL(address).port];
  const warm = startCommand(t, args, {}, shell);
  const [status] = (await once(warm.child, 'close')) as [number];
  t.is(status, 0);
  t.deepEqual((await warm.ended).stdout, ['1 URLs: 0 stored already, 1 fetched (1B), 0 failed']);
});
