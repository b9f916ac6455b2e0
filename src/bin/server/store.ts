/** The store of `holdfast server`: opened only where it is certain whose data lies there. */

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import type { PostgresSettings, StorageSettings } from '../../server/config/storage.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { shownTarget } from '../../storage/postgres-target.ts';
import type { Backend } from '../../storage/storage.ts';
import { type LeadOptions, takeLead } from './lead.ts';

/** An open store, and how it is left: the lead over it, where there is one, is given up first. */
export interface Store {
  readonly backend: Backend;
  close(): Promise<void>;
}

/**
 * @param world what a store that others could open needs: who this node is, and who hears that it lost the lead
 * @throws Failure config.refused, storage.locked, storage.unusable, storage.database, storage.led
 */
export async function openStore(
  settings: StorageSettings,
  owner: string,
  world: LeadOptions,
): Promise<Store> {
  if (settings.kind === 'inmem') return alone(new MemoryBackend());
  if (settings.kind === 'postgresql') return openLed(settings, world);
  const folder = resolve(settings.path);
  refuseForeign(folder);
  refuseDemo(folder);
  return alone(await openLmdb(folder, { owner }));
}

const alone = (backend: Backend): Store => ({ backend, close: () => backend.close() });

/** The store of a database, once this process leads it. */
async function openLed({ target, table, maxParallel }: PostgresSettings, world: LeadOptions): Promise<Store> {
  // The driver is loaded where a database is the store, and nowhere else.
  const { openPostgres } = await import('../../storage/postgres.ts');
  const backend = await openPostgres({
    target,
    ...(table === undefined ? {} : { table }),
    ...(maxParallel === undefined ? {} : { maxParallel }),
  });
  try {
    if (!(await backend.durable()))
      world.log.warn('the database has fsync or full_page_writes off: it can lose what it acknowledged', {
        database: shownTarget(target),
      });
    const release = await takeLead(backend.leadership, world);
    return {
      backend,
      async close() {
        release();
        await backend.close();
      },
    };
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
