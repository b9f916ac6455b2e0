/** New keys and new versions of them, made here or brought in, as one change of the store. */

import { failure } from '../../base/errors.ts';
import { generateKey, importedKey, importedPublicKey, publicText } from '../../crypto/keys.ts';
import type { Mount } from '../../plugin/plugin.ts';
import {
  addVersion,
  algorithm,
  checkedName,
  checkRotatable,
  type Key,
  type NewKey,
  newKey,
  rotationDue,
  type Version,
} from './key.ts';
import { type KeyStore, type Material, wipeMaterial } from './store.ts';

const HMAC_BYTES = 32;

interface Made {
  readonly version: Version;
  readonly material: Material;
}

/**
 * Makes a key with its first version; one that is there already stays as it is.
 * @throws Failure transit.name, transit.key
 */
export async function create(
  mount: Mount,
  store: KeyStore,
  name: string,
  wanted: NewKey,
): Promise<{ readonly key: Key; readonly existed: boolean }> {
  checkedName(name);
  const before = await store.get(name);
  if (before !== undefined) return { key: before, existed: true };
  const bare = newKey(store.newId(), wanted);
  const made = await make(mount, bare);
  try {
    const key = addVersion(bare, made.version);
    return await store.change<{ key: Key; existed: boolean }>(name, (there) =>
      there !== undefined
        ? { result: { key: there, existed: true } }
        : { key, material: { 1: made.material }, result: { key, existed: false } },
    );
  } finally {
    wipeMaterial(made.material);
  }
}

/**
 * Makes the next version. @param onlyDue whether to leave a key alone that is not due by itself
 * @throws Failure transit.no_key, transit.key
 */
export async function rotate(
  mount: Mount,
  store: KeyStore,
  name: string,
  onlyDue = false,
): Promise<Key | undefined> {
  const before = await store.get(name);
  if (before === undefined) {
    if (onlyDue) return undefined;
    throw failure('transit.no_key', { name: checkedName(name) });
  }
  checkRotatable(before, name);
  const made = await make(mount, before);
  try {
    return await store.change(name, (there) => {
      if (there === undefined || there.id !== before.id) {
        if (onlyDue) return { result: undefined };
        throw failure('transit.no_key', { name });
      }
      checkRotatable(there, name);
      // Two nodes, or a person and the clock, may come at once: one new version is enough for the clock.
      if (onlyDue && (rotationDue(there) ?? Number.POSITIVE_INFINITY) > mount.clock.now())
        return { result: there };
      const key = addVersion(there, made.version);
      return { key, material: { [key.latest]: made.material }, result: key };
    });
  } finally {
    wipeMaterial(made.material);
  }
}

/** What somebody brought along: secret bytes as they were unwrapped, or a public key in PEM. */
export type Brought = { readonly secret: Uint8Array } | { readonly publicPem: string };

/** @throws Failure transit.import where a key of that name is there, or what came is no key of that type */
export async function importNew(
  mount: Mount,
  store: KeyStore,
  name: string,
  wanted: NewKey,
  brought: Brought,
): Promise<Key> {
  checkedName(name);
  const length = 'secret' in brought && wanted.type === 'hmac' ? brought.secret.length : undefined;
  const bare = newKey(store.newId(), length === undefined ? wanted : { ...wanted, keyBytes: length });
  const made = taken(mount, bare, brought);
  try {
    const key = addVersion(bare, made.version);
    return await store.change(name, (there) => {
      if (there !== undefined)
        throw refused(
          'the import path cannot be used with an existing key; use import-version to rotate an existing imported key',
        );
      return { key, material: { 1: made.material }, result: key };
    });
  } finally {
    wipeMaterial(made.material);
  }
}

/**
 * Adds a version to an imported key, or the private half to a version that came as a public key.
 * @param version of the public key to complete; undefined: a new version
 * @throws Failure transit.import
 */
export async function importVersion(
  mount: Mount,
  store: KeyStore,
  name: string,
  version: number | undefined,
  brought: Brought,
): Promise<Key> {
  const before = await store.get(name);
  if (before === undefined)
    throw refused(
      `no key found with name ${checkedName(name)}; to import a new key, use the import/ endpoint`,
    );
  if (!before.imported) throw refused('the import_version endpoint can only be used with an imported key');
  const made = taken(mount, before, brought);
  try {
    return await store.change(name, (there) => {
      if (there?.id !== before.id) throw refused(`no key found with name ${name}`);
      if (version === undefined) {
        const key = addVersion(there, made.version);
        return { key, material: { [key.latest]: made.material }, result: key };
      }
      const old = there.versions[version];
      if (old?.publicOnly !== true || made.version.publicOnly === true)
        throw refused('only a version without its private key can be completed');
      if (old.public !== made.version.public)
        throw refused('the private key does not belong to the public key of this version');
      const key = {
        ...there,
        versions: { ...there.versions, [version]: { ...made.version, created: old.created } },
      };
      return { key, material: { [version]: made.material }, result: key };
    });
  } finally {
    wipeMaterial(made.material);
  }
}

/** Rotates each key whose time has come, and says when the next one's will. */
export async function rotateDue(mount: Mount, store: KeyStore): Promise<number | undefined> {
  let next: number | undefined;
  for (const name of await store.list({})) {
    let key = await store.get(name);
    const due = key && rotationDue(key);
    if (due === undefined) continue;
    if (due <= mount.clock.now()) {
      key = await rotate(mount, store, name, true);
      mount.log.info('a key was rotated because its period is over', { key: name, version: key?.latest });
    }
    const after = key && rotationDue(key);
    if (after !== undefined && (next === undefined || after < next)) next = after;
  }
  return next;
}

async function make(mount: Mount, key: Key): Promise<Made> {
  const secret = await generateKey(algorithm(key), key.keyBytes || undefined);
  return kept(mount, key, secret);
}

function taken(mount: Mount, key: Key, brought: Brought): Made {
  if ('publicPem' in brought) {
    const spki = key.derived ? undefined : importedPublicKey(algorithm(key), brought.publicPem);
    if (spki === undefined) throw refused('the public key is not one in PEM of this key type');
    return {
      version: { ...describe(mount, key, spki), publicOnly: true },
      material: { secret: spki, hmac: Buffer.alloc(0) },
    };
  }
  const secret = importedKey(algorithm(key), brought.secret);
  if (secret === undefined) throw refused('the unwrapped key is not one of this key type');
  return kept(mount, key, secret);
}

const kept = (mount: Mount, key: Key, secret: Buffer): Made => ({
  version: describe(mount, key, secret),
  material: { secret, hmac: Buffer.from(mount.random(HMAC_BYTES)) },
});

function describe(mount: Mount, key: Key, bytes: Uint8Array): Version {
  const text = publicText(algorithm(key), bytes);
  const created = mount.clock.now();
  return text === undefined ? { created } : { created, public: text };
}

const refused = (reason: string) => failure('transit.import', { reason });
