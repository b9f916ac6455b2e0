/**
 * `kill -9` of `holdfast server` at random points of a stream of KV writes, tokens and leases, with the audit trail on:
 * whatever was acknowledged holds, no credential lives without a lease, and the trail shows no line as missing.
 */

import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Anchor, ChainVerifier, type Finding } from '../../src/base/chain.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import { SealKeeper } from '../../src/server/seal/keeper.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';
import { seeded } from './random.ts';
import { type Load, type States, startLoad, stateOf, statesAfter } from './registers.ts';
import {
  type Ask,
  asker,
  initialized,
  type Keys,
  type ServerFolder,
  type ServerProcess,
  serverFolder,
  unsealed,
} from './server.ts';
import { egressTo, type Source, sourceConfig, startSource } from './source.ts';

const KILLS = Number(process.env['HOLDFAST_KILLS'] ?? 60);
const WRITERS = 8;
const LONGEST_MS = 500;

describe('kill -9 of holdfast server', () => {
  it(`loses nothing that was acknowledged, ${KILLS} times`, async () => {
    const random = seeded('kill server');
    const source = await startSource();
    const folder = await serverFolder(egressTo(source));
    const told = { acked: 0, cut: 0, checked: 0, lines: 0, torn: 0, orphans: 0 };
    let program: ServerProcess | undefined;
    // What the KV paths hold, from one life to the next, and the credentials that somebody has.
    let known: States = new Map();
    const handed = new Set<string>();
    try {
      program = await folder.start();
      const keys = await initialized(program);
      await unsealed(program, keys);
      await prepare(program, keys, source, folder);
      for (let round = 0; round < KILLS; round++) {
        const load = startLoad({ ...program.at, token: keys.rootToken }, { writers: WRITERS, round, random });
        await later(5 + random.below(LONGEST_MS));
        await program.kill('SIGKILL');
        await load.ended;
        told.acked += load.answered();
        told.cut += load.changes.filter(({ acked }) => !acked).length;

        await isWhole(folder, keys, round);
        await rename(join(folder.dir, 'audit.log'), join(folder.dir, 'audit.old'));
        program = await folder.start();
        await unsealed(program, keys);
        const ask = asker(program.at, keys.rootToken);
        const trail = await trailOf(folder, ask, load, round);
        told.lines += trail.lines;
        told.torn += trail.torn;
        const states = statesAfter(known, load.changes);
        known = await check(states, ask, round);
        told.checked += states.size;
        for (const name of load.credentials.values()) handed.add(name);
        await covered(source, load, ask, round);
        told.orphans = [...source.living.keys()].filter((name) => !handed.has(name)).length;
      }
      const ask = asker(program.at, keys.rootToken);
      expect((await ask('PUT', 'sys/leases/revoke-prefix/source', { sync: true })).status).toBe(204);
      expect([...source.living]).toEqual([]);
      console.log(
        `kill server: ${KILLS} kills, ${told.acked} answers, ${told.cut} changes cut short, ${told.checked} things looked at, ${told.lines} lines of the trail (${told.torn} torn), ${told.orphans} credentials whose answer never came and whose lease was there: nothing lost`,
      );
      // A stream that never flows would prove nothing.
      expect(told.acked).toBeGreaterThan(KILLS);
      expect(told.cut).toBeGreaterThan(KILLS);
    } finally {
      await program?.kill('SIGKILL');
      await source.close();
      await folder.remove();
    }
  });
});

async function prepare(
  program: ServerProcess,
  keys: Keys,
  source: Source,
  folder: ServerFolder,
): Promise<void> {
  const ask = asker(program.at, keys.rootToken);
  const { config, role } = sourceConfig(source);
  for (const [path, body] of [
    ['sys/audit/file', { type: 'file', options: { file_path: join(folder.dir, 'audit.log') } }],
    ['sys/mounts/secret', { type: 'kv', options: { version: '2' } }],
    ['sys/mounts/source', { type: 'custom' }],
    ['source/config', config],
    ['source/roles/r', role],
  ] as const) {
    const { status, json } = await ask('POST', path, body);
    expect(status, `${path}: ${JSON.stringify(json)}`).toBeLessThan(300);
  }
}

/** Opens what the dead program left: every entry opens, and none is missing, added or of another time. */
async function isWhole(folder: ServerFolder, keys: Keys, round: number): Promise<void> {
  const backend = await openLmdb(folder.data);
  try {
    const barrier = new Barrier(backend);
    const keeper = new SealKeeper(backend, barrier);
    await keeper.submitShare(Buffer.from(keys.unsealKey, 'base64'));
    expect(await barrier.verify(new AbortController().signal), `after kill ${round}`).toMatchObject({
      damaged: [],
      set: 'matches',
    });
    await keeper.seal();
  } finally {
    await backend.close();
  }
}

/** The trail of the life that was ended: torn at its end at most, and with a line for each answer that left. */
async function trailOf(
  folder: ServerFolder,
  ask: Ask,
  load: Load,
  round: number,
): Promise<{ lines: number; torn: number }> {
  const { json } = await ask('GET', 'sys/audit-chain/file');
  const text = await readFile(join(folder.dir, 'audit.old'), 'utf8');
  const lines = text.split('\n');
  const mine = new Set([...text.matchAll(/"writer":"([^"]+)"/g)].map(([, writer]) => writer));
  const anchors = ((json.data?.['anchors'] ?? []) as Anchor[]).filter(({ writer }) => mine.has(writer));
  const findings: Finding[] = [];
  const verifier = new ChainVerifier({ anchors, partial: true }, (finding) => findings.push(finding));
  for (const line of lines) verifier.take(line);
  verifier.end();
  expect(
    findings.filter(({ kind }) => kind !== 'torn'),
    `the trail of the life that kill ${round} ended`,
  ).toEqual([]);
  const answers = lines.filter((line) => line.includes('"type":"response"')).length;
  expect(answers, `lines of answers before kill ${round}`).toBeGreaterThanOrEqual(load.answered());
  return { lines: lines.length, torn: findings.length };
}

/** @returns what the KV paths hold */
async function check(states: States, ask: Ask, round: number): Promise<States> {
  const found = new Map<string, readonly (string | undefined)[]>();
  const things = [...states];
  const worker = async (): Promise<void> => {
    for (let next = things.pop(); next !== undefined; next = things.pop()) {
      const [thing, values] = next;
      const state = await stateOf(thing, ask);
      expect(values, `${thing} after kill ${round}`).toContain(state);
      if (thing.startsWith('kv:')) found.set(thing, [state]);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return found;
}

/** No credential that was handed out or made lives without a lease. */
async function covered(source: Source, load: Load, ask: Ask, round: number): Promise<void> {
  for (const [lease, name] of load.credentials)
    if ((await stateOf(`lease:${lease}`, ask)) === undefined)
      expect(source.living.has(name), `${name}, whose lease is gone after kill ${round}`).toBe(false);
  const { json } = await ask('GET', 'sys/leases/count');
  const counts = (json.data?.['counts'] ?? {}) as Record<string, number>;
  expect(counts['source/'] ?? 0, `leases after kill ${round}`).toBeGreaterThanOrEqual(source.living.size);
}
