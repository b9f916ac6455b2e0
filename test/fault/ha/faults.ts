/** What is done to a cluster under load, and how long it took until a write was acknowledged again through a balancer. */

import { setTimeout as later } from 'node:timers/promises';
import type { Operation } from '../../support/histories.ts';
import type { Node } from '../../support/nodes-process.ts';
import { eventually } from '../../support/platform.ts';
import type { Trial } from './trial.ts';

export interface Fault {
  readonly name: string;
  /** Whether another node has to take over; else the times are told, and are none of a failover. */
  readonly failover: boolean;
  /** Breaks it, calls `broken` at that moment, and mends it. @returns how it was done, in words */
  run(trial: Trial, target: Node, broken: () => void): Promise<string>;
}

/** One fault that happened. Times are in milliseconds from it. */
export interface Happened {
  readonly name: string;
  readonly failover: boolean;
  readonly node: number;
  readonly how: string;
  /** On the monotonic clock of the load, and on the wall clock that the database shares. */
  readonly at: number;
  readonly wall: number;
  readonly until: number;
  /** Where the load's history stood. */
  readonly from: number;
}

/** The moment of a fault. */
type Moment = Pick<Happened, 'at' | 'from'>;

const PAUSE_MS = 30_000;
const CUT_MS = 10_000;
/** A fault that nothing recovers from by then has failed the test. */
const RECOVERY_MS = 60_000;
/** How long the cluster is left alone between two faults. */
const QUIET_MS = 2000;
const WAKERS = 12;

export const killLeader: Fault = {
  name: 'SIGKILL of the leader',
  failover: true,
  async run(trial, target, broken) {
    broken();
    await target.kill('SIGKILL');
    await writesAgain(trial, now(trial));
    await trial.cluster.start(target.index);
    return 'started again, and unsealed by its shares';
  },
};

export const pauseLeader: Fault = {
  name: 'SIGSTOP of the leader',
  failover: true,
  run: (trial, target, broken) => pause(trial, target, broken),
};

export const pauseStandby: Fault = {
  name: 'SIGSTOP of a standby',
  failover: false,
  run: (trial, target, broken) => pause(trial, target, broken),
};

export const cutLeader = (how: 'refuse' | 'silence'): Fault => ({
  name: `leader cut from the database (${how})`,
  failover: true,
  run: (_, target, broken) => cut(target, how, broken),
});

export const cutStandby = (how: 'refuse' | 'silence'): Fault => ({
  name: `standby cut from the database (${how})`,
  failover: false,
  run: (_, target, broken) => cut(target, how, broken),
});

export const stepDown: Fault = {
  name: 'step-down of the leader',
  failover: true,
  async run({ cluster }, target, broken) {
    await target.ask('PUT', 'sys/step-down', { token: cluster.rootToken });
    // Until it has answered, it may have led.
    broken();
    return 'asked for by PUT sys/step-down';
  },
};

export const restartDatabase: Fault = {
  name: 'crash of the database',
  failover: false,
  async run({ cluster }, _, broken) {
    broken();
    await cluster.database.restart();
    return 'stopped at once, without a checkpoint, and started again';
  },
};

/**
 * While the node sleeps, questions are laid before it that were asked at the very end of its sleep: whatever it answers on
 * waking must be as new as what was written meanwhile. Some go by connections that it knows, some by new ones.
 */
async function pause(trial: Trial, target: Node, broken: () => void): Promise<string> {
  const way = trial.direct(target.index);
  const wakers = Array.from({ length: WAKERS }, () => trial.load.newClient());
  const known = wakers.slice(0, WAKERS / 2);
  const anyKey = (index: number): string => {
    const keys = trial.load.hotKeys();
    return keys[index % keys.length] ?? '';
  };
  await Promise.all(known.map((client, index) => client.ask(anyKey(index), { kind: 'read' }, way)));
  broken();
  target.pause();
  await later(PAUSE_MS);
  const asked = wakers.map((client, index) => client.ask(anyKey(index), { kind: 'read' }, way));
  await later(20);
  target.resume();
  const answers = await Promise.all(asked);
  const answered = answers.filter(({ outcome }) => outcome === 'done').length;
  return `for ${PAUSE_MS / 1000} s; on waking it answered ${answered} of ${WAKERS} reads itself or through the leader`;
}

async function cut(target: Node, how: 'refuse' | 'silence', broken: () => void): Promise<string> {
  broken();
  try {
    const means = await target.cut(how);
    await later(CUT_MS);
    return `for ${CUT_MS / 1000} s: ${means}`;
  } finally {
    await target.mend();
  }
}

/**
 * Runs one fault: against the leader of that moment, or, where it is for a standby, another node. Returns once every node
 * is open again and each client behind a balancer has had a write acknowledged.
 */
