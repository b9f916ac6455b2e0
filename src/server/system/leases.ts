/** leases: what was given out, for how long, and taking it back; with the names that these paths had before. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { duration, flag } from '../../base/schema.ts';
import { type Call, operation, type Reply, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import type { LeaseEntry } from '../lease/leases.ts';

/** How long an answer waits for a revocation that is sure to happen anyway. */
const PATIENCE_MS = 5_000;

const named = {
  lease_id: z.string().default(''),
  url_lease_id: z.string().optional(),
};
const idOf = (given: { lease_id: string; url_lease_id?: string | undefined }): string => {
  const id = given.url_lease_id ?? given.lease_id;
  if (id === '') throw failure('request.invalid', { reason: 'lease_id must be specified' });
  return id;
};
const nothing = z.undefined();
const prefixInput = z.object({ prefix: z.string(), sync: flag().default(false) });

export function leaseRoutes(core: Core): Route[] {
  const renew = operation({
    summary: 'Gives a lease more time, as far as its caps allow.',
    // hvac sends a null increment where its caller gave none.
    input: z.object({ ...named, increment: duration().nullish() }),
    output: nothing,
    effect: 'write',
    async run(input) {
      const lease = await services(core).leases.renew(idOf(input), Math.max(0, input.increment ?? 0));
      return { lease };
    },
  });
  const revoke = operation({
    summary: 'Takes a lease back: at once where that is possible, else as soon as it is (202).',
    input: z.object({ ...named, sync: flag().default(false) }),
    output: nothing,
    effect: 'write',
    async run(input) {
      const { leases } = services(core);
      const id = idOf(input);
      // An id that is unknown is one that is taken back: repeating a revocation is no mistake.
      if (!(await leases.revokeSoon(id))) return {};
      return ended(core, leases.revoke(id), input.sync);
    },
  });
  const revokePrefix = operation({
    summary: 'Takes back every lease below a prefix.',
    input: prefixInput,
    output: nothing,
    effect: 'write',
    async run({ prefix, sync }) {
      const { leases } = services(core);
      await leases.allBelow(prefix, 'revokeSoon');
      return ended(core, leases.allBelow(prefix, 'revoke'), sync);
    },
  });
  const revokeForce = operation({
    summary:
      'Forgets every lease below a prefix, even where taking it back fails: what they covered may live on.',
    input: prefixInput,
    output: nothing,
    effect: 'write',
    async run({ prefix }) {
      await services(core).leases.allBelow(prefix, 'forget');
      return {};
    },
  });
  const changes = (root: string): Route[] => [
    { path: `${root}renew`, operations: { write: renew } },
    { path: `${root}renew/*url_lease_id`, operations: { write: renew } },
    { path: `${root}revoke`, operations: { write: revoke } },
    { path: `${root}revoke/*url_lease_id`, operations: { write: revoke } },
    { path: `${root}revoke-prefix/*prefix`, access: 'sudo', operations: { write: revokePrefix } },
    { path: `${root}revoke-force/*prefix`, access: 'sudo', operations: { write: revokeForce } },
  ];
  return [...changes('leases/'), ...changes(''), ...lookupRoutes(core), ...upkeepRoutes(core)];
}

/** 204 once it is done; 202 where it is queued and goes on by itself. With `sync` a failure is the answer. */
async function ended(core: Core, work: Promise<void>, sync: boolean): Promise<Reply<undefined>> {
  if (sync) {
    await work;
    return {};
  }
  let cancel = (): void => {};
  const late = new Promise<'late'>((resolve) => {
    cancel = core.clock.after(PATIENCE_MS, () => resolve('late'));
  });
  const done = work.then(
    () => 'done' as const,
    () => 'late' as const,
  );
  const outcome = await Promise.race([done, late]);
  cancel();
  return outcome === 'done' ? {} : { raw: { status: 202, headers: {}, body: new Uint8Array() } };
}

const leaseText = z.object({
  id: z.string(),
  issue_time: z.string(),
  expire_time: z.string(),
  last_renewal: z.string().nullable(),
  renewable: z.boolean(),
  ttl: z.number(),
  path: z.string(),
  /** Ours, and only of a lease that is due and still there. */
  revocation: z
    .object({
      attempts: z.number(),
      last_attempt: z.string().nullable(),
      last_error: z.string(),
      irrevocable: z.boolean(),
    })
    .optional(),
});

function lookupRoutes(core: Core): Route[] {
  const at = (time: number): string => timestamp(services(core).lifetime.wallOf(time));
  const shown = (entry: LeaseEntry): z.infer<typeof leaseText> => ({
    id: entry.id,
    issue_time: at(entry.issuedAt),
    expire_time: at(entry.expiresAt),
    last_renewal: entry.lastRenewalAt === undefined ? null : at(entry.lastRenewalAt),
    renewable: entry.renewable,
    ttl: seconds(Math.max(0, entry.expiresAt - services(core).lifetime.now())),
    path: entry.id.slice(0, entry.id.lastIndexOf('/')),
    ...revocationOf(entry),
  });
  /** How taking the lease back has failed: by itself, or with all of its mount, of which only one tries. */
  const revocationOf = (entry: LeaseEntry): Pick<z.infer<typeof leaseText>, 'revocation'> => {
    const { leases, lifetime } = services(core);
    const { trouble } = entry;
    const isDue = entry.expiresAt <= lifetime.now();
    const problem = trouble?.reason ?? (isDue ? leases.problemOf(entry.mountUuid) : undefined);
    if (problem === undefined) return {};
    return {
      revocation: {
        attempts: trouble?.attempts ?? 0,
        last_attempt: trouble === undefined ? null : at(trouble.lastAt),
        last_error: problem,
        irrevocable: trouble?.irrevocable ?? false,
      },
    };
  };
  return [
    {
      path: 'leases/lookup',
      operations: {
        write: operation({
          summary: 'What is known of a lease.',
          input: z.object(named),
          output: leaseText,
          effect: 'none',
          async run(input) {
            const entry = await services(core).leases.lookup(idOf(input));
            if (entry === undefined) throw failure('lease.unknown');
            return { data: shown(entry) };
          },
        }),
      },
    },
    {
      path: 'leases/lookup/*prefix',
      access: 'sudo',
      operations: {
        list: operation({
          summary: 'The leases below a prefix, one level at a time.',
          input: z.object({ prefix: z.string() }),
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          run: async ({ prefix }) => ({ data: { keys: await services(core).leases.children(prefix) } }),
        }),
      },
    },
  ];
}

