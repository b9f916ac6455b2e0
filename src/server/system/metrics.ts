/** metrics: the server's numbers, gathered when they are asked for, in the names that dashboards of Vault know. */

import { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { bounded, type Gauge, gaugeText, type Sample } from '../../base/exposition.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import type { Core, Platform, Services } from '../core/core.ts';
import { keptFor } from '../metrics/kept.ts';
import { backupGauges } from './backupgauges.ts';
import { bare } from './replies.ts';

/** A count of more than this many would hold up the answer: it stops there, and says so. */
const MOST_COUNTED = 100_000;
/** Of so many leases the ends are read. */
const MOST_FOLLOWED = 10_000;

/** Milliseconds for which a walk over what is stored stands: less than Prometheus leaves between two scrapes. */
const WALK_KEPT_MS = 10_000;

const number = z.object({ Name: z.string(), Value: z.number(), Labels: z.record(z.string(), z.string()) });
/** As JSON; to Prometheus the answer is its own text. */
const numbers = z.object({ Timestamp: z.string(), Gauges: z.array(number), Counters: z.array(number) });

export function metricsRoutes({ core, metrics, backups, seal, ha }: Platform): Route[] {
  const stored = keptFor(core.clock, WALK_KEPT_MS, walk);
  return [
    {
      path: 'metrics',
      operations: {
        read: operation({
          summary: 'The numbers of the server, for Prometheus (format=prometheus) or as JSON.',
          input: z.object({ format: z.string().default('') }),
          output: numbers,
          effect: 'none',
          async run({ format }, call) {
            const { sealed } = await seal.status();
            const state = { unsealed: !sealed, active: !sealed && (ha?.leads() ?? true) };
            const gauges = [
              ...(await gather(core, stored, state)),
              ...backupGauges(backups, core.clock.now()),
            ];
            if (format !== 'prometheus' && !/openmetrics|text\/plain/.test(call.headers['accept'] ?? ''))
              return bare({
                Timestamp: new Date(core.clock.now()).toISOString(),
                Gauges: named(gauges.filter(({ kind }) => kind !== 'counter')),
                Counters: named(gauges.filter(({ kind }) => kind === 'counter')),
              });
            const text = gauges.map(gaugeText).join('') + metrics.requests.text();
            return {
              raw: {
                status: 200,
                headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
                body: utf8(text),
              },
            };
          },
        }),
      },
    },
  ];
}

const named = (all: readonly Gauge[]): z.input<typeof number>[] =>
  all.flatMap(({ name, samples }) =>
    samples.map(({ labels, value }) => ({ Name: name, Value: value, Labels: labels ?? {} })),
  );

const gauge = (name: string, help: string, samples: readonly Sample[]): Gauge => ({ name, help, samples });
const counter = (name: string, help: string, value: number): Gauge => ({
  name,
  help,
  kind: 'counter',
  samples: [{ value }],
});

/** Sealed or not: an alarm on `vault_core_unsealed == 0` must find the 0. */
async function gather(
  core: Core,
  stored: (open: Services) => Promise<Gauge[]>,
  { unsealed, active }: { readonly unsealed: boolean; readonly active: boolean },
): Promise<Gauge[]> {
  const open = core.services();
  const memory = process.memoryUsage();
  return [
    gauge('vault_core_unsealed', 'Whether the server is open.', [{ value: Number(unsealed) }]),
    gauge('vault_core_active', 'Whether this node is the active one.', [{ value: Number(active) }]),
    gauge('vault_core_in_flight_requests', 'Requests that are being answered.', [
      { value: core.underWay().length },
    ]),
    gauge('vault_runtime_alloc_bytes', 'Bytes of the heap in use.', [{ value: memory.heapUsed }]),
    gauge('vault_runtime_sys_bytes', 'Bytes of memory of the process.', [{ value: memory.rss }]),
    ...(open === undefined ? [] : [...(await stored(open)), ...atHand(open)]),
  ];
}

/** What is found by going through all that is stored. */
async function walk(open: Services): Promise<Gauge[]> {
  const tokens = await tokenCounts(open);
  return [
    gauge('vault_token_count', 'Living service tokens.', [{ value: tokens.total }]),
    gauge('vault_token_count_by_policy', 'Living service tokens by policy.', tokens.byPolicy),
    gauge('vault_secret_kv_count', 'Secrets by KV mount.', await secretCounts(open)),
    ...(await leaseGauges(open)),
  ];
}

function atHand(open: Services): Gauge[] {
  const audit = open.audit.counts?.();
  const { revoked, failures } = open.leases.counts;
  return [
    counter('vault_expire_lease_expiration', 'Leases that were taken back.', revoked),
    counter('vault_expire_lease_expiration_error', 'Times that a lease could not be taken back.', failures),
    gauge(
      'holdfast_lease_clock_ahead_seconds',
      'How far the time by which leases end is ahead of the system clock, which somebody set.',
      [{ value: open.lifetime.ahead / 1000 }],
    ),
    gauge('vault_core_locked_users', 'Names that may not log in for a while.', [
      { value: open.lockout.list().length },
    ]),
    gauge('vault_barrier_term', 'The term of the key that seals.', [{ value: open.custody.status().term }]),
    ...(audit === undefined
      ? []
      : [
          counter(
            'vault_audit_log_request_failure',
            'Requests that no audit device took, and that were refused for it.',
            audit.request.failures,
          ),
          counter(
            'vault_audit_log_response_failure',
            'Answers that no audit device took, and that were withheld for it.',
            audit.response.failures,
          ),
        ]),
  ];
}

async function tokenCounts({ tokens }: Services): Promise<{ total: number; byPolicy: Sample[] }> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const accessor of (await tokens.accessors()).slice(0, MOST_COUNTED)) {
    const entry = await tokens.byAccessor(accessor);
    if (entry === undefined) continue;
    total++;
    for (const policy of entry.policies) counts.set(policy, (counts.get(policy) ?? 0) + 1);
  }
  const byPolicy = [...counts].map(([policy, value]) => ({ labels: { policy }, value }));
  return { total, byPolicy: bounded(byPolicy, (a, b) => a + b) };
}

