/** The shapes in which the HTTP API tells of named keys. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import type { Ecdsa, KeyAlgorithm } from '../../crypto/algorithms.ts';

import { abilities, algorithm, CONVERGENT_VERSION, type Key, type Version } from './key.ts';

export const nothing = z.object({});

const versionAnswer = z.object({
  creation_time: z.string(),
  name: z.string(),
  public_key: z.string(),
  certificate_chain: z.string(),
});

export const keyAnswer = z.object({
  name: z.string(),
  type: z.string(),
  derived: z.boolean(),
  deletion_allowed: z.boolean(),
  min_available_version: z.number(),
  min_decryption_version: z.number(),
  min_encryption_version: z.number(),
  latest_version: z.number(),
  exportable: z.boolean(),
  allow_plaintext_backup: z.boolean(),
  supports_encryption: z.boolean(),
  supports_decryption: z.boolean(),
  supports_signing: z.boolean(),
  supports_derivation: z.boolean(),
  auto_rotate_period: z.number(),
  imported_key: z.boolean(),
  imported_key_allow_rotation: z.boolean().optional(),
  kdf: z.string().optional(),
  convergent_encryption: z.boolean().optional(),
  convergent_encryption_version: z.number().optional(),
  key_size: z.number().optional(),
  keys: z.record(z.string(), z.union([z.number(), versionAnswer])),
});

/** The versions that can be used: those from the oldest that decrypts. */
export const usable = (key: Key): [number, Version][] =>
  Object.entries(key.versions)
    .map(([number, version]): [number, Version] => [Number(number), version])
    .filter(([number]) => number >= key.minDecryption);

/**
 * @param publicKeys of a derived key, the public keys for one context, by version: it has no others
 */
export function keyData(
  name: string,
  key: Key,
  publicKeys?: ReadonlyMap<number, string>,
): z.input<typeof keyAnswer> {
  const can = abilities(key);
  const told = (number: number, version: Version) => {
    const title = titleOf(algorithm(key));
    return title === undefined
      ? Math.floor(version.created / 1000)
      : {
          creation_time: new Date(version.created).toISOString(),
          name: title,
          public_key: key.derived ? (publicKeys?.get(number) ?? '') : (version.public ?? ''),
          certificate_chain: (version.chain ?? []).join('\n'),
        };
  };
  return {
    name,
    type: key.type,
    derived: key.derived,
    deletion_allowed: key.deletionAllowed,
    min_available_version: key.minAvailable,
    min_decryption_version: key.minDecryption,
    min_encryption_version: key.minEncryption,
    latest_version: key.latest,
    exportable: key.exportable,
    allow_plaintext_backup: key.plaintextBackup,
    supports_encryption: can.encryption,
    supports_decryption: can.encryption,
    supports_signing: can.signing,
    supports_derivation: can.derivation,
    auto_rotate_period: seconds(key.autoRotateMs),
    imported_key: key.imported,
    ...(key.imported ? { imported_key_allow_rotation: key.rotatable } : {}),
    ...(key.derived ? { kdf: 'hkdf_sha256', convergent_encryption: key.convergent } : {}),
    ...(key.convergent ? { convergent_encryption_version: CONVERGENT_VERSION } : {}),
    ...(key.type === 'hmac' ? { key_size: key.keyBytes } : {}),
    keys: Object.fromEntries(usable(key).map(([number, version]) => [String(number), told(number, version)])),
  };
}

/** What the API calls an asymmetric key of this kind; undefined for symmetric ones. */
function titleOf(kind: KeyAlgorithm): Ecdsa['title'] | string | undefined {
  if (kind.kind === 'ecdsa') return kind.title;
  if (kind.kind === 'rsa') return `rsa-${kind.bits}`;
  return kind.kind === 'ed25519' ? 'ed25519' : undefined;
}
