// Whether a response body may be worth compressing on the disk, as far as its head tells: not one that is
// coded already, not one of a kind that is compressed by its nature. Of everything else a sample decides,
// so what is not known counts as a candidate.

import { fieldLines, fieldValue, listMembers, type RawFields } from './fields.js';

/** Of image/*, audio/* and video/*, where nearly everything is compressed. */
const rawMedia = new Set([
  'image/svg+xml',
  'image/bmp',
  'image/x-ms-bmp',
  'image/x-icon',
  'image/vnd.microsoft.icon',
  'image/x-portable-pixmap',
  'audio/midi',
  'audio/wav',
  'audio/x-wav',
]);

const compressedTypes = new Set([
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
  'application/x-brotli',
  'application/zstd',
  'application/x-zstd',
  'application/x-7z-compressed',
  'application/vnd.rar',
  'application/x-rar-compressed',
  'application/java-archive',
  'application/vnd.android.package-archive',
  'application/vnd.debian.binary-package',
  'application/x-debian-package',
  'application/x-rpm',
  'application/x-redhat-package-manager',
]);

/** `application/epub+zip`, OCI layers such as `...layer.v1.tar+gzip`, Office documents. */
const compressedPattern =
  /[+.](gzip|zip|zstd|br|xz|bz2)$|^application\/vnd\.(openxmlformats-|oasis\.opendocument\.)/;

/** Fields of a response head, as the origin sent them. */
export function mayCompress(fields: RawFields): boolean {
  const codings = fieldLines(fields, 'content-encoding').flatMap(listMembers);
  if (codings.some((coding) => coding.toLowerCase() !== 'identity')) return false;
  const type = (fieldValue(fields, 'content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (/^(image|audio|video)\//.test(type)) return rawMedia.has(type);
  return !compressedTypes.has(type) && !compressedPattern.test(type);
}
