// Certificates for tests, made by openssl in a directory that the test removes: an authority, another one
// that nobody trusts, a server's and a client's.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface Certificates {
  readonly directory: string;
  /** Paths of PEM files. */
  readonly ca: string;
  readonly otherCa: string;
  /** For 127.0.0.1 and origin.test. */
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** What tls.createServer takes. */
  readonly server: { readonly cert: string; readonly key: string };
}

/** Null, after a line that says so, where there is no openssl. */
export function makeCertificates(t: ExecutionContext): Certificates | null {
  if (spawnSync('openssl', ['version']).status !== 0) {
    t.log('skipped: there is no openssl on this machine');
    t.pass();
    return null;
  }
  const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string) => join(directory, name);
  const openssl = (...words: string[]) =>
    execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'other-ca']) {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
    openssl(
      'req',
      '-x509',
      ...newKey,
      ...files,
      '-days',
      '2',
      '-subj',
      `/CN=millrace test ${name}`,
    );
  }
  const issue = (name: string, names: string) => {
    writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`);
    const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
    openssl('req', ...newKey, ...request);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    const files = ['-in', `${name}.csr`, '-extfile', `${name}.ext`, '-out', `${name}.pem`];
    openssl('x509', '-req', ...signed, ...files);
  };
  issue('server', 'IP:127.0.0.1,DNS:origin.test');
  issue('client', 'DNS:client.test');
  return {
    directory,
    ca: at('ca.pem'),
    otherCa: at('other-ca.pem'),
    serverCert: at('server.pem'),
    serverKey: at('server.key'),
    clientCert: at('client.pem'),
    clientKey: at('client.key'),
    server: {
      cert: readFileSync(at('server.pem'), 'utf8'),
      key: readFileSync(at('server.key'), 'utf8'),
    },
  };
}
