// https towards origins: who is trusted, by which name, what we show of ourselves, and what is said when it
// does not work. Certificates are made by openssl.

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../ts/clock.js';
import { loadConfig } from '../../ts/config/load.js';
import type { ConfigInput } from '../../ts/config/schema.js';
import { createProxy, type Log } from '../../ts/index.js';
import { openUpstream } from '../../ts/upstream/upstream.js';
import { bodyBytes } from '../support/bytes.js';
import { type Certificates, makeCertificates } from '../support/certificates.js';
import { type Scene, withProxy } from '../support/harness.js';
import { always, type Script, startOrigin } from '../support/scripted-origin.js';

type UpstreamInput = NonNullable<ConfigInput['upstreams']>[string];

const lifetime = ['Cache-Control', 'max-age=600'];
const secret = always({ fields: lifetime, body: 'secret' });

interface Setting {
  readonly script?: Script;
  readonly server?: TlsOptions;
  readonly tls: (made: Certificates) => UpstreamInput['tls'];
}

async function withHttps(
  t: ExecutionContext,
  { script = secret, server = {}, tls }: Setting,
  run: (scene: Scene, made: Certificates) => Promise<void>,
): Promise<void> {
  const made = makeCertificates(t);
  if (made === null) return;
  const origin = await startOrigin(t, script, { tls: { ...made.server, ...server } });
  const config = (): ConfigInput => ({
    upstreams: { hub: { origins: `https://${origin.address}`, tls: tls(made) } },
    routes: [{ upstream: 'hub' }],
  });
  await withProxy(t, { origin: always({ status: 500 }), config }, (scene) => run(scene, made));
}

test('https: an origin whose authority is in ca_file is asked', async (t) => {
  const tls = ({ ca }: Certificates) => ({ ca_file: ca });
  await withHttps(t, { tls }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 200);
    t.is(got.body.toString(), 'secret');
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});

test('https: a large body comes as it was sent', async (t) => {
  const body = bodyBytes(5 * 2 ** 20);
  const tls = ({ ca }: Certificates) => ({ ca_file: ca });
  await withHttps(t, { tls, script: always({ fields: lifetime, body }) }, async (scene) => {
    t.true((await scene.get('/a')).body.equals(body));
  });
});

for (const [what, tls] of [
  ['the well-known authorities', () => ({})],
  ['another ca_file', ({ otherCa }: Certificates) => ({ ca_file: otherCa })],
] as const) {
  test(`https: with ${what} a foreign certificate is a 502 that names host and reason`, async (t) => {
    await withHttps(t, { tls }, async (scene) => {
      const got = await scene.get('/a');
      t.is(got.status, 502);
      t.regex(got.body.toString(), /ERR_MILLRACE_UPSTREAM_CERTIFICATE/);
      const status = got.field('proxy-status')!;
      t.regex(
        status,
        /^millrace; error=tls_certificate_error; details="https:\/\/127\.0\.0\.1:\d+ /,
      );
      t.regex(status, /does not verify: .*UNABLE_TO_|SELF_SIGNED/);
    });
  });
}

test('https: verify: false takes any certificate', async (t) => {
  await withHttps(t, { tls: () => ({ verify: false }) }, async (scene) => {
    t.is((await scene.get('/a')).body.toString(), 'secret');
  });
});

test('https: verify: false is warned of at start', async (t) => {
  const warnings: string[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn: (_fields, message) => void warnings.push(message),
    error() {},
  };
  const start = async (verify: boolean) => {
    const options: ConfigInput = {
      listen: '127.0.0.1:0',
      upstreams: { hub: { origins: 'https://127.0.0.1:1', tls: { verify } } },
      routes: [{ upstream: 'hub' }],
      enable_cache: false,
    };
    const system = await createProxy(options, { log });
    await system.close(0);
  };
  await start(true);
  t.false(warnings.some((message) => message.includes('verify')));
  await start(false);
  t.is(
    warnings.filter((message) => /^upstreams\.hub\.tls\.verify is false/.test(message)).length,
    1,
  );
});

test('https: server_name is asked for by SNI and expected in the certificate', async (t) => {
  const asked: string[] = [];
  const server: TlsOptions = {
    SNICallback(name, callback) {
      asked.push(name);
      callback(null);
    },
  };
  const named = ({ ca }: Certificates) => ({ ca_file: ca, server_name: 'origin.test' });
  await withHttps(t, { tls: named, server }, async (scene) => {
    t.is((await scene.get('/a')).status, 200);
    t.deepEqual([...new Set(asked)], ['origin.test']);
  });
  const other = ({ ca }: Certificates) => ({ ca_file: ca, server_name: 'other.test' });
  await withHttps(t, { tls: other }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.regex(got.field('proxy-status')!, /tls_certificate_error.*other\.test.*ALTNAME/);
  });
});

