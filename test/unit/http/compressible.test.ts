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
    'image/x-ms-bmp',
    'image/x-icon',
    'image/vnd.microsoft.icon',
    'image/x-portable-pixmap',
    'audio/midi',
    'audio/wav',
    'audio/x-wav',
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
    'font/woff',
    'font/woff2',
    'application/font-woff',
    'application/font-woff2',
    'application/zip',
    'application/x-zip-compressed',
    'application/gzip',
    'application/x-gzip',
    'application/x-gtar-compressed',
    'application/x-bzip2',
    'application/x-xz',
    'application/x-lzma',
    'application/x-lzip',
    'application/brotli+br',
    'application/x-brotli',
    'application/x-zstd',
    'application/x-7z-compressed',
    'application/vnd.rar',
    'application/x-rar-compressed',
    'application/vnd.android.package-archive',
    'application/x-debian-package',
    'application/x-rpm',
    'application/x-redhat-package-manager',
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
