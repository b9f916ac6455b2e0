/**
 * `backup list` and `backup restore` without a server. A restore builds the whole store beside its place, proves it, and only
 * then puts it there: what stops it half-way leaves what was there before.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { link, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { ListedBackup, ListedBackups, Restored, RestoreWish } from '../../cli/offline.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { wipe } from '../../crypto/wipe.ts';
import { openArchive } from '../../server/backup/archive.ts';
import type { BackupTarget } from '../../server/backup/backups.ts';
import { latestGood, rememberBackup } from '../../server/backup/behind.ts';
import { choose } from '../../server/backup/retention.ts';
import { type Shelved, shelved } from '../../server/backup/shelf.ts';
import { keyByRoot, rootKeyOf, sealOf } from '../../server/backup/unlock.ts';
import { fill, plainOf } from '../../server/backup/verify.ts';
import { Barrier } from '../../server/barrier/barrier.ts';
import { KEYRING } from '../../server/barrier/records.ts';
import type { PostgresSettings } from '../../server/config/storage.ts';
import { SHAMIR } from '../../server/seal/seal.ts';
import { HIGH_WATER_FILE } from '../../storage/highwater.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { FolderLock } from '../../storage/lock.ts';
import type { Backend, Write } from '../../storage/storage.ts';
import { scratchMaker } from '../server/backups.ts';
import { openStore } from '../server/store.ts';
import { type OfflineWorld, openWorld, sharesOf, targetOf } from './world.ts';

const never = new AbortController().signal;
const STORE = 'store.mdb';
const OWNER = 'the restore of a backup';
const LEASE_MS = 30_000;

/** @throws Failure config.*, backup.target, backup.place */
export async function listOffline(
  config: readonly string[],
  name: string | undefined,
  terminal: Terminal,
): Promise<ListedBackups> {
  const world = await openWorld(config, terminal);
  try {
    const target = targetOf(world.targets, name);
    const all = await shelved(target.place, target.name, undefined, never);
    return { target: target.name, place: target.place.shown, backups: all.map(told) };
  } finally {
    world.close();
  }
}

const told = ({ name, createdAt, size, verified, manifest }: Shelved): ListedBackup => ({
  name,
  created: new Date(createdAt).toISOString(),
  bytes: size,
  entries: manifest?.entries ?? 0,
  revision: manifest?.revision ?? 0,
  state: verified === 'no' ? 'unverified' : 'claimed',
});

/** @throws Failure backup.*, config.*, storage.*, seal.* */
export async function restoreOffline(
  config: readonly string[],
  wish: RestoreWish,
  terminal: Terminal,
): Promise<Restored> {
  const world = await openWorld(config, terminal);
  try {
    const { storage } = world.config;
    if (storage.kind === 'inmem')
      throw failure('cli.usage', {
        reason: 'storage "inmem" keeps nothing: there is nothing to restore into',
      });
    const target = targetOf(world.targets, wish.target);
    const backup = choose(await shelved(target.place, target.name, undefined, never), wish);
    if (backup === undefined)
      throw failure('backup.absent', { name: wish.name ?? 'that was verified, at or before that time' });
    const into = storage.kind === 'lmdb' ? resolve(storage.path) : 'the database of the store';
    const replaces = storage.kind === 'lmdb' ? await holds(into) : await holdsShared(storage);
    const plan = { backup: told(backup), place: target.place.shown, into, replaces };
    if (replaces && !wish.force) throw failure('backup.occupied', { into });
    if (wish.dry) return plan;
    if (storage.kind === 'lmdb') await intoFolder(world, target, backup, into, wish, terminal);
    else await intoDatabase(world, target, backup, storage, wish, terminal);
    return plan;
  } finally {
    world.close();
  }
}

