/**
 * The state folder of `holdfast dev` (DIR/.holdfast): data, keys, logs, and what a shell loads to talk to it. All of it is
 * for this user alone (folder 0700, files 0600), because the unseal key and the root token of a demo lie here in the clear.
 */

import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../base/errors.ts';

export interface Keys {
  readonly unsealKey: string;
  readonly rootToken: string;
}

export interface Home {
  readonly folder: string;
  /** Where a store keeps its files; undefined where the data is to live in memory. */
  store(name: string): string | undefined;
  keys(): Promise<Keys | undefined>;
  /** Says, before a store is initialized, that its keys are not kept yet; `keepKeys` takes it back. */
  awaitKeys(): Promise<void>;
  keepKeys(keys: Keys): Promise<void>;
  /** Whether the last start died between the two: what lies in the store has no keys and was never served to anybody. */
  diedBeforeKeys(): Promise<boolean>;
  /** Writes a file whole or not at all. @returns its path */
  write(name: string, text: string): Promise<string>;
  path(name: string): string;
}

/** Opens the state folder, making it where it is missing. @throws Failure platform.unreadable */
export async function openHome(folder: string, inMemory: boolean): Promise<Home> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  } catch (error) {
    throw failure('platform.unreadable', {
      file: folder,
      reason: `this folder cannot be made (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      mend: 'name another with --data PATH',
    });
  }
  // What is kept in memory has keys that die with it: they must not take the place of keys that open a store on disk.
  let memoryKeys: Keys | undefined;
  const keysFile = join(folder, 'keys.json');
  const awaited = join(folder, 'keys.awaited');
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    const beside = `${path}.${process.pid}.new`;
    const file = await open(beside, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncFolder(folder);
    return path;
  };
  // A folder of secrets inside a checkout must never be committed, whatever that checkout ignores.
  await writeFile(join(folder, '.gitignore'), '*\n', { mode: 0o600 });
  return {
    folder,
    write,
    path: (name) => join(folder, name),
    store: (name) => (inMemory ? undefined : join(folder, 'data', name)),
    keys: () => (inMemory ? Promise.resolve(memoryKeys) : readKeys(keysFile)),
    awaitKeys: async () => {
      if (!inMemory) await write('keys.awaited', 'The store beside this is being initialized.\n');
    },
    keepKeys: async (keys) => {
      memoryKeys = keys;
      if (inMemory) return;
      await write(
        'keys.json',
        `${JSON.stringify({ unseal_keys_b64: [keys.unsealKey], root_token: keys.rootToken }, null, 2)}\n`,
      );
      await rm(awaited, { force: true });
    },
    diedBeforeKeys: async () => {
      if (inMemory || !existsSync(awaited)) return false;
      if (!existsSync(keysFile)) return true;
      // Left over: were the keys lost one day, it would make a served store look like one that never was.
      await rm(awaited);
      await syncFolder(folder);
      return false;
    },
  };
}

/** A name that was given or taken lasts only once its folder is synced. Some systems cannot, and then it has to do. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

async function readKeys(file: string): Promise<Keys | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure('platform.unreadable', {
      file,
      reason: 'it cannot be read',
      mend: 'run as the user who first started it',
    });
  }
  try {
    const {
      unseal_keys_b64: [unsealKey],
      root_token: rootToken,
    } = JSON.parse(text) as { unseal_keys_b64: string[]; root_token: string };
    if (typeof unsealKey === 'string' && typeof rootToken === 'string') return { unsealKey, rootToken };
  } catch {
    // Falls through: the parser's message would quote the key.
  }
  throw failure('platform.bad_file', {
    file,
    line: 1,
    reason: 'this is not the key file that was written here',
    mend: 'restore it: without it the data cannot be unsealed',
  });
}
