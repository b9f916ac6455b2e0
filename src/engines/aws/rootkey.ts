/** `config/rotate-root`: the key that the engine itself asks AWS with is made anew, so that nobody else knows it. */

import { failure, isFailure } from '../../base/errors.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { type Aws, ask, failed, must } from './client.ts';
import type { Config, Settings, Stored } from './config.ts';
import { deleteKey, type Key } from './users.ts';

const RETRY_MS = 60_000;

export class RootKey {
  readonly #mount: Mount;
  readonly #aws: Aws;
  readonly #settings: Settings;
  #retryAt = 0;

  constructor(mount: Mount, aws: Aws, settings: Settings) {
    this.#mount = mount;
    this.#aws = aws;
    this.#settings = settings;
  }

  /** @returns the id of the new key. @throws Failure aws.*, dial.*, storage.conflict */
  async rotate(): Promise<string> {
    const before = await this.#settings.needed();
    // Asked as the old key throughout: AWS takes some seconds until it knows a new one everywhere.
    const iam = await this.#aws.iam(before.config);
    const { User } = await must('error calling GetUser', iam.getUser({}));
    const UserName = User?.UserName;
    if (before.config.retired !== undefined) await deleteKey(iam, UserName, before.config.retired);
    const made = await ask(iam.createAccessKey({ UserName }));
    if (!made.done && made.code === 'LimitExceeded') throw failure('aws.second_key');
    if (!made.done) throw failed('error calling CreateAccessKey', made);
    const { AccessKeyId: accessKey, SecretAccessKey: secretKey } = made.value.AccessKey ?? {};
    if (accessKey === undefined || secretKey === undefined)
      throw failure('aws.unavailable', {
        what: 'error calling CreateAccessKey',
        reason: 'the answer holds no key',
      });
    const after = await this.#keep(before, { accessKey, secretKey }, (id) => deleteKey(iam, UserName, id));
    try {
      await deleteKey(iam, UserName, before.config.accessKey);
      await this.#forget(after);
    } catch (error) {
      // The new key holds and is kept; what is left is to be rid of the old one.
      this.#tell(error);
    }
    return accessKey;
  }

  /** Deletes the key that a rotation took the place of, where that was cut short. @returns when to be called again */
  async tick(): Promise<number> {
    const stored = await this.#settings.stored();
    const now = this.#mount.clock.now();
    if (stored?.config.retired === undefined) return Number.POSITIVE_INFINITY;
    if (now < this.#retryAt) return this.#retryAt;
    try {
      await deleteKey(await this.#aws.iam(stored.config), undefined, stored.config.retired);
      await this.#forget(stored);
      return Number.POSITIVE_INFINITY;
    } catch (error) {
      this.#tell(error);
      return this.#retryAt;
    }
  }

  /** Writes the new key down, with the old one as what is to be deleted. A key that nobody has kept is deleted at once. */
  async #keep({ config, revision }: Stored, key: Key, drop: (id: string) => Promise<void>): Promise<Stored> {
    const kept: Config = { ...config, ...key, retired: config.accessKey };
    try {
      return { config: kept, revision: await this.#settings.put(kept, revision) };
    } catch (error) {
      await drop(key.accessKey).catch((failed: unknown) => this.#tell(failed));
      throw error;
    }
  }

  async #forget({ config, revision }: Stored): Promise<void> {
    const { retired: _, ...settled } = config;
    await this.#settings.put(settled, revision);
  }

  #tell(error: unknown): void {
    this.#retryAt = this.#mount.clock.now() + RETRY_MS;
    this.#mount.log.warn('an access key that nobody needs any more could not be deleted; trying again', {
      ...(isFailure(error) ? { code: error.code } : { error }),
    });
  }
}
