/*
 * One secret that every namespace has, by a ClusterExternalSecret: an account of a registry, for instance. What it costs to
 * give it to all of them, and what a round of refreshes costs, may grow with how many there are and no faster.
 */

import { setTimeout as later } from 'node:timers/promises';
import { startGround } from './operator/controller.mjs';
import { judged } from './parts/claims.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { figure, printTable } from './parts/table.mjs';

const SIZES = [500, 2000];
const LIMIT_MS = 300_000;
const QUIET_MS = 3000;
const REFRESH_S = 30;
/** More than the noise of a machine; if each looked at all others, it would be four. */
const MOST_GROWTH = 1.5;

export const summary = 'the operator over one secret in 500 and in 2,000 namespaces';

export async function run(options) {
  const sizes = options.smoke ? [20, 40] : (options.sizes ?? SIZES);
  const made = machine();
  console.log(machineLine(made));
  const rows = [];
  for (const size of sizes) rows.push(await measure(size, options));
  const apart = { rounds: undefined, seconds: undefined };
  return { title: summary, machine: made, ...apart, tables: [report(rows)], rows, claims: judge(rows) };
}

async function measure(size, options) {
  const ground = await startGround(options);
  const { store, cluster } = ground;
  try {
    await cluster.ask('makeNamespaces', { count: size, server: `http://127.0.0.1:${store.port}` });
    ground.start();
    // Its caches and the check of the store are not what is measured.
    await cluster.ask('quiet', { forMs: QUIET_MS, limitMs: LIMIT_MS });
    await cluster.ask('counts');
    store.take();
    const first = await ground.phase(async () => {
      await cluster.ask('makeShared', { interval: `${REFRESH_S}s` });
      const count = await cluster.ask('secrets', { count: size, limitMs: LIMIT_MS });
      if (count < size)
        throw new Error(`${count} of ${size} are there\n${ground.program.output().slice(-3000)}`);
    });
    await later(REFRESH_S * 1000);
    await cluster.ask('counts');
    store.take();
    const refresh = await ground.phase(() => later(2 * REFRESH_S * 1000));
    return { size, first, refresh, standing: await cluster.ask('standing') };
  } finally {
    await ground.stop();
  }
}

const refreshesOf = ({ refresh }) => refresh.counts['PATCH externalsecrets/status'] ?? 0;
const firstOf = ({ first, size }) => (first.cpu * 1000) / size;
const refreshOf = (row) => (row.refresh.cpu * 1000) / refreshesOf(row);

function report(rows) {
  const cell = [
    ['all have it after, s', (row) => figure(row.first.ms / 1000)],
    ['  CPU milliseconds for each', (row) => figure(firstOf(row))],
    ['  reads of the store', (row) => `${row.first.reads.all}`],
    [`refreshes in two rounds of ${REFRESH_S} s`, (row) => `${refreshesOf(row)}`],
    ['  CPU milliseconds for each', (row) => figure(refreshOf(row))],
    ['  reads of the store', (row) => `${row.refresh.reads.all}`],
    ['ready in the end', (row) => `${row.standing.ready} of ${row.standing.all}`],
  ];
  return printTable(
    ['namespaces', ...rows.map(({ size }) => size.toLocaleString('en-GB'))],
    cell.map(([name, of]) => [name, ...rows.map(of)]),
  );
}

function judge(rows) {
  const [small, large] = [rows[0], rows.at(-1)];
  const grows = (of) => of(large) / of(small);
  return judged([
    {
      text: `what giving it to one of ${large.size} costs is at most ${MOST_GROWTH} times what it costs to one of ${small.size}`,
      held: grows(firstOf) <= MOST_GROWTH,
    },
    {
      text: 'so what a refresh costs',
      held: grows(refreshOf) <= MOST_GROWTH,
    },
    {
      text: 'two rounds of refreshes read it four times at most',
      held: rows.every(({ refresh }) => refresh.reads.all <= 4),
    },
    {
      text: 'in the end all are ready',
      held: rows.every(({ size, standing }) => standing.ready === size && standing.all === size),
    },
  ]);
}
