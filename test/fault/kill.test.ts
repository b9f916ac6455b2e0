/** `kill -9` during a stream of writes, again and again on the same data: whatever was acknowledged is there. */

import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createKube } from '../../src/kube/client.ts';
import type { Resource } from '../../src/kube/kube.ts';
import { eventually } from '../support/platform.ts';
import { EXTERNAL_SECRET, type Folder, makeFolder } from './folder.ts';
import { keysIn, type Program, startDev } from './program.ts';
import { seeded } from './random.ts';
import { openStore } from './store.ts';
import { type Ask, allowed, startWriters } from './writers.ts';

const KILLS = Number(process.env['HOLDFAST_DEV_KILLS'] ?? 15);
const FIRST_KILLS = 10;
const FIRST_LONGEST_MS = 120;
const WRITERS = 8;
const LONGEST_MS = 700;
const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };

describe('kill -9 of holdfast dev', () => {
  it(`loses no acknowledged write, ${KILLS} times, and the cluster goes on`, async () => {
    const random = seeded('kill');
    const folder = await makeFolder();
    let program: Program | undefined;
    try {
      // What each path may hold, from one life to the next.
      let known = new Map<string, (string | undefined)[]>();
      let acked = 0;
      let unanswered = 0;
      for (let round = 0; round < KILLS; round++) {
        program = startDev(folder.dir);
        const at = await program.address();
        // In the first life the mount is made after the server listens.
        if (round === 0) await program.line(/ access /);
        const { rootToken: token } = await keysIn(folder.home);
        const stream = startWriters({ ...at, token }, { writers: WRITERS, round, random });
        // Now and then it dies while it is still starting: furnishing, seeding, applying.
        await later(20 + random.below(LONGEST_MS));
        await program.kill('SIGKILL');
        await stream.ended;
        const asks = stream.connections.flatMap((connection) => connection.asks);
        acked += asks.filter((ask) => ask.acked).length;
        unanswered += asks.filter((ask) => !ask.acked).length;
        known = await check(folder, after(known, asks), round);
      }
      console.log(
        `kill: ${KILLS} kills, ${acked} acknowledged writes, ${unanswered} cut short, ${known.size} paths, none lost`,
      );
      // A stream that never flows would prove nothing.
      expect(acked).toBeGreaterThan(KILLS);
      expect(unanswered).toBeGreaterThan(KILLS);

      program = startDev(folder.dir);
      await program.line(/1 of 1 ExternalSecrets synced/);
      await program.line(/Ctrl-C stops it/);
      const { rootToken: token } = await keysIn(folder.home);
      const { host, port } = await program.address();
      const answer = await fetch(`http://${host}:${port}/v1/secret/data/${EXTERNAL_SECRET.path}`, {
        method: 'PUT',
        headers: { 'x-vault-token': token },
        body: JSON.stringify({ data: { [EXTERNAL_SECRET.key]: 'after all of it' } }),
      });
      expect(answer.status).toBe(200);
      await secretHolds(folder, 'after all of it');
      expect(await program.kill('SIGTERM')).toBe(0);
    } finally {
      await program?.kill('SIGKILL');
      await folder.remove();
    }
  });

  it(`leaves a folder that starts again when it comes in the very first start, ${FIRST_KILLS} times`, async () => {
    const random = seeded('first start');
    const folder = await makeFolder();
    let program: Program | undefined;
    try {
      for (let round = 0; round < FIRST_KILLS; round++) {
        await rm(folder.home, { recursive: true, force: true });
        program = startDev(folder.dir);
        const { child } = program;
        await eventually('the store is being made', () =>
          child.exitCode !== null || existsSync(join(folder.home, 'data', 'server', 'store.mdb'))
            ? true
            : undefined,
        );
        await later(random.below(FIRST_LONGEST_MS));
        await program.kill('SIGKILL');
        program = startDev(folder.dir, { flags: ['--once'] });
        expect(await program.ended, program.output()).toBe(0);
      }
    } finally {
      await program?.kill('SIGKILL');
      await folder.remove();
    }
  });
});

/** What was known, with what was asked for since. */
function after(known: ReadonlyMap<string, (string | undefined)[]>, asks: readonly Ask[]): typeof known {
  const merged = new Map(known);
  for (const [path, values] of allowed(asks)) {
    const [first, ...rest] = values;
    // Nothing was acknowledged in this life: what was there before still may be.
    const fresh = asks.some((ask) => ask.path === path && ask.acked);
    merged.set(path, fresh ? values : [...(known.get(path) ?? [first]), ...rest]);
  }
  return merged;
}

/** Opens what the dead program left. Gives what each path does hold. */
async function check(
  folder: Folder,
  expected: ReadonlyMap<string, (string | undefined)[]>,
  round: number,
): Promise<Map<string, (string | undefined)[]>> {
  const store = await openStore(join(folder.home, 'data'), await keysIn(folder.home));
  try {
    expect(store.verification, `the store after kill ${round}`).toMatchObject({
      damaged: [],
      set: 'matches',
    });
    const found = new Map<string, (string | undefined)[]>();
    for (const [path, values] of expected) {
      const value = await store.read(path);
      expect(values, `${path} after kill ${round}`).toContain(value);
      found.set(path, [value]);
    }
    return found;
  } finally {
    await store.close();
  }
}

/** Asks the embedded Kubernetes API until the Secret holds the value. */
async function secretHolds(folder: Folder, value: string): Promise<void> {
  const config = parse(await readFile(join(folder.home, 'kubeconfig'), 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
    users: [{ user: { token: string } }];
  };
  const { cluster } = config.clusters[0];
  const kube = createKube({
    server: cluster.server,
    ca: Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8'),
    token: config.users[0].user.token,
  });
  try {
    const { namespace, name, key } = EXTERNAL_SECRET;
    await eventually(`the Secret holds "${value}"`, async () => {
      const secret = await kube.get({ resource: SECRETS, namespace, name });
      const data = (secret?.['data'] ?? {}) as Record<string, string>;
      return Buffer.from(data[key] ?? '', 'base64').toString('utf8') === value ? true : undefined;
    });
  } finally {
    kube.close();
  }
}
