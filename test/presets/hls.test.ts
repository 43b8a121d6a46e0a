// The hls preset with ffmpeg as the player: a video that ffmpeg has cut into segments is played twice through
// the proxy, the second time without a segment from the origin, and equals what was cut.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from '../support/command.js';
import {
  type ArtefactOrigin,
  clientTest,
  runClient,
  servePreset,
  startArtefacts,
} from '../support/preset.js';

const quiet = ['-nostdin', '-hide_banner', '-loglevel', 'error'];
const segments = 6;

/** Cuts a video and gives the hash of what a player makes of it. */
async function publish(
  t: ExecutionContext,
  origin: ArtefactOrigin,
  tokens: { tokens?: readonly string[] } = {},
): Promise<string> {
  const folder = temporaryFolder(t);
  const source = `testsrc=duration=${segments}:size=160x90:rate=10`;
  const video = ['-f', 'lavfi', '-i', source, '-c:v', 'mpeg2video', '-g', '10'];
  const form = ['-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', '-hls_playlist_type', 'vod'];
  const cut = await runClient(t, 'ffmpeg', [...quiet, ...video, ...form, 'index.m3u8'], {
    cwd: folder,
  });
  t.is(cut.status, 0, cut.stderr);
  for (const file of readdirSync(folder)) {
    origin.files.set(`/v/${file}`, { body: readFileSync(join(folder, file)), ...tokens });
  }
  t.is(origin.files.size, segments + 1);
  const { hash, stderr } = await play(t, join(folder, 'index.m3u8'), []);
  t.regex(hash, /^MD5=[0-9a-f]{32}$/, stderr);
  return hash;
}

async function play(t: ExecutionContext, url: string, input: readonly string[]) {
  const args = [...quiet, ...input, '-i', url, '-c', 'copy', '-f', 'md5', '-'];
  const { status, stdout, stderr } = await runClient(t, 'ffmpeg', args);
  return { status, hash: stdout.trim(), stderr };
}

const shown = (token: string) => ['-headers', `Authorization: Bearer ${token}\r\n`];

clientTest(['ffmpeg'], 'hls: the second viewer costs no segment of the origin', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  const hash = await publish(t, origin);
  const proxy = await servePreset(t, 'hls', origin.address);
  for (let round = 0; round < 2; round += 1) {
    const { hash: played, stderr } = await play(t, `${proxy}/v/index.m3u8`, []);
    t.is(played, hash, stderr);
    const names = [...origin.files.keys()].sort();
    t.deepEqual([...origin.bodies].sort(), names);
  }
});

clientTest(['ffmpeg'], 'hls: a private video is served to whom the origin lets in', async (t) => {
  t.timeout(180_000);
  const origin = await startArtefacts(t);
  const hash = await publish(t, origin, { tokens: ['one', 'two'] });
  const proxy = await servePreset(t, 'hls', origin.address);
  for (const token of ['one', 'two']) {
    const { hash: played, stderr } = await play(t, `${proxy}/v/index.m3u8`, shown(token));
    t.is(played, hash, stderr);
  }
  t.is(origin.bodies.length, segments + 1);
  for (const input of [shown('three'), []]) {
    const refused = await play(t, `${proxy}/v/index.m3u8`, input);
    t.not(refused.status, 0);
    t.regex(refused.stderr, /401/);
  }
  t.is(origin.bodies.length, segments + 1);
});
