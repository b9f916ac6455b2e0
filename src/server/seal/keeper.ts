/**
 * Initialization, sealing and unsealing with shares, free of any wire. The shares and the root key pass through here and
 * are wiped; what stays in the store is the shape of the seal and the wrapped root key.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { KEY_BYTES } from '../../crypto/aead.ts';
import { randomKey } from '../../crypto/random.ts';
import { combineShares, refuseShares, shareBytes, splitSecret } from '../../crypto/shamir.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Backend } from '../../storage/storage.ts';
import type { Barrier } from '../barrier/barrier.ts';
import { shamirSeal, UnsealProgress } from './shamir.ts';

const CONFIG = 'core/seal-config';
const WRAPPED = 'core/root-key-wrapped';

/** As `sys/seal-status` shows it: `t` of `n` shares, `progress` of them given in the try named by `nonce`. */
export interface SealStatus {
  readonly type: string;
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly t: number;
  readonly n: number;
  readonly progress: number;
  readonly nonce: string;
}

interface Config {
  readonly n: number;
  readonly t: number;
}

/** Shares that do not count yet. */
export interface NewShares {
  readonly unsealKey: Uint8Array;
  readonly t: number;
  readonly n: number;
  readonly shares: readonly Uint8Array[];
}

export class SealKeeper {
  readonly #backend: Backend;
  readonly #barrier: Barrier;
  readonly #progress = new UnsealProgress();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(backend: Backend, barrier: Barrier) {
    this.#backend = backend;
    this.#barrier = barrier;
  }

  /**
   * Makes the keys of an empty store and gives their shares, which exist nowhere else. The barrier is open afterwards,
   * so that the caller can write what a new server needs; it seals then, where that is wanted.
   * @throws Failure seal.config, barrier.initialized
   */
  initialize({ shares, threshold }: { shares: number; threshold: number }): Promise<readonly Uint8Array[]> {
    return this.#inTurn(async () => {
      const reason = refuseShares(shares, threshold);
      if (reason !== undefined) throw failure('seal.config', { reason });
      const unsealKey = randomKey(KEY_BYTES);
      const rootKey = randomKey(KEY_BYTES);
      try {
        const wrapped = await shamirSeal(unsealKey).wrap(rootKey);
        const made = await splitSecret(unsealKey, shares, threshold);
        const config = utf8(JSON.stringify({ type: 'shamir', t: threshold, n: shares }));
        await this.#barrier.initialize(
          rootKey,
          new Map<string, Uint8Array>([
            [CONFIG, config],
            [WRAPPED, wrapped],
          ]),
        );
        await this.#barrier.unseal(rootKey);
        return made;
      } finally {
        wipe(unsealKey, rootKey);
      }
    });
  }

  /**
   * Counts a share, and unseals with the last one that is needed. While unsealed it changes nothing.
   * @throws Failure server.uninitialized; seal.share_length, which costs no progress; seal.wrong_shares, which costs all
   */
  submitShare(share: Uint8Array): Promise<SealStatus> {
    return this.#inTurn(async () => {
      const config = await this.#config();
      if (config === undefined) throw failure('server.uninitialized');
      if (!this.#barrier.sealed) return this.#facts(config);
      const expected = shareBytes(KEY_BYTES, config.n);
      if (share.length !== expected) throw failure('seal.share_length', { expected });
      const all = this.#progress.add(share, config.t);
      if (all !== undefined) await this.#unsealWith(all);
      return this.#facts(config);
    });
  }

  /** Forgets the shares given so far. */
  reset(): Promise<SealStatus> {
    return this.#inTurn(async () => {
      this.#progress.reset();
      return this.#facts(await this.#config());
    });
  }

  async status(): Promise<SealStatus> {
    return this.#facts(await this.#config());
  }

  seal(): Promise<void> {
    return this.#inTurn(async () => {
      this.#progress.reset();
      await this.#barrier.seal();
    });
  }

  /** How many shares open the store, and of how many bytes each is. @throws Failure server.uninitialized */
  async shape(): Promise<{ readonly t: number; readonly n: number; readonly shareBytes: number }> {
    const config = await this.#config();
    if (config === undefined) throw failure('server.uninitialized');
    return { ...config, shareBytes: shareBytes(KEY_BYTES, config.n) };
  }

  /**
   * Whether these shares are those that open this store: what root generation and rekeying ask of people. The shares are
   * wiped.
   * @throws Failure seal.wrong_shares, server.sealed
   */
  async prove(shares: readonly Uint8Array[]): Promise<void> {
    const rootKey = await this.#rootKeyOf(shares);
    try {
      if (!this.#barrier.isRootKey(rootKey)) throw failure('seal.wrong_shares');
    } finally {
      wipe(rootKey);
    }
  }

  /** New shares of a new unseal key, for `adopt` to make the valid ones. @throws Failure seal.config */
  async draw(shares: number, threshold: number): Promise<NewShares> {
    const reason = refuseShares(shares, threshold);
    if (reason !== undefined) throw failure('seal.config', { reason });
    const unsealKey = randomKey(KEY_BYTES);
    return { unsealKey, t: threshold, n: shares, shares: await splitSecret(unsealKey, shares, threshold) };
  }

  /** Makes the drawn shares the only ones that open the store, under a new root key, in one commit; wipes the unseal key. */
  adopt({ unsealKey, t, n }: NewShares): Promise<void> {
    return this.#inTurn(async () => {
      const rootKey = randomKey(KEY_BYTES);
      try {
        await this.#barrier.rekey(
          rootKey,
          new Map<string, Uint8Array>([
            [CONFIG, utf8(JSON.stringify({ type: 'shamir', t, n }))],
            [WRAPPED, await shamirSeal(unsealKey).wrap(rootKey)],
          ]),
        );
        wipe(unsealKey);
      } finally {
        wipe(rootKey);
      }
    });
  }

  async #unsealWith(shares: readonly Uint8Array[]): Promise<void> {
    const rootKey = await this.#rootKeyOf(shares);
    try {
      await this.#barrier.unseal(rootKey);
    } catch (error) {
      // The shares did open a root key: it is the keyring that does not fit it.
      if (isFailure(error, 'barrier.wrong_key')) throw failure('storage.corrupt', { key: 'core/keyring' });
      throw error;
    } finally {
      wipe(rootKey);
    }
  }

  /** The root key that these shares open, the caller's to wipe; the shares are wiped. @throws Failure seal.wrong_shares */
  async #rootKeyOf(shares: readonly Uint8Array[]): Promise<Uint8Array> {
    const unsealKey = await combineShares(shares);
    wipe(...shares);
    try {
      const wrapped = await this.#backend.get(WRAPPED);
      if (wrapped === undefined) throw failure('storage.corrupt', { key: WRAPPED });
      const rootKey = unsealKey && (await shamirSeal(unsealKey).unwrap(wrapped.value));
      if (rootKey === undefined) throw failure('seal.wrong_shares');
      return rootKey;
    } finally {
      wipe(unsealKey);
    }
  }

  #facts(config: Config | undefined): SealStatus {
    return {
      type: 'shamir',
      initialized: config !== undefined,
      sealed: this.#barrier.sealed,
      t: config?.t ?? 0,
      n: config?.n ?? 0,
      progress: this.#progress.count,
      nonce: this.#progress.nonce,
    };
  }

  async #config(): Promise<Config | undefined> {
    const entry = await this.#backend.get(CONFIG);
    if (entry === undefined) return undefined;
    const config = readConfig(textOf(entry.value) ?? '');
    if (config === undefined) throw failure('storage.corrupt', { key: CONFIG });
    return config;
  }

  /** One at a time: two last shares at once would each take the other's try for its own. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

/** The file is outside the barrier, so anybody may have written it. */
function readConfig(text: string): Config | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null || !('t' in read) || !('n' in read)) return undefined;
  const { t, n } = read;
  if (typeof t !== 'number' || typeof n !== 'number') return undefined;
  return refuseShares(n, t) === undefined ? { t, n } : undefined;
}
