/**
 * What the command line does on a store of which no server runs. It takes the server's own configuration file, and programs
 * that only `bin` can put together: so it is handed in.
 */

import type { Terminal } from './terminal.ts';

export interface ListedBackup {
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  readonly bytes: number;
  readonly entries: number;
  readonly revision: number;
  readonly state: string;
}

export interface ListedBackups {
  readonly target: string;
  readonly place: string;
  readonly backups: readonly ListedBackup[];
}

/** What was found in a store. It is whole when nothing is damaged, the set matches and no target is behind. */
export interface StoreState {
  readonly entries: number;
  readonly expected: number | null;
  readonly damaged: readonly string[];
  readonly set: string;
  /** Targets whose newest backup is newer than the store. */
  readonly behind: readonly string[];
}

export interface RestoreWish {
  readonly target: string | undefined;
  readonly name: string | undefined;
  /** Milliseconds since the epoch. */
  readonly at: number | undefined;
  /** Put it in place of a store that is there. */
  readonly force: boolean;
  /** Whether only to tell what would be done. */
  readonly dry: boolean;
  readonly keys: readonly string[];
}

export interface Restored {
  readonly backup: ListedBackup;
  readonly place: string;
  readonly into: string;
  /** Whether a store was there. */
  readonly replaces: boolean;
}

/** Every method takes the configuration files of the server. */
export interface Offline {
  list(config: readonly string[], target: string | undefined, terminal: Terminal): Promise<ListedBackups>;
  restore(config: readonly string[], wish: RestoreWish, terminal: Terminal): Promise<Restored>;
  /**
   * @param keys unseal keys; asked for where none are given and they are needed
   * @throws Failure storage.unreadable where the medium does not give its entries; others where nothing can be judged
   */
  verify(config: readonly string[], keys: readonly string[], terminal: Terminal): Promise<StoreState>;
}
