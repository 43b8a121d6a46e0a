// A stream that says whether it is a terminal, and keeps what is written to it.

import { PassThrough } from 'node:stream';

export interface Terminal {
  readonly target: NodeJS.WriteStream;
  written(): string;
}

export function terminal(isTTY: boolean, columns: number): Terminal {
  const target = Object.assign(new PassThrough(), { isTTY, columns, rows: 24 });
  return {
    target: target as unknown as NodeJS.WriteStream,
    written: () => String(target.read() ?? ''),
  };
}