/** Upstream's: of more irrevocable leases than this only so many are told, unless asked for. */
const MOST_TOLD = 10_000;
const MORE =
  'There are more irrevocable leases than are told here. To have all of them, ask again with limit=none.';

function upkeepRoutes(core: Core): Route[] {
  const kind = z.object({ type: z.string().default(''), include_child_namespaces: flag().default(false) });
  const countText = z.object({ lease_count: z.number(), counts: z.record(z.string(), z.number()) });
  const assertIrrevocable = (type: string): void => {
    if (type.toLowerCase() !== 'irrevocable')
      throw failure('request.invalid', { reason: 'only "irrevocable" leases are told by type' });
  };
  const mountOf = (uuid: string) => services(core).mounts.byUuid(uuid)?.entry;
  const accessorOf = (entry: LeaseEntry): string =>
    mountOf(entry.mountUuid)?.accessor ?? 'mount-accessor-not-found';
  const counted = (found: Iterable<readonly [string, number]>): z.infer<typeof countText> => {
    const counts = new Map<string, number>();
    for (const [place, count] of found) counts.set(place, (counts.get(place) ?? 0) + count);
    return {
      lease_count: [...counts.values()].reduce((sum, count) => sum + count, 0),
      counts: Object.fromEntries(counts),
    };
  };
  return [
    {
      path: 'leases',
      access: 'sudo',
      operations: {
        read: operation({
          summary:
            'The leases that cannot be taken back (type=irrevocable), those that ended first at the top.',
          input: kind.extend({ limit: limit() }),
          output: z.object({
            lease_count: z.number(),
            leases: z.array(z.object({ lease_id: z.string(), mount_id: z.string(), error: z.string() })),
          }),
          effect: 'none',
          async run({ type, limit }) {
            assertIrrevocable(type);
            const found: LeaseEntry[] = [];
            let isCut = false;
            for await (const entry of services(core).leases.irrevocable()) {
              isCut = found.length >= limit;
              if (isCut) break;
              found.push(entry);
            }
            found.sort((a, b) => a.expiresAt - b.expiresAt || (a.id < b.id ? -1 : 1));
            const leases = found.map((entry) => ({
              lease_id: entry.id,
              mount_id: accessorOf(entry),
              error: entry.trouble?.reason ?? '',
            }));
            return {
              data: { lease_count: found.length, leases },
              ...(isCut ? { warnings: [MORE] } : {}),
            };
          },
        }),
      },
    },
    {
      path: 'leases/count',
      operations: {
        read: operation({
          summary:
            'How many leases there are, by mount; with type=irrevocable those that cannot be taken back, by accessor.',
          input: kind,
          output: countText,
          effect: 'none',
          async run({ type }) {
            const { leases } = services(core);
            if (type === '') {
              const byMount = [...(await leases.count())];
              return {
                data: counted(byMount.map(([uuid, n]) => [mountOf(uuid)?.path ?? 'deleted mount', n])),
              };
            }
            assertIrrevocable(type);
            const found: [string, number][] = [];
            for await (const entry of leases.irrevocable()) found.push([accessorOf(entry), 1]);
            return { data: counted(found) };
          },
        }),
      },
    },
    {
      path: 'leases/tidy',
      operations: {
        write: operation({
          summary: 'Mends the index of leases, in the background.',
          input: z.object({}),
          output: nothing,
          effect: 'write',
          async run(_input, call: Call) {
            const log = core.log;
            services(core)
              .leases.tidy()
              .then(
                (found) => log.info('leases were tidied', { ...found, request: call.id }),
                (error: unknown) => log.error('tidying leases failed', { error, request: call.id }),
              );
            return {
              status: 202,
              warnings: [
                'Tidy operation successfully started. Any information from the operation will be printed to the server logs.',
              ],
            };
          },
        }),
      },
    },
  ];
}

/** "none", or how many at most; absent: as upstream has it. */
const limit = () =>
  z
    .union([z.string(), z.number()])
    .default(MOST_TOLD)
    .transform((given, context) => {
      if (given === '') return MOST_TOLD;
      if (typeof given === 'string' && given.toLowerCase() === 'none') return Number.POSITIVE_INFINITY;
      const number = Number(given);
      if (Number.isSafeInteger(number) && number > 0) return number;
      context.addIssue({ code: 'custom', message: "limit must be 'none' or a positive integer" });
      return z.NEVER;
    });
