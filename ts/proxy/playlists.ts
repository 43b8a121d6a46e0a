// What is known of the order of segments: the playlists that clients have asked for lately, read from the
// store once for each version. Bounded by the number of segments of all of them together.

import { gunzipSync } from 'node:zlib';
import { fieldValue } from '../http/fields.js';
import type { StoredObject } from '../store/contract.js';
import { segmentsOf } from './next-segments.js';

/** Of a playlist; hours of video take less. */
const bytesMax = 256 * 1024;
/** Of all playlists: some megabytes of text and map. */
const segmentsMax = 20_000;

interface Playlist {
  /** Tells versions apart. */
  readonly version: string;
  readonly segments: readonly string[];
}

export class Playlists {
  readonly #playlists = new Map<string, Playlist>();
  /** "host target" to its place in the playlist that listed it last. */
  readonly #places = new Map<string, { readonly playlist: Playlist; readonly index: number }>();
  #count = 0;

  /** The `count` segments behind this one; null where no playlist lists it. */
  behind(host: string, target: string, count: number): readonly string[] | null {
    const place = this.#places.get(`${host} ${target}`);
    if (place === undefined) return null;
    return place.playlist.segments.slice(place.index + 1, place.index + 1 + count);
  }

  /** Reads it, unless this version is known. */
  async learn(host: string, target: string, object: StoredObject): Promise<void> {
    const name = `${host} ${target}`;
    const { head } = object;
    const version = `${head.etag} ${head.responseMs}`;
    if (this.#playlists.get(name)?.version === version) return;
    const text = await textOf(object);
    if (text === null) return;
    const segments = segmentsOf(text, target, host);
    this.#forget(name);
    if (segments.length === 0 || segments.length > segmentsMax) return;
    const playlist = { version, segments };
    this.#playlists.set(name, playlist);
    this.#count += segments.length;
    segments.forEach((segment, index) => {
      this.#places.set(`${host} ${segment}`, { playlist, index });
    });
    for (const [oldest] of this.#playlists) {
      if (this.#count <= segmentsMax) return;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    const playlist = this.#playlists.get(name);
    if (playlist === undefined) return;
    this.#playlists.delete(name);
    this.#count -= playlist.segments.length;
    const host = name.slice(0, name.indexOf(' '));
    for (const segment of playlist.segments) {
      const place = `${host} ${segment}`;
      if (this.#places.get(place)?.playlist === playlist) this.#places.delete(place);
    }
  }
}

/** Null where it is too long, coded in a way that is not read here, or not there as a whole. */
async function textOf(object: StoredObject): Promise<string | null> {
  const { bodyLength, fields } = object.head;
  const coding = (fieldValue(fields, 'content-encoding') ?? 'identity').toLowerCase();
  if (bodyLength === null || bodyLength > bytesMax) return null;
  if (coding !== 'identity' && coding !== 'gzip') return null;
  const bytes = new Uint8Array(bodyLength);
  try {
    for (let at = 0; at < bodyLength; ) {
      for (const lease of await object.read(at, bodyLength - at)) {
        bytes.set(lease.bytes, at);
        at += lease.bytes.length;
        lease.release();
      }
    }
    const plain = coding === 'gzip' ? gunzipSync(bytes, { maxOutputLength: bytesMax }) : bytes;
    return new TextDecoder().decode(plain);
  } catch {
    // Gone meanwhile, or not what its coding says: the number in the name is what is left.
    return null;
  }
}
