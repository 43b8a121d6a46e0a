// Asks a running millrace through its admin listener: for the commands that look at it or change it from
// outside. One request, one JSON answer, both bounded.

import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Config, ServedAddress } from '../config/schema.js';
import { formatListen } from '../config/values.js';
import { ConfigError } from '../errors.js';

export interface AdminAnswer {
  readonly status: number;
  /** The decoded JSON. */
  readonly value: unknown;
}

// A purge waits for the disk; anything slower than this is not waiting but stuck.
const answerLimitMs = 30_000;
// Statistics are a few kilobytes, the map of a large ring some megabytes.
const answerBytesMax = 64 * 1024 * 1024;

/** Where the instance of this configuration is asked. Throws ConfigError where it has no such listener. */
export function adminOf(config: Config, source: string): ServedAddress {
  if (config.admin.listen !== null) return config.admin.listen;
  throw new ConfigError(
    'CONFIG_INVALID',
    `${source}: admin.listen is missing, so the running instance cannot be asked; ` +
      'set it, for example to "unix:/run/millrace/admin.sock", and restart',
  );
}

/** Rejects with ConfigError ADMIN_UNREACHABLE, which names the address and what to do. */
export async function askAdmin(
  address: ServedAddress,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<AdminAnswer> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const target =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: address.host, port: address.port };
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = httpRequest(
        {
          ...target,
          method,
          path,
          agent: false,
          signal: AbortSignal.timeout(answerLimitMs),
          headers: {
            host: 'localhost',
            ...(sent === undefined
              ? {}
              : {
                  'content-type': 'application/json',
                  'content-length': Buffer.byteLength(sent),
                }),
          },
        },
        resolve,
      );
      asked.on('error', reject);
      asked.end(sent);
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > answerBytesMax) throw new Error('the answer has no end');
      chunks.push(chunk);
    }
    const text = new TextDecoder().decode(await new Blob(chunks).arrayBuffer());
    return { status: response.statusCode ?? 0, value: JSON.parse(text) as unknown };
  } catch (error) {
    throw unreachable(address, error);
  }
}

function unreachable(address: ServedAddress, error: unknown): ConfigError {
  const name = formatListen(address);
  const { code, name: kind, message } = error as NodeJS.ErrnoException;
  const why =
    code === 'ECONNREFUSED' || code === 'ENOENT'
      ? 'nobody listens there; is millrace running with this configuration?'
      : code === 'EACCES'
        ? 'permission denied; run this as the user that millrace runs as, or as root'
        : kind === 'TimeoutError' || kind === 'AbortError'
          ? `no answer within ${answerLimitMs / 1000} s; look at its log`
          : `${message}; is it millrace that listens there?`;
  return new ConfigError('ADMIN_UNREACHABLE', `cannot ask ${name}: ${why}`, { cause: error });
}
