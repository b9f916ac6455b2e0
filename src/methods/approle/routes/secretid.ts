/** `role/<name>/secret-id…`: making, looking at and destroying secret ids. Only making one ever tells it. */

import { z } from 'zod';
import { isCidr } from '../../../base/cidr.ts';
import { seconds } from '../../../base/duration.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import { parseJson } from '../../../base/json.ts';
import { anyNames, commaList, duration, integer } from '../../../base/schema.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { within } from '../cidrs.ts';
import type { Found, Role, Roles } from '../role.ts';
import type { SecretId, SecretIds } from '../secret.ts';

const one = z.object({ role_name: z.string().max(512) });
const bySecret = one.extend({ secret_id: z.string().max(4096).default('') });
const byAccessor = one.extend({ secret_id_accessor: z.string().max(256).default('') });
const nothing = z.object({});
const newInput = one.extend({
  metadata: anyNames(z.union([z.string(), z.record(z.string(), z.string())])).nullish(),
  cidr_list: commaList().nullish(),
  token_bound_cidrs: commaList().nullish(),
  num_uses: integer().nullish(),
  ttl: duration().nullish(),
});
const newOutput = z.object({
  secret_id: z.string(),
  secret_id_accessor: z.string(),
  secret_id_num_uses: z.number(),
  secret_id_ttl: z.number(),
});
const secretOutput = z.object({
  cidr_list: z.array(z.string()),
  creation_time: z.string(),
  expiration_time: z.string(),
  last_updated_time: z.string(),
  metadata: z.record(z.string(), z.string()),
  secret_id_accessor: z.string(),
  secret_id_num_uses: z.number(),
  secret_id_ttl: z.number(),
  token_bound_cidrs: z.array(z.string()),
});

/** As upstream bounds metadata of identities. */
const METADATA = { keys: 64, key: 128, value: 512 };
const TRIES = 8;
/** What Go prints for no time at all. */
const NEVER = '0001-01-01T00:00:00Z';

/** @param newId makes a random id */
export function secretIdRoutes(mount: Mount, roles: Roles, secrets: SecretIds, newId: () => string): Route[] {
  /** Within the role as it is when the secret id is written: a bound that is set meanwhile holds for it too. */
  const kept = async (
    name: string,
    secretId: string,
    given: Omit<z.output<typeof newInput>, 'role_name'>,
  ): Promise<SecretId> => {
    for (let tries = 0; ; tries++) {
      const found = await roles.known(name);
      const secret = bornSecret(found, given, newId(), mount);
      try {
        await secrets.add(name, found, secretId, secret);
        return secret;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict') || tries === TRIES) throw error;
      }
    }
  };
  const add = async (
    name: string,
    secretId: string,
    given: Omit<z.output<typeof newInput>, 'role_name'>,
  ): Promise<Reply<z.input<typeof newOutput>>> => {
    const secret = await kept(name, secretId, given);
    return {
      data: {
        secret_id: secretId,
        secret_id_accessor: secret.accessor,
        secret_id_num_uses: secret.uses,
        secret_id_ttl: seconds(secret.ttlMs),
      },
    };
  };
  const destroy = operation({
    summary: 'Destroy a secret id.',
    input: bySecret,
    output: nothing,
    effect: 'write',
    async run({ role_name: name, secret_id: secretId }) {
      if (secretId === '') throw failure('approle.missing_secret_id');
      const { role } = await roles.known(name);
      await secrets.destroy(role.uuid, secretId);
      return {};
    },
  });
  const destroyByAccessor = operation({
    summary: 'Destroy the secret id of an accessor.',
    input: byAccessor,
    output: nothing,
    effect: 'write',
    async run({ role_name: name, secret_id_accessor: accessor }) {
      const { role } = await roles.known(name);
      if (!(await secrets.destroyByAccessor(role.uuid, accessor)))
        throw failure('approle.unknown_accessor', { accessor: printable(accessor) });
      return {};
    },
  });
  const route = (path: string, operations: Route['operations']): Route => ({
    path: `role/:role_name/${path}`,
    lowercase: ['role_name'],
    operations,
  });
  return [
    route('secret-id', {
      list: operation({
        summary: 'List the accessors of the secret ids.',
        input: one,
        output: z.object({ keys: z.array(z.string()) }),
        effect: 'none',
        async run({ role_name: name }) {
          const { role } = await roles.known(name);
          return { data: { keys: await secrets.accessors(role.uuid) } };
        },
      }),
      write: operation({
        summary: 'Make a secret id. It is told this once.',
        input: newInput,
        output: newOutput,
        effect: 'write',
        run: ({ role_name: name, ...given }) => add(name, newId(), given),
      }),
    }),
    route('custom-secret-id', {
      write: operation({
        summary: 'Take a text for a secret id that was made elsewhere.',
        input: newInput.extend({ secret_id: z.string().max(4096).default('') }),
        output: newOutput,
        effect: 'write',
        async run({ role_name: name, secret_id: secretId, ...given }) {
          if (secretId === '') throw failure('approle.missing_secret_id');
          return add(name, secretId, given);
        },
      }),
    }),
    route('secret-id/lookup', {
      write: operation({
        summary: 'What is known of a secret id.',
        input: bySecret,
        output: secretOutput,
        effect: 'none',
        async run({ role_name: name, secret_id: secretId }) {
          if (secretId === '') throw failure('approle.missing_secret_id');
          const { role } = await roles.known(name);
          const secret = (await secrets.find(role.uuid, secretId))?.secret;
          return secret === undefined ? {} : { data: secretText(secret) };
        },
      }),
    }),
    route('secret-id/destroy', { write: destroy, delete: destroy }),
    route('secret-id-accessor/lookup', {
      write: operation({
        summary: 'What is known of the secret id of an accessor; never the secret id.',
        input: byAccessor,
        output: secretOutput,
        effect: 'none',
        async run({ role_name: name, secret_id_accessor: accessor }) {
          const { role } = await roles.known(name);
          const secret = await secrets.byAccessor(role.uuid, accessor);
          if (secret === undefined)
            throw failure('approle.unknown_accessor', { accessor: printable(accessor) });
          return { data: secretText(secret) };
        },
      }),
    }),
    route('secret-id-accessor/destroy', { write: destroyByAccessor, delete: destroyByAccessor }),
  ];
}

