/** How the command line finds its server: flags, then HOLDFAST_*, BAO_*, VAULT_*, then ~/.vault-token. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { parseDuration } from '../base/duration.ts';
import { failure } from '../base/errors.ts';
import { VaultClient } from '../client/client.ts';
import { rehearsal } from './rehearsal.ts';
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
  readonly agentAddress?: string;
  readonly caCert?: string;
  readonly caPath?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly tlsServerName?: string;
  readonly tlsSkipVerify?: boolean;
  readonly disableRedirects?: boolean;
  readonly namespace?: string;
  readonly ns?: string;
  readonly wrapTtl?: string;
  readonly mfa?: readonly string[];
  readonly policyOverride?: boolean;
  readonly header?: readonly string[];
  readonly nonInteractive?: boolean;
  readonly outputCurlString?: boolean;
  readonly outputPolicy?: boolean;
}

/** For a flag that may be given again: all its values. */
export const more = (value: string, all: string[] = []): string[] => [...all, value];

/** Declares the flags that every command that talks to a server has. */
export function withConnection(command: Command): Command {
  return command
    .option('--address <url>', 'address of the server (HOLDFAST_ADDR, BAO_ADDR, VAULT_ADDR)')
    .option('--agent-address <url>', 'address of an agent to ask in its place (..._AGENT_ADDR)')
    .option('--ca-cert <file>', 'PEM of the authority that signed its certificate (..._CACERT)')
    .option('--ca-path <folder>', 'folder of such PEM files (..._CAPATH)')
    .option('--client-cert <file>', 'PEM of a client certificate (..._CLIENT_CERT)')
    .option('--client-key <file>', 'PEM of its key (..._CLIENT_KEY)')
    .option('--tls-server-name <name>', 'name to expect in its certificate (..._TLS_SERVER_NAME)')
    .option('--tls-skip-verify', 'do not verify its certificate (..._SKIP_VERIFY)')
    .option('--disable-redirects', 'follow no redirect (..._DISABLE_REDIRECTS)')
    .option('-n, --namespace <path>', 'namespace (..._NAMESPACE)')
    .addOption(new Option('--ns <path>', 'the same').hideHelp())
    .option('--wrap-ttl <duration>', 'wrap the answer in a token of this life (..._WRAP_TTL)')
    .option('--mfa <method:value>', 'a second factor; may be given again (..._MFA)', more)
    .option('--policy-override', 'override a policy that may be overridden')
    .option('--header <key=value>', 'one more header; may be given again', more)
    .option('--non-interactive', 'ask for nothing on the terminal')
    .option('--output-curl-string', 'print the request as a curl command and send nothing')
    .option('--output-policy', 'print the policy that the request needs and send nothing');
}

const DEFAULT_ADDRESS = 'https://127.0.0.1:8200';

/** A client as the flags and the environment say. @throws Failure cli.*, api.address */
export async function connect(terminal: Terminal, flags: ConnectionFlags): Promise<VaultClient> {
  const of = (name: string): string | undefined => setting(terminal.env, name);
  const pem = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : await fileText(file);
  const timeout = of('CLIENT_TIMEOUT');
  const files = {
    caCert: flags.caCert ?? of('CACERT'),
    caPath: flags.caPath ?? of('CAPATH'),
    clientCert: flags.clientCert ?? of('CLIENT_CERT'),
    clientKey: flags.clientKey ?? of('CLIENT_KEY'),
    skipVerify: flags.tlsSkipVerify ?? saysYes(of('SKIP_VERIFY')),
  };
  return new VaultClient({
    address: flags.agentAddress ?? flags.address ?? of('AGENT_ADDR') ?? of('ADDR') ?? DEFAULT_ADDRESS,
    token: await tokenAtHand(terminal),
    namespace: flags.namespace ?? flags.ns ?? of('NAMESPACE'),
    wrapTtl: flags.wrapTtl ?? of('WRAP_TTL'),
    headers: headersOf(flags, of('MFA')),
    // As upstream has it, a file goes before a folder.
    ca: files.caCert === undefined ? await folderText(files.caPath) : await fileText(files.caCert),
    clientCert: await pem(files.clientCert),
    clientKey: await pem(files.clientKey),
    serverName: flags.tlsServerName ?? of('TLS_SERVER_NAME'),
    skipVerify: files.skipVerify,
    redirects: !(flags.disableRedirects ?? saysYes(of('DISABLE_REDIRECTS'))),
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout) }),
    // A person at a terminal sees the failure at once and decides; scripts have their own loops.
    retries: retriesOf(of('MAX_RETRIES')),
    rehearse: rehearsal(terminal, flags, files),
  });
}

/** The token that a command would use: of the environment, else what `login` kept. */
export const tokenAtHand = async (terminal: Terminal): Promise<string | undefined> =>
  setting(terminal.env, 'TOKEN') ?? (await terminal.tokenFile.read());

const saysYes = (text: string | undefined): boolean => /^(1|t|true)$/i.test(text ?? '');

function retriesOf(text: string | undefined): number {
  if (text === undefined) return 0;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw failure('cli.usage', { reason: 'MAX_RETRIES of the environment is not a number of tries' });
}

async function fileText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path: file });
  }
}

/** All certificates of a folder, one after the other. */
async function folderText(folder: string | undefined): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  const names = await readdir(folder).catch(() => {
    throw failure('cli.unreadable', { path: folder });
  });
  const texts = await Promise.all(
    names.sort().map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
  );
  const pems = texts.filter((text) => text.includes('-----BEGIN CERTIFICATE-----'));
  // Without any, Node would fall back to the public authorities, which nobody asked for.
  if (pems.length === 0)
    throw failure('cli.usage', { reason: `no certificate in PEM lies in the folder ${folder}` });
  return pems.join('\n');
}

function headersOf(flags: ConnectionFlags, mfa: string | undefined): Record<string, string> {
  const factors = flags.mfa ?? (mfa === undefined ? [] : [mfa]);
  return {
    ...(factors.length === 0 ? {} : { 'x-vault-mfa': factors.join(', ') }),
    ...(flags.policyOverride === true ? { 'x-vault-policy-override': 'true' } : {}),
    ...Object.fromEntries((flags.header ?? []).map(headerOf)),
  };
}

function headerOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1)
    throw failure('cli.usage', {
      reason: `the header ${JSON.stringify(text.split('=')[0])} is not key=value`,
    });
  const name = text.slice(0, at).trim();
  const value = text.slice(at + 1).trim();
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    throw failure('cli.usage', {
      reason: `the header ${JSON.stringify(name)} holds what no header can hold`,
    });
  return [name, value];
}
