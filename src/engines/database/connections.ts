/** The databases that are configured: their pools, and the passwords that the engine itself logs in with. */

import { failure, isFailure } from '../../base/errors.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Connect, Database, Query } from './driver.ts';
import type { DatabaseKind } from './kinds/kind.ts';
import { kindOf } from './plugins.ts';
import { type Config, Shelf } from './store.ts';

/** One database, as a call works with it. */
export interface Connection {
  readonly config: Config;
  readonly kind: DatabaseKind;
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
}

export class Connections {
  readonly shelf: Shelf<Config>;
  readonly #mount: Mount;
  readonly #connect: Connect;
  readonly #open = new Map<string, { revision: number; database: Database }>();
  readonly #rotating = new Map<string, Promise<void>>();

  constructor(mount: Mount, connect: Connect) {
    this.shelf = new Shelf(mount, 'config/');
    this.#mount = mount;
    this.#connect = connect;
  }

  /** Whether a role may use the database is asked here, so that nobody forgets to. @throws Failure database.no_config */
  async get(name: string): Promise<Connection> {
    const found = await this.#settled(name);
    const { value: config, revision } = found;
    return {
      config,
      kind: kindOf(config.plugin),
      transaction: (work) => this.#pool(name, config, revision).transaction(work),
    };
  }

  /** What kind of database it is, or undefined where there is none of the name yet: roles may be written first. */
  async kind(name: string): Promise<DatabaseKind | undefined> {
    const config = await this.shelf.get(name);
    return config && kindOf(config.plugin);
  }

  /** Tries a configuration before it is kept. @throws Failure database.verify */
  async verify(config: Config): Promise<void> {
    const database = this.#make(config, config.password);
    try {
      await database.transaction((query) => kindOf(config.plugin).probe(query));
    } catch (error) {
      if (!isFailure(error)) throw error;
      throw failure('database.verify', { reason: error.message });
    } finally {
      await database.close();
    }
  }

  /** Closes the pool; the next call opens another. */
  async reset(name: string): Promise<void> {
    const open = this.#open.get(name);
    this.#open.delete(name);
    await open?.database.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((name) => this.reset(name)));
  }

  /**
   * Gives the engine's own account a password that nobody else knows. It is written down first, as one that may hold: after
   * a crash in between, either the old one or the new one opens the database, and which is found out by trying.
   */
  rotateRoot(name: string): Promise<void> {
    const before = this.#rotating.get(name) ?? Promise.resolve();
    const work = before.then(() => this.#rotateRoot(name));
    const settled = work.catch(() => {});
    this.#rotating.set(name, settled);
    void settled.then(() => {
      if (this.#rotating.get(name) === settled) this.#rotating.delete(name);
    });
    return work;
  }

  async #rotateRoot(name: string): Promise<void> {
    const { value: config, revision } = await this.#settled(name, true);
    // To write over a password that may hold would lock everybody out.
    if (config.pendingPassword !== undefined) throw failure('database.unsettled', { name });
    // A login within the URL would stay what it is, and open nothing from then on.
    const { inline } = kindOf(config.plugin).address(config);
    if (inline !== undefined || config.username === '' || config.password === '')
      throw failure('database.no_root');
    const password = await this.#mount.password(config.passwordPolicy || undefined);
    const pending: Config = { ...config, pendingPassword: password };
    const noted = await this.shelf.put(name, pending, revision);
    const values = { name: config.username, username: config.username, password };
    const database = this.#make(config, config.password);
    try {
      await database.transaction((query) =>
        kindOf(config.plugin).perform(query, 'rotation', config.rootStatements, values),
      );
    } finally {
      await database.close();
    }
    await this.#keep(name, config, password, noted);
  }

  async #keep(name: string, config: Config, password: string, revision: number): Promise<void> {
    const { pendingPassword: _, ...settled } = config;
    await this.shelf.put(name, { ...settled, password }, revision);
    await this.reset(name);
  }

  /** The configuration, with it decided which of two passwords holds. */
  async #settled(
    name: string,
    rotating = false,
  ): Promise<{ readonly value: Config; readonly revision: number }> {
    const found = await this.shelf.find(name);
    if (found === undefined) throw failure('database.no_config', { name });
    const { pendingPassword } = found.value;
    if (pendingPassword === undefined || (this.#rotating.has(name) && !rotating)) return found;
    for (const password of [pendingPassword, found.value.password]) {
      const database = this.#make(found.value, password);
      try {
        await database.transaction((query) => kindOf(found.value.plugin).probe(query));
      } catch {
        continue;
      } finally {
        await database.close();
      }
      await this.#keep(name, found.value, password, found.revision);
      return (await this.shelf.find(name)) ?? found;
    }
    return found;
  }

  #pool(name: string, config: Config, revision: number): Database {
    const open = this.#open.get(name);
    if (open?.revision === revision) return open.database;
    if (open !== undefined) void open.database.close();
    const database = this.#make(config, config.password);
    this.#open.set(name, { revision, database });
    return database;
  }

  #make(config: Config, password: string): Database {
    const { target, inline } = kindOf(config.plugin).address(config);
    const login = inline ?? { username: config.username, password };
    return this.#connect(target, login, config.tls, config.pool);
  }
}