/** Builds the store of a backup in an empty one, and proves it. */
async function build(
  { seals }: OfflineWorld,
  target: BackupTarget,
  { name }: Shelved,
  backend: Backend,
  { keys }: RestoreWish,
  terminal: Terminal,
): Promise<void> {
  const archive = await openArchive(name, await target.place.read(name, never));
  try {
    const { type, t } = sealOf(name, archive.header);
    const shares = type === SHAMIR ? await sharesOf(terminal, keys, t, `the backup ${name}`) : [];
    const rootKey = await rootKeyOf(name, archive.header, { shares, seal: seals.active });
    const barrier = new Barrier(backend);
    try {
      const key = keyByRoot(name, archive.header, rootKey);
      try {
        await fill(backend, plainOf(archive.header), archive.entries(key), name, never);
      } finally {
        wipe(key);
      }
      await barrier.unseal(rootKey);
      await prove(barrier, name, target);
    } finally {
      await barrier.seal();
      wipe(rootKey);
    }
  } finally {
    await archive.close();
  }
}

async function prove(barrier: Barrier, name: string, target: BackupTarget): Promise<void> {
  const { damaged, set } = await barrier.verify(never);
  if (damaged.length > 0 || set !== 'matches')
    throw failure('backup.unverified', {
      name,
      reason: damaged[0] === undefined ? 'its set-hash does not match' : `${damaged[0]} does not open`,
    });
  // That it is older than its backups is what was asked for.
  const latest = latestGood(await shelved(target.place, target.name, barrier, never));
  if (latest !== undefined) await rememberBackup(barrier, target.name, latest.createdAt);
}

const holds = (folder: string): Promise<boolean> =>
  stat(join(folder, STORE)).then(
    ({ size }) => size > 0,
    () => false,
  );

async function holdsShared(storage: PostgresSettings): Promise<boolean> {
  const { backend, close } = await openStore(storage, OWNER, { log: silentLog });
  try {
    return (await backend.get(KEYRING)) !== undefined;
  } finally {
    await close();
  }
}

/** The old file is kept beside the new one, which takes its place in one step. */
async function intoFolder(
  world: OfflineWorld,
  target: BackupTarget,
  backup: Shelved,
  folder: string,
  wish: RestoreWish,
  terminal: Terminal,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Not by opening the store: a damaged file could take this process along.
  const lock = new FolderLock(folder);
  const holder = lock.holder();
  if (holder !== undefined) throw lock.refusal(holder);
  lock.take(OWNER);
  const beside = await mkdtemp(join(folder, 'restore-'));
  try {
    const backend = await openLmdb(beside, { owner: OWNER });
    try {
      await build(world, target, backup, backend, wish, terminal);
    } finally {
      await backend.close();
    }
    const place = join(folder, STORE);
    if (await holds(folder)) await link(place, asideOf(place));
    // It is of the store that goes: what comes may be older, which is what was asked for.
    await rm(join(folder, HIGH_WATER_FILE), { force: true });
    await rename(join(beside, STORE), place);
    await rm(`${place}-lock`, { force: true });
    syncFolder(folder);
  } finally {
    await rm(beside, { recursive: true, force: true });
    lock.release();
  }
}

/** Built and proven in a store of its own, then one commit puts it in place of everything. */
async function intoDatabase(
  world: OfflineWorld,
  target: BackupTarget,
  backup: Shelved,
  storage: PostgresSettings,
  wish: RestoreWish,
  terminal: Terminal,
): Promise<void> {
  const scratch = await scratchMaker(storage)();
  try {
    await build(world, target, backup, scratch.backend, wish, terminal);
    const { backend, leadership, close } = await openStore(storage, OWNER, { log: silentLog });
    try {
      const node = { id: randomUUID(), address: OWNER };
      if (leadership !== undefined && (await leadership.campaign(node, LEASE_MS)) === undefined)
        throw failure('storage.led', { leader: (await leadership.leader())?.address ?? 'unknown' });
      const writes = new Map<string, Write>();
      for await (const { key } of backend.scan('', never)) writes.set(key, { key, delete: true });
      for await (const { key, value } of scratch.backend.scan('', never)) writes.set(key, { key, value });
      await backend.commit([...writes.values()]);
      await leadership?.resign();
    } finally {
      await close();
    }
  } finally {
    await scratch.remove();
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Where the old file is kept: two restores of one second must not meet. */
const asideOf = (place: string): string => {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  return `${place}.before-restore-${time}-${randomBytes(2).toString('hex')}`;
};
