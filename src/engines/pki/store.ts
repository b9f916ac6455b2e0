/**
 * Where the mount keeps what it knows, and the only place that reads and writes it:
 *
 *   issuer/<id>      one `Issuer` (JSON)
 *   key/<id>         one `Key` (JSON), without secrets
 *   material/<id>    that key's private half: PKCS #8 DER
 *   role/<name>      one `Role` (JSON)
 *   cert/<serial>    DER of what was issued; the serial with hyphens
 *   revoked/<serial> one `Revoked` (JSON)
 *   crl/<group>      one `List` (JSON): the revocation list of one name and key
 *   acme/<what>/     accounts, orders and the like (JSON): acme/records.ts
 *   config/<what>    settings (JSON)
 *   state            how often anything was revoked (JSON): tells a list that is behind
 *
 * Private halves are read for one signature and leave only where an operation says so. It trusts the storage to keep what
 * it was given (the barrier sees to that) and nothing else.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { uuid } from '../../crypto/random.ts';
import type { KeyKind, KeyType } from '../../crypto/x509/keytype.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Check, Page, Write } from '../../storage/storage.ts';
import { ACME_DEFAULTS, type AcmeFolders, type AcmeSettings } from './acme/records.ts';
import type { Role } from './role.ts';
import { AUTO_TIDY_DEFAULTS, type AutoTidy } from './tidyoptions.ts';

export type Usage = 'read-only' | 'issuing-certificates' | 'crl-signing' | 'ocsp-signing';
export const USAGES: readonly Usage[] = ['read-only', 'issuing-certificates', 'crl-signing', 'ocsp-signing'];
export const LEAF_BEHAVIORS = ['err', 'truncate', 'permit'] as const;

/** Where whoever checks a certificate finds more. */
export interface Urls {
  readonly issuing: readonly string[];
  readonly crl: readonly string[];
  readonly delta: readonly string[];
  readonly ocsp: readonly string[];
  readonly templating: boolean;
}
export const NO_URLS: Urls = { issuing: [], crl: [], delta: [], ocsp: [], templating: false };

export interface Issuer {
  readonly id: string;
  readonly name: string;
  /** Empty where the key is not here. */
  readonly keyId: string;
  /** DER in base64. */
  readonly certificate: string;
  /** Ids; empty: the chain is found by itself. */
  readonly manualChain: readonly string[];
  readonly usage: readonly Usage[];
  readonly leafBehavior: (typeof LEAF_BEHAVIORS)[number];
  readonly urls: Urls;
  /** Milliseconds since 1970; 0: not revoked. */
  readonly revoked: number;
}

export interface Key {
  readonly id: string;
  readonly name: string;
  readonly type: KeyType;
  readonly bits: number;
  /** SubjectPublicKeyInfo in base64. */
  readonly spki: string;
}

export interface Revoked {
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly expires: number;
  readonly group: string;
  readonly issuerId: string;
  /** How many revocations there were before it: a delta list takes what came after its base. */
  readonly turn: number;
}

export interface List {
  /** Of the newest list, whole or delta: they share one count (RFC 5280 section 5.2.3). */
  readonly number: number;
  readonly fullNumber: number;
  /** DER in base64. */
  readonly full: string;
  readonly delta?: string;
  /** How many revocations the full list and the newest one know. */
  readonly fullTurn: number;
  readonly turn: number;
  readonly made: number;
  readonly deltaMade: number;
  readonly expires: number;
}

export interface Settings {
  readonly urls: Urls;
  readonly issuers: { readonly default: string; readonly followsLatest: boolean };
  readonly keys: { readonly default: string };
  readonly crl: CrlSettings;
  readonly cluster: { readonly path: string; readonly aiaPath: string };
  readonly acme: AcmeSettings;
  readonly 'auto-tidy': AutoTidy;
  /** When the mount was last tidied through; 0: never. */
  readonly tidied: { readonly at: number };
}
export interface CrlSettings {
  /** Milliseconds. */
  readonly expiry: number;
  readonly disable: boolean;
  readonly ocspDisable: boolean;
  readonly ocspExpiry: number;
  readonly autoRebuild: boolean;
  readonly grace: number;
  readonly enableDelta: boolean;
  readonly deltaInterval: number;
}

