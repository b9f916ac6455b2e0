/**
 * Histories of clients that ask all nodes at once while the lead goes around. A secret's version is a register that only
 * rises, so that a history is linearizable when versions never go back in real time: that is all that is looked at.
 */

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { sleep } from '../../base/retry.ts';
import { kv } from '../../engines/kv/index.ts';
import { startCluster, type TestCluster, type TestNode } from './testing.ts';

interface Done {
  readonly kind: 'read' | 'write';
  readonly version: number;
  readonly value: unknown;
  readonly began: number;
  readonly ended: number;
}

/** What is wrong with the operations on one secret; undefined where they could have happened one after the other. */
function wrongIn(done: readonly Done[]): string | undefined {
  const values = new Map<number, unknown>();
  for (const { kind, version, value } of done) {
    if (kind === 'write' && values.has(version)) return `version ${version} was given twice`;
    if (kind === 'write') values.set(version, value);
  }
  for (const later of done) {
    if (later.kind === 'read' && values.has(later.version) && values.get(later.version) !== later.value)
      return `version ${later.version} was read as something else than was written`;
    for (const earlier of done) {
      if (earlier.ended >= later.began) continue;
      const least = later.kind === 'write' ? earlier.version + 1 : earlier.version;
      if (later.version < least)
        return `a ${later.kind} saw version ${later.version} after ${earlier.version}`;
    }
  }
  return undefined;
}

test('the judge finds a stale read, a version given twice and a value of another version', () => {
  const at = (kind: 'read' | 'write', version: number, began: number, value: unknown = version): Done => ({
    kind,
    version,
    value,
    began,
    ended: began + 1,
  });
  expect(wrongIn([at('write', 1, 0), at('read', 1, 2), at('write', 2, 4), at('read', 2, 6)])).toBeUndefined();
  expect(wrongIn([at('write', 1, 0), at('write', 2, 2), at('read', 1, 4)])).toContain(
    'saw version 1 after 2',
  );
  expect(wrongIn([at('write', 1, 0), at('write', 1, 2)])).toContain('twice');
  expect(wrongIn([at('write', 1, 0, 'a'), at('read', 1, 2, 'b')])).toContain('something else');
  expect(wrongIn([at('read', 3, 0), at('read', 2, 2)])).toContain('saw version 2 after 3');
});

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

/** Clients that write and read two secrets through any node, until told to stop. */
function load(nodes: readonly TestNode[], seed: number) {
  const histories = new Map<string, Done[]>([
    ['a', []],
    ['b', []],
  ]);
  const refused = new Map<string, number>();
  let stopped = false;
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  let count = 0;
  const client = async (): Promise<void> => {
    while (!stopped) {
      const node = nodes[random(nodes.length)] as TestNode;
      const name = random(3) === 0 ? 'b' : 'a';
      const kind = random(3) === 0 ? 'write' : 'read';
      const value = `value ${++count}`;
      const began = performance.now();
      const given =
        kind === 'write'
          ? await node.ask('POST', `secret/data/${name}`, { data: { value } })
          : await node.ask('GET', `secret/data/${name}`);
      const ended = performance.now();
      if (given.status === 200)
        histories.get(name)?.push({
          kind,
          began,
          ended,
          version: kind === 'write' ? given.json.data.version : given.json.data.metadata.version,
          value: kind === 'write' ? value : given.json.data.data.value,
        });
      else if (given.status >= 500) {
        const code = given.headers.get('x-holdfast-code') ?? '';
        refused.set(code, (refused.get(code) ?? 0) + 1);
      } else if (given.status !== 404) throw new Error(`${kind} was told ${given.status}`);
      await sleep(random(4));
    }
  };
  const clients = Array.from({ length: 8 }, client);
  return {
    histories,
    refused,
    async stop() {
      stopped = true;
      await Promise.all(clients);
    },
  };
}

const RUNS = Number(process.env['HOLDFAST_HISTORIES'] ?? 3);

describe('versions never go back, whichever node is asked,', () => {
  test('while the lead is handed over, lost and cut off at random', async () => {
    const faults = fc.array(
      fc.record({
        after: fc.integer({ min: 50, max: 600 }),
        what: fc.constantFrom('step down', 'cut the leader', 'cut a standby', 'slow the store'),
      }),
      { minLength: 2, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(faults, fc.nat(), async (plan, seed) => {
        cluster = await startCluster([kv], ['a', 'b', 'c'], {
          pace: { ttlMs: 600, renewMs: 80, campaignMs: 30, stepDownMs: 300, patienceMs: 500, drainMs: 500 },
        });
        const first = await cluster.leader();
        await first.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
        const running = load(cluster.nodes, seed);
        for (const { after, what } of plan) {
          await sleep(after);
          const leader = await cluster.leader();
          const other = cluster.nodes.find((node) => node !== leader) as TestNode;
          if (what === 'step down') await leader.ask('POST', 'sys/step-down');
          else if (what === 'slow the store') {
            for (const { way } of cluster.nodes) {
              way.delay = () => sleep(3);
              way.lateness = () => sleep(20);
            }
          } else {
            const { way } = what === 'cut the leader' ? leader : other;
            way.cutOff = true;
            await sleep(900);
            way.cutOff = false;
          }
        }
        await cluster.leader();
        await sleep(300);
        await running.stop();
        for (const [name, done] of running.histories) {
          expect(done.length).toBeGreaterThan(10);
          expect(wrongIn(done), name).toBeUndefined();
          // What was acknowledged is there at the end.
          const highest = Math.max(
            ...done.filter(({ kind }) => kind === 'write').map(({ version }) => version),
          );
          const now = await (await cluster.leader()).ask('GET', `secret/metadata/${name}`);
          expect(now.json.data.current_version).toBeGreaterThanOrEqual(highest);
        }
        const { epochs } = cluster.store;
        expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
        for (const code of running.refused.keys())
          expect([
            'cluster.no_leader',
            'cluster.unknown',
            'storage.fenced',
            'storage.database',
            'storage.write',
          ]).toContain(code);
        await cluster.close();
        cluster = undefined;
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 120_000);
});
