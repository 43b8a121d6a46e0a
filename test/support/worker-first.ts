// Run as a program by worker.test.ts, because it must be the first in its process to load the addon: a worker
// loads it, works on a store, and is terminated in the middle; eight times. Then the main thread opens
// the same store and reads what was flushed. Prints one line of JSON.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { hashOf, hashOfStored, openRaw, putObject } from './raw-file.js';

const body = Buffer.alloc(3_000_000, 'millrace');

async function work(path: string): Promise<void> {
  const store = await openRaw(path);
  // A pause of the store holds no loop open; a listening port does.
  parentPort?.on('message', () => {});
  for (let round = 0; ; round += 1) {
    const key = `http://test/${round % 8}`;
    await putObject(store, key, body);
    await hashOfStored(store, key);
    if (round === 2) parentPort?.postMessage('busy');
    if (round > 10_000) break;
  }
}

async function terminateWorkers(): Promise<void> {
  const path = process.argv[2]!;
  for (let life = 0; life < 8; life += 1) {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { path } });
    await once(worker, 'message');
    await worker.terminate();
  }
  const store = await openRaw(path);
  const stats = store.stats();
  const hashes = new Set<string | null>();
  for (let object = 0; object < 3; object += 1) {
    hashes.add(await hashOfStored(store, `http://test/${object}`));
  }
  await store.close();
  console.log(
    JSON.stringify({
      recovered: Number(stats.recoveredRecords),
      corrupt: Number(stats.corruptRecords),
      isWhole: [...hashes].every((hash) => hash === hashOf(body)),
    }),
  );
}

async function main(): Promise<void> {
  if (isMainThread) await terminateWorkers();
  else await work(workerData.path as string);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
