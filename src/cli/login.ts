/** login: get a token and keep it in ~/.vault-token. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { login } from '../client/auth.ts';
import type { VaultClient } from '../client/client.ts';
import { type Data, readData } from './arguments.ts';
import { loginOidc } from './login-oidc.ts';
import { keyValueTable, printAnswer, printField } from './output.ts';
import { type Flags, fieldsOf, open, remote } from './session.ts';
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
      const token = await authenticate(session.client, args, flags, terminal);
      const client = session.client.with({ token, wrapTtl: undefined });
      const answer = await client.request('GET', 'auth/token/lookup-self');
      if (flags.tokenOnly === true) return terminal.out(token);
      if (flags.store) await terminal.tokenFile.write(token);
      const fields = { ...fieldsOfToken(token, fieldsOf(answer)) };
      if (flags.field !== undefined) return printField(terminal, session.format, fields, flags.field);
      if (!flags.print) return;
      printAnswer(
        terminal,
        session.format,
        answer,
        () => `${greeting(flags.store)}${keyValueTable(fields, false)}`,
      );
      const shadow = flags.store ? settingName(terminal.env, 'TOKEN') : undefined;
      if (shadow !== undefined)
        terminal.err(`WARNING! ${shadow} is set and goes before the token that was just kept: unset it.\n`);
    });
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
): Promise<string> {
  if (flags.method === 'token') {
    const given = args[0]?.replace(/^token=/, '');
    return (
      given === undefined
        ? await terminal.secret('Token (will be hidden): ')
        : given === '-'
          ? await terminal.stdin()
          : given
    ).trim();
  }
  const { mount: named, ...data }: Data = await readData(args, terminal);
  const at = flags.path ?? (typeof named === 'string' && named !== '' ? named : flags.method);
  const mount = at.replace(/^auth\//, '').replace(/\/+$/, '');
  if (flags.method === 'oidc') return (await loginOidc(client, mount, data, terminal)).clientToken;
  if (!NAMED.has(flags.method)) return (await login(client, mount, data)).clientToken;
  const { username, ...rest } = data;
  if (typeof username !== 'string')
    throw failure('cli.usage', { reason: `login -method=${flags.method} needs username=...` });
  const password = rest['password'] ?? (await terminal.secret('Password (will be hidden): '));
  return (await login(client, mount, { ...rest, password }, { name: username })).clientToken;
}

function fieldsOfToken(token: string, found: ReturnType<typeof fieldsOf>): ReturnType<typeof fieldsOf> {
  return {
    token,
    token_accessor: found['accessor'] ?? '',
    token_duration: found['ttl'] === 0 ? '∞' : (found['ttl'] ?? ''),
    token_renewable: found['renewable'] ?? false,
    token_policies: found['policies'] ?? [],
    identity_policies: found['identity_policies'] ?? [],
    policies: found['policies'] ?? [],
  };
}