const HOUR = 3_600_000;
const DEFAULTS: Settings = {
  urls: NO_URLS,
  issuers: { default: '', followsLatest: false },
  keys: { default: '' },
  crl: {
    expiry: 72 * HOUR,
    disable: false,
    ocspDisable: false,
    ocspExpiry: 12 * HOUR,
    autoRebuild: false,
    grace: 12 * HOUR,
    enableDelta: false,
    deltaInterval: HOUR / 4,
  },
  cluster: { path: '', aiaPath: '' },
  acme: ACME_DEFAULTS,
  'auto-tidy': AUTO_TIDY_DEFAULTS,
  tidied: { at: 0 },
};

interface Folders extends AcmeFolders {
  issuer: Issuer;
  key: Key;
  role: Role;
  revoked: Revoked;
  crl: List;
}
export type Folder = keyof Folders;

/** Other nodes may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;
const SERIAL_BYTES = 20;

export const fileOf = (serial: string): string => serial.replaceAll(':', '-');

export class PkiStore {
  readonly #mount: Mount;
  #last: Promise<unknown> = Promise.resolve();

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  now(): number {
    return this.#mount.clock.now();
  }

  newId(): string {
    return uuid();
  }

  /** 20 random octets, positive and with nothing to cut off in front (RFC 5280 section 4.1.2.2). */
  newSerial(): Uint8Array {
    const bytes = this.#mount.random(SERIAL_BYTES);
    bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
    return bytes;
  }

  async get<F extends Folder>(folder: F, name: string): Promise<Folders[F] | undefined> {
    const at = `${folder}/${name}`;
    const entry = await this.#mount.storage.get(at);
    return entry && decode<Folders[F]>(at, entry.value);
  }

  /** A thing and its revision, for a commit that must not overwrite what somebody else did meanwhile. */
  async entry<F extends Folder>(
    folder: F,
    name: string,
  ): Promise<{ readonly value: Folders[F]; readonly check: Check } | undefined> {
    const key = `${folder}/${name}`;
    const entry = await this.#mount.storage.get(key);
    return entry && { value: decode<Folders[F]>(key, entry.value), check: { key, revision: entry.revision } };
  }

  list(folder: Folder | 'cert' | `${Folder}/${string}`, page: Page = {}): Promise<string[]> {
    return this.#mount.storage.list(`${folder}/`, page);
  }

  async all<F extends Folder>(folder: F): Promise<Folders[F][]> {
    const found: Folders[F][] = [];
    for await (const { key, value } of this.#mount.storage.scan(`${folder}/`, new AbortController().signal))
      found.push(decode<Folders[F]>(key, value));
    return found;
  }

  async put<F extends Folder>(folder: F, name: string, value: Folders[F], checks?: Check[]): Promise<void> {
    await this.#mount.storage.commit([this.written(folder, name, value)], checks);
  }

  written<F extends Folder>(folder: F, name: string, value: Folders[F]): Write {
    return { key: `${folder}/${name}`, value: utf8(stringify(value)) };
  }

  async delete(folder: Folder | 'cert', name: string): Promise<boolean> {
    const key = `${folder}/${name}`;
    if ((await this.#mount.storage.get(key)) === undefined) return false;
    await this.#mount.storage.commit([{ key, delete: true }]);
    return true;
  }

  commit(writes: readonly Write[], checks?: readonly Check[]): Promise<number> {
    return this.#mount.storage.commit(writes, checks);
  }

  /** Reads a thing that is there, changes it as `rule` says, and writes it; again where somebody else was faster. */
  async change<F extends Folder>(
    folder: F,
    name: string,
    rule: (before: Folders[F]) => Folders[F],
  ): Promise<Folders[F] | undefined> {
    const key = `${folder}/${name}`;
    return this.again(async () => {
      const entry = await this.#mount.storage.get(key);
      if (entry === undefined) return undefined;
      const after = rule(decode<Folders[F]>(key, entry.value));
      await this.put(folder, name, after, [{ key, revision: entry.revision }]);
      return after;
    });
  }

  async setting<S extends keyof Settings>(name: S): Promise<Settings[S]> {
    const key = `config/${name}`;
    const entry = await this.#mount.storage.get(key);
    return entry === undefined
      ? DEFAULTS[name]
      : { ...DEFAULTS[name], ...decode<Settings[S]>(key, entry.value) };
  }

  async changeSetting<S extends keyof Settings>(
    name: S,
    rule: (before: Settings[S]) => Settings[S],
  ): Promise<Settings[S]> {
    const key = `config/${name}`;
    return this.again(async () => {
      const entry = await this.#mount.storage.get(key);
      const before =
        entry === undefined
          ? DEFAULTS[name]
          : { ...DEFAULTS[name], ...decode<Settings[S]>(key, entry.value) };
      const after = rule(before);
      const revision = entry?.revision ?? 0;
      await this.#mount.storage.commit([{ key, value: utf8(stringify(after)) }], [{ key, revision }]);
      return after;
    });
  }

  /** @returns the key as it is kept; one that is here already stays as it is */
  async keepKey(
    key: KeyObject,
    kind: KeyKind,
    spki: Buffer,
    name: string,
  ): Promise<{ key: Key; existed: boolean }> {
    const encoded = spki.toString('base64');
    const keys = await this.all('key');
    const there = keys.find((one) => one.spki === encoded);
    if (there !== undefined) return { key: there, existed: true };
    const taken = name !== '' && keys.some((one) => one.name === name);
    if (taken) throw failure('pki.request', { reason: 'key name already in use' });
    const made: Key = { id: this.newId(), name, type: kind.type, bits: kind.bits, spki: encoded };
    await this.#mount.storage.commit([
      this.written('key', made.id, made),
      { key: `material/${made.id}`, value: key.export({ format: 'der', type: 'pkcs8' }) },
    ]);
    if (keys.length === 0) await this.changeSetting('keys', () => ({ default: made.id }));
    return { key: made, existed: false };
  }

  /** What takes a thing away, as part of a commit. */
  gone(folder: Folder | 'cert', name: string): Write {
    return { key: `${folder}/${name}`, delete: true };
  }

  /** That a thing is not there, as a condition of a commit. */
  absent(folder: Folder | 'cert', name: string): Check {
    return { key: `${folder}/${name}`, revision: 0 };
  }

  async dropKey(id: string): Promise<void> {
    await this.#mount.storage.commit([
      { key: `key/${id}`, delete: true },
      { key: `material/${id}`, delete: true },
    ]);
  }

  /** The private half. @throws Failure pki.no_key */
  async privateKey(id: string): Promise<KeyObject> {
    const entry = id === '' ? undefined : await this.#mount.storage.get(`material/${id}`);
    if (entry === undefined) throw failure('pki.no_key', { name: id === '' ? '(none)' : id });
    return createPrivateKey({ key: Buffer.from(entry.value), format: 'der', type: 'pkcs8' });
  }

  async certificate(serial: string): Promise<Buffer | undefined> {
    const entry = await this.#mount.storage.get(`cert/${fileOf(serial)}`);
    return entry && Buffer.from(entry.value);
  }

  async keepCertificate(serial: string, der: Buffer): Promise<void> {
    await this.#mount.storage.commit([this.storedCertificate(serial, der)]);
  }

  storedCertificate(serial: string, der: Buffer): Write {
    return { key: `cert/${fileOf(serial)}`, value: der };
  }

  /** How many revocations there have been. */
  async turn(): Promise<number> {
    const entry = await this.#mount.storage.get('state');
    return entry === undefined ? 0 : decode<{ turn: number }>('state', entry.value).turn;
  }

  /** Revokes, unless it is revoked already; gives what is known of it then. */
  async revoke(asked: Omit<Revoked, 'turn'>): Promise<Revoked> {
    const name = fileOf(asked.serial);
    return this.again(async () => {
      const there = await this.get('revoked', name);
      if (there !== undefined) return there;
      const state = await this.#mount.storage.get('state');
      const turn = state === undefined ? 0 : decode<{ turn: number }>('state', state.value).turn;
      const revoked: Revoked = { ...asked, turn };
      await this.#mount.storage.commit(
        [
          this.written('revoked', name, revoked),
          { key: 'state', value: utf8(stringify({ turn: turn + 1 })) },
        ],
        [
          { key: `revoked/${name}`, revision: 0 },
          { key: 'state', revision: state?.revision ?? 0 },
        ],
      );
      return revoked;
    });
  }

  /** Runs one such act at a time. Lists are built from what was read before: an older one must not replace a newer. */
  exclusive<T>(act: () => Promise<T>): Promise<T> {
    const run = this.#last.then(act, act);
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Does it again where somebody else was faster. @throws Failure pki.busy */
  async again<T>(act: () => Promise<T>): Promise<T> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      try {
        return await act();
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('pki.busy');
  }
}

/** What two issuers must share to share a revocation list: name and key. */
export const groupName = (digest: Uint8Array): string => hex(digest).slice(0, 40);

function decode<T>(key: string, bytes: Uint8Array): T {
  const text = textOf(bytes);
  try {
    if (text !== undefined) return JSON.parse(text) as T;
  } catch {
    // Told below: a parser's error would quote what it read.
  }
  throw failure('storage.corrupt', { key });
}