test('https: an origin that wants a certificate of ours gets it', async (t) => {
  const demanding = (made: Certificates): TlsOptions => ({
    requestCert: true,
    rejectUnauthorized: true,
    ca: readFileSync(made.ca),
  });
  const made = makeCertificates(t);
  if (made === null) return;
  const origin = await startOrigin(t, secret, { tls: { ...made.server, ...demanding(made) } });
  const withTls = (tls: UpstreamInput['tls']) => (): ConfigInput => ({
    upstreams: { hub: { origins: `https://${origin.address}`, tls } },
    routes: [{ upstream: 'hub' }],
  });
  const shown = { ca_file: made.ca, cert_file: made.clientCert, key_file: made.clientKey };
  await withProxy(t, { origin: secret, config: withTls(shown) }, async (scene) => {
    t.is((await scene.get('/a')).body.toString(), 'secret');
  });
  await withProxy(t, { origin: secret, config: withTls({ ca_file: made.ca }) }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.regex(got.body.toString(), /ERR_MILLRACE_UPSTREAM_(TLS|RESET)/);
  });
});

test('https: a request whose client waits for leave is sent under the same rules', async (t) => {
  const script: Script = async (request, reply) => {
    await reply.raw('HTTP/1.1 100 Continue\r\n\r\n');
    await reply.send({ body: await request.body });
  };
  const order = { method: 'POST', fields: ['Expect', '100-continue'], body: 'order' };
  const trusted = ({ ca }: Certificates) => ({ ca_file: ca, server_name: 'origin.test' });
  await withHttps(t, { tls: trusted, script }, async (scene) => {
    t.is((await scene.send('/a', order)).body.toString(), 'order');
  });
  const foreign = ({ otherCa }: Certificates) => ({ ca_file: otherCa });
  await withHttps(t, { tls: foreign, script }, async (scene) => {
    const got = await scene.send('/a', order);
    t.is(got.status, 502);
    t.regex(got.field('proxy-status')!, /tls_certificate_error/);
  });
});

test('https: an origin below min_version is a 502 that says so', async (t) => {
  const server: TlsOptions = { maxVersion: 'TLSv1.2' };
  const strict = ({ ca }: Certificates) => ({ ca_file: ca, min_version: '1.3' as const });
  await withHttps(t, { tls: strict, server }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(got.field('proxy-status'), 'millrace; error=tls_protocol_error');
  });
  const mild = ({ ca }: Certificates) => ({ ca_file: ca });
  await withHttps(t, { tls: mild, server }, async (scene) => {
    t.is((await scene.get('/a')).status, 200);
  });
});

test('https: an origin that speaks no TLS is a 502 that says so', async (t) => {
  const plain = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
  }).listen(0, '127.0.0.1');
  await once(plain, 'listening');
  t.teardown(() => plain.close());
  const { port } = plain.address() as AddressInfo;
  const config = (): ConfigInput => ({ upstream_address: `https://127.0.0.1:${port}` });
  await withProxy(t, { origin: secret, config }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(got.field('proxy-status'), 'millrace; error=tls_protocol_error');
  });
});

test('https: files that are not what their key promises are named at start', (t) => {
  const made = makeCertificates(t);
  if (made === null) return;
  const junk = join(made.directory, 'junk.pem');
  writeFileSync(junk, 'not a certificate\n');
  const failure = (tls: UpstreamInput['tls']): string => {
    const input: ConfigInput = {
      upstreams: { hub: { origins: 'https://127.0.0.1:1', tls } },
      routes: [{ upstream: 'hub' }],
      enable_l2_cache: false,
    };
    const { config } = loadConfig({ input });
    const error = t.throws(
      () => openUpstream('hub', config.upstreams.get('hub')!, { clock: systemClock }),
      { code: 'ERR_MILLRACE_CONFIG_INVALID' },
    );
    return error?.message ?? '';
  };
  const missing = join(made.directory, 'missing.pem');
  t.is(
    failure({ ca_file: missing }),
    `upstreams.hub.tls.ca_file: ${missing}: there is no such file`,
  );
  t.true(failure({ ca_file: junk }).startsWith(`upstreams.hub.tls.ca_file: ${junk}: not a cert`));
  const own = { cert_file: made.clientCert, key_file: made.clientKey };
  const wrongKey = failure({ ...own, key_file: made.clientCert });
  t.true(wrongKey.startsWith(`upstreams.hub.tls.key_file: ${made.clientCert}: not a private key`));
  t.is(
    failure({ ...own, key_file: made.serverKey }),
    `upstreams.hub.tls.key_file: ${made.serverKey}: not the key of ${made.clientCert}`,
  );
  t.regex(
    t.throws(() =>
      loadConfig({
        text: `upstreams: { hub: { origins: "https://a", tls: { cert_file: /a.pem } } }
routes: [{ upstream: hub }]
enable_l2_cache: false
`,
      }),
    )?.message ?? '',
    /^configuration:1: upstreams\.hub\.tls\.key_file: missing; cert_file needs it$/,
  );
});
