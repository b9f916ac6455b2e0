/** login: get a token and keep it in ~/.vault-token. */

import type { Command } from 'commander';
import { utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { type Json, stringify } from '../base/json.ts';
import { bagOf } from '../base/shape.ts';
import { type Granted, loginAt } from '../client/auth.ts';
import type { Answer, VaultClient } from '../client/client.ts';
import { makeAnswer } from '../client/envelope.ts';
import { type Data, readData } from './arguments.ts';
import { loginOidc } from './login-oidc.ts';
import { keyValueTable, printAnswer, printField } from './output.ts';
import { type Flags, open, remote, spell, tellWarnings } from './session.ts';
import { settingName } from './settings.ts';
import type { Terminal } from './terminal.ts';

interface LoginFlags extends Flags {
  readonly method: string;
  readonly path?: string;
  readonly store: boolean;
  readonly print: boolean;
  readonly tokenOnly?: boolean;
}

export function declareLogin(program: Command, terminal: Terminal): void {
  remote(program, 'login [token-or-data...]', 'Authenticate, and keep the token for later commands')
    .option(
      '--method <method>',
      'token, oidc, jwt, kubernetes, approle, userpass, cert or another mount type',
      'token',
    )
    .option('--path <path>', 'where the method is mounted; by default under its own name')
    .option('--no-store', 'do not keep the token in ~/.vault-token')
    .option('--no-print', 'do not print the token')
    .option('--token-only', 'print only the token and keep nothing')
    .action(async (args: string[], flags: LoginFlags) => {
      const session = await open(terminal, flags);
      const { token, answer } = await authenticate(session.client, args, flags, terminal);
      if (flags.tokenOnly === true) return terminal.out(token);
      if (flags.store) await terminal.tokenFile.write(token);
      const fields = fieldsOfLogin(answer, (policy) => policy);
      if (flags.field !== undefined) return printField(terminal, session.format, fields, flags.field);
      if (!flags.print) return;
      tellWarnings(session, answer.envelope?.warnings ?? []);
      printAnswer(terminal, session.format, answer, () => {
        const rows = fieldsOfLogin(answer, (policy) => JSON.stringify(policy));
        return `${greeting(flags.store)}${keyValueTable(rows, false)}`;
      });
      const shadow = flags.store ? settingName(terminal.env, 'TOKEN') : undefined;
      if (shadow !== undefined)
        terminal.err(`WARNING! ${shadow} is set and goes before the token that was just kept: unset it.\n`);
    });
}

/** A token that works from now on, and the answer that says so. */
interface LoggedIn {
  readonly token: string;
  readonly answer: Answer;
}

const greeting = (kept: boolean): string =>
  kept
    ? 'Success! You are now authenticated. The token below is kept for later commands:\nyou need not log in again.\n\n'
    : 'Success! You are now authenticated. The token below is kept nowhere:\nset VAULT_TOKEN to use it.\n\n';

/** Methods whose logins name the user in their path, and ask for a password. */
const NAMED: ReadonlySet<string> = new Set(['userpass', 'ldap', 'okta', 'radius']);

async function authenticate(
  client: VaultClient,
  args: readonly string[],
  flags: LoginFlags,
  terminal: Terminal,
): Promise<LoggedIn> {
  if (flags.method === 'token') return ofToken(client, await tokenFrom(args[0], terminal));
  const { mount: named, ...data }: Data = await readData(args, terminal);
  const at = flags.path ?? (typeof named === 'string' && named !== '' ? named : flags.method);
  const mount = at.replace(/^auth\//, '').replace(/\/+$/, '');
  // What the login answers is told as it is: a token of few uses, or of few rights, must not be asked about itself.
  const { auth, answer } = await granted(client, mount, data, flags, terminal);
  return { token: auth.clientToken, answer };
}

async function granted(
  client: VaultClient,
  mount: string,
  data: Data,
  { method }: LoginFlags,
  terminal: Terminal,
): Promise<Granted> {
  if (method === 'oidc') return loginOidc(client, mount, data, terminal);
  if (!NAMED.has(method)) return loginAt(client, mount, data);
  const { username, ...rest } = data;
  if (typeof username !== 'string')
    throw failure('cli.usage', { reason: `login -method=${method} needs username=...` });
  const password = rest['password'] ?? (await terminal.secret('Password (will be hidden): '));
  return loginAt(client, mount, { ...rest, password }, { name: username });
}

async function tokenFrom(argument: string | undefined, terminal: Terminal): Promise<string> {
  const given = argument?.replace(/^token=/, '');
  if (given === undefined) return (await terminal.secret('Token (will be hidden): ')).trim();
  return (given === '-' ? await terminal.stdin() : given).trim();
}

/** A token that somebody has already: looked up, and told as if a login had made it, as upstream does. */
async function ofToken(client: VaultClient, token: string): Promise<LoggedIn> {
  const self = await client.with({ token, wrapTtl: undefined }).request('GET', 'auth/token/lookup-self');
  const data = bagOf(self.envelope?.data);
  const list = (name: string): readonly Json[] => (Array.isArray(data[name]) ? (data[name] as Json[]) : []);
  const told = {
    request_id: '',
    lease_id: '',
    lease_duration: 0,
    renewable: false,
    data: null,
    warnings: null,
    auth: {
      client_token: token,
      accessor: data['accessor'] ?? '',
      policies: [...new Set([...list('policies'), ...list('identity_policies')])],
      token_policies: list('policies'),
      identity_policies: list('identity_policies'),
      metadata: data['meta'] ?? null,
      orphan: data['orphan'] ?? false,
      entity_id: data['entity_id'] ?? '',
      lease_duration: data['ttl'] ?? 0,
      renewable: data['renewable'] ?? false,
    },
  };
  return { token, answer: makeAnswer(200, self.headers, utf8(stringify(told)), client.address) };
}

/** The rows of a login, in the order upstream prints them. @param spelled how a policy is written */
function fieldsOfLogin(answer: Answer, spelled: (policy: string) => string): Record<string, Json> {
  const auth = bagOf(bagOf(answer.json)['auth']) as Record<string, Json>;
  const seconds = auth['lease_duration'];
  const policies = (name: string): string[] =>
    Array.isArray(auth[name]) ? (auth[name] as Json[]).map((policy) => spelled(String(policy))) : [];
  return {
    token: auth['client_token'] ?? '',
    token_accessor: auth['accessor'] ?? '',
    token_duration: typeof seconds === 'number' && seconds > 0 ? spell(seconds) : '∞',
    token_renewable: auth['renewable'] ?? false,
    token_policies: policies('token_policies'),
    identity_policies: policies('identity_policies'),
    policies: policies('policies'),
    ...Object.fromEntries(
      Object.entries(bagOf(auth['metadata'])).map(([key, value]) => [`token_meta_${key}`, value as Json]),
    ),
  };
}
