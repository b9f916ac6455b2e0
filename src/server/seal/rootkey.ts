/** The root key under a seal: taken out of it, and put under another one. Every key here is the caller's to wipe. */

import { sameSecret } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { KEY_BYTES } from '../../crypto/aead.ts';
import { wipe } from '../../crypto/wipe.ts';
import { encodeRecord, isRecoveryKey, recoveryProof, type SealRecord } from './record.ts';
import { type AutoSeal, SHAMIR } from './seal.ts';
import { shamirSeal } from './shamir.ts';

export const CONFIG = 'core/seal-config';
export const WRAPPED = 'core/root-key-wrapped';

export interface Stored {
  readonly record: SealRecord;
  readonly wrapped: Uint8Array;
}

/** The key that people hold together, and in what shares. */
export interface Held {
  /** Absent where nobody holds one. */
  readonly key: Uint8Array | undefined;
  readonly t: number;
  readonly n: number;
}

/**
 * The root key, from the service that wrapped it.
 * @throws Failure seal.unreachable, seal.refused, seal.lost_key
 */
export async function byService(seal: AutoSeal, wrapped: Uint8Array): Promise<Uint8Array> {
  const rootKey = await seal.unwrap(wrapped);
  if (rootKey?.length === KEY_BYTES) return rootKey;
  wipe(rootKey);
  throw failure('seal.lost_key', { seal: seal.type, reason: 'it was wrapped by another key' });
}

/**
 * The root key, for people who gave their shares: an unseal key opens it, a recovery key only proves that they may ask.
 * @param seal absent: shares alone
 * @throws Failure seal.wrong_shares, and what the service throws
 */
export async function byPeople(
  seal: AutoSeal | undefined,
  { record, wrapped }: Stored,
  key: Uint8Array,
): Promise<Uint8Array> {
  if (seal === undefined) {
    const rootKey = await shamirSeal(key).unwrap(wrapped);
    if (rootKey === undefined) throw failure('seal.wrong_shares');
    return rootKey;
  }
  const rootKey = await byService(seal, wrapped);
  if (isRecoveryKey(record, rootKey, key)) return rootKey;
  wipe(rootKey);
  throw failure('seal.wrong_shares');
}

/**
 * The plain records of a store whose root key is under this seal.
 * @param seal absent: shares alone
 * @throws Failure seal.one_way, and what the service throws
 */
export async function recordsUnder(
  seal: AutoSeal | undefined,
  rootKey: Uint8Array,
  { key, t, n }: Held,
): Promise<Map<string, Uint8Array>> {
  if (seal !== undefined) {
    const proof = key === undefined ? {} : { proof: recoveryProof(rootKey, key) };
    return new Map([
      [CONFIG, encodeRecord({ type: seal.type, t, n, ...proof })],
      [WRAPPED, await wrappedSurely(seal, rootKey)],
    ]);
  }
  // Shares alone, and nobody holds any: nothing would ever open the store.
  if (key === undefined) throw failure('seal.no_recovery');
  return new Map([
    [CONFIG, encodeRecord({ type: SHAMIR, t, n })],
    [WRAPPED, await shamirSeal(key).wrap(rootKey)],
  ]);
}

/** Wrapped and taken back once: a service that only wraps for us would lock us out at the next start, for good. */
export async function wrappedSurely(seal: AutoSeal, rootKey: Uint8Array): Promise<Uint8Array> {
  const wrapped = await seal.wrap(rootKey);
  const back = await seal.unwrap(wrapped);
  try {
    if (back === undefined || !sameSecret(back, rootKey)) throw failure('seal.one_way', { seal: seal.type });
    return wrapped;
  } finally {
    wipe(back);
  }
}
