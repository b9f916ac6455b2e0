/**
 * backup and storage/verify: the backups that the server's own file configures, and whether what lies in the store is what was
 * written. Ours, not upstream's: its automated snapshots are a feature of its Enterprise edition, under other routes.
 */

import { z } from 'zod';
import { fromBase64, fromHex } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { commaList, flag } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import type { TargetState } from '../backup/backups.ts';
import type { Manifest } from '../backup/manifest.ts';
import type { Shelved } from '../backup/shelf.ts';
import { type Platform, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';

/** Of all that touches the places: the node that leads is asked, which alone knows how the schedules stand. */
const LEADS = 'write' as const;

const none = z.object({});
/** RFC 3339, or empty where there is no such time. */
const time = z.string();
const textOf = (at: number | undefined): string => (at === undefined ? '' : new Date(at).toISOString());

const stateText = z.object({
  name: z.string(),
  place: z.string(),
  schedule: z.string(),
  keep: z.number(),
  next: time,
  last_verified: time,
  last_try: time,
  problem: z.string(),
  failures: z.number(),
  running: z.boolean(),
  behind: z.boolean(),
});
const manifestText = z.object({
  name: z.string(),
  created: time,
  verified: time,
  revision: z.number(),
  entries: z.number(),
  bytes: z.number(),
  sha256: z.string(),
  cluster_id: z.string(),
  version: z.string(),
});
const backupText = manifestText.extend({ state: z.enum(['verified', 'claimed', 'unverified']) });
const planText = z.object({
  remove: z.array(backupText),
  spared: z.array(backupText.extend({ reason: z.enum(['last verified', 'foreign']) })),
});

const told = ({ target, ...state }: TargetState): z.input<typeof stateText> => ({
  name: target.name,
  place: target.place.shown,
  schedule: target.schedule?.text ?? '',
  keep: target.keepMs / 1000,
  next: textOf(state.nextAt),
  last_verified: textOf(state.verifiedAt),
  last_try: textOf(state.triedAt),
  problem: state.problem,
  failures: state.failures,
  running: state.running,
  behind: state.behind,
});

const factsOf = ({ format: _format, ...facts }: Manifest): z.input<typeof manifestText> => facts;

/** A backup as its archive and its manifest have it; what only the manifest tells is empty where there is none. */
function listed({ name, createdAt, size, verified, manifest }: Shelved): z.input<typeof backupText> {
  const facts =
    manifest === undefined
      ? { verified: '', revision: 0, entries: 0, sha256: '', cluster_id: '', version: '' }
      : factsOf(manifest);
  const state = verified === 'yes' ? 'verified' : verified === 'claimed' ? 'claimed' : 'unverified';
  return { ...facts, name, created: textOf(createdAt), bytes: size, state };
}

export function backupRoutes({ core, backups, barrier, snapshots }: Platform): Route[] {
  /** The one that is meant where there is one only. @throws Failure backup.target */
  const targetOf = (name: string): string => {
    const names = backups.states.map(({ target }) => target.name);
    if (name !== '' || names.length === 1) return name || (names[0] ?? '');
    throw failure('backup.target', { name: names.length === 0 ? '' : `: name one of ${names.join(', ')}` });
  };
  const target = z.string().default('').transform(String);
  return [
    {
      path: 'backup',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'Where backups go, when, and how the last of them went.',
          input: none,
          output: z.object({ targets: z.array(stateText) }),
          effect: LEADS,
          async run() {
            services(core);
            return { data: { targets: backups.states.map(told) } };
          },
        }),
      },
    },
    {
      path: 'backup/list',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The backups of one target, the oldest first.',
          input: z.object({ target }),
          output: z.object({ target: z.string(), place: z.string(), backups: z.array(backupText) }),
          effect: LEADS,
          async run(input) {
            services(core);
            const name = targetOf(input.target);
            const all = await backups.list(name);
            const place =
              backups.states.find((state) => state.target.name === name)?.target.place.shown ?? '';
            return { data: { target: name, place, backups: all.map(listed) } };
          },
        }),
      },
    },
    {
      path: 'backup/create',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Makes a backup and verifies it; answers when both are done.',
          input: z.object({ target }),
          output: manifestText,
          effect: LEADS,
          async run(input) {
            services(core);
            return { data: factsOf(await backups.create(targetOf(input.target))) };
          },
        }),
      },
    },
    {
      path: 'backup/verify',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Restores a backup, the newest or one by its name, into a store of its own, and compares.',
          input: z.object({ target, name: z.string().optional() }),
          output: manifestText,
          effect: LEADS,
          async run({ name, ...input }) {
            services(core);
            return { data: factsOf(await backups.verify(targetOf(input.target), name)) };
          },
        }),
      },
    },
    {
      path: 'backup/prune',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'What a prune would remove, and what it would spare though it is old.',
          input: z.object({ target }),
          output: planText,
          effect: LEADS,
          async run(input) {
            services(core);
            return { data: planned(await backups.plan(targetOf(input.target))) };
          },
        }),
        write: operation({
          summary: 'Removes what is older than backups are kept; never the last verified one.',
          input: z.object({ target }),
          output: planText,
          effect: LEADS,
          async run(input) {
            services(core);
            return { data: planned(await backups.prune(targetOf(input.target))) };
          },
        }),
      },
    },
    {
      path: 'backup/restore',
      access: 'sudo',
      operations: {
        write: operation({
          summary:
            'Puts a backup in place of everything: one by its name, or the newest verified one up to a time.',
          input: z.object({
            target,
            name: z.string().optional(),
            at: z.iso.datetime({ offset: true }).transform(Date.parse).optional(),
            force: flag().default(false),
            /** Unseal keys of the day of the backup, in base64 or hexadecimal, where another server made it. */
            keys: commaList().default([]),
          }),
          output: z.object({ name: z.string(), entries: z.number(), sealed: z.boolean() }),
          effect: 'write',
          async run({ name, at, force, keys, ...input }, call) {
            services(core);
            const shares = keys.map(shareOf);
            const wish = { name, at };
            const found = await backups.recall(targetOf(input.target), wish, { shares, force }, call.signal);
            await snapshots.restore(found);
            // The trail goes on behind the barrier as it now is, as after a restored snapshot.
            exchangeOf(call).services = core.services();
            const sealed = core.services() === undefined;
            if (!sealed)
              await backups
                .acknowledge()
                .catch((error: unknown) => core.log.warn('a restore was not noted', { error }));
            return { data: { name: found.name, entries: found.entries.size, sealed } };
          },
        }),
      },
    },
    {
      path: 'storage/verify',
      access: 'sudo',
      operations: {
        read: operation({
          summary:
            'Opens every entry of the store, and tells whether any was changed, lost, added or rolled back.',
          input: none,
          output: z.object({
            whole: z.boolean(),
            entries: z.number(),
            expected: z.number().nullable(),
            damaged: z.array(z.string()),
            set: z.enum(['matches', 'differs', 'unreadable']),
            behind: z.array(z.string()),
          }),
          effect: 'none',
          async run(_input, call) {
            services(core);
            const { entries, expected, damaged, set } = await barrier.verify(call.signal);
            const behind = backups.states.filter((state) => state.behind).map((state) => state.target.name);
            const whole = damaged.length === 0 && set === 'matches' && behind.length === 0;
            return {
              data: { whole, entries, expected: expected ?? null, damaged: [...damaged], set, behind },
            };
          },
        }),
      },
    },
  ];
}

const planned = ({
  remove,
  spared,
}: Awaited<ReturnType<Platform['backups']['plan']>>): z.input<typeof planText> => ({
  remove: remove.map(listed),
  spared: spared.map(({ backup, reason }) => ({ ...listed(backup), reason })),
});

/** @throws Failure request.invalid */
function shareOf(text: string): Uint8Array {
  const share = fromHex(text) ?? fromBase64(text);
  if (share !== undefined && share.length > 0) return share;
  throw failure('request.invalid', { reason: "'keys' must be hexadecimal or base64" });
}
