/**
 * What the engine keeps, all behind the barrier:
 *
 *   ca              the key pair that signs: PKCS #8 in base64, and the public key as a blob in base64
 *   role/<name>     one role (JSON)
 *   zeroaddress     names of the roles that hold for every address (JSON)
 *   otp/<hash>      what a one-time password opens; the password itself is kept nowhere
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Page, Write } from '../../storage/storage.ts';
import type { Role } from './role.ts';

export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface Otp {
  readonly username: string;
  readonly ip: string;
  readonly role: string;
  /** Milliseconds since the epoch: when its lease ends, whether or not somebody came to take it away by then. */
  readonly endsAt: number;
}

interface Found<T> {
  readonly value: T | undefined;
  readonly revision: number;
}

/** Others may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;
const CA = 'ca';
const ZERO = 'zeroaddress';
const roleAt = (name: string): string => `role/${name}`;
const otpAt = (hash: string): string => `otp/${hash}`;

export class SshStore {
  readonly #mount: Pick<Mount, 'storage'>;

  constructor(mount: Pick<Mount, 'storage'>) {
    this.#mount = mount;
  }

  /** @throws Failure ssh.no_ca */
  async keyPair(): Promise<KeyPair> {
    const { value } = await this.#find<KeyPair>(CA);
    if (value === undefined) throw failure('ssh.no_ca');
    return value;
  }

  async hasKeyPair(): Promise<boolean> {
    return (await this.#find<KeyPair>(CA)).value !== undefined;
  }

  /** Never over another one. @throws Failure ssh.has_ca */
  async addKeyPair(pair: KeyPair): Promise<void> {
    try {
      await this.#commit([put(CA, pair)], CA, 0);
    } catch (error) {
      throw isFailure(error, 'storage.conflict') ? failure('ssh.has_ca') : error;
    }
  }

  deleteKeyPair(): Promise<void> {
    return this.#commit([{ key: CA, delete: true }]);
  }

  async role(name: string): Promise<Role | undefined> {
    return (await this.#find<Role>(roleAt(name))).value;
  }

  roleNames(page: Page = {}): Promise<string[]> {
    return this.#mount.storage.list('role/', page);
  }

  putRole(name: string, role: Role): Promise<void> {
    return this.#commit([put(roleAt(name), role)]);
  }

  /** The role and its place among those for every address go together: one made anew under its name must not have it. */
  async deleteRole(name: string): Promise<void> {
    await this.#retried(async () => {
      const { value, revision } = await this.#find<string[]>(ZERO);
      const gone: Write = { key: roleAt(name), delete: true };
      if (value === undefined || !value.includes(name)) return this.#commit([gone], ZERO, revision);
      const left = value.filter((one) => one !== name);
      return this.#commit([gone, put(ZERO, left)], ZERO, revision);
    });
  }

  async zeroAddressRoles(): Promise<readonly string[] | undefined> {
    return (await this.#find<string[]>(ZERO)).value;
  }

  putZeroAddressRoles(names: readonly string[]): Promise<void> {
    return this.#commit([put(ZERO, names)]);
  }

  deleteZeroAddressRoles(): Promise<void> {
    return this.#commit([{ key: ZERO, delete: true }]);
  }

  putOtp(hash: string, otp: Otp): Promise<void> {
    return this.#commit([put(otpAt(hash), otp)], otpAt(hash), 0);
  }

  deleteOtp(hash: string): Promise<void> {
    return this.#commit([{ key: otpAt(hash), delete: true }]);
  }

  /** Takes a password for good: of those who ask at the same moment, one has it. */
  async takeOtp(hash: string): Promise<Otp | undefined> {
    const key = otpAt(hash);
    const { value, revision } = await this.#find<Otp>(key);
    if (value === undefined) return undefined;
    try {
      await this.#commit([{ key, delete: true }], key, revision);
      return value;
    } catch (error) {
      if (isFailure(error, 'storage.conflict')) return undefined;
      throw error;
    }
  }

  async #find<T>(key: string): Promise<Found<T>> {
    const entry = await this.#mount.storage.get(key);
    if (entry === undefined) return { value: undefined, revision: 0 };
    const text = textOf(entry.value);
    if (text === undefined) throw failure('storage.corrupt', { key });
    return { value: JSON.parse(text) as T, revision: entry.revision };
  }

  async #commit(writes: readonly Write[], key?: string, revision = 0): Promise<void> {
    await this.#mount.storage.commit(writes, key === undefined ? [] : [{ key, revision }]);
  }

  async #retried(work: () => Promise<void>): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('ssh.busy');
  }
}

const put = (key: string, value: object): Write => ({ key, value: utf8(stringify(value)) });
