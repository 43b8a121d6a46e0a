// The oci preset with skopeo and docker-registry themselves: an image is copied twice through the proxy, the
// second time without a body from the registry, whose own access log is what counts; and users whom the
// registry does not know get nothing, whatever is stored.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from '../support/command.js';
import {
  type ArtefactOrigin,
  artefactBytes,
  clientTest,
  runClient,
  servePreset,
  startArtefacts,
} from '../support/preset.js';
import { until } from '../support/until.js';

const programs = ['skopeo', 'docker-registry'];
// The registry takes bcrypt alone, which Node does not have. Both passwords are "secret".
const users = `one:$2y$04$I8qfV2GkWGz.CmklROviSu.pdb8652NzvqjqkF61896QZZ6PbB0pm
two:$2y$04$aoTgbiUqO5bdMv.gBfnFM.n0BHon22iV5fWN4CxZQ4Jqnd5C/n8u2
`;
const layer = gzipSync(artefactBytes(700_000, 'oci'));

interface Registry {
  /** "127.0.0.1:port" */
  readonly address: string;
  /** Paths under /v2/sample/ whose bodies it has sent, sorted, once it has told of so many. */
  bodies(count: number): Promise<string[]>;
}

const redirect = (host: string) =>
  `middleware: { storage: [{ name: redirect, options: { baseurl: "http://${host}" } }] }\n`;

/** With `blobs`, it redirects to that host for each blob. */
async function startRegistry(
  t: ExecutionContext,
  isPrivate: boolean,
  blobs: ArtefactOrigin | null = null,
): Promise<Registry> {
  const folder = temporaryFolder(t);
  const auth = `auth: { htpasswd: { realm: test, path: "${join(folder, 'users')}" } }\n`;
  writeFileSync(join(folder, 'users'), users);
  writeFileSync(
    join(folder, 'registry.yml'),
    `version: 0.1
log: { accesslog: { disabled: false } }
storage: { filesystem: { rootdirectory: "${join(folder, 'data')}" } }
http: { addr: "127.0.0.1:0" }
${isPrivate ? auth : ''}${blobs === null ? '' : redirect(blobs.address)}`,
  );
  if (blobs !== null) {
    blobs.before = async ({ target }) => {
      const path = join(folder, 'data', target);
      if (existsSync(path)) blobs.files.set(target, { body: readFileSync(path) });
      return false;
    };
  }
  const args = ['serve', join(folder, 'registry.yml')];
  const child = spawn('docker-registry', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const port = () => /listening on 127\.0\.0\.1:(\d+)/.exec(lines.join('\n'))?.[1];
  await until('the registry', () => port() !== undefined || child.exitCode !== null);
  t.is(child.exitCode, null, lines.join('\n'));
  const sent = () =>
    lines
      .flatMap((line) => /"GET \/v2\/sample\/(\S+) HTTP\/1\.1" 200 [1-9]/.exec(line)?.[1] ?? [])
      .sort();
  return {
    address: `127.0.0.1:${port()}`,
    bodies: async (count) => {
      await until('the access log', () => sent().length >= count);
      return sent();
    },
  };
}

/** An image of one layer as a folder in the layout of OCI; gives the paths that a pull asks for. */
function makeImage(folder: string): string[] {
  const blobs = join(folder, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const paths: string[] = [];
  const put = (kind: string, mediaType: string, bytes: Buffer) => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hash), bytes);
    paths.push(`${kind}/sha256:${hash}`);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const type = (name: string) => `application/vnd.oci.image.${name}`;
  const layers = [put('blobs', type('layer.v1.tar+gzip'), layer)];
  const rootfs = { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] };
  const config = put(
    'blobs',
    type('config.v1+json'),
    json({ architecture: 'amd64', os: 'linux', rootfs }),
  );
  const manifestType = type('manifest.v1+json');
  const body = json({ schemaVersion: 2, mediaType: manifestType, config, layers });
  const manifest = put('manifests', manifestType, body);
  writeFileSync(join(folder, 'index.json'), json({ schemaVersion: 2, manifests: [manifest] }));
  writeFileSync(join(folder, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  return paths;
}

const login = (side: string, user: string | null) =>
  user === null ? [] : [`--${side}-creds`, `${user}:secret`];

async function push(t: ExecutionContext, target: Registry, user: string | null): Promise<string[]> {
  const folder = temporaryFolder(t);
  const paths = makeImage(folder);
  const to = ['--dest-tls-verify=false', ...login('dest', user)];
  const image = [`oci:${folder}`, `docker://${target.address}/sample:latest`];
  const run = await skopeo(t, ['copy', ...to, ...image]);
  t.is(run.status, 0, run.stderr);
  t.deepEqual(await target.bodies(0), []);
  return paths;
}

/** Without anybody's settings: a policy of its own, and no file of credentials. */
function skopeo(t: ExecutionContext, args: readonly string[]) {
  const home = temporaryFolder(t);
  const env = { HOME: home, XDG_RUNTIME_DIR: home, REGISTRY_AUTH_FILE: join(home, 'auth.json') };
  writeFileSync(join(home, 'auth.json'), '{}');
  return runClient(t, 'skopeo', ['--insecure-policy', ...args], { env });
}

/** Into an empty folder, which holds each blob by its hash. */
async function pull(t: ExecutionContext, proxy: string, name: string, user: string | null) {
  const folder = temporaryFolder(t);
  const from = ['--src-tls-verify=false', ...login('src', user)];
  const image = [`docker://${proxy.slice('http://'.length)}/${name}`, `dir:${folder}`];
  const run = await skopeo(t, ['copy', ...from, ...image]);
  const hash = createHash('sha256').update(layer).digest('hex');
  return {
    ...run,
    files: () => readdirSync(folder),
    layer: () => readFileSync(join(folder, hash)),
  };
}

clientTest(programs, 'oci: the second pull costs no body of the registry', async (t) => {
  t.timeout(180_000);
  const registry = await startRegistry(t, false);
  const paths = await push(t, registry, null);
  const proxy = await servePreset(t, 'oci', registry.address);
  const digest = paths.find((path) => path.startsWith('manifests/'))!.slice('manifests/'.length);
  const sent = [...paths.filter((path) => path.startsWith('blobs/')), 'manifests/latest'].sort();
  for (let round = 0; round < 2; round += 1) {
    const run = await pull(t, proxy, 'sample:latest', null);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.layer(), layer);
    t.deepEqual(await registry.bodies(sent.length), sent);
  }
  for (let round = 0; round < 2; round += 1) {
    const run = await pull(t, proxy, `sample@${digest}`, null);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.layer(), layer);
    t.deepEqual(await registry.bodies(sent.length + 1), [...sent, `manifests/${digest}`].sort());
  }
});

