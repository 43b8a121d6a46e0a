// Redirects that are followed: what is stored under which key, what other hosts are told, where they may lead
// and what happens where they may not. Addresses of 127.0.0.1 count as public here, all others do not.

import type { LookupFunction } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { makeCertificates } from '../support/certificates.js';
import { type Scene, withProxy } from '../support/harness.js';
import {
  always,
  type Script,
  type ScriptedOrigin,
  startOrigin,
} from '../support/scripted-origin.js';

type RouteInput = NonNullable<ConfigInput['routes']>[number];

const lifetime = ['Cache-Control', 'max-age=600'];

const redirect = (location: string, fields: readonly string[] = [], status = 302): Script =>
  always({ status, fields: ['Location', location, ...fields], body: 'moved' });

/** Names that end in .inside are of 127.0.0.2, all others of 127.0.0.1. */
const lookup: LookupFunction = (name, options, callback) => {
  const address = name.endsWith('.inside') ? '127.0.0.2' : '127.0.0.1';
  if (options.all === true) callback(null, [{ address, family: 4 }]);
  else callback(null, address, 4);
};

interface Setting {
  readonly route?: Partial<RouteInput>;
  /** The origin counts as one of the public internet. */
  readonly isPublic?: boolean;
}

async function withRedirects(
  t: ExecutionContext,
  { route = {}, isPublic = true }: Setting,
  run: (scene: Scene, blobs: ScriptedOrigin) => Promise<void>,
): Promise<void> {
  const blobs = await startOrigin(t, always({ fields: lifetime, body: 'blob' }));
  const config = (address: string): ConfigInput => ({
    upstreams: { hub: { origins: address } },
    routes: [{ upstream: 'hub', follow_redirects: 3, ...route }],
  });
  const isInside = (address: string) => !isPublic || address !== '127.0.0.1';
  const origin = redirect(`http://${blobs.address}/signed?s=1`);
  await withProxy(t, { origin, config, upstream: { lookup, isInside } }, (scene) =>
    run(scene, blobs),
  );
}

test('redirects: the object is stored under the URL that the client asked for', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    const got = await scene.get('/model');
    t.is(got.status, 200);
    t.is(got.body.toString(), 'blob');
    t.is(blobs.requests[0]!.target, '/signed?s=1');
    t.is(blobs.requests[0]!.field('host'), blobs.address);
    scene.origin.script = redirect(`http://${blobs.address}/signed?s=2`);
    t.is((await scene.get('/model')).field('x-cache'), 'HIT');
    t.is(blobs.requests.length, 1);
    t.is(scene.upstreams().hub!.redirects, 1);
  });
});

test('redirects: without follow_redirects they go to the client', async (t) => {
  await withRedirects(t, { route: { follow_redirects: 0 } }, async (scene, blobs) => {
    const got = await scene.get('/model');
    t.is(got.status, 302);
    t.is(got.field('location'), `http://${blobs.address}/signed?s=1`);
    t.is(blobs.requests.length, 0);
  });
});

test('redirects: only of a GET or HEAD, and only what is one', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    t.is((await scene.send('/a', { method: 'POST', body: 'x' })).status, 302);
    t.is((await scene.send('/a', { method: 'DELETE' })).status, 302);
    t.is(blobs.requests.length, 0);
    t.is((await scene.send('/a', { method: 'HEAD' })).status, 200);
    scene.origin.script = always({ status: 302, body: 'whereto' });
    t.is((await scene.get('/b')).status, 302);
    scene.origin.script = redirect('http://[/');
    t.is((await scene.get('/c')).status, 302);
    scene.origin.script = redirect(`http://${blobs.address}/`, [], 300);
    t.is((await scene.get('/d')).status, 300);
  });
});

test('redirects: other hosts get nothing that is meant for the origin', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    const told = ['Accept', 'a/b', 'Accept-Encoding', 'gzip', 'User-Agent', 'puller/1'];
    const kept = ['Authorization', 'Bearer t', 'Cookie', 'c=1', 'X-Api-Key', 'k', 'Referer', 'r'];
    await scene.get('/a', [...told, ...kept]);
    const origin = scene.origin.requests[0]!;
    t.is(origin.field('authorization'), 'Bearer t');
    t.is(origin.field('x-api-key'), 'k');
    const { fields } = blobs.requests[0]!;
    const names = fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    const expected = ['host', 'accept', 'accept-encoding', 'user-agent', 'via', 'cdn-loop'];
    t.deepEqual(names.filter((name) => name !== 'connection').sort(), expected.sort());
  });
});