/** A new secret id within what its role allows. @throws Failure approle.invalid */
function bornSecret(
  { role }: Found,
  given: Omit<z.output<typeof newInput>, 'role_name'>,
  accessor: string,
  { clock, ttl }: Pick<Mount, 'clock' | 'ttl'>,
): SecretId {
  if (!role.bindSecretId) throw refuse('bind_secret_id is not set on the role');
  const now = clock.now();
  const ttlMs = Math.min(ttlWithin(role, given.ttl ?? undefined), ttl().maxMs);
  return {
    accessor,
    metadata: metadataOf(given.metadata ?? undefined),
    cidrs: networks('cidr_list', given.cidr_list ?? [], role.secretIdCidrs),
    tokenCidrs: networks('token_bound_cidrs', given.token_bound_cidrs ?? [], role.token.boundCidrs),
    uses: usesWithin(role, given.num_uses ?? undefined),
    ttlMs,
    createdAt: now,
    updatedAt: now,
    ...(ttlMs === 0 ? {} : { expiresAt: now + ttlMs }),
  };
}

function usesWithin({ secretIdUses: most }: Role, asked = most): number {
  if (asked < 0) throw refuse('num_uses cannot be negative');
  if (most > 0 && (asked === 0 || asked > most))
    throw refuse("num_uses cannot be higher than the role's secret_id_num_uses");
  return asked;
}

function ttlWithin({ secretIdTtlMs: longest }: Role, asked = longest): number {
  if (asked < 0) throw refuse('ttl cannot be negative');
  if (longest > 0 && (asked === 0 || asked > longest))
    throw refuse("ttl cannot be longer than the role's secret_id_ttl");
  return asked;
}

function networks(field: string, asked: readonly string[], outer: readonly string[]): readonly string[] {
  if (!asked.every(isCidr)) throw refuse(`${field} holds what is no address block`);
  if (!within(asked, outer)) throw refuse(`${field} must lie within the address blocks of the role`);
  return asked;
}

/** @throws Failure approle.invalid */
function metadataOf(given: string | Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const wrong = refuse('metadata must be a JSON object of texts, within bounds');
  let parsed: unknown = given;
  if (typeof given === 'string') {
    if (given === '') return {};
    try {
      parsed = parseJson(given);
    } catch {
      // The parser's own words may quote what was sent.
      throw wrong;
    }
  }
  const read = anyNames(z.record(z.string().max(METADATA.key), z.string().max(METADATA.value))).safeParse(
    parsed,
  );
  if (!read.success || Object.keys(read.data).length > METADATA.keys) throw wrong;
  return read.data;
}

const secretText = (secret: SecretId): z.input<typeof secretOutput> => ({
  cidr_list: [...secret.cidrs],
  creation_time: new Date(secret.createdAt).toISOString(),
  expiration_time: secret.expiresAt === undefined ? NEVER : new Date(secret.expiresAt).toISOString(),
  last_updated_time: new Date(secret.updatedAt).toISOString(),
  metadata: { ...secret.metadata },
  secret_id_accessor: secret.accessor,
  secret_id_num_uses: secret.uses,
  secret_id_ttl: seconds(secret.ttlMs),
  token_bound_cidrs: [...secret.tokenCidrs],
});

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');
const refuse = (reason: string) => failure('approle.invalid', { reason });
