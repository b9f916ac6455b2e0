/**
 * `storage verify` without a server. The engine of the embedded store reads its file as memory, and over a torn page it can
 * take its process along or hold it for ever: so the looking is done by a child, whose end or silence is a finding as well.
 */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { StoreState } from '../../cli/offline.ts';
import { Exit, type Terminal } from '../../cli/terminal.ts';
import { behindOf } from '../../server/backup/behind.ts';
import { Barrier } from '../../server/barrier/barrier.ts';
import { SealKeeper } from '../../server/seal/keeper.ts';
import type { Backend } from '../../storage/storage.ts';
import { openStore } from '../server/store.ts';
import { beat, watched } from './watched.ts';
import { type OfflineWorld, openWorld, sharesOf } from './world.ts';

const never = new AbortController().signal;
/** Longer than reading a handful of the largest entries takes from a slow disk. */
const LONGEST_SILENCE_MS = 120_000;
/** Tells the child that it is one. */
const CHILD = 'HOLDFAST_STORAGE_CHILD';

/**
 * @param keys unseal keys; asked for where none are given and they are needed
 * @throws Failure storage.*, seal.*, config.*, server.uninitialized
 */
export async function verifyOffline(
  config: readonly string[],
  keys: readonly string[],
  terminal: Terminal,
): Promise<StoreState> {
  const world = await openWorld(config, terminal);
  try {
    const { kind } = world.config.storage;
    if (kind === 'inmem')
      throw failure('cli.usage', {
        reason: 'storage "inmem" is gone with its server: ask that, without -config',
      });
    if (kind === 'lmdb' && terminal.env[CHILD] === undefined) return await byChild(keys);
    beat();
    const { backend, close } = await openStore(world.config.storage, 'holdfast storage verify', {
      log: silentLog,
    });
    try {
      return await look(world, backend, keys, terminal);
    } finally {
      await close();
    }
  } finally {
    world.close();
  }
}

async function look(
  { seals, targets }: OfflineWorld,
  backend: Backend,
  keys: readonly string[],
  terminal: Terminal,
): Promise<StoreState> {
  const barrier = new Barrier(backend);
  const keeper = new SealKeeper(backend, barrier, seals);
  const how = await keeper.openByService();
  if (how === 'uninitialized') throw failure('server.uninitialized');
  if (how === 'people')
    for (const share of await sharesOf(terminal, keys, (await keeper.shape()).t, 'this store'))
      await keeper.submitShare(share);
  if (barrier.sealed)
    throw failure('cli.usage', {
      reason: `it takes ${(await keeper.shape()).t} different unseal keys, each given with -key`,
    });
  try {
    const { entries, expected, damaged, set } = await barrier.verify(never);
    const behind: string[] = [];
    for (const target of targets) {
      const found = await behindOf(barrier, target, never).catch(() => undefined);
      if (found === undefined)
        terminal.err(
          `The place of "${target.name}" cannot be asked: whether the store is older than its backups is not known.\n`,
        );
      else if (found) behind.push(target.name);
    }
    return { entries, expected: expected ?? null, damaged, set, behind };
  } finally {
    await barrier.seal();
  }
}

/**
 * The same command line in a process of its own, which prints and whose exit code counts. The keys that were read from standard
 * input go there by the same way.
 * @throws Exit with the child's code; Failure storage.unreadable where it did not live to give one
 */
async function byChild(keys: readonly string[]): Promise<never> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: [keys.length > 0 ? 'pipe' : 'inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [CHILD]: '1' },
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(keys.join('\n'));
  const { code, signal, hung } = await watched(child, LONGEST_SILENCE_MS);
  if (hung) throw failure('storage.unreadable', { reason: 'its engine hung over it' });
  if (code !== null && code < 128) throw new Exit(code);
  const name =
    signal ?? Object.entries(constants.signals).find(([, number]) => number === (code ?? 0) - 128)?.[0];
  throw failure('storage.unreadable', { reason: `its engine crashed over it (${name ?? code})` });
}
