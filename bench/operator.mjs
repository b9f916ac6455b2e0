/*
 * The operator over many ExternalSecrets, as the built program `holdfast controller`: how long the first sync of all takes,
 * how long that of a new one while refreshes run, what a restart costs, and what it asks of stores and of the API server.
 * The API server is our embedded one in a process of its own on the same machine, the stores are one small process that
 * answers at once: the times are those of operator and API server together, the counts are the operator's own.
 */

import { setTimeout as later } from 'node:timers/promises';
import { startGround } from './operator/controller.mjs';
import { judged } from './parts/claims.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { percentile } from './parts/percentile.mjs';
import { figure, printTable } from './parts/table.mjs';

const STORES = 50;
/** So many ExternalSecrets read each secret. */
const SHARED = 2;
const SIZES = [1000, 10_000];
/** Of the largest number, at least: 10,000 are refreshed every 67 seconds. */
const REFRESHED_PER_SECOND = 150;
const NEW = 100;
const NEW_EVERY_MS = 100;
const FIRST_LIMIT_MS = 60_000;
const NEW_LIMIT_MS = 1000;
const MEMORY_LIMIT_MB = 150;
/** Nothing arrives after this long. */
const LOST_MS = 30_000;
const QUIET_MS = 3000;

export const summary = 'the operator over 1,000 and 10,000 ExternalSecrets of 50 stores';

export async function run(options) {
  const sizes = options.smoke ? [100] : (options.sizes ?? SIZES);
  const made = machine();
  console.log(machineLine(made));
  const rows = [];
  for (const size of sizes) rows.push(await measure(size, options));
  const tables = [report(rows), ...(rows.length > 1 ? [growth(rows)] : []), requests(rows)];
  // It runs once, for as long as it takes.
  const apart = { rounds: undefined, seconds: undefined };
  return { title: summary, machine: made, ...apart, tables, rows, claims: judge(rows) };
}

async function measure(size, options) {
  const ground = await startGround(options);
  const { store, cluster, start, phase } = ground;
  try {
    const seconds = Math.max(20, Math.round(size / REFRESHED_PER_SECOND));
    const interval = `${seconds}s`;
    const stores = Array.from({ length: STORES }, (_, at) => ({
      namespace: `team-${at}`,
      name: 'store',
      token: `token-${at}`,
    }));
    const member = (at, every, prefix = 'app') => ({
      namespace: `team-${at % STORES}`,
      name: `${prefix}-${at}`,
      store: 'store',
      key: `key-${Math.floor(at / STORES / SHARED)}`,
      interval: every,
    });
    const members = Array.from({ length: size }, (_, at) => member(at, interval));
    const server = `http://127.0.0.1:${store.port}`;
    await cluster.ask('make', { members, stores, server });
    const unique = new Set(members.map(({ namespace, key }) => `${namespace} ${key}`)).size;
    await cluster.ask('counts');

    const first = await phase(async () => {
      start();
      const count = await cluster.ask('secrets', { count: size, limitMs: 3 * FIRST_LIMIT_MS });
      if (count < size)
        throw new Error(`${count} of ${size} are synced\n${ground.program.output().slice(-3000)}`);
    });
    // What is left of it: the last conditions and events.
    await later(QUIET_MS);
    const events = await cluster.ask('counts');
    first.counts = sum(first.counts, events.counts);
    first.usage = ground.program.usage();

    await ground.program.stop();
    await cluster.ask('counts');
    const restart = await phase(async () => {
      start();
      return await cluster.ask('quiet', { forMs: QUIET_MS, limitMs: LOST_MS });
    });

    // New ones, while all of before are refreshed: to the end of a round at least.
    await later(Math.max(0, seconds * 1000 - (performance.now() - first.endedAt)));
    const latencies = [];
    const refresh = await phase(async () => {
      const began = performance.now();
      for (let at = 0; at < NEW; at++) {
        const next = later(NEW_EVERY_MS);
        const one = { ...member(at, '1h', 'new'), key: `new-${at}` };
        latencies.push(await cluster.ask('arrival', { member: one, limitMs: LOST_MS }));
        await next;
      }
      await later(Math.max(0, seconds * 1100 - (performance.now() - began)));
    });
    refresh.latencies = latencies.map((ms) => ms ?? Number.POSITIVE_INFINITY).sort((x, y) => x - y);
    const usage = ground.program.usage();
    const standing = await cluster.ask('standing');
    return { size, unique, seconds, first, restart, refresh, usage, standing };
  } finally {
    await ground.stop();
  }
}

const total = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

function sum(a, b) {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...names].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}

/** How often an ExternalSecret of before was refreshed in the last phase: a new one is synced once. */
const refreshesOf = ({ refresh }) => (refresh.counts['PATCH externalsecrets/status'] ?? 0) - NEW;

