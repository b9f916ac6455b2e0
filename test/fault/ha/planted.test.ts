/** The way from a request to a verdict, tried on what must fail: a balancer in between that lies now and then is found out. */

import { describe, expect, it } from 'vitest';
import { hasPostgresql } from '../../real/database-servers.ts';
import { type Lie, startLiar } from '../../support/loadbalancer-lying.ts';
import { eventually } from '../../support/platform.ts';
import { porcupine } from '../../support/porcupine.ts';
import { seeded } from '../random.ts';
import { type Findings, startTrial } from './trial.ts';

/** Enough of them that one hits a secret that somebody else looks at. */
const LIES = 25;

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/fault/ha/planted: no initdb on the PATH, or no user postgres');

describe.skipIf(!found)('a load whose answers are tampered with', () => {
  const tried = async (lie: Lie): Promise<Findings> => {
    let lies = (): number => 0;
    const trial = await startTrial({ nodes: 1, namespaces: false }, seeded(lie), async ([node]) => {
      const liar = await startLiar(node!, lie);
      lies = liar.lies;
      return [liar];
    });
    try {
      await eventually(`it lies ${LIES} times`, () => (lies() >= LIES ? true : undefined), 60_000);
      return await trial.finish();
    } finally {
      await trial.stop();
    }
  };
  const theirs = async ({ porcupine: verdict }: Findings): Promise<number> =>
    typeof (await porcupine()) === 'string' ? 1 : (verdict?.wrong.length ?? 0);

  it('is found not to be linearizable when reads come from a cache that is 150 ms old', async () => {
    const findings = await tried('stale reads');
    expect(findings.ours.wrong.length).toBeGreaterThan(0);
    expect(await theirs(findings)).toBeGreaterThan(0);
    expect(findings.staleForTheirOwn.length).toBeGreaterThan(0);
    expect(findings.lost).toEqual([]);
  });

  it('is found to have lost writes when some are acknowledged and dropped', async () => {
    const findings = await tried('lost writes');
    expect(findings.lost.length).toBeGreaterThan(0);
    expect(findings.ours.wrong.length).toBeGreaterThan(0);
    expect(await theirs(findings)).toBeGreaterThan(0);
  });
});
