/**
 * Names from the server, for the end of a command line. Nobody waits for them: what is not there in time, or cannot be
 * had (no token, a sealed server, no permission), is not offered, and nothing is said of it.
 */

import type { VaultClient } from '../../client/client.ts';
import { bagOf } from '../../client/envelope.ts';
import { list, mountOf } from '../../client/kv.ts';
import { authMounts, mounts, policies } from '../../client/sys.ts';
import { type ConnectionFlags, connect } from '../settings.ts';
import type { Terminal } from '../terminal.ts';
import type { Wanted } from './words.ts';

/** How long a person who presses a key is kept waiting, in all. */
const PATIENCE_MS = 1500;

/** The names that begin as `last` does; of paths, those in the folder that it names. Never fails. */
export async function predict(
  terminal: Terminal,
  words: readonly string[],
  wanted: Wanted,
): Promise<readonly string[]> {
  let client: VaultClient | undefined;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  try {
    const connected = await connect(terminal, connectionOf(words));
    client = connected;
    if (connected.token === undefined) return [];
    const last = words.at(-1) ?? '';
    const ended = new Promise<readonly string[]>((resolve) => {
      late.signal.addEventListener('abort', () => resolve([]), { once: true });
    });
    const names = await Promise.race([namesOf(connected, wanted, last), ended]);
    return names.filter((name) => name.startsWith(last) && isPlain(name));
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
    client?.close();
  }
}

async function namesOf(client: VaultClient, wanted: Wanted, last: string): Promise<readonly string[]> {
  const paths = (found: readonly { readonly path: string }[]): string[] => found.map(({ path }) => path);
  switch (wanted) {
    case 'policies':
      return policies(client);
    case 'mounts':
      return paths(await mounts(client));
    case 'auth-mounts':
      return paths(await authMounts(client));
    case 'audit-devices':
      return Object.keys(bagOf((await client.request('GET', 'sys/audit')).envelope?.data));
    case 'paths':
    case 'kv-paths': {
      const folder = last.slice(0, last.lastIndexOf('/') + 1);
      if (folder === '') return paths(await mounts(client));
      return (await listed(client, wanted, folder)).map((name) => folder + name);
    }
  }
}

async function listed(client: VaultClient, wanted: Wanted, folder: string): Promise<readonly string[]> {
  if (wanted === 'paths') return list(client, folder);
  const mount = await mountOf(client, folder);
  if (mount === undefined) return [];
  const inside = folder.slice(mount.path.length + 1);
  return list(client, mount.version === 2 ? `${mount.path}/metadata/${inside}` : folder);
}

/** A shell puts the name into the command line as it is: what means anything to a shell is not offered. */
const isPlain = (name: string): boolean => /^[\w./@%+=,-]+$/.test(name);

/** The flags on the line that say which server is asked, and as whom. */
function connectionOf(words: readonly string[]): ConnectionFlags {
  const flagValue = (name: string): string | undefined =>
    words.flatMap((word, at) => {
      const [, flag, value] = /^--?([a-z-]+)(?:=(.*))?$/.exec(word) ?? [];
      return flag === name ? [value ?? words[at + 1] ?? ''] : [];
    })[0];
  const flags = {
    address: flagValue('address'),
    namespace: flagValue('namespace'),
    caCert: flagValue('ca-cert'),
    caPath: flagValue('ca-path'),
    clientCert: flagValue('client-cert'),
    clientKey: flagValue('client-key'),
    tlsServerName: flagValue('tls-server-name'),
    tlsSkipVerify: words.some((word) => /^--?tls-skip-verify(=true)?$/.test(word)) ? true : undefined,
  };
  return Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  ) as ConnectionFlags;
}
