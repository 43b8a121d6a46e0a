// The npm preset with npm itself: a package is installed twice through the proxy into empty projects with
// empty caches, the second time without a body from the registry, and not at all by a token that the
// registry refuses.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from '../support/command.js';
import {
  type ArtefactOrigin,
  artefactBytes,
  type ClientRun,
  clientTest,
  runClient,
  servePreset,
  startArtefacts,
} from '../support/preset.js';

const name = 'millrace-sample';
const tarball = `/${name}/-/${name}-1.0.0.tgz`;
const data = artefactBytes(700_000, 'npm');

/** As `npm publish` would: the archive, and the document that names it where the client can reach it. */
async function publish(
  t: ExecutionContext,
  origin: ArtefactOrigin,
  tokens: { tokens?: readonly string[] } = {},
): Promise<void> {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0' }));
  writeFileSync(join(folder, 'data.bin'), data);
  const packed = await runClient(t, 'npm', ['pack', '--silent'], { cwd: folder });
  t.is(packed.status, 0, packed.stderr);
  const archive = readFileSync(join(folder, `${name}-1.0.0.tgz`));
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  origin.files.set(tarball, { body: archive, ...tokens });
  origin.files.set(`/${name}`, {
    fields: ['Content-Type', 'application/vnd.npm.install-v1+json'],
    body: (request) => {
      const host = request.field('x-forwarded-host');
      const dist = { tarball: `http://${host}${tarball}`, integrity };
      const versions = { '1.0.0': { name, version: '1.0.0', dist } };
      return Buffer.from(JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions }));
    },
    ...tokens,
  });
}

/** Into a new project with a new cache. */
async function install(
  t: ExecutionContext,
  proxy: string,
  token: string | null,
): Promise<ClientRun & { readonly installed: () => Buffer }> {
  const folder = temporaryFolder(t);
  const project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'user', version: '1.0.0' }));
  const lines = [
    ['registry', `${proxy}/`].join('='),
    `cache=${join(folder, 'cache')}`,
    'audit=false',
    'fund=false',
    'update-notifier=false',
    'fetch-retries=0',
    ...(token === null ? [] : [`${proxy.slice('http:'.length)}/:_authToken=${token}`]),
  ];
  writeFileSync(join(project, '.npmrc'), `${lines.join('\n')}\n`);
  const none = (place: string) => join(folder, `${place}-none`);
  const configs = ['--userconfig', none('user'), '--globalconfig', none('global')];
  const args = ['install', name, ...configs];
  const run = await runClient(t, 'npm', args, { cwd: project, env: { HOME: folder } });
  return { ...run, installed: () => readFileSync(join(project, 'node_modules', name, 'data.bin')) };
}

clientTest(['npm'], 'npm: the second install costs no body of the registry', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  await publish(t, origin);
  const proxy = await servePreset(t, 'npm', origin.address);
  for (let round = 0; round < 2; round += 1) {
    const got = await install(t, proxy, null);
    t.is(got.status, 0, got.stderr);
    t.deepEqual(got.installed(), data);
    t.deepEqual([...origin.bodies].sort(), [`/${name}`, tarball]);
  }
});

clientTest(['npm'], 'npm: what is private is served to whom the registry lets in', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  await publish(t, origin, { tokens: ['one', 'two'] });
  const proxy = await servePreset(t, 'npm', origin.address);
  for (const token of ['one', 'two']) {
    const got = await install(t, proxy, token);
    t.is(got.status, 0, got.stderr);
    t.deepEqual(got.installed(), data);
  }
  t.deepEqual([...origin.bodies].sort(), [`/${name}`, tarball]);
  for (const token of ['wrong', null]) {
    const refused = await install(t, proxy, token);
    t.not(refused.status, 0);
    t.regex(refused.stderr, /E401/);
  }
  t.is(origin.bodies.length, 2);
});
