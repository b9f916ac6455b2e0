/** How the command line finds its server: flags, then HOLDFAST_*, BAO_*, VAULT_*, then ~/.vault-token. */

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseDuration } from '../base/duration.ts';
import { failure } from '../base/errors.ts';
import { VaultClient } from '../client/client.ts';
import type { Terminal } from './terminal.ts';

const PREFIXES = ['HOLDFAST_', 'BAO_', 'VAULT_'];

/** A setting of the environment by its name without prefix ("ADDR"); the empty text counts as not set. */
export function setting(env: Terminal['env'], name: string): string | undefined {
  const found = settingName(env, name);
  return found === undefined ? undefined : env[found];
}

/** The variable that a setting comes from: "BAO_ADDR". */
export const settingName = (env: Terminal['env'], name: string): string | undefined =>
  PREFIXES.map((prefix) => prefix + name).find((variable) => (env[variable] ?? '') !== '');

export interface ConnectionFlags {
  readonly address?: string;
  readonly caCert?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly tlsServerName?: string;
  readonly tlsSkipVerify?: boolean;
  readonly namespace?: string;
  readonly wrapTtl?: string;
  readonly header?: readonly string[];
}

/** Declares the flags that every command that talks to a server has. */
export function withConnection(command: Command): Command {
  return command
    .option('--address <url>', 'address of the server (HOLDFAST_ADDR, BAO_ADDR, VAULT_ADDR)')
    .option('--ca-cert <file>', 'PEM of the authority that signed its certificate (..._CACERT)')
    .option('--client-cert <file>', 'PEM of a client certificate (..._CLIENT_CERT)')
    .option('--client-key <file>', 'PEM of its key (..._CLIENT_KEY)')
    .option('--tls-server-name <name>', 'name to expect in its certificate (..._TLS_SERVER_NAME)')
    .option('--tls-skip-verify', 'do not verify its certificate (..._SKIP_VERIFY)')
    .option('-n, --namespace <path>', 'namespace (..._NAMESPACE)')
    .option('--wrap-ttl <duration>', 'wrap the answer in a token of this life (..._WRAP_TTL)')
    .option(
      '--header <key=value>',
      'one more header; may be given again',
      (value: string, all: string[] = []) => [...all, value],
    );
}

const DEFAULT_ADDRESS = 'https://127.0.0.1:8200';

/** A client as the flags and the environment say. @throws Failure cli.*, api.address */
export async function connect(terminal: Terminal, flags: ConnectionFlags): Promise<VaultClient> {
  const of = (name: string): string | undefined => setting(terminal.env, name);
  const pem = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : await fileText(file);
  const timeout = of('CLIENT_TIMEOUT');
  return new VaultClient({
    address: flags.address ?? of('ADDR') ?? DEFAULT_ADDRESS,
    token: of('TOKEN') ?? (await terminal.tokenFile.read()),
    namespace: flags.namespace ?? of('NAMESPACE'),
    wrapTtl: flags.wrapTtl ?? of('WRAP_TTL'),
    headers: headersOf(flags.header ?? []),
    ca: await pem(flags.caCert ?? of('CACERT')),
    clientCert: await pem(flags.clientCert ?? of('CLIENT_CERT')),
    clientKey: await pem(flags.clientKey ?? of('CLIENT_KEY')),
    serverName: flags.tlsServerName ?? of('TLS_SERVER_NAME'),
    skipVerify: flags.tlsSkipVerify ?? /^(1|t|true)$/i.test(of('SKIP_VERIFY') ?? ''),
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout) }),
    // A person at a terminal sees the failure at once and decides; scripts have their own loops.
    retries: Number(of('MAX_RETRIES') ?? 0),
  });
}

async function fileText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path: file });
  }
}

function headersOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1)
        throw failure('cli.usage', {
          reason: `the header ${JSON.stringify(text.split('=')[0])} is not key=value`,
        });
      return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    }),
  );
}