clientTest(programs, 'oci: a private image is served to whom the registry lets in', async (t) => {
  t.timeout(180_000);
  const registry = await startRegistry(t, true);
  await push(t, registry, 'one');
  const proxy = await servePreset(t, 'oci', registry.address);
  for (const user of ['one', 'two']) {
    const run = await pull(t, proxy, 'sample:latest', user);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.layer(), layer);
  }
  t.is((await registry.bodies(3)).length, 3);
  for (const user of ['three', null]) {
    const refused = await pull(t, proxy, 'sample:latest', user);
    t.not(refused.status, 0);
    t.regex(refused.stderr, /authentication required|unauthorized|invalid username/i);
    t.false(refused.files().includes('manifest.json'));
  }
  t.is((await registry.bodies(3)).length, 3);
});

clientTest(
  programs,
  'oci: blobs on another host are fetched once, and no token goes there',
  async (t) => {
    t.timeout(180_000);
    const blobs = await startArtefacts(t);
    const registry = await startRegistry(t, true, blobs);
    await push(t, registry, 'one');
    const proxy = await servePreset(t, 'oci', registry.address);
    for (const user of ['one', 'two']) {
      const run = await pull(t, proxy, 'sample:latest', user);
      t.is(run.status, 0, run.stderr);
      t.deepEqual(run.layer(), layer);
    }
    t.deepEqual(await registry.bodies(1), ['manifests/latest']);
    t.is(blobs.bodies.length, 2);
    for (const request of blobs.requests) t.is(request.field('authorization'), undefined);
    t.not((await pull(t, proxy, 'sample:latest', 'three')).status, 0);
    t.is(blobs.bodies.length, 2);
  },
);
