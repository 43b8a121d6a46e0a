// Which segments come behind one that was asked for: as a playlist lists them, or by the number in its name.
// Pure; who fetches them is prefetch.ts.

/** Longer numbers are times or hashes. */
const digitsMax = 15;

/** Targets in origin form whose last number in the file's name is 1, 2, ... `count` higher. */
export function targetsByNumber(target: string, count: number): string[] {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  const rest = query < 0 ? '' : target.slice(query);
  const slash = path.lastIndexOf('/') + 1;
  // The digits of an extension such as .mp4 or .m4s count nothing.
  const dot = path.lastIndexOf('.');
  const end = dot > slash ? dot : path.length;
  const match = /^(.*?)(\d+)(\D*)$/.exec(path.slice(slash, end));
  if (match === null || match[2]!.length > digitsMax) return [];
  const [, before, digits, behind] = match;
  return Array.from({ length: count }, (_, step) => {
    const number = `${Number(digits) + step + 1}`.padStart(digits!.length, '0');
    return `${path.slice(0, slash)}${before}${number}${behind}${path.slice(end)}${rest}`;
  });
}

/**
 * Targets of the media segments of an HLS playlist, in order: those of `host` alone. Empty for a playlist of
 * playlists, and for one whose segments are ranges of a file.
 */
export function segmentsOf(playlist: string, target: string, host: string): string[] {
  if (!playlist.startsWith('#EXTM3U')) return [];
  if (/^#EXT-X-(STREAM-INF|BYTERANGE)/m.test(playlist)) return [];
  const base = `http://${host}${target}`;
  if (!URL.canParse(base)) return [];
  const own = new URL(base).host;
  return playlist
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#') && URL.canParse(line, base))
    .map((line) => new URL(line, base))
    .filter((url) => url.host === own && /^https?:$/.test(url.protocol))
    .map(({ pathname, search }) => pathname + search);
}
