// Which bodies are candidates for compression on the disk.

import test from 'ava';
import { mayCompress } from '../../../ts/http/compressible.js';

const typed = (type: string): boolean => mayCompress(['Content-Type', type]);

test('mayCompress: what is not known to be compressed is a candidate', (t) => {
  t.true(mayCompress([]));
  for (const type of [
    'text/html; charset=utf-8',
    'TEXT/PLAIN',
    'application/json',
    'application/octet-stream',
    'application/x-tar',
    'application/vnd.oci.image.layer.v1.tar',
    'application/wasm',
    'font/ttf',
    'image/svg+xml',
    'image/bmp',
    'audio/wav',
    'nonsense',
    '',
  ]) {
    t.true(typed(type), type);
  }
});

test('mayCompress: media, archives and packages are not', (t) => {
  for (const type of [
    'image/png',
    'Image/JPEG; q=1',
    'video/mp4',
    'audio/ogg',
    'font/woff2',
    'application/zip',
    'application/GZIP ; x=y',
    'application/zstd',
    'application/epub+zip',
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.debian.binary-package',
    'application/java-archive',
  ]) {
    t.false(typed(type), type);
  }
});

test('mayCompress: a coded body is not, whatever it is', (t) => {
  const coded = (...fields: string[]): boolean =>
    mayCompress(['Content-Type', 'text/html', ...fields]);
  t.false(coded('Content-Encoding', 'gzip'));
  t.false(coded('content-encoding', 'identity', 'CONTENT-ENCODING', 'br'));
  t.false(coded('Content-Encoding', 'identity, zstd'));
  t.true(coded('Content-Encoding', 'identity'));
  t.true(coded('Content-Encoding', ''));
});