function report(rows) {
  const perThousand = (value, { size }) => figure((value * 1000) / size);
  const cell = [
    ['first sync of all, s', (row) => figure(row.first.ms / 1000)],
    ['  CPU seconds per 1,000', (row) => perThousand(row.first.cpu, row)],
    ['  CPU seconds of the API server per 1,000', (row) => perThousand(row.first.apiCpu, row)],
    ['  requests to it per 1,000', (row) => perThousand(total(row.first.counts), row)],
    ['  reads of stores', (row) => `${row.first.reads.all}`],
    ['  different secrets', (row) => `${row.unique}`],
    ['restart, s until nothing is left to do', (row) => figure(row.restart.ms / 1000)],
    ['  CPU seconds per 1,000', (row) => perThousand(row.restart.cpu, row)],
    ['  requests per 1,000', (row) => perThousand(total(row.restart.counts), row)],
    ['  writes', (row) => `${writesOf(row.restart.counts)}`],
    ['  reads of stores', (row) => `${row.restart.reads.all}`],
    ['refreshes a second meanwhile', (row) => figure((refreshesOf(row) * 1000) / row.refresh.ms)],
    ['  CPU milliseconds for each', (row) => figure((row.refresh.cpu * 1000) / refreshesOf(row))],
    ['  reads of stores for each', (row) => figure((row.refresh.reads.all - NEW) / refreshesOf(row))],
    ['a new one, p50 ms', (row) => figure(percentile(row.refresh.latencies, 0.5))],
    ['  p99 ms', (row) => figure(percentile(row.refresh.latencies, 0.99))],
    ['memory after the first sync, MB', (row) => figure(row.first.usage.rssMb)],
    ['  without files of the program', (row) => figure(row.first.usage.anonMb)],
    ['  at its most until then', (row) => figure(row.first.usage.peakMb)],
    ['  after a restart and refreshes', (row) => figure(row.usage.rssMb)],
    ['  at its most until then', (row) => figure(row.usage.peakMb)],
    ['ready in the end', (row) => `${row.standing.ready} of ${row.standing.all}`],
  ];
  return printTable(
    ['ExternalSecrets', ...rows.map(({ size }) => size.toLocaleString('en-GB'))],
    cell.map(([name, of]) => [name, ...rows.map(of)]),
  );
}

/** What each 1,000 cost at the smallest and at the largest number, and how many times more that is. */
function growth(rows) {
  const perThousand = (value, { size }) => (value * 1000) / size;
  const [small, large] = [rows[0], rows.at(-1)];
  const line = (name, of) => [name, figure(of(small)), figure(of(large)), figure(of(large) / of(small))];
  return printTable(
    ['for each 1,000', ...[small, large].map(({ size }) => size.toLocaleString('en-GB')), 'times'],
    [
      line('first sync, CPU seconds', (row) => perThousand(row.first.cpu, row)),
      line('  CPU seconds of the API server', (row) => perThousand(row.first.apiCpu, row)),
      line('  requests to it', (row) => perThousand(total(row.first.counts), row)),
      line('restart, CPU seconds', (row) => perThousand(row.restart.cpu, row)),
      line('  requests', (row) => perThousand(total(row.restart.counts), row)),
      line('a round of refreshes, CPU seconds', (row) => (row.refresh.cpu * 1000) / refreshesOf(row)),
      line('  requests', (row) => (total(row.refresh.counts) * 1000) / refreshesOf(row)),
      line('memory after the first sync, MB', (row) => perThousand(row.first.usage.rssMb, row)),
    ],
  );
}

/** What the operator asked of the API server for each ExternalSecret, by verb and kind. */
function requests(rows) {
  const names = [
    ...new Set(
      rows.flatMap(({ first, refresh }) => [...Object.keys(first.counts), ...Object.keys(refresh.counts)]),
    ),
  ].sort();
  return printTable(
    ['requests', ...rows.flatMap(({ size }) => [`first, ${size}`, `a refresh, ${size}`])],
    names.map((name) => [
      name,
      ...rows.flatMap((row) => [
        figure((row.first.counts[name] ?? 0) / row.size),
        figure((row.refresh.counts[name] ?? 0) / refreshesOf(row)),
      ]),
    ]),
  );
}

const writesOf = (counts) =>
  Object.entries(counts)
    .filter(([name]) => /^(POST|PUT|PATCH|DELETE)/.test(name))
    .reduce((all, [, count]) => all + count, 0);

function judge(rows) {
  const largest = rows.at(-1);
  return judged([
    {
      text: `${largest.size} are synced for the first time in less than ${FIRST_LIMIT_MS / 1000} s`,
      held: largest.first.ms < FIRST_LIMIT_MS,
    },
    {
      text: `a new one is synced in less than ${NEW_LIMIT_MS} ms, 99 of 100, while the others are refreshed`,
      held: percentile(largest.refresh.latencies, 0.99) < NEW_LIMIT_MS,
    },
    {
      text: 'a restart reads nothing of stores and writes nothing but what their checks are',
      held: rows.every(({ restart }) => restart.reads.all === 0 && writesOf(restart.counts) <= STORES),
    },
    {
      text: `${largest.size} take less than ${MEMORY_LIMIT_MB} MB when they are synced, and after a restart and refreshes`,
      held: largest.first.usage.rssMb < MEMORY_LIMIT_MB && largest.usage.rssMb < MEMORY_LIMIT_MB,
    },
    {
      text: 'and at no moment more',
      held: Math.max(largest.first.usage.peakMb, largest.usage.peakMb) < MEMORY_LIMIT_MB,
    },
    {
      text: 'the first round reads each secret once',
      held: rows.every(({ first, unique }) => first.reads.all === unique),
    },
    {
      text: 'a round of refreshes reads each secret once, give and take one in a hundred at its edges',
      held: rows.every((row) => (row.refresh.reads.all - NEW) * SHARED <= refreshesOf(row) * 1.01),
    },
    {
      text: 'in the end all are ready',
      held: rows.every(({ standing }) => standing.ready === standing.all),
    },
  ]);
}
