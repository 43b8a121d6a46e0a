// TLS towards origins: files read once at start, with an error that names file and key, and one context that
// all connections of an upstream share, so that no connection parses certificates again.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { UpstreamConfig } from '../config/schema.js';
import { ConfigError } from '../errors.js';

type TlsConfig = UpstreamConfig['tls'];

export interface TlsOptions {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
  /** Asked for by SNI, and expected in the certificate; null: the host of the origin. */
  readonly serverName: string | null;
}

const fileAdvice: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied; let the user that runs millrace read it',
  EISDIR: 'it is a directory; name the file in it',
};

/** A ca_file stands in place of the well-known authorities, or beside them. */
export type Authorities = 'in place of the well-known' | 'beside the well-known';

/** `upstream` is its name. Throws ConfigError for a file that is not what its key promises. */
export function readTls(
  upstream: string,
  config: TlsConfig,
  authorities: Authorities = 'in place of the well-known',
): TlsOptions {
  const refuse = (key: string, path: string, why: string, cause: unknown): ConfigError =>
    new ConfigError('CONFIG_INVALID', `upstreams.${upstream}.tls.${key}: ${path}: ${why}`, {
      cause,
    });
  const read = <Parsed>(
    key: string,
    path: string,
    what: string,
    parse: (pem: string) => Parsed,
  ) => {
    let pem: string;
    try {
      pem = readFileSync(path, 'utf8');
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      throw refuse(key, path, fileAdvice[code] ?? message, error);
    }
    try {
      return { pem, parsed: parse(pem) };
    } catch (error) {
      throw refuse(key, path, `not ${what} in PEM (${(error as Error).message})`, error);
    }
  };
  const { caFile, certFile, keyFile } = config;
  const ca = caFile === null ? null : read('ca_file', caFile, 'a certificate', certificateOf);
  const cert =
    certFile === null ? null : read('cert_file', certFile, 'a certificate', certificateOf);
  const key =
    keyFile === null ? null : read('key_file', keyFile, 'a private key without passphrase', keyOf);
  if (cert !== null && key !== null && !cert.parsed.checkPrivateKey(key.parsed)) {
    throw refuse('key_file', keyFile!, `not the key of ${certFile}`, undefined);
  }
  const others = authorities === 'beside the well-known' ? rootCertificates : [];
  try {
    return {
      secureContext: createSecureContext({
        minVersion: config.minVersion,
        ...(ca === null ? {} : { ca: [ca.pem, ...others] }),
        ...(cert === null ? {} : { cert: cert.pem }),
        ...(key === null ? {} : { key: key.pem }),
      }),
      rejectUnauthorized: config.verify,
      serverName: config.serverName,
    };
  } catch (error) {
    // What can be read, and is refused all the same: a key that is too short, for instance.
    throw refuse('cert_file', certFile ?? caFile ?? '', (error as Error).message, error);
  }
}

/** Of several the first one. */
function certificateOf(pem: string): X509Certificate {
  return new X509Certificate(pem);
}

function keyOf(pem: string): KeyObject {
  return createPrivateKey(pem);
}
