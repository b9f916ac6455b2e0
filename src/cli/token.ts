/** token: create, lookup, renew, revoke, capabilities. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { capabilities } from '../client/sys.ts';
import { readData, truth } from './arguments.ts';
import { print } from './output.ts';
import { type Flags, open, printSecret, remote, success } from './session.ts';
import { more } from './settings.ts';
import type { Terminal } from './terminal.ts';

interface CreateFlags extends Flags {
  readonly id?: string;
  readonly policy?: readonly string[];
  readonly ttl?: string;
  readonly explicitMaxTtl?: string;
  readonly period?: string;
  readonly useLimit?: string;
  readonly displayName?: string;
  readonly metadata?: readonly string[];
  readonly orphan?: boolean;
  readonly defaultPolicy: boolean;
  readonly renewable?: string;
  readonly type?: string;
  readonly role?: string;
  readonly entityAlias?: string;
}

interface RevokeFlags extends Flags {
  readonly accessor?: boolean;
  readonly self?: boolean;
  readonly mode?: string;
}

export function declareToken(program: Command, terminal: Terminal): void {
  const group = program.command('token').description('Interact with tokens');

  remote(group, 'create', 'Create a token, a child of the one in use')
    .option('--id <token>', 'a token of your own choice')
    .option('--policy <name>', 'a policy; may be given again', more)
    .option('--ttl <duration>', 'its life')
    .option('--explicit-max-ttl <duration>', 'its longest life, whatever is renewed')
    .option('--period <duration>', 'renewable for ever, by this much')
    .option('--use-limit <number>', 'how often it can be used; 0: without limit')
    .option('--display-name <name>', 'its name in the audit trail')
    .option('--metadata <key=value>', 'a note; may be given again', more)
    .option('--orphan', 'without a parent, so that it outlives the one in use')
    .option('--no-default-policy', 'without the policy "default"')
    .option('--renewable <bool>', 'whether it can be renewed')
    .option('--type <type>', 'service or batch')
    .option('--role <name>', 'after this role')
    .option('--entity-alias <name>', 'with -role: the alias of the entity that the token shall be of')
    .action(async (flags: CreateFlags) => {
      const session = await open(terminal, flags);
      const route =
        flags.orphan === true
          ? 'create-orphan'
          : flags.role === undefined
            ? 'create'
            : `create/${flags.role}`;
      const body = {
        id: flags.id,
        policies: flags.policy?.flatMap((text) => text.split(',')),
        ttl: flags.ttl,
        explicit_max_ttl: flags.explicitMaxTtl,
        period: flags.period,
        num_uses: flags.useLimit === undefined ? undefined : usesOf(flags.useLimit),
        display_name: flags.displayName,
        meta: flags.metadata === undefined ? undefined : await readData(flags.metadata, terminal),
        no_default_policy: flags.defaultPolicy ? undefined : true,
        renewable: flags.renewable === undefined ? undefined : truth(flags.renewable, '-renewable'),
        type: flags.type,
        entity_alias: flags.entityAlias,
      };
      printSecret(session, await session.client.request('POST', `auth/token/${route}`, { body }));
    });

  remote(group, 'lookup [token]', 'Show what a token may do and how long it lives')
    .option('--accessor', 'the argument is an accessor')
    .action(async (token: string | undefined, flags: Flags & { accessor?: boolean }) => {
      accessorGiven(token, flags);
      const session = await open(terminal, flags);
      const asked =
        token === undefined
          ? session.client.request('GET', 'auth/token/lookup-self')
          : flags.accessor === true
            ? session.client.request('POST', 'auth/token/lookup-accessor', { body: { accessor: token } })
            : session.client.request('POST', 'auth/token/lookup', { body: { token } });
      printSecret(session, await asked);
    });

  remote(group, 'renew [token]', 'Give a token more time')
    .option('--accessor', 'the argument is an accessor')
    .option('-i, --increment <duration>', 'how much')
    .action(async (token: string | undefined, flags: Flags & { accessor?: boolean; increment?: string }) => {
      accessorGiven(token, flags);
      const session = await open(terminal, flags);
      const increment = flags.increment === undefined ? {} : { increment: flags.increment };
      const asked =
        token === undefined
          ? session.client.request('PUT', 'auth/token/renew-self', { body: increment })
          : flags.accessor === true
            ? session.client.request('POST', 'auth/token/renew-accessor', {
                body: { accessor: token, ...increment },
              })
            : session.client.request('PUT', 'auth/token/renew', { body: { token, ...increment } });
      printSecret(session, await asked);
    });

  remote(group, 'revoke [token]', 'End a token, and the tokens made with it')
    .option('--accessor', 'the argument is an accessor')
    .option('--self', 'the token in use')
    .option('--mode <mode>', 'orphan: its children live on; path: the argument is a path, whose tokens end')
    .action(async (token: string | undefined, flags: RevokeFlags) => {
      const revocation = revocationOf(token?.trim(), flags);
      const session = await open(terminal, flags);
      await session.client.request(revocation.method, revocation.path, { body: revocation.body });
      success(session, 'Revoked token (if it existed)');
    });

  remote(group, 'capabilities <token-or-path> [path]', 'Show what a token may do on a path').action(
    async (first: string, second: string | undefined, flags: Flags) => {
      const session = await open(terminal, flags);
      const path = second ?? first;
      const found =
        (await capabilities(session.client, [path], second === undefined ? {} : { token: first })).get(
          path,
        ) ?? [];
      print(terminal, session.format, found, () => `${[...found].sort().join(', ')}\n`);
    },
  );
}

/** With -accessor and none named, the token in use would be taken instead. @throws Failure cli.usage */
function accessorGiven(token: string | undefined, { accessor }: { readonly accessor?: boolean }): void {
  if (accessor === true && token === undefined)
    throw failure('cli.usage', { reason: 'Not enough arguments with -accessor (expected 1, got 0)' });
}

interface Revocation {
  readonly method: 'PUT' | 'POST';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Which request ends what the command line names; combinations that would end something else are refused. */
function revocationOf(token: string | undefined, { accessor, self, mode }: RevokeFlags): Revocation {
  const refuse = (reason: string) => failure('cli.usage', { reason });
  if (mode !== undefined && mode !== 'orphan' && mode !== 'path') throw refuse(`Invalid mode: ${mode}`);
  if (self === true) {
    if (token !== undefined) throw refuse('Too many arguments with -self (expected 0, got 1)');
    if (accessor === true) throw refuse('Cannot use -self with -accessor!');
    if (mode !== undefined) throw refuse('Cannot use -self with -mode!');
    return { method: 'PUT', path: 'auth/token/revoke-self', body: {} };
  }
  if (token === undefined || token === '') throw refuse('Not enough arguments (expected 1 or -self, got 0)');
  if (accessor === true) {
    if (mode !== undefined) throw refuse(`Cannot use -accessor with -mode=${mode}!`);
    return { method: 'POST', path: 'auth/token/revoke-accessor', body: { accessor: token } };
  }
  if (mode === 'path')
    return { method: 'PUT', path: `sys/leases/revoke-prefix/${token.replace(/^\/+|\/+$/g, '')}`, body: {} };
  return { method: 'PUT', path: `auth/token/revoke${mode === 'orphan' ? '-orphan' : ''}`, body: { token } };
}

/** @throws Failure cli.usage */
function usesOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw failure('cli.usage', { reason: '-use-limit takes a number' });
}
