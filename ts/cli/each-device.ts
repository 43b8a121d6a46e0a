// One command over several devices: each is looked at, whatever becomes of the others, and what could not be
// looked at is told beside the rest.

import { MillraceError } from '../errors.js';

/** Devices that could not be looked at, also in the JSON. */
export interface DeviceFailure {
  readonly device: string;
  readonly error: string;
  readonly code: string;
}

const exitUnusable = 3;

/** One after the other: each reads as fast as its device can. Rejects with bugs alone. */
export async function onEach<Result extends object>(
  paths: readonly string[],
  look: (path: string) => Promise<Result>,
): Promise<((Result & { readonly device: string }) | DeviceFailure)[]> {
  const seen: ((Result & { readonly device: string }) | DeviceFailure)[] = [];
  for (const device of paths) {
    try {
      seen.push({ device, ...(await look(device)) });
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      seen.push({ device, error: error.message, code: error.code });
    }
  }
  return seen;
}

export function isFailure(item: object): item is DeviceFailure {
  return 'error' in item && 'code' in item;
}

/** The sentences of the engine name the device, or are made to. */
export const failureLine = ({ error }: DeviceFailure): string => error;

/** Which of several devices the progress is of. */
export const labelOf = (work: string, path: string, paths: readonly string[]): string =>
  paths.length > 1 ? `${path}: ${work}` : work;

/** 3 where a device could not be looked at, else the worst of the others. */
export function exitOf<Item extends object>(
  seen: readonly (Item | DeviceFailure)[],
  statusOf: (item: Item) => number,
): number {
  const statuses = seen.map((item) => (isFailure(item) ? exitUnusable : statusOf(item as Item)));
  return Math.max(0, ...statuses);
}
