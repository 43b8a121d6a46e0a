// Which real files of this machine the demo serves: the running Node binary, about 100 MB, and smaller
// ones out of the packages that came with millrace. Each with its SHA-256, read before anything is
// served, so that what a proxy may do to a file later cannot change what is expected.

import { createHash } from 'node:crypto';
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export interface DemoFile {
  /** "/node" */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

// Files of a few hundred bytes to some hundred kilobytes.
const smallModules = ['undici', 'undici/package.json', 'zod', 'yaml', 'pino', 'commander'];

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

async function demoFile(name: string, path: string): Promise<DemoFile> {
  return { name, path, size: statSync(path).size, sha256: await sha256Of(path) };
}

/** The large file. Served under a second name it is a second object. */
export function largeFile(name: string): Promise<DemoFile> {
  return demoFile(name, realpathSync(process.execPath));
}

export async function smallFiles(): Promise<DemoFile[]> {
  const paths = new Set<string>([fileURLToPath(import.meta.url)]);
  for (const name of smallModules) paths.add(fileURLToPath(import.meta.resolve(name)));
  return Promise.all([...paths].map((path, index) => demoFile(`/small-${index}`, path)));
}

/** SHA-256 of bytes first to last, both included. */
export async function sha256OfRange(path: string, first: number, last: number): Promise<string> {
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(last - first + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, first);
    return createHash('sha256').update(bytes.subarray(0, bytesRead)).digest('hex');
  } finally {
    await file.close();
  }
}
