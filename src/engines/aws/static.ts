/**
 * IAM users that exist already, whose access keys are made anew from time to time. A user has two keys at most: the one that
 * is told, and the one before it, which holds until the next rotation, so that who has it can come for the new one.
 */

import { failure, isFailure } from '../../base/errors.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { type Found, Shelf } from '../../plugin/shelf.ts';
import { type Aws, everyPage, must } from './client.ts';
import { createKey, deleteKey, type Key } from './users.ts';

/** Milliseconds. */
export interface StaticRole extends Key {
  readonly username: string;
  /** AWS's own id of the user: a name can be given to another one. */
  readonly id: string;
  readonly periodMs: number;
  readonly rotatedAt: number;
}

/** What is asked for; what is left out stays. */
export interface StaticAsked {
  readonly username: string | undefined;
  readonly periodMs: number | undefined;
}

/** As many as AWS lets a user have. */
const KEYS_LIMIT = 2;
const SHORTEST_MS = 60_000;
const RETRY_MS = 60_000;

export class StaticKeys {
  readonly roles: Shelf<StaticRole>;
  readonly #mount: Mount;
  readonly #aws: Aws;
  readonly #turns = new Map<string, Promise<unknown>>();
  /** What failed is left alone until then. */
  readonly #retryAt = new Map<string, number>();

  constructor(mount: Mount, aws: Aws) {
    this.roles = new Shelf(mount, 'static/');
    this.#mount = mount;
    this.#aws = aws;
  }

  /** Takes a user over, who gets a new key at once, or changes how it is rotated. @throws Failure aws.*, dial.* */
  save(name: string, asked: StaticAsked): Promise<StaticRole> {
    return this.#inTurn(name, async () => {
      const before = await this.roles.find(name);
      const username = asked.username ?? before?.value.username;
      if (username === undefined || username === '') throw refused('missing "username" parameter');
      const periodMs = asked.periodMs ?? before?.value.periodMs;
      if (periodMs === undefined) throw refused('missing "rotation_period" parameter');
      if (periodMs < SHORTEST_MS)
        throw refused('role rotation period out of range: must be greater than 60.00 seconds');
      const id = await this.#idOf(username, before?.value.id);
      if (before !== undefined) {
        const role = { ...before.value, username, periodMs };
        await this.roles.put(name, role, before.revision);
        return role;
      }
      return this.#rotate(name, { username, id, periodMs }, undefined, 0);
    });
  }

  /** Lets go of a user: it stays, without the key that it was given here. @throws Failure aws.*, dial.* */
  delete(name: string): Promise<void> {
    return this.#inTurn(name, async () => {
      const found = await this.roles.get(name);
      if (found === undefined) return;
      await deleteKey(await this.#aws.iam(), found.username, found.accessKey);
      await this.roles.delete(name);
    });
  }

  /** Rotates what is due. @returns when to be called again, in milliseconds since the epoch */
  async tick(): Promise<number> {
    const { clock, log } = this.#mount;
    let next = Number.POSITIVE_INFINITY;
    for (const name of await this.roles.names()) {
      try {
        next = Math.min(next, await this.#inTurn(name, () => this.#rotateDue(name)));
      } catch (error) {
        const retryAt = clock.now() + RETRY_MS;
        this.#retryAt.set(name, retryAt);
        next = Math.min(next, retryAt);
        log.warn('an access key could not be rotated; trying again', {
          role: name,
          ...(isFailure(error) ? { code: error.code } : { error }),
        });
      }
    }
    return next;
  }

  async #rotateDue(name: string): Promise<number> {
    const found: Found<StaticRole> | undefined = await this.roles.find(name);
    if (found === undefined) return Number.POSITIVE_INFINITY;
    const { value: role, revision } = found;
    const at = Math.max(role.rotatedAt + role.periodMs, this.#retryAt.get(name) ?? 0);
    if (at > this.#mount.clock.now()) return at;
    await this.#idOf(role.username, role.id);
    const rotated = await this.#rotate(name, role, role.accessKey, revision);
    this.#retryAt.delete(name);
    return rotated.rotatedAt + rotated.periodMs;
  }

  /** @param current the key that is told now, which is not to be deleted before there is another */
  async #rotate(
    name: string,
    { username, id, periodMs }: Pick<StaticRole, 'username' | 'id' | 'periodMs'>,
    current: string | undefined,
    revision: number,
  ): Promise<StaticRole> {
    const iam = await this.#aws.iam();
    const keys = await everyPage(
      `unable to list existing access keys for IAM user "${username}"`,
      (page) => iam.listAccessKeys({ UserName: username, ...page }),
      ({ AccessKeyMetadata }) => AccessKeyMetadata,
    );
    // What is not told and is there nevertheless is the one before, or was made by a rotation that was cut short.
    const [spare] = keys
      .filter(({ AccessKeyId }) => AccessKeyId !== current)
      .sort((one, other) => (one.CreateDate?.getTime() ?? 0) - (other.CreateDate?.getTime() ?? 0));
    if (keys.length >= KEYS_LIMIT && spare?.AccessKeyId !== undefined)
      await deleteKey(iam, username, spare.AccessKeyId);
    const key = await createKey(iam, username, `unable to create new access keys for user "${username}"`);
    const role: StaticRole = { username, id, periodMs, ...key, rotatedAt: this.#mount.clock.now() };
    try {
      await this.roles.put(name, role, revision);
    } catch (error) {
      // Nobody will have its secret.
      await deleteKey(iam, username, key.accessKey).catch(() => {});
      throw error;
    }
    return role;
  }

  /** @param known the id that the user has to have. @throws Failure aws.failed, aws.other_user, dial.* */
  async #idOf(username: string, known: string | undefined): Promise<string> {
    const what = `unable to validate username "${username}"`;
    const { User } = await must(what, (await this.#aws.iam()).getUser({ UserName: username }));
    if (User?.UserId === undefined || User.UserName !== username)
      throw failure('aws.failed', { what, reason: 'AWS GetUser returned another user' });
    if (known !== undefined && known !== User.UserId)
      throw failure('aws.other_user', { before: known, now: User.UserId.replace(/\W/g, '?').slice(0, 128) });
    return User.UserId;
  }

  /** Two rotations of one user at once would delete each other's keys. */
  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#turns.get(name) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => {});
    this.#turns.set(name, settled);
    void settled.then(() => {
      if (this.#turns.get(name) === settled) this.#turns.delete(name);
    });
    return mine;
  }
}

const refused = (reason: string) => failure('aws.request', { reason });
