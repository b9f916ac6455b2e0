/** The store of `holdfast server`: opened only where it is certain whose data lies there. */

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { PostgresSettings, StorageSettings } from '../../server/config/storage.ts';
import type { Leadership } from '../../storage/leadership.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { shownTarget } from '../../storage/postgres-target.ts';
import type { Backend } from '../../storage/storage.ts';

/** An open store, and how it is left: the lead over it, where there is one, is given up first. */
export interface Store {
  readonly backend: Backend;
  /** Absent: no other process can open it. */
  readonly leadership?: Leadership;
  close(): Promise<void>;
}

/**
 * @throws Failure config.refused, storage.locked, storage.unusable, storage.database
 */
export async function openStore(
  settings: StorageSettings,
  owner: string,
  world: { readonly log: Log },
): Promise<Store> {
  if (settings.kind === 'inmem') return alone(new MemoryBackend());
  if (settings.kind === 'postgresql') return openShared(settings, world);
  const folder = resolve(settings.path);
  refuseForeign(folder);
  refuseDemo(folder);
  return alone(await openLmdb(folder, { owner, log: world.log }));
}

const alone = (backend: Backend): Store => ({ backend, close: () => backend.close() });

/** The store of a database, which several nodes can open. */
async function openShared(
  { target, table, maxParallel }: PostgresSettings,
  { log }: { readonly log: Log },
): Promise<Store> {
  // The driver is loaded where a database is the store, and nowhere else.
  const { openPostgres } = await import('../../storage/postgres.ts');
  const backend = await openPostgres({
    target,
    ...(table === undefined ? {} : { table }),
    ...(maxParallel === undefined ? {} : { maxParallel }),
  });
  try {
    if (!(await backend.durable()))
      log.warn('the database has fsync or full_page_writes off: it can lose what it acknowledged', {
        database: shownTarget(target),
      });
    return { backend, leadership: backend.leadership, close: () => backend.close() };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** An empty store beside the data of a Vault would look to its clients as if everything were lost. */
function refuseForeign(folder: string): void {
  if (existsSync(join(folder, 'store.mdb'))) return;
  const found = ['vault.db', 'raft', 'core'].find((name) => existsSync(join(folder, name)));
  if (found !== undefined)
    throw failure('config.refused', {
      reason: `${folder} holds the data of a Vault (${found}), which this server does not read`,
      mend: 'Name a folder of its own, and bring the secrets over through the API.',
    });
}

/** The unseal key and the root token of `holdfast dev` lie in the clear beside its data: nothing real may rest on them. */
function refuseDemo(folder: string): void {
  const real = existsSync(folder) ? realpathSync(folder) : folder;
  for (const place of [real, dirname(real), dirname(dirname(real))]) {
    const keys = join(place, 'keys.json');
    if (existsSync(keys) && holdsRootToken(keys))
      throw failure('config.refused', {
        reason: `the unseal key and the root token of the data in ${folder} lie in the clear in ${keys}`,
        mend: 'That is the data of `holdfast dev`: name another folder.',
      });
  }
}

/** Unreadable counts as yes: what cannot be told is refused. */
function holdsRootToken(file: string): boolean {
  try {
    return readFileSync(file, 'utf8').includes('"root_token"');
  } catch {
    return true;
  }
}
