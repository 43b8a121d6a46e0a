// No proxy at all: node:http answering from a Buffer that it has in memory. The floor of what a hit can
// cost in JavaScript, and what a program that keeps its own cache in a Map would reach.

import type { RequestListener } from 'node:http';
import { sliceOf } from '../support/pattern.js';

const kept = new Map<string, Buffer>();

function bodyOf(name: string): Buffer | undefined {
  const known = kept.get(name);
  if (known !== undefined) return known;
  const size = /^\/size\/(\d+)(?:[/?]|$)/.exec(name)?.[1];
  if (size === undefined) return undefined;
  const made = Buffer.allocUnsafeSlow(Number(size));
  for (let at = 0; at < made.length; ) {
    at += sliceOf(name, at, made.length - at).copy(made, at);
  }
  kept.set(name, made);
  return made;
}

export function plainServer(): RequestListener {
  return (request, response) => {
    const body = bodyOf(request.url ?? '');
    if (body === undefined) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=86400',
      'content-length': body.length,
    });
    response.end(body);
  };
}
