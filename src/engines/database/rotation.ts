/**
 * Accounts that exist already and get a new password from time to time. A password is written down before it is set: after a
 * crash in between it is set once more, so that what is kept and what holds are the same again.
 */

import { failure, isFailure } from '../../base/errors.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Connections } from './connections.ts';
import { checkAllowed } from './dynamic.ts';
import type { Found, Shelf, StaticRole } from './store.ts';
import { nextRotation } from './timing.ts';

/** How often the clock is looked at, as upstream does; the store is read through less often. */
const REST_MS = 5000;
const SCAN_MS = 60_000;
const RETRY_MS = 10_000;

export class Rotation {
  readonly #mount: Mount;
  readonly #connections: Connections;
  readonly #roles: Shelf<StaticRole>;
  readonly #turns = new Map<string, Promise<unknown>>();
  /** What failed is left alone until then. */
  readonly #retryAt = new Map<string, number>();
  #nextAt = 0;
  #scannedAt = Number.NEGATIVE_INFINITY;

  constructor(mount: Mount, connections: Connections, roles: Shelf<StaticRole>) {
    this.#mount = mount;
    this.#connections = connections;
    this.#roles = roles;
  }

  /** Gives the account a new password now. @throws Failure database.* */
  rotate(name: string): Promise<StaticRole> {
    return this.inTurn(name, async () => this.#rotate(name, await this.#known(name), undefined));
  }

  /** Keeps a role that is new or was changed; a new one gets its first password before anybody can read it. */
  save(name: string, change: (before: StaticRole | undefined) => StaticRole): Promise<void> {
    return this.inTurn(name, async () => {
      const before = await this.#roles.find(name);
      const role = change(before?.value);
      const { config, kind } = await this.#connections.get(role.db);
      checkAllowed(config.allowedRoles, name);
      kind.check('rotation', role.statements);
      const revision = await this.#roles.put(name, role, before?.revision ?? 0);
      this.#nextAt = 0;
      if (before !== undefined) return;
      try {
        await this.#rotate(name, { value: role, revision }, undefined);
      } catch (error) {
        // A role without a password would be read as one with an empty one.
        await this.#roles.delete(name);
        throw error;
      }
    });
  }

  delete(name: string): Promise<void> {
    return this.inTurn(name, () => this.#roles.delete(name));
  }

  /** The role with the password that holds. `unsure` where a rotation was cut short and the database cannot be asked. */
  current(name: string): Promise<{ readonly role: StaticRole; readonly unsure: boolean }> {
    return this.inTurn(name, async () => {
      const found = await this.#known(name);
      const { pendingPassword } = found.value;
      if (pendingPassword === undefined) return { role: found.value, unsure: false };
      try {
        return { role: await this.#rotate(name, found, pendingPassword), unsure: false };
      } catch (error) {
        if (!isFailure(error)) throw error;
        if (found.value.password === '') throw error;
        return { role: found.value, unsure: true };
      }
    });
  }

  /** Rotates what is due, and finishes what was cut short. @returns when to be called again */
  async tick(): Promise<Date> {
    const { clock, log } = this.#mount;
    const now = clock.now();
    if (now >= this.#nextAt || clock.monotonic() - this.#scannedAt >= SCAN_MS) {
      this.#scannedAt = clock.monotonic();
      // A role that is saved meanwhile sets it back to 0, and is not to be forgotten.
      this.#nextAt = Number.POSITIVE_INFINITY;
      let next = Number.POSITIVE_INFINITY;
      for (const name of await this.#roles.names()) {
        try {
          next = Math.min(next, await this.inTurn(name, () => this.#rotateDue(name, now)));
        } catch (error) {
          this.#retryAt.set(name, now + RETRY_MS);
          next = Math.min(next, now + RETRY_MS);
          log.warn('a password could not be rotated; trying again', {
            role: name,
            ...(isFailure(error) ? { code: error.code } : { error }),
          });
        }
      }
      this.#nextAt = Math.min(this.#nextAt, next);
    }
    return new Date(now + REST_MS);
  }

  async #rotateDue(name: string, now: number): Promise<number> {
    const found = await this.#roles.find(name);
    if (found === undefined) return Number.POSITIVE_INFINITY;
    const { pendingPassword, rotatedAt, timing } = found.value;
    const due = pendingPassword === undefined ? nextRotation(timing, rotatedAt, now) : 0;
    const at = Math.max(due, this.#retryAt.get(name) ?? 0);
    if (at > now) return at;
    const rotated = await this.#rotate(name, found, pendingPassword);
    this.#retryAt.delete(name);
    return nextRotation(timing, rotated.rotatedAt, now);
  }

  /** @param pending the password of a rotation that was cut short; absent: a new one */
  async #rotate(name: string, found: Found<StaticRole>, pending: string | undefined): Promise<StaticRole> {
    const connection = await this.#connections.get(found.value.db);
    const { passwordPolicy } = connection.config;
    const password = pending ?? (await this.#mount.password(passwordPolicy || undefined));
    const { username, statements } = found.value;
    const noted =
      pending === undefined
        ? await this.#roles.put(name, { ...found.value, pendingPassword: password }, found.revision)
        : found.revision;
    const values = { name: username, username, password };
    await connection.transaction((query) => connection.kind.perform(query, 'rotation', statements, values));
    const { pendingPassword: _, ...rest } = found.value;
    const rotated: StaticRole = { ...rest, password, rotatedAt: this.#mount.clock.now() };
    await this.#roles.put(name, rotated, noted);
    return rotated;
  }

  async #known(name: string): Promise<Found<StaticRole>> {
    const found = await this.#roles.find(name);
    if (found === undefined) throw failure('database.unknown_static', { name });
    return found;
  }

  /** Two rotations of one account at once would leave it with a password that nobody kept. */
  inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#turns.get(name) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => {});
    this.#turns.set(name, settled);
    void settled.then(() => {
      if (this.#turns.get(name) === settled) this.#turns.delete(name);
    });
    return mine;
  }
}