async function secretCounts({ mounts }: Services): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const { path, type } of mounts.list('secret')) {
    if (type !== 'kv') continue;
    const value = await mounts.get(path)?.plugin.holdings?.(MOST_COUNTED);
    if (value !== undefined) samples.push({ labels: { mount_point: path }, value });
  }
  return bounded(samples, (a, b) => a + b);
}

/** The first ends by the path that gave the leases, so that there are as many series as roles and not as leases. */
async function firstExpiries({ leases, lifetime }: Services): Promise<Sample[]> {
  const first = new Map<string, number>();
  for await (const { id, expiresAt } of leases.soonest(MOST_FOLLOWED)) {
    const path = id.slice(0, id.lastIndexOf('/'));
    if (!first.has(path)) first.set(path, lifetime.wallOf(expiresAt));
  }
  const samples = [...first].map(([path, at]) => ({ labels: { path }, value: Math.floor(at / 1000) }));
  return bounded(samples, Math.min);
}

async function leaseGauges(open: Services): Promise<Gauge[]> {
  const { leases } = open;
  let irrevocable = 0;
  for await (const _ of leases.irrevocable()) irrevocable++;
  const total = [...(await leases.count()).values()].reduce((sum, count) => sum + count, 0);
  return [
    gauge(
      'vault_secret_lease_expiration_time_seconds',
      `When the first lease of a path ends, in seconds since the epoch; of the ${MOST_FOLLOWED} leases that end first.`,
      await firstExpiries(open),
    ),
    gauge('vault_expire_num_leases', 'Leases.', [{ value: total }]),
    gauge('vault_expire_num_irrevocable_leases', 'Leases that cannot be taken back without help.', [
      { value: irrevocable },
    ]),
  ];
}
