/** token: create, lookup, renew, revoke, capabilities. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { capabilities } from '../client/sys.ts';
import { readData, truth } from './arguments.ts';
import { print } from './output.ts';
import { type Flags, open, printSecret, remote, success } from './session.ts';
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
}

const more = (value: string, all: string[] = []): string[] => [...all, value];

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
        num_uses: flags.useLimit === undefined ? undefined : Number(flags.useLimit),
        display_name: flags.displayName,
        meta: flags.metadata === undefined ? undefined : await readData(flags.metadata, terminal),
        no_default_policy: flags.defaultPolicy ? undefined : true,
        renewable: flags.renewable === undefined ? undefined : truth(flags.renewable, '-renewable'),
        type: flags.type,
      };
      printSecret(session, await session.client.request('POST', `auth/token/${route}`, { body }));
    });

  remote(group, 'lookup [token]', 'Show what a token may do and how long it lives')
    .option('--accessor', 'the argument is an accessor')
    .action(async (token: string | undefined, flags: Flags & { accessor?: boolean }) => {
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
    .option('--mode <mode>', 'orphan: its children live on')
    .action(
      async (
        token: string | undefined,
        flags: Flags & { accessor?: boolean; self?: boolean; mode?: string },
      ) => {
        const session = await open(terminal, flags);
        if (token === undefined && flags.self !== true)
          throw failure('cli.usage', { reason: 'name a token or an accessor, or use -self' });
        if (token !== undefined && flags.self === true)
          throw failure('cli.usage', { reason: '-self is the token in use: name no other beside it' });
        if (flags.mode !== undefined && flags.mode !== 'orphan')
          throw failure('cli.usage', {
            reason: '-mode takes "orphan" (leases under a path: lease revoke -prefix)',
          });
        const { client } = session;
        if (token === undefined) await client.request('PUT', 'auth/token/revoke-self', { body: {} });
        else if (flags.accessor === true)
          await client.request('POST', 'auth/token/revoke-accessor', { body: { accessor: token } });
        else if (flags.mode === 'orphan')
          await client.request('PUT', 'auth/token/revoke-orphan', { body: { token } });
        else await client.request('PUT', 'auth/token/revoke', { body: { token } });
        success(session, 'Revoked token (if it existed)');
      },
    );

  remote(group, 'capabilities <token-or-path> [path]', 'Show what a token may do on a path').action(
    async (first: string, second: string | undefined, flags: Flags) => {
      const session = await open(terminal, flags);
      const path = second ?? first;
      const found =
        (await capabilities(session.client, [path], second === undefined ? {} : { token: first })).get(
          path,
        ) ?? [];
      print(terminal, session.format, found, () => `${found.join(', ')}\n`);
    },
  );
}
