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
  });
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

function upkeepRoutes(core: Core): Route[] {
  const kind = z.object({ type: z.string().default(''), include_child_namespaces: flag().default(false) });
  const countText = z.object({ lease_count: z.number(), counts: z.record(z.string(), z.number()) });
  const asked = async (type: string): Promise<LeaseEntry[]> => {
    if (type !== 'irrevocable')
      throw failure('request.invalid', { reason: 'only "irrevocable" leases are told by type' });
    return services(core).leases.irrevocable();
  };
  const placeOf = (entry: LeaseEntry): string =>
    services(core).mounts.byUuid(entry.mountUuid)?.entry.path ?? 'deleted mount';
  return [
    {
      path: 'leases',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The leases that cannot be taken back (type=irrevocable).',
          input: kind,
          output: z.object({
            lease_count: z.number(),
            leases: z.array(z.object({ lease_id: z.string(), mount: z.string() })),
          }),
          effect: 'none',
          async run({ type }) {
            const found = await asked(type);
            const leases = found.map((entry) => ({ lease_id: entry.id, mount: placeOf(entry) }));
            return { data: { lease_count: found.length, leases } };
          },
        }),
      },
    },
    {
      path: 'leases/count',
      operations: {
        read: operation({
          summary:
            'How many leases there are, by mount; with type=irrevocable only those that cannot be taken back.',
          input: kind,
          output: countText,
          effect: 'none',
          async run({ type }) {
            const counts = new Map<string, number>();
            let total = 0;
            const entries = type === '' ? services(core).leases.all() : await asked(type);
            for await (const entry of entries) {
              const place = placeOf(entry);
              counts.set(place, (counts.get(place) ?? 0) + 1);
              total++;
            }
            return { data: { lease_count: total, counts: Object.fromEntries(counts) } };
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