test('redirects: within the origin everything is told', async (t) => {
  await withRedirects(t, {}, async (scene) => {
    scene.origin.script = (request, reply) =>
      request.target === '/a'
        ? redirect('b?x=1')(request, reply)
        : reply.send({ fields: lifetime, body: request.field('authorization') ?? 'none' });
    const got = await scene.get('/a', ['Authorization', 'Bearer t']);
    t.is(got.body.toString(), 'Bearer t');
    t.is(scene.origin.requests[1]!.target, '/b?x=1');
  });
});

test('redirects: back at the origin by a stranger, the token stays out', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    blobs.script = redirect(`http://${scene.origin.address}/admin`);
    scene.origin.script = (request, reply) =>
      request.target === '/a'
        ? redirect(`http://${blobs.address}/`)(request, reply)
        : reply.send({ body: request.field('authorization') ?? 'none' });
    const got = await scene.get('/a', ['Authorization', 'Bearer t']);
    t.is(got.body.toString(), 'none');
  });
});

test('redirects: the public name of this proxy is the origin again', async (t) => {
  await withRedirects(t, {}, async (scene) => {
    scene.origin.script = (request, reply) =>
      request.target === '/a'
        ? redirect('https://site.test/b')(request, reply)
        : reply.send({ body: request.target });
    t.is((await scene.get('/a')).body.toString(), '/b');
  });
});

test('redirects: fields that the route keeps come with what they lead to', async (t) => {
  const route = { redirect_fields: ['X-Commit', 'ETag', 'X-None'] };
  await withRedirects(t, { route }, async (scene, blobs) => {
    const fields = ['X-Commit', 'c1', 'X-Other', 'o', 'ETag', '"of-the-way"'];
    scene.origin.script = redirect(`http://${blobs.address}/signed`, fields);
    blobs.script = always({ fields: [...lifetime, 'ETag', '"of-the-blob"'], body: 'blob' });
    for (const word of ['MISS', 'HIT']) {
      const got = await scene.get('/a');
      t.is(got.field('x-cache'), word);
      t.is(got.field('x-commit'), 'c1');
      t.is(got.field('etag'), '"of-the-blob"');
      t.is(got.field('x-other'), undefined);
      t.is(got.field('x-none'), undefined);
      await scene.settled();
    }
    t.is((await scene.send('/b', { method: 'HEAD' })).field('x-commit'), 'c1');
  });
});

test('redirects: circles and long ways end', async (t) => {
  await withRedirects(t, {}, async (scene) => {
    scene.origin.script = redirect('/a');
    const circle = await scene.get('/a');
    t.is(circle.status, 502);
    t.regex(circle.body.toString(), /to a URL that led here\nERR_MILLRACE_UPSTREAM_REDIRECT/);
    t.is(scene.origin.requests.length, 1);
    scene.origin.script = (request, reply) =>
      redirect(`/${Number(request.target.slice(1)) + 1}`)(request, reply);
    const long = await scene.get('/0');
    t.is(long.status, 502);
    t.regex(long.body.toString(), /3 redirects were followed already/);
    t.is(scene.origin.requests.length, 1 + 4);
  });
});

test('redirects: no-store, private and Vary on the way hold for the object', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    for (const control of ['no-store', 'max-age=9, private']) {
      scene.origin.script = redirect(`http://${blobs.address}/`, ['Cache-Control', control]);
      blobs.script = always({
        fields: [...lifetime, 'CDN-Cache-Control', 'max-age=900'],
        body: 'mine',
      });
      const target = `/${control.length}`;
      for (let at = 0; at < 2; at += 1) t.is((await scene.get(target)).field('x-cache'), 'MISS');
    }
    blobs.script = always({ fields: lifetime, body: 'blob' });
    scene.origin.script = (request, reply) =>
      redirect(`http://${blobs.address}/${request.field('accept')}`, ['Vary', 'Accept'])(
        request,
        reply,
      );
    await scene.get('/v', ['Accept', 'a/a']);
    t.is((await scene.get('/v', ['Accept', 'a/a'])).field('x-cache'), 'HIT');
    t.is((await scene.get('/v', ['Accept', 'b/b'])).field('x-cache'), 'MISS');
  });
});

