/**
 * Three nodes over PostgreSQL behind HAProxy and nginx, under load, while the leader is killed, paused and cut from its
 * database, and the database crashes: what every client was told afterwards fits one register per secret, and nothing that
 * was acknowledged is gone. `HOLDFAST_FAILOVERS=n` makes it as many failovers, for figures that are to be quoted.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgresql } from '../../real/database-servers.ts';
import { porcupine } from '../../support/porcupine.ts';
import { seeded } from '../random.ts';
import {
  costOf,
  cutLeader,
  cutStandby,
  type Fault,
  type Happened,
  happen,
  killLeader,
  pauseLeader,
  pauseStandby,
  restartDatabase,
  stepDown,
  tableOf,
} from './faults.ts';
import { balancersHere, type Findings, startTrial, type Trial } from './trial.ts';

const NODES = 3;
const FAILOVERS = Number(process.env['HOLDFAST_FAILOVERS'] ?? 6);
/** What every run does; a long one goes on with `MORE`, round and round. */
const EACH: readonly Fault[] = [
  killLeader,
  cutLeader('silence'),
  stepDown,
  pauseLeader,
  restartDatabase,
  killLeader,
  cutLeader('refuse'),
  cutStandby('silence'),
];
const MORE: readonly Fault[] = [killLeader, cutLeader('refuse'), stepDown, killLeader, cutLeader('silence')];
const LONG: readonly Fault[] = [pauseLeader, pauseStandby, cutStandby('refuse'), restartDatabase];

const balancers = balancersHere();
const missing = [
  ...(hasPostgresql() ? [] : ['no initdb on the PATH, or no user postgres']),
  ...(balancers.missing.length > 1 ? balancers.missing : []),
];
for (const why of missing) console.warn(`SKIPPED test/fault/ha/three-nodes: ${why}`);
if (missing.length === 0)
  for (const why of balancers.missing) console.warn(`SKIPPED one of the balancers: ${why}`);

describe.skipIf(missing.length > 0)('three nodes under load and faults', () => {
  let trial: Trial;
  let findings: Findings;

  beforeAll(async () => {
    trial = await startTrial({ nodes: NODES }, seeded('three nodes'), balancers.start);
    console.log(`nodes: ${NODES}, in ${trial.cluster.network.kind}`);
    const happened: Happened[] = [];
    try {
      for (const fault of faults(FAILOVERS)) happened.push(await happen(trial, fault));
      findings = await trial.finish();
    } catch (error) {
      for (const { index, log } of trial.cluster.nodes)
        console.log(`node ${index + 1}:\n${log().slice(-4000)}`);
      throw error;
    }
    const { begun } = findings.epochs;
    console.log(
      tableOf(happened.map((one) => ({ happened: one, cost: costOf(trial, one, begun) }))).join('\n'),
    );
    console.log(summaryOf(findings, trial));
  }, 1_800_000);
  afterAll(() => trial?.stop());

  it('acknowledges no write that is gone at the end', () => {
    expect(findings.lost).toEqual([]);
  });
  it('answers no client with less than it wrote or read before, by whichever node', () => {
    expect(findings.staleForTheirOwn).toEqual([]);
  });
  it('answers all clients as one register per secret would: the histories are linearizable', () => {
    expect(findings.ours).toMatchObject({ wrong: [], undecided: [] });
    // A load that never flowed would prove nothing.
    expect(findings.ours.operations).toBeGreaterThan(5000);
  });
  it('convinces Porcupine as well, where Go can build it', async () => {
    const found = await porcupine();
    if (typeof found === 'string') return console.warn(`SKIPPED Porcupine: ${found}`);
    expect(findings.porcupine).toMatchObject({ wrong: [], undecided: [], keys: findings.ours.keys });
  });
  it('lets one node write at a time: the epochs in the database never overlap', () => {
    const { epochs } = findings;
    expect(epochs.wrong).toEqual([]);
    expect(epochs.begun.length).toBeGreaterThanOrEqual(FAILOVERS);
    expect(epochs.commits).toBeGreaterThan(FAILOVERS);
  });
  it('refuses no good request by its rights or its form, whatever was broken', () => {
    expect(findings.forbidden).toEqual([]);
  });
});

/** At least so many failovers, and the faults that are none among them. */
function faults(failovers: number): Fault[] {
  const list = [...EACH];
  const count = (): number => list.filter(({ failover }) => failover).length;
  for (let round = 0; count() < failovers; round++) {
    list.push(...MORE);
    const rare = LONG[round % LONG.length];
    if (rare !== undefined) list.push(rare);
  }
  return list;
}

function summaryOf({ history, ours, porcupine: theirs, epochs }: Findings, { load }: Trial): string {
  const count = (outcome: string): number => history.filter((one) => one.outcome === outcome).length;
  // One by one: as the arguments of one call, the operations of twenty failovers overflow the stack.
  const first = history.reduce((least, { returned }) => Math.min(least, returned), Number.POSITIVE_INFINITY);
  const last = history.reduce((most, { returned }) => Math.max(most, returned), Number.NEGATIVE_INFINITY);
  const seconds = (last - first) / 1000;
  return [
    `${history.length} operations in ${seconds.toFixed(0)} s: ${count('done')} done, ${count('mismatch')} refused by cas, ${count('nothing')} surely did nothing, ${count('unknown')} unknown`,
    `${ours.keys} secrets; not linearizable by our checker: ${ours.wrong.length}, by Porcupine: ${theirs === undefined ? 'skipped' : theirs.wrong.length}`,
    `${epochs.commits} commits under ${epochs.begun.length + 1} epochs, wrong: ${epochs.wrong.length}`,
    ...[...load.refusals].sort((a, b) => b[1] - a[1]).map(([says, times]) => `  ${times} x ${says}`),
  ].join('\n');
}
