/**
 * What identity tokens are made of: named keys, which change by themselves and stay known until the last token that they signed
 * has ended, and roles, which say by which key, for whom and how long. Writes run one after the other, because a key may not
 * be taken from under a role.
 */

import type { Clock } from '../../../base/clock.ts';
import type { Milliseconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { base62 } from '../../../crypto/random.ts';
import type { Storage } from '../../../storage/storage.ts';
import { Table } from '../table.ts';
import { Turn } from '../turn.ts';
import { checkTemplate } from './claims.ts';
import { isAlgorithm, newSigningKey, type PublicKey, publicOf, type SigningKey } from './signing.ts';

export interface KeySettings {
  readonly algorithm: string;
  readonly rotationMs: Milliseconds;
  /** How long a token is verified after its key was rotated away. */
  readonly verificationMs: Milliseconds;
  /** The roles, by client id, that may use it; "*" is all. */
  readonly allowedClients: readonly string[];
}

export interface NamedKey extends KeySettings {
  readonly current: SigningKey;
  /** Published before it signs, so that a verifier that keeps keys for a while knows it in time. */
  readonly next: SigningKey;
  readonly retired: readonly { readonly key: PublicKey; readonly until: number }[];
  readonly rotatesAt: number;
}

export interface Role {
  readonly key: string;
  readonly template: string;
  readonly clientId: string;
  readonly ttlMs: Milliseconds;
}

const DAY = 86_400_000;
const MINUTE = 60_000;
export const DEFAULT_KEY = 'default';
const NEW_KEY: KeySettings = {
  algorithm: 'RS256',
  rotationMs: DAY,
  verificationMs: DAY,
  allowedClients: [],
};
/** Every server has it; it is made when a role first names it. */
const DEFAULT_SETTINGS: KeySettings = { ...NEW_KEY, allowedClients: ['*'] };

const refuse = (reason: string) => failure('request.invalid', { reason });
const quoted = (name: string): string => JSON.stringify(name);

export class OidcStore {
  readonly #table: Table;
  readonly #clock: Clock;
  readonly #turn = new Turn();

  constructor(storage: Storage, clock: Clock) {
    this.#table = new Table(storage, () => {});
    this.#clock = clock;
  }

  async issuer(): Promise<string> {
    return (await this.#table.get<string>('config/issuer')) ?? '';
  }

  /** @param issuer scheme, host and port of what tokens name as their issuer; "" is the server's own address */
  async setIssuer(issuer: string): Promise<void> {
    if (issuer !== '' && !isOrigin(issuer))
      throw refuse(
        'invalid issuer, which must include only a scheme, host, and optional port (e.g. https://example.com:8200)',
      );
    await this.#table.change(async (change) => change.put('config/issuer', issuer));
  }

  async settings(name: string): Promise<KeySettings | undefined> {
    return (
      (await this.#table.get<NamedKey>(keyOf(name))) ?? (name === DEFAULT_KEY ? DEFAULT_SETTINGS : undefined)
    );
  }

  async keyNames(): Promise<string[]> {
    return [...new Set([DEFAULT_KEY, ...(await this.#table.list('key/'))])].sort();
  }

  /** Makes a key or changes it. @throws Failure request.invalid */
  writeKey(name: string, given: Partial<KeySettings>): Promise<void> {
    return this.#turn.run(async () => {
      const before = await this.#table.get<NamedKey>(keyOf(name));
      const settings = { ...((await this.settings(name)) ?? NEW_KEY), ...given };
      checkKey(settings);
      for (const role of await this.#rolesOf(name))
        if (role.ttlMs > settings.verificationMs)
          throw refuse(
            `unable to update key ${quoted(name)} because it is currently referenced by one or more roles with a token ttl greater than ${settings.verificationMs / 1000} seconds`,
          );
      await this.#store(name, await this.#changed(before, settings));
    });
  }

  /** @throws Failure request.invalid for the default key and for one that a role names */
  deleteKey(name: string): Promise<void> {
    return this.#turn.run(async () => {
      if (name === DEFAULT_KEY) throw refuse(`deletion of key ${quoted(name)} not allowed`);
      const names: string[] = [];
      for (const role of await this.roleNames()) if ((await this.role(role))?.key === name) names.push(role);
      if (names.length > 0)
        throw refuse(
          `unable to delete key ${quoted(name)} because it is currently referenced by these roles: ${names.join(', ')}`,
        );
      await this.#table.change(async (change) => change.delete(keyOf(name)));
    });
  }

  /** @param verificationMs how long the old key stays known; absent: as the key has it. @throws Failure request.invalid */
  rotateKey(name: string, verificationMs?: Milliseconds): Promise<void> {
    return this.#turn.run(async () => {
      const key = await this.#table.get<NamedKey>(keyOf(name));
      if (key === undefined) throw refuse(`no named key found at ${quoted(name)}`);
      await this.#store(name, await this.#rotated(key, verificationMs ?? key.verificationMs));
    });
  }

  /** The key as it is to be used now: rotated first where that is due. Made where it is the default one. */
  async key(name: string): Promise<NamedKey | undefined> {
    const known = await this.#table.get<NamedKey>(keyOf(name));
    if (known !== undefined && known.rotatesAt > this.#clock.now()) return known;
    if (known === undefined && name !== DEFAULT_KEY) return undefined;
    return this.#turn.run(async () => {
      const key = await this.#table.get<NamedKey>(keyOf(name));
      if (key !== undefined && key.rotatesAt > this.#clock.now()) return key;
      const made =
        key === undefined
          ? await this.#changed(undefined, DEFAULT_SETTINGS)
          : await this.#rotated(key, key.verificationMs);
      await this.#store(name, made);
      return made;
    });
  }

  role(name: string): Promise<Role | undefined> {
    return this.#table.get<Role>(roleOf(name));
  }

  roleNames(): Promise<string[]> {
    return this.#table.list('role/');
  }

  /** Makes a role or changes it. @throws Failure request.invalid */
  writeRole(name: string, given: Partial<Role>): Promise<void> {
    if (given.template !== undefined) checkTemplate(given.template);
    return this.#turn.run(async () => {
      const before = await this.role(name);
      const role: Role = { key: '', template: '', clientId: '', ttlMs: DAY, ...before, ...given };
      if (role.key === '') throw refuse('the key parameter is required');
      const key = await this.settings(role.key);
      if (key === undefined) throw refuse(`cannot find key ${quoted(role.key)}`);
      if (role.ttlMs < 0) throw refuse("'ttl' may not be negative");
      if (role.ttlMs > key.verificationMs)
        throw refuse(
          "a role's token ttl cannot be longer than the verification_ttl of the key it references",
        );
      const clientId = role.clientId || base62(26);
      await this.#table.change(async (change) => change.put(roleOf(name), { ...role, clientId }));
    });
  }

  async deleteRole(name: string): Promise<void> {
    await this.#table.change(async (change) => change.delete(roleOf(name)));
  }

  /** The keys that verify what the roles gave out, and until when they may be kept. Milliseconds since the epoch. */
  async published(): Promise<{ readonly keys: PublicKey[]; readonly until: number }> {
    const names = new Set<string>();
    for (const role of await this.roleNames()) names.add((await this.role(role))?.key ?? DEFAULT_KEY);
    const now = this.#clock.now();
    const keys: PublicKey[] = [];
    let until = now + DAY;
    for (const name of names) {
      const key = await this.key(name);
      if (key === undefined) continue;
      keys.push(publicOf(key.current), publicOf(key.next));
      keys.push(...key.retired.filter((old) => old.until > now).map((old) => old.key));
      until = Math.min(until, key.rotatesAt);
    }
    return { keys, until };
  }

  /** Rotates what is due. @returns when to look again */
  async tick(): Promise<Date> {
    const now = this.#clock.now();
    let next = now + 60 * MINUTE;
    for (const name of await this.#table.list('key/')) {
      const key = await this.key(name);
      if (key !== undefined) next = Math.min(next, key.rotatesAt);
    }
    return new Date(Math.max(next, now + MINUTE));
  }

  close(): void {
    this.#table.clear();
  }

  async #rolesOf(key: string): Promise<Role[]> {
    const roles = await Promise.all((await this.roleNames()).map((name) => this.role(name)));
    return roles.filter((role) => role?.key === key).filter((role) => role !== undefined);
  }

  async #changed(before: NamedKey | undefined, settings: KeySettings): Promise<NamedKey> {
    const due = this.#clock.now() + settings.rotationMs;
    if (before !== undefined && before.algorithm === settings.algorithm)
      return { ...before, ...settings, rotatesAt: Math.min(before.rotatesAt, due) };
    const [current, next] = await Promise.all([
      newSigningKey(settings.algorithm),
      newSigningKey(settings.algorithm),
    ]);
    const retired = before === undefined ? [] : this.#retire(before, before.verificationMs);
    return { ...settings, current, next, retired, rotatesAt: due };
  }

  async #rotated(key: NamedKey, verificationMs: Milliseconds): Promise<NamedKey> {
    return {
      ...key,
      current: key.next,
      next: await newSigningKey(key.algorithm),
      retired: this.#retire(key, verificationMs),
      rotatesAt: this.#clock.now() + key.rotationMs,
    };
  }

  #retire({ current, retired }: NamedKey, verificationMs: Milliseconds): NamedKey['retired'] {
    const now = this.#clock.now();
    const still = retired.filter((old) => old.until > now);
    return verificationMs > 0 ? [...still, { key: publicOf(current), until: now + verificationMs }] : still;
  }

  #store(name: string, key: NamedKey): Promise<void> {
    return this.#table.change(async (change) => change.put(keyOf(name), key));
  }
}

const keyOf = (name: string): string => `key/${name}`;
const roleOf = (name: string): string => `role/${name}`;

/** @throws Failure request.invalid */
function checkKey({ algorithm, rotationMs, verificationMs }: KeySettings): void {
  if (rotationMs < MINUTE) throw refuse('rotation_period must be at least one minute');
  if (verificationMs < 0) throw refuse("'verification_ttl' may not be negative");
  if (verificationMs > 10 * rotationMs)
    throw refuse('verification_ttl cannot be longer than 10x rotation_period');
  if (!isAlgorithm(algorithm)) throw refuse(`unknown signing algorithm ${quoted(algorithm)}`);
}

/** Scheme, host and port, and nothing else: not even a slash at the end. */
function isOrigin(text: string): boolean {
  try {
    const url = new URL(text);
    return (
      (url.protocol === 'https:' || url.protocol === 'http:') &&
      url.host !== '' &&
      /^https?:\/\/[^/?#@\s]+$/i.test(text)
    );
  } catch {
    return false;
  }
}
