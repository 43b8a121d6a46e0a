// The hf preset with huggingface_hub itself, over a hub that redirects each file to a signed URL of another
// host: downloaded twice into empty caches, the second time without a body from either host.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { temporaryFolder } from '../support/command.js';
import {
  type ArtefactOrigin,
  artefactBytes,
  hasPythonModule,
  runClient,
  servePreset,
  startArtefacts,
} from '../support/preset.js';

const commit = 'c0ffee'.padEnd(40, '0');
const weights = artefactBytes(700_000, 'hf');
const path = (revision: string) => `/org/model/resolve/${revision}/model.safetensors`;
const isHere = hasPythonModule('huggingface_hub');
const hubTest = (title: string, run: (t: ExecutionContext) => Promise<void>): void => {
  if (isHere) test(title, run);
  else test.skip(`${title} (not installed here: python3 module huggingface_hub)`, run);
};

interface Hub {
  readonly origin: ArtefactOrigin;
  readonly blobs: ArtefactOrigin;
}

/** Each redirect has another signature; the host of the blobs knows no tokens. */
async function startHub(t: ExecutionContext, tokens: readonly string[] | null): Promise<Hub> {
  const blobs = await startArtefacts(t);
  const origin = await startArtefacts(t);
  blobs.files.set('/blob', { body: weights });
  let signatures = 0;
  origin.before = async (request, reply) => {
    const token = /^Bearer (.+)$/.exec(request.field('authorization') ?? '')?.[1];
    if (tokens !== null && !tokens.includes(token ?? '')) {
      await reply.send({ status: 401, fields: ['X-Error-Code', 'RepoNotFound'], body: 'no' });
      return true;
    }
    if (request.target !== path('main') && request.target !== path(commit)) return false;
    signatures += 1;
    const fields = [
      ...['Location', `http://${blobs.address}/blob?signature=${signatures}`],
      ...['X-Repo-Commit', commit, 'X-Linked-Size', `${weights.length}`, 'X-Linked-ETag', '"w1"'],
    ];
    if (request.method === 'HEAD') await reply.head(302, [...fields, 'Content-Length', '0']);
    else await reply.send({ status: 302, fields, body: '' });
    return true;
  };
  return { origin, blobs };
}

async function download(
  t: ExecutionContext,
  proxy: string,
  token: string | null,
  revision: string,
) {
  const folder = temporaryFolder(t);
  const program = [
    'import sys',
    'from huggingface_hub import hf_hub_download',
    'token = sys.argv[2] or False',
    'print(hf_hub_download("org/model", "model.safetensors", revision=sys.argv[1], token=token))',
  ];
  const env = { HF_ENDPOINT: proxy, HF_HOME: folder, HF_HUB_DISABLE_TELEMETRY: '1', HOME: folder };
  const args = ['-c', program.join('\n'), revision, token ?? ''];
  const run = await runClient(t, 'python3', args, { cwd: folder, env });
  return { ...run, got: () => readFileSync(join(run.stdout.trim())) };
}

hubTest('hf: the second download costs no body of either host', async (t) => {
  t.timeout(180_000);
  const { origin, blobs } = await startHub(t, null);
  const proxy = await servePreset(t, 'hf', origin.address);
  for (const revision of ['main', 'main', commit, commit]) {
    const run = await download(t, proxy, null, revision);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.got(), weights);
  }
  // Once under each name, and nothing of it past the proxy: the host of the blobs was never told a client.
  t.is(blobs.bodies.length, 2);
  for (const request of blobs.requests) t.not(request.field('via'), undefined);
});

hubTest('hf: a private model is served to whom the hub lets in', async (t) => {
  t.timeout(180_000);
  const { origin, blobs } = await startHub(t, ['one', 'two']);
  const proxy = await servePreset(t, 'hf', origin.address);
  for (const token of ['one', 'two']) {
    const run = await download(t, proxy, token, commit);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.got(), weights);
  }
  t.is(blobs.bodies.length, 1);
  for (const request of blobs.requests) t.is(request.field('authorization'), undefined);
  for (const token of ['three', null]) {
    const refused = await download(t, proxy, token, commit);
    t.not(refused.status, 0);
    t.regex(refused.stderr, /401|RepositoryNotFound/);
  }
  t.is(blobs.bodies.length, 1);
});
