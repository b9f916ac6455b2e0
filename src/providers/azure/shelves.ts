/**
 * Where a vault keeps each kind of object, as far as a push is concerned: what is there, to write it anew, to change its tags
 * alone, to take it away, and to get back what was taken away and waits for its end.
 */

import { sameSecret, textOf, utf8 } from '../../base/bytes.ts';
import { NotWritable } from '../../provider/document.ts';
import type { Vault } from './client.ts';
import { certificateOf, isSameKey, keyOf } from './material.ts';
import type { ObjectType } from './objects.ts';
import type { Metadata } from './push-metadata.ts';

type Tags = Readonly<Record<string, string>>;
interface Bounded {
  readonly abortSignal?: AbortSignal;
}

export interface Held {
  readonly tags: Tags;
  readonly version: string;
  /** The value, for objects that have one in the clear. */
  readonly bytes?: Uint8Array;
  /** Whether a push of this would leave it as it is, its tags apart. */
  isSame(wanted: Uint8Array, metadata: Metadata): boolean;
}

export interface Shelf {
  /** "secrets": begins the names of permissions. */
  readonly kind: string;
  /** "secrets/set": what writing has to be granted. */
  readonly writing: string;
  /** "secrets/set": what changing tags has to be granted. */
  readonly retagging: string;
  read(name: string, options: Bounded): Promise<Held>;
  /** @throws NotWritable for a value that this kind of object cannot have */
  write(
    name: string,
    wanted: Uint8Array,
    tags: Tags,
    metadata: Metadata,
    had: Held | undefined,
  ): Promise<unknown>;
  retag(name: string, version: string, tags: Tags): Promise<unknown>;
  /** Begins it: what is deleted waits for its end, unless the vault keeps nothing. */
  remove(name: string): Promise<unknown>;
  /** The tags of what was deleted. */
  deletedTags(name: string): Promise<Tags>;
  /** Begins it. */
  recover(name: string): Promise<unknown>;
}

export function shelvesOf(vault: Vault): Readonly<Record<ObjectType, Shelf>> {
  return { secret: secretsOf(vault), cert: certificatesOf(vault), key: keysOf(vault) };
}

function secretsOf({ secrets }: Vault): Shelf {
  const contentTypes = new WeakMap<Held, string>();
  return {
    kind: 'secrets',
    writing: 'secrets/set',
    retagging: 'secrets/set',
    async read(name, options) {
      const { value = '', properties } = await secrets.getSecret(name, options);
      const { tags = {}, version = '', contentType, expiresOn } = properties;
      const bytes = utf8(value);
      const held: Held = {
        tags,
        version,
        bytes,
        isSame: (wanted, metadata) =>
          sameSecret(wanted, bytes) &&
          expiresOn?.getTime() === metadata.expirationDate?.getTime() &&
          (metadata.contentType === undefined || metadata.contentType === contentType),
      };
      if (contentType !== undefined) contentTypes.set(held, contentType);
      return held;
    },
    async write(name, wanted, tags, { contentType, expirationDate }, had) {
      const text = textOf(wanted);
      if (text === undefined)
        throw new NotWritable('the value is no text, which is all that Key Vault keeps');
      const kept = contentType ?? (had && contentTypes.get(had));
      return secrets.setSecret(name, text, {
        tags,
        enabled: true,
        ...(kept === undefined ? {} : { contentType: kept }),
        ...(expirationDate === undefined ? {} : { expiresOn: expirationDate }),
      });
    },
    retag: (name, version, tags) => secrets.updateSecretProperties(name, version, { tags }),
    remove: (name) => secrets.beginDeleteSecret(name),
    deletedTags: async (name) => (await secrets.getDeletedSecret(name)).properties.tags ?? {},
    recover: (name) => secrets.beginRecoverDeletedSecret(name),
  };
}

function certificatesOf({ certificates }: Vault): Shelf {
  return {
    kind: 'certificates',
    writing: 'certificates/import',
    retagging: 'certificates/update',
    async read(name, options) {
      const { cer, properties } = await certificates.getCertificate(name, options);
      const { tags = {}, version = '' } = properties;
      return {
        tags,
        version,
        isSame: (wanted) => cer !== undefined && Buffer.compare(certificateOf(wanted).cer, cer) === 0,
      };
    },
    async write(name, wanted, tags) {
      const { bytes, isPem } = certificateOf(wanted);
      const contentType = isPem ? 'application/x-pem-file' : 'application/x-pkcs12';
      return certificates.importCertificate(name, bytes, {
        tags,
        policy: { contentType },
        // The client sends the policy under this name alone.
        certificatePolicy: { secretProperties: { contentType } },
      } as Parameters<typeof certificates.importCertificate>[2]);
    },
    retag: (name, version, tags) => certificates.updateCertificateProperties(name, version, { tags }),
    remove: (name) => certificates.beginDeleteCertificate(name),
    deletedTags: async (name) => (await certificates.getDeletedCertificate(name)).properties.tags ?? {},
    recover: (name) => certificates.beginRecoverDeletedCertificate(name),
  };
}

function keysOf({ keys }: Vault): Shelf {
  return {
    kind: 'keys',
    writing: 'keys/import',
    retagging: 'keys/update',
    async read(name, options) {
      const { key = {}, properties } = await keys.getKey(name, options);
      const { tags = {}, version = '' } = properties;
      return { tags, version, isSame: (wanted) => isSameKey(keyOf(wanted), key) };
    },
    write: async (name, wanted, tags) => keys.importKey(name, keyOf(wanted), { tags }),
    retag: (name, version, tags) => keys.updateKeyProperties(name, version, { tags }),
    remove: (name) => keys.beginDeleteKey(name),
    deletedTags: async (name) => (await keys.getDeletedKey(name)).properties.tags ?? {},
    recover: (name) => keys.beginRecoverDeletedKey(name),
  };
}