export async function happen(trial: Trial, fault: Fault): Promise<Happened> {
  const { cluster } = trial;
  const leader = await cluster.leader();
  const standbys = cluster.nodes.filter((node) => node !== leader);
  const target = fault.name.includes('standby') ? (standbys[0] ?? leader) : leader;
  let moment = now(trial);
  let wall = 0;
  const how = await fault.run(trial, target, () => {
    moment = now(trial);
    wall = Date.now();
  });
  await writesAgain(trial, moment);
  await eventually(
    `every node is open after ${fault.name}`,
    async () => {
      const told = await Promise.all(cluster.nodes.map((node) => node.health()));
      return told.every(({ open }) => open) ? true : undefined;
    },
    RECOVERY_MS,
  );
  await later(QUIET_MS);
  const { name, failover } = fault;
  return { name, failover, node: target.index + 1, how, ...moment, wall, until: performance.now() };
}

/** A deletion of what is not there is acknowledged, and writes nothing. */
const isWrite = ({ asked, outcome }: Operation): boolean =>
  (asked.kind === 'put' || asked.kind === 'cas') && outcome === 'done';

const now = ({ load }: Trial): Moment => ({ at: performance.now(), from: load.history.length });

/** For each balancer the first write of each of its clients that was asked for after the moment and acknowledged. */
function firstWrites(
  { load, balancers }: Trial,
  { at, from }: Moment,
): ReadonlyMap<string, readonly Operation[]> {
  const found = new Map<number, Operation>();
  for (let place = from; place < load.history.length; place++) {
    const operation = load.history[place]!;
    const { client, invoked } = operation;
    if (invoked >= at && isWrite(operation) && !found.has(client)) found.set(client, operation);
  }
  return new Map(
    balancers.map(({ name }) => {
      const clients = [...load.faithfulTo(name)];
      return [name, clients.flatMap((client) => found.get(client) ?? [])] as const;
    }),
  );
}

async function writesAgain(trial: Trial, moment: Moment): Promise<void> {
  const all = (name: string): number => trial.load.faithfulTo(name).size;
  await eventually(
    'a write of each client is acknowledged through its balancer',
    () => {
      const writes = [...firstWrites(trial, moment)];
      return writes.every(([name, had]) => had.length === all(name)) ? true : undefined;
    },
    RECOVERY_MS,
  );
}

/** What one fault cost: the way back of the first client and of the slowest, through each balancer. */
export interface Cost {
  /** Until another node had the lead, by the database; undefined where the lead stayed. */
  readonly lead: number | undefined;
  /** Until the first write that was asked for after the fault was acknowledged through any balancer. */
  readonly first: number;
  /** The same by the name of each balancer: of its first client, and of its last. */
  readonly by: ReadonlyMap<string, { readonly first: number; readonly last: number }>;
  /** How many writes nobody was told the outcome of. */
  readonly unknown: number;
}

/** @param begun when epochs began, on the wall clock */
export function costOf(
  trial: Trial,
  { at, wall, until, from }: Happened,
  begun: readonly { readonly at: number }[],
): Cost {
  const by = new Map(
    [...firstWrites(trial, { at, from })].map(([name, writes]) => {
      const times = writes.map(({ returned }) => returned - at).sort((a, b) => a - b);
      return [name, { first: times[0] ?? Number.NaN, last: times.at(-1) ?? Number.NaN }] as const;
    }),
  );
  const lead = begun.find((one) => one.at >= wall && one.at <= wall + (until - at));
  return {
    lead: lead === undefined ? undefined : lead.at - wall,
    first: Math.min(...[...by.values()].map(({ first }) => first)),
    by,
    unknown: trial.load.history.filter(
      ({ asked, outcome, returned }) =>
        asked.kind !== 'read' && outcome === 'unknown' && returned >= at && returned <= until,
    ).length,
  };
}

/** The faults and their costs as lines of a table, and the percentiles of the failovers. */
export function tableOf(rows: readonly { readonly happened: Happened; readonly cost: Cost }[]): string[] {
  const ms = (value: number | undefined): string =>
    value === undefined || Number.isNaN(value) ? '-' : (value / 1000).toFixed(2);
  const names = [...(rows[0]?.cost.by.keys() ?? [])];
  const head = [
    'fault',
    'node',
    'lead s',
    'write s',
    ...names.map((name) => `${name} first..last s`),
    'unknown',
    'how',
  ];
  const lines = rows.map(({ happened, cost }) => [
    happened.name,
    String(happened.node),
    ms(cost.lead),
    ms(cost.first),
    ...names.map((name) => `${ms(cost.by.get(name)?.first)}..${ms(cost.by.get(name)?.last)}`),
    String(cost.unknown),
    happened.how,
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const failovers = rows.filter(({ happened }) => happened.failover).map(({ cost }) => cost);
  const spread = (title: string, times: readonly number[]): string =>
    `  ${title}: p50 ${ms(percentile(times, 0.5))} s, p99 ${ms(percentile(times, 0.99))} s, longest ${ms(Math.max(...times))} s`;
  const timesBy = (name: string, which: 'first' | 'last'): number[] =>
    failovers.flatMap(({ by }) => by.get(name)?.[which] ?? []);
  return [
    ...[head, ...lines].map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    `${failovers.length} failovers, each from the fault until a write that was asked for after it is acknowledged:`,
    ...names.flatMap((name) => [
      spread(`through ${name}, the first`, timesBy(name, 'first')),
      spread(`through ${name}, the last of its clients`, timesBy(name, 'last')),
    ]),
  ];
}

/** By the nearest rank: of fewer than a hundred values, the 99th percentile is the largest. */
function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1];
}
