/**
 * What is known of one named key beside its secret bytes, and every rule that changes it. Pure: time comes in, a new record
 * goes out. The rules and their words are those of the transit engine of OpenBao.
 */

import { failure } from '../../base/errors.ts';
import {
  ABILITIES,
  algorithmOf,
  isKeyType,
  type KeyAlgorithm,
  type KeyType,
} from '../../crypto/algorithms.ts';
import { HMAC_KEY_BYTES } from '../../crypto/keys.ts';

/** Times are milliseconds since the epoch. */
export interface Version {
  readonly created: number;
  /** The public key as the API tells it. */
  readonly public?: string;
  /** Only the public half is here: it verifies and encrypts, and nothing else. */
  readonly publicOnly?: true;
  /** PEM, leaf first. */
  readonly chain?: readonly string[];
}

export interface Key {
  /** Names the folder of its secret bytes; made anew for each key, so that no old bytes come back with an old name. */
  readonly id: string;
  readonly type: KeyType;
  readonly derived: boolean;
  readonly convergent: boolean;
  readonly exportable: boolean;
  readonly plaintextBackup: boolean;
  readonly deletionAllowed: boolean;
  readonly latest: number;
  /** At least 1. */
  readonly minDecryption: number;
  /** 0: only the latest encrypts unless another is asked for. */
  readonly minEncryption: number;
  /** Versions below are gone for good; 0: none is. */
  readonly minAvailable: number;
  /** 0: never. */
  readonly autoRotateMs: number;
  readonly imported: boolean;
  /** Whether an imported key may get versions that are made here. */
  readonly rotatable: boolean;
  /** Of an hmac key: how long each version is. */
  readonly keyBytes: number;
  readonly versions: Readonly<Record<number, Version>>;
}

/** The convergent scheme of keys that are made here: see `sealing.ts`. */
export const CONVERGENT_VERSION = 3;

export interface NewKey {
  readonly type: string;
  readonly derived?: boolean | undefined;
  readonly convergent?: boolean | undefined;
  readonly exportable?: boolean | undefined;
  readonly plaintextBackup?: boolean | undefined;
  readonly autoRotateMs?: number | undefined;
  readonly keyBytes?: number | undefined;
  /** Undefined: made here. */
  readonly imported?: { readonly rotatable: boolean } | undefined;
}

const HOUR = 3_600_000;
const NAME = /^\w(?:[\w.-]*\w)?$/;

/** @throws Failure transit.name */
export function checkedName(name: string): string {
  if (!NAME.test(name) || name.length > 256) throw failure('transit.name');
  return name;
}

export const algorithm = (key: Key): KeyAlgorithm => algorithmOf(key.type);
export const abilities = (key: Key) => ABILITIES[algorithm(key).kind];

/**
 * A key that has no version yet.
 * @throws Failure transit.key
 */
export function newKey(id: string, wanted: NewKey): Key {
  const { type } = wanted;
  if (!isKeyType(type)) throw refused(`unknown key type "${shown(type)}"`);
  const { kind } = algorithmOf(type);
  const derived = wanted.derived ?? false;
  const convergent = wanted.convergent ?? false;
  if (convergent && !derived) throw refused('convergent encryption requires derivation to be enabled');
  if ((derived && !ABILITIES[kind].derivation) || (convergent && kind !== 'aead'))
    throw refused(`key derivation and convergent encryption not supported for keys of type ${type}`);
  return {
    id,
    type,
    derived,
    convergent,
    exportable: wanted.exportable ?? false,
    plaintextBackup: wanted.plaintextBackup ?? false,
    deletionAllowed: false,
    latest: 0,
    minDecryption: 1,
    minEncryption: 0,
    minAvailable: 0,
    autoRotateMs: checkedPeriod(wanted.autoRotateMs ?? 0),
    imported: wanted.imported !== undefined,
    rotatable: wanted.imported?.rotatable ?? true,
    keyBytes: kind === 'hmac' ? checkedLength(wanted.keyBytes ?? 0) : unsized(wanted.keyBytes ?? 0),
    versions: {},
  };
}

/** Names of types come from strangers: a message repeats what could be one, and no more. */
const shown = (text: string): string => (/^[\w-]{1,40}$/.test(text) ? text : '?');

function checkedLength(given: number): number {
  if (given === 0) return HMAC_KEY_BYTES.least;
  if (given < HMAC_KEY_BYTES.least || given > HMAC_KEY_BYTES.most)
    throw refused(
      `invalid key_size: must be between ${HMAC_KEY_BYTES.least} and ${HMAC_KEY_BYTES.most} bytes`,
    );
  return given;
}

