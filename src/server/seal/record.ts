/**
 * What the store says of its own seal, in plain: it must be read before there is a key. Anybody may have written it, so it
 * is read strictly, and what it must not lie about (who holds recovery keys) lies in it sealed by the root key.
 */

import { base64, fromBase64, sameSecret, sha256, utf8 } from '../../base/bytes.ts';
import { KEY_BYTES, openBytes, sealBytes } from '../../crypto/aead.ts';
import { refuseShares } from '../../crypto/shamir.ts';
import { SHAMIR } from './seal.ts';

export interface SealRecord {
  readonly type: string;
  /** Of the unseal key, or, where a service opens the store, of the recovery key; 0 of 0: nobody holds one. */
  readonly t: number;
  readonly n: number;
  /** By which the recovery key is recognized; absent where there is none. */
  readonly proof?: Uint8Array;
}

const PURPOSE = utf8('holdfast recovery key');

/**
 * By which a recovery key is recognized later. It is made with the root key: whoever can only write to the store cannot
 * put recovery keys of their own in place, and so make a root token.
 */
export const recoveryProof = (rootKey: Uint8Array, recoveryKey: Uint8Array): Uint8Array =>
  sealBytes(rootKey, sha256(recoveryKey), PURPOSE);

/** Whether this is the recovery key that the record was made with. */
export function isRecoveryKey({ proof }: SealRecord, rootKey: Uint8Array, key: Uint8Array): boolean {
  const expected = proof && openBytes(rootKey, proof, PURPOSE);
  return expected !== undefined && sameSecret(expected, sha256(key));
}

/** Why there cannot be such recovery shares, or undefined; 0 of 0 are none. */
export const refuseRecovery = (shares: number, threshold: number): string | undefined =>
  shares === 0 && threshold === 0 ? undefined : refuseShares(shares, threshold);

export const encodeRecord = ({ type, t, n, proof }: SealRecord): Uint8Array =>
  utf8(JSON.stringify({ type, t, n, ...(proof === undefined ? {} : { recovery: base64(proof) }) }));

/** Undefined where it is none. */
export function decodeRecord(text: string): SealRecord | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const { type, t, n, recovery } = read as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string' || typeof t !== 'number' || typeof n !== 'number') return undefined;
  if (type === SHAMIR) return refuseShares(n, t) === undefined ? { type, t, n } : undefined;
  if (refuseRecovery(n, t) !== undefined) return undefined;
  if (n === 0) return { type, t, n };
  const proof = typeof recovery === 'string' ? fromBase64(recovery) : undefined;
  return proof === undefined || proof.length < KEY_BYTES ? undefined : { type, t, n, proof };
}
