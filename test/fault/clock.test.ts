/**
 * The wall clock of the real program is set by a day, both ways, by libfaketime: leases and tokens do not all end, and none
 * lives longer than it was given, over a restart too.
 */

import { existsSync, readdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/platform.ts';
import { type Ask, asker, initialized, type ServerProcess, serverFolder, unsealed } from './server.ts';
import { egressTo, type Source, sourceConfig, startSource } from './source.ts';

const DAY_S = 86_400;
const SHORT_S = 4;
const library = findLibrary();
if (library === undefined)
  console.log(
    'SKIPPED: jumps of the wall clock are not tested on the program, because libfaketime is not here',
  );

describe.skipIf(library === undefined)('a wall clock that is set by a day', () => {
  it('ends no lease and no token before its time, and lets none live past it, over a restart too', async () => {
    const source = await startSource();
    const folder = await serverFolder(egressTo(source));
    const clock = await startClock(folder.dir);
    let program: ServerProcess | undefined;
    try {
      program = await folder.start({ env: clock.env });
      const keys = await initialized(program);
      await unsealed(program, keys);
      let ask = asker(program.at, keys.rootToken);
      await prepare(ask, source);
      const long = await made(ask, '1h');
      const lease = await ask('GET', 'source/creds/r');
      expect(lease.status).toBe(200);
      expect(source.living.size).toBe(1);

      for (const [by, direction] of [
        [DAY_S, 'forward'],
        [-DAY_S, 'back'],
      ] as const) {
        const short = await made(ask, `${SHORT_S}s`);
        await clock.set(by);
        await later(1500);
        // That the program does see another wall clock: else the rest would prove nothing.
        const { json: health } = await ask('GET', 'sys/health');
        const seen = (health as { server_time_utc?: number }).server_time_utc ?? 0;
        expect(Math.abs(seen - Date.now() / 1000 - by)).toBeLessThan(30);
        expect(await ttlOf(ask, long)).toBeGreaterThan(3500);
        expect(await ttlOf(ask, long)).toBeLessThanOrEqual(3600);
        const said = new RegExp(`"direction":"${direction}".*"the system clock was set"`);
        const { output } = program;
        await eventually('the step is told', () => (said.test(output()) ? true : undefined));
        // People compare it with what their clocks show.
        const told = Date.parse(String((await lookup(ask, long)).json.data?.['expire_time'])) / 1000;
        expect(Math.abs(told - seen - 3600)).toBeLessThan(60);
        await later(SHORT_S * 1000);
        expect(await ttlOf(ask, short)).toBeUndefined();
        expect(source.living.size).toBe(1);
      }

      // Set back by a day, it ends, and starts again: neither more nor less time is left.
      const before = (await ttlOf(ask, long)) ?? 0;
      const short = await made(ask, `${SHORT_S}s`);
      await program.kill('SIGTERM');
      program = await folder.start({ env: clock.env });
      await unsealed(program, keys);
      ask = asker(program.at, keys.rootToken);
      const after = (await ttlOf(ask, long)) ?? 0;
      expect(after).toBeLessThanOrEqual(before);
      expect(after).toBeGreaterThan(before - 60);
      await later(SHORT_S * 1000);
      expect(await ttlOf(ask, short)).toBeUndefined();

      // And where the clock is set back while nobody runs, what was left is left.
      await program.kill('SIGTERM');
      await clock.set(-2 * DAY_S);
      program = await folder.start({ env: clock.env });
      await unsealed(program, keys);
      ask = asker(program.at, keys.rootToken);
      expect(await ttlOf(ask, long)).toBeLessThanOrEqual(after);
      expect(program.output()).toContain('the system clock is behind');
      expect(source.living.size).toBe(1);
      const revoked = await ask('PUT', 'sys/leases/revoke', { lease_id: lease.json.lease_id, sync: true });
      expect(revoked.status).toBe(204);
      expect(source.living.size).toBe(0);
    } finally {
      await program?.kill('SIGKILL');
      await source.close();
      await folder.remove();
    }
  });
});

async function prepare(ask: Ask, source: Source): Promise<void> {
  const { config, role } = sourceConfig(source);
  expect((await ask('POST', 'sys/mounts/source', { type: 'custom' })).status).toBe(204);
  expect((await ask('POST', 'source/config', config)).status).toBe(204);
  expect((await ask('POST', 'source/roles/r', role)).status).toBe(204);
}

async function made(ask: Ask, ttl: string): Promise<string> {
  const { json } = await ask('POST', 'auth/token/create', { policies: ['default'], ttl });
  return json.auth?.client_token ?? '';
}

const lookup = (ask: Ask, token: string) => ask('POST', 'auth/token/lookup', { token });

/** Seconds that a token has left; undefined where it is none any more. */
async function ttlOf(ask: Ask, token: string): Promise<number | undefined> {
  const { status, json } = await lookup(ask, token);
  return status === 200 ? Number(json.data?.['ttl']) : undefined;
}

/** A wall clock that can be set while the program runs; its monotonic clock is left alone. */
async function startClock(
  dir: string,
): Promise<{ env: NodeJS.ProcessEnv; set(seconds: number): Promise<void> }> {
  const file = join(dir, 'clock');
  const set = async (seconds: number): Promise<void> => {
    await writeFile(`${file}.next`, `${seconds >= 0 ? '+' : ''}${seconds}\n`);
    await rename(`${file}.next`, file);
  };
  await set(0);
  return {
    set,
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    },
  };
}

/** Where Debian's package `faketime` lies, whatever the machine. */
function findLibrary(): string | undefined {
  if (!existsSync('/usr/lib')) return undefined;
  return readdirSync('/usr/lib')
    .map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
    .find((path) => existsSync(path));
}