function unsized(given: number): number {
  if (given !== 0) throw refused('key_size is not valid for this key type');
  return 0;
}

function checkedPeriod(ms: number): number {
  if (ms !== 0 && ms < HOUR) throw refused('auto rotate period must be 0 to disable or at least an hour');
  return ms;
}

export const addVersion = (key: Key, version: Version): Key => ({
  ...key,
  latest: key.latest + 1,
  versions: { ...key.versions, [key.latest + 1]: version },
});

/** @throws Failure transit.key where the versions of this key are made elsewhere */
export function checkRotatable(key: Key, name: string): void {
  if (!key.rotatable) throw refused(`imported key ${name} does not allow rotation within Vault`);
}

/** When the latest version will have lived for its period; undefined where nothing rotates by itself. */
export function rotationDue(key: Key): number | undefined {
  if (key.autoRotateMs === 0 || !key.rotatable) return undefined;
  const latest = key.versions[key.latest];
  return latest && latest.created + key.autoRotateMs;
}

export interface Settings {
  readonly minDecryption?: number | undefined;
  readonly minEncryption?: number | undefined;
  readonly deletionAllowed?: boolean | undefined;
  readonly exportable?: boolean | undefined;
  readonly plaintextBackup?: boolean | undefined;
  readonly autoRotateMs?: number | undefined;
}

/**
 * What may be exported or backed up once may be so for ever: the secret may be elsewhere already.
 * @throws Failure transit.key
 */
export function configure(key: Key, wanted: Settings): Key {
  const minDecryption = wanted.minDecryption === undefined ? key.minDecryption : wanted.minDecryption || 1;
  const minEncryption = wanted.minEncryption ?? key.minEncryption;
  for (const [what, value] of [
    ['decryption', minDecryption],
    ['encryption', minEncryption],
  ] as const) {
    if (value < 0) throw refused(`min ${what} version cannot be negative`);
    if (value > key.latest)
      throw refused(`cannot set min ${what} version of ${value}, latest key version is ${key.latest}`);
  }
  if (minEncryption > 0 && minEncryption < minDecryption)
    throw refused(
      `cannot set min encryption/decryption values; min encryption version of ${minEncryption} must be greater than or equal to min decryption version of ${minDecryption}`,
    );
  if (key.minAvailable > minEncryption)
    throw refused('min encryption version should not be less than min available version');
  if (key.minAvailable > minDecryption)
    throw refused('min decryption version should not be less then min available version');
  return {
    ...key,
    minDecryption,
    minEncryption,
    deletionAllowed: wanted.deletionAllowed ?? key.deletionAllowed,
    exportable: key.exportable || (wanted.exportable ?? false),
    plaintextBackup: key.plaintextBackup || (wanted.plaintextBackup ?? false),
    autoRotateMs: checkedPeriod(wanted.autoRotateMs ?? key.autoRotateMs),
  };
}

/**
 * The key without its oldest versions, and the numbers of those.
 * @throws Failure transit.key
 */
export function trim(key: Key, least: number): { readonly key: Key; readonly trimmed: readonly number[] } {
  if (least < 0) throw refused('minimum available version cannot be negative');
  if (key.minEncryption === 0)
    throw refused('minimum available version cannot be set when minimum encryption version is not set');
  if (least > key.minEncryption)
    throw refused('minimum available version cannot be higher than minimum encryption version');
  if (least > key.minDecryption)
    throw refused('minimum available version cannot be higher than minimum decryption version');
  if (least < key.minAvailable) throw refused('minimum available version cannot be decremented');
  const trimmed = Object.keys(key.versions)
    .map(Number)
    .filter((number) => number < least);
  const versions = Object.fromEntries(
    Object.entries(key.versions).filter(([number]) => Number(number) >= least),
  );
  return { key: { ...key, minAvailable: least, versions }, trimmed };
}

/**
 * The version that encrypts or signs. @param asked 0: the latest
 * @throws Failure transit.version
 */
export function versionToUse(key: Key, asked: number, what: 'encryption' | 'signing' | 'HMAC'): number {
  const wrong = (why: string) =>
    failure('transit.version', { reason: `requested version for ${what} is ${why}` });
  if (asked === 0) return key.latest;
  if (asked < 0) throw wrong('negative');
  if (asked > key.latest) throw wrong('higher than the latest key version');
  if (asked < key.minEncryption) throw wrong('less than the minimum encryption key version');
  if (asked < key.minDecryption || asked < key.minAvailable || key.versions[asked] === undefined)
    throw wrong('less than the minimum decryption key version');
  return asked;
}

const refused = (reason: string) => failure('transit.key', { reason });
