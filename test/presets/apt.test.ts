// The apt preset with apt-get itself, over an archive that dpkg-deb and apt-ftparchive make: lists and
// package are fetched twice by machines that know nothing yet, the second time without a body from the
// archive. All of apt's state lies in the test's own folder.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

const programs = ['apt-get', 'apt-ftparchive', 'dpkg-deb'];
const name = 'millrace-sample';
const debPath = `pool/main/m/${name}_1.0_all.deb`;
const indexPath = 'dists/test/main/binary-amd64/Packages';
const basic = (user: string) => Buffer.from(`${user}:secret`).toString('base64');

async function made(t: ExecutionContext, folder: string, program: string, ...args: string[]) {
  const { status, stdout, stderr } = await runClient(t, program, args, { cwd: folder });
  t.is(status, 0, stderr);
  return stdout;
}

/** Gives the package as it was made. */
async function publish(t: ExecutionContext, origin: ArtefactOrigin): Promise<Buffer> {
  const archive = temporaryFolder(t);
  const tree = join(archive, 'tree');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  chmodSync(join(tree, 'DEBIAN'), 0o755);
  const control = [
    `Package: ${name}`,
    'Version: 1.0',
    'Architecture: all',
    'Maintainer: nobody <nobody@example.com>',
    'Description: a sample',
  ];
  writeFileSync(join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  writeFileSync(join(tree, 'data.bin'), artefactBytes(700_000, 'apt'));
  for (const path of [debPath, indexPath])
    mkdirSync(join(archive, path, '..'), { recursive: true });
  await made(t, archive, 'dpkg-deb', '--build', '--root-owner-group', 'tree', debPath);
  const index = await made(t, archive, 'apt-ftparchive', 'packages', 'pool');
  writeFileSync(join(archive, indexPath), index);
  const release = await made(t, archive, 'apt-ftparchive', 'release', 'dists/test');
  const facts = 'Suite: test\nComponents: main\nArchitectures: amd64\n';
  const deb = readFileSync(join(archive, debPath));
  origin.files.set(`/${debPath}`, { body: deb });
  origin.files.set(`/${indexPath}`, { body: Buffer.from(index) });
  origin.files.set('/dists/test/Release', { body: Buffer.from(facts + release) });
  return deb;
}

/** A machine that knows nothing yet: reads the lists, then downloads the package into a folder of its own. */
async function download(
  t: ExecutionContext,
  proxy: string,
  user: string | null,
): Promise<ClientRun & { readonly got: () => Buffer }> {
  const folder = temporaryFolder(t);
  for (const place of [
    'etc/none.d',
    'state/lists/partial',
    'cache/archives/partial',
    'log',
    'here',
  ]) {
    mkdirSync(join(folder, place), { recursive: true });
  }
  writeFileSync(join(folder, 'status'), '');
  writeFileSync(join(folder, 'etc/sources.list'), `deb [trusted=yes] ${proxy}/ test main\n`);
  const login = user === null ? '' : `machine ${proxy} login ${user} password secret\n`;
  writeFileSync(join(folder, 'etc/auth.conf'), login);
  const settings: Readonly<Record<string, string>> = {
    'Dir::Etc': join(folder, 'etc'),
    'Dir::Etc::main': 'none',
    'Dir::Etc::parts': 'none.d',
    'Dir::Etc::sourceparts': 'none.d',
    'Dir::Etc::netrc': join(folder, 'etc/auth.conf'),
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Log': join(folder, 'log'),
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::http::Proxy': 'DIRECT',
    'Acquire::Retries': '0',
  };
  const config = join(folder, 'apt.conf');
  const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
  writeFileSync(config, lines.join(''));
  const options = { cwd: join(folder, 'here'), env: { APT_CONFIG: config } };
  const got = () => readFileSync(join(folder, 'here', `${name}_1.0_all.deb`));
  const update = await runClient(
    t,
    'apt-get',
    ['update', '-o', 'APT::Update::Error-Mode=any'],
    options,
  );
  if (update.status !== 0) return { ...update, got };
  return { ...(await runClient(t, 'apt-get', ['download', name], options)), got };
}

clientTest(programs, 'apt: the second machine costs no body of the archive', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  const deb = await publish(t, origin);
  const proxy = await servePreset(t, 'apt', origin.address);
  for (let round = 0; round < 2; round += 1) {
    const run = await download(t, proxy, null);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.got(), deb);
    const sent = [`/${debPath}`, `/${indexPath}`, '/dists/test/Release'].sort();
    t.deepEqual([...origin.bodies].sort(), sent);
  }
});

clientTest(programs, 'apt: a private archive is served to whom it lets in', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  const tokens = ['one', 'two'].map((user) => `Basic ${basic(user)}`);
  const deb = await publish(t, origin);
  origin.before = async (request, reply) => {
    if (tokens.includes(request.field('authorization') ?? '')) return false;
    await reply.send({ status: 401, fields: ['WWW-Authenticate', 'Basic realm="test"'], body: '' });
    return true;
  };
  const proxy = await servePreset(t, 'apt', origin.address);
  for (const user of ['one', 'two']) {
    const run = await download(t, proxy, user);
    t.is(run.status, 0, run.stderr);
    t.deepEqual(run.got(), deb);
  }
  t.is(origin.bodies.length, 3);
  for (const user of ['three', null]) {
    const refused = await download(t, proxy, user);
    t.not(refused.status, 0);
    t.regex(refused.stderr, /401/);
  }
  t.is(origin.bodies.length, 3);
});
