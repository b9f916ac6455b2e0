/** The files that the server is started with: its configuration, and the certificates that the configuration names. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Failure, failure } from '../../base/errors.ts';
import type { ReadLocal } from '../../methods/kubernetes/index.ts';
import type { ConfigText } from '../../server/config/config.ts';
import type { TlsFiles } from '../../server/config/listener.ts';
import type { ListenerTls } from '../../server/http/listener.ts';

/** Each path is a file, or a folder whose .hcl and .json files are read by name. @throws Failure cli.unreadable */
export async function readConfigTexts(paths: readonly string[]): Promise<readonly ConfigText[]> {
  const names: string[] = [];
  for (const path of paths) {
    try {
      if (!(await stat(path)).isDirectory()) names.push(path);
      else
        for (const name of (await readdir(path)).sort())
          if (/\.(hcl|json)$/.test(name)) names.push(join(path, name));
    } catch {
      throw failure('cli.unreadable', { path });
    }
  }
  return Promise.all(names.map(async (name) => ({ name, text: await read(name) })));
}

/**
 * Certificate and key, held against each other: a pair of which one half is already renewed must not be served.
 * @throws Failure cli.unreadable, config.refused
 */
export async function readTls(files: TlsFiles): Promise<ListenerTls> {
  const cert = await read(files.cert);
  const key = await read(files.key);
  const ca = files.clientCa === undefined ? undefined : await read(files.clientCa);
  checked(files.cert, 'it holds no certificate in PEM', () => new X509Certificate(cert));
  checked(files.key, 'it holds no private key in PEM, or one with a passphrase', () => createPrivateKey(key));
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw refused(files.key, `it is not the key of the certificate in ${files.cert}`);
  checked(files.cert, 'TLS does not take it', () => createSecureContext({ cert, key }));
  if (ca !== undefined)
    checked(files.clientCa, 'it holds no certificate in PEM', () => new X509Certificate(ca));
  return {
    cert,
    key,
    minVersion: files.minVersion,
    clientCertificates: files.clients !== 'none',
    ...(files.clients === 'require' && ca !== undefined ? { requiredAuthorities: ca } : {}),
  };
}

const refused = (file: string, reason: string): Failure =>
  failure('config.refused', { reason: `${file}: ${reason}`, mend: 'Put the right file there.' });

/** The parser's own error may quote the key. */
function checked(file: string | undefined, reason: string, parse: () => unknown): void {
  try {
    parse();
  } catch {
    throw refused(file ?? '', reason);
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path });
  }
}

/** What tells one state of files from another; a file that is missing counts as a state. */
export async function stampOf(files: TlsFiles): Promise<string> {
  const paths = [files.cert, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
  const stamps = paths.map(async (path) => {
    // Followed through links: a Secret that is mounted into a pod is renewed by turning one over.
    const found = await stat(path).catch(() => undefined);
    return found === undefined ? '' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeMs}`;
  });
  return (await Promise.all(stamps)).join();
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** CA and token of the pod that this runs in, read anew each time: the kubelet renews them. */
export const readPodAccount: ReadLocal = async () => {
  try {
    const [ca, jwt] = await Promise.all([
      readFile(`${ACCOUNT}/ca.crt`, 'utf8'),
      readFile(`${ACCOUNT}/token`, 'utf8'),
    ]);
    return { ca, jwt: jwt.trim() };
  } catch {
    return undefined;
  }
};