test('redirects: inside addresses are refused, by number and by name', async (t) => {
  const port = Number((await startOrigin(t, always({ body: 'x' }))).address.split(':')[1]);
  const secret = await startOrigin(t, always({ body: 'secret' }), { host: '127.0.0.2', port });
  await withRedirects(t, {}, async (scene) => {
    const ways = [
      `http://127.0.0.2:${port}/`,
      `http://2130706434:${port}/`,
      `http://[::ffff:127.0.0.2]:${port}/`,
      `http://metadata.inside:${port}/`,
    ];
    for (const [at, way] of ways.entries()) {
      scene.origin.script = redirect(way);
      const got = await scene.get(`/${at}`);
      t.is(got.status, 502, way);
      t.is(got.field('proxy-status'), 'millrace; error=destination_ip_prohibited', way);
      t.regex(got.body.toString(), /list the host in redirect_hosts/, way);
    }
    t.is(secret.connections, 0);
  });
  const route = { redirect_hosts: 'metadata.inside' };
  await withRedirects(t, { route }, async (scene) => {
    scene.origin.script = redirect(`http://metadata.inside:${port}/`);
    t.is((await scene.get('/a')).body.toString(), 'secret', 'listed');
  });
  await withRedirects(t, { isPublic: false }, async (scene) => {
    scene.origin.script = redirect(`http://metadata.inside:${port}/`);
    t.is((await scene.get('/a')).body.toString(), 'secret', 'among neighbours');
  });
});

test('redirects: with redirect_hosts only to those', async (t) => {
  const route = { redirect_hosts: ['*.blobs.test', 'blobs.example'] };
  await withRedirects(t, { route }, async (scene, blobs) => {
    const port = blobs.address.split(':')[1];
    const statusOf = async (host: string) => {
      scene.origin.script = redirect(`http://${host}:${port}/`);
      return (await scene.get(`/${host}`)).status;
    };
    t.is(await statusOf('a.blobs.test'), 200);
    t.is(await statusOf('A.b.BLOBS.test'), 200);
    t.is(await statusOf('blobs.example'), 200);
    for (const host of ['blobs.test', 'evil-blobs.test', 'x.blobs.example', '127.0.0.1']) {
      t.is(await statusOf(host), 502, host);
    }
    t.is(blobs.requests.length, 3);
  });
});

test('redirects: never with credentials, nor to another scheme than http', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    const ways = [`http://u:p@${blobs.address}/`, 'ftp://a.test/', 'file:///etc/passwd', 'data:,x'];
    for (const [at, way] of ways.entries()) {
      scene.origin.script = redirect(way);
      t.is((await scene.get(`/${at}`)).status, 502, way);
    }
    t.is(blobs.connections, 0);
  });
});

test('redirects: from https to http only where the host is listed', async (t) => {
  const made = makeCertificates(t);
  if (made === null) return;
  const blobs = await startOrigin(t, always({ fields: lifetime, body: 'blob' }));
  const secure = await startOrigin(t, redirect(`http://${blobs.address}/`), { tls: made.server });
  const config = (hosts: object) => (): ConfigInput => ({
    upstreams: { hub: { origins: `https://${secure.address}`, tls: { ca_file: made.ca } } },
    routes: [{ upstream: 'hub', follow_redirects: 2, ...hosts }],
  });
  const origin = always({ status: 500 });
  await withProxy(t, { origin, config: config({}) }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.regex(got.body.toString(), /from https to http/);
  });
  await withProxy(t, { origin, config: config({ redirect_hosts: '127.0.0.1' }) }, async (scene) => {
    t.is((await scene.get('/a')).body.toString(), 'blob');
  });
});

test('redirects: a range and a validation travel along', async (t) => {
  await withRedirects(t, {}, async (scene, blobs) => {
    blobs.script = (request, reply) =>
      request.field('if-none-match') === '"1"'
        ? reply.send({ status: 304, fields: ['ETag', '"1"', 'Cache-Control', 'max-age=10'] })
        : reply.send({ fields: ['ETag', '"1"', 'Cache-Control', 'max-age=10'], body: 'blob' });
    await scene.get('/a');
    await scene.settled();
    scene.clock.advance(11_000);
    const got = await scene.get('/a');
    t.is(got.body.toString(), 'blob');
    t.regex(got.field('cache-status')!, /fwd=stale; fwd-status=304/);
    t.is(blobs.requests.length, 2);
  });
});
