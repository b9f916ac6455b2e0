/**
 * What the holders of the unseal keys, or of the recovery keys where a service unseals, do together while the server is open: make a root token, and replace the keys.
 * Each try has a nonce, so that nobody's share is counted for a try that somebody else began. Nothing here survives a seal.
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { base62, uuid } from '../../crypto/random.ts';
import { combineShares } from '../../crypto/shamir.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { NewShares, SealKeeper } from './keeper.ts';
import { UnsealProgress } from './shamir.ts';

/** Of every token that this server makes: "hvs." and 24 letters and digits. */
export const OTP_LENGTH = 28;

interface Attempt {
  readonly nonce: string;
  readonly startedAt: number;
  readonly progress: UnsealProgress;
}

export interface RootStatus {
  readonly nonce: string;
  readonly started: boolean;
  readonly progress: number;
  readonly required: number;
}

export interface RekeyStatus extends RootStatus {
  readonly t: number;
  readonly n: number;
  readonly verify: boolean;
  /** Names the verification, once the new shares exist. */
  readonly verifyNonce: string;
}

export interface VerifyStatus {
  readonly nonce: string;
  readonly started: boolean;
  readonly t: number;
  readonly n: number;
  readonly progress: number;
}

interface Rekey extends Attempt {
  readonly t: number;
  readonly n: number;
  readonly verify: boolean;
  drawn: NewShares | undefined;
  proof: Attempt | undefined;
}

const ROOT = 'root generation';
const REKEY = 'rekey';
const VERIFY = 'rekey verification';

export class Ceremonies {
  readonly #keeper: SealKeeper;
  readonly #clock: Clock;
  #root: (Attempt & { readonly otp: string }) | undefined;
  #rekey: Rekey | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(keeper: SealKeeper, clock: Clock) {
    this.#keeper = keeper;
    this.#clock = clock;
  }

  /** The type of the service that opens the server, whose holders have recovery keys; undefined where shares open it. */
  get service(): string | undefined {
    return this.#keeper.service;
  }

  async rootStatus(): Promise<RootStatus> {
    return statusOf(this.#root, (await this.#keeper.shape()).t);
  }

  /**
   * Begins to make a root token. The one-time pad is the caller's, or drawn here and told once.
   * @throws Failure ceremony.running, ceremony.otp
   */
  beginRoot(otp: string | undefined): Promise<RootStatus & { readonly otp: string }> {
    return this.#inTurn(async () => {
      if (this.#root !== undefined) throw failure('ceremony.running', { what: ROOT });
      if (otp !== undefined && Buffer.byteLength(otp) !== OTP_LENGTH)
        throw failure('ceremony.otp', { expected: OTP_LENGTH });
      const own = otp ?? base62(OTP_LENGTH);
      this.#root = { ...this.#attempt(), otp: own };
      return { ...(await this.rootStatus()), otp: otp === undefined ? own : '' };
    });
  }

  cancelRoot(): Promise<void> {
    return this.#inTurn(async () => {
      this.#root?.progress.reset();
      this.#root = undefined;
    });
  }

  /**
   * Counts a share; with the last one `make` is called, and its token comes back under the pad.
   * @throws Failure ceremony.none, ceremony.nonce, seal.share_length, seal.wrong_shares (the try goes on from nothing)
   */
  updateRoot(
    share: Uint8Array,
    nonce: string,
    make: () => Promise<string>,
  ): Promise<RootStatus & { readonly complete: boolean; readonly encoded: string }> {
    return this.#inTurn(async () => {
      const attempt = named(this.#root, nonce, ROOT);
      const all = await this.#counted(attempt, share);
      if (all === undefined) return { ...(await this.rootStatus()), complete: false, encoded: '' };
      await this.#keeper.prove(all);
      const token = await make();
      this.#root = undefined;
      const required = (await this.#keeper.shape()).t;
      const encoded = encodedUnder(token, attempt.otp);
      return { nonce, started: true, progress: required, required, complete: true, encoded };
    });
  }

  async rekeyStatus(): Promise<RekeyStatus> {
    const { t } = await this.#keeper.shape();
    const rekey = this.#rekey;
    return {
      ...statusOf(rekey, t),
      t: rekey?.t ?? 0,
      n: rekey?.n ?? 0,
      verify: rekey?.verify ?? false,
      verifyNonce: rekey?.proof?.nonce ?? '',
    };
  }

  /** @throws Failure ceremony.running, seal.config */
  beginRekey(asked: { shares: number; threshold: number; verify: boolean }): Promise<RekeyStatus> {
    return this.#inTurn(async () => {
      if (this.#rekey !== undefined) throw failure('ceremony.running', { what: REKEY });
      // Drawn for the check alone: a shape that cannot be is told now, not after everybody gave a share.
      wipe((await this.#keeper.draw(asked.shares, asked.threshold)).unsealKey);
      this.#rekey = {
        ...this.#attempt(),
        t: asked.threshold,
        n: asked.shares,
        verify: asked.verify,
        drawn: undefined,
        proof: undefined,
      };
      return this.rekeyStatus();
    });
  }

  cancelRekey(): Promise<void> {
    return this.#inTurn(async () => this.#dropRekey());
  }

  /**
   * Counts a share of the present keys; with the last one the new shares come back. They are the valid ones from then
   * on, or, where verification was asked for, once enough of them have been given back.
   * @throws Failure ceremony.none, ceremony.nonce, seal.share_length, seal.wrong_shares
   */
  updateRekey(
    share: Uint8Array,
    nonce: string,
  ): Promise<RekeyStatus & { readonly complete: boolean; readonly keys: readonly Uint8Array[] }> {
    return this.#inTurn(async () => {
      const rekey = named(this.#rekey, nonce, REKEY);
      if (rekey.drawn !== undefined) throw failure('ceremony.running', { what: VERIFY });
      const all = await this.#counted(rekey, share);
      if (all === undefined) return { ...(await this.rekeyStatus()), complete: false, keys: [] };
      await this.#keeper.prove(all);
      const drawn = await this.#keeper.draw(rekey.n, rekey.t);
      if (rekey.verify) {
        rekey.drawn = drawn;
        rekey.proof = this.#attempt();
      }
      const status = await this.rekeyStatus();
      if (!rekey.verify) {
        await this.#keeper.adopt(drawn);
        this.#dropRekey();
      }
      return { ...status, complete: true, keys: drawn.shares };
    });
  }

  async verifyStatus(): Promise<VerifyStatus> {
    const { proof, t, n } = proving(this.#rekey);
    return { nonce: proof.nonce, started: true, t, n, progress: proof.progress.count };
  }

  /** Forgets the new shares given back so far. */
  restartVerify(): Promise<VerifyStatus> {
    return this.#inTurn(async () => {
      const rekey = proving(this.#rekey);
      rekey.proof.progress.reset();
      rekey.proof = this.#attempt();
      return this.verifyStatus();
    });
  }

  /**
   * Counts a new share; with the last one the new shares become the valid ones.
   * @returns whether they did
   */
  updateVerify(share: Uint8Array, nonce: string): Promise<VerifyStatus & { readonly complete: boolean }> {
    return this.#inTurn(async () => {
      const rekey = proving(this.#rekey);
      const attempt = named(rekey.proof, nonce, VERIFY);
      const expected = rekey.drawn.shares[0]?.length ?? 0;
      if (share.length !== expected) throw failure('seal.share_length', { expected });
      const all = attempt.progress.add(share, rekey.t);
      if (all === undefined) return { ...(await this.verifyStatus()), complete: false };
      const secret = await combineShares(all);
      wipe(...all);
      const right = secret !== undefined && Buffer.compare(secret, rekey.drawn.unsealKey) === 0;
      wipe(secret);
      if (!right) throw failure('seal.wrong_shares');
      const { t, n } = rekey;
      await this.#keeper.adopt(rekey.drawn);
      this.#dropRekey();
      return { nonce, started: false, t, n, progress: t, complete: true };
    });
  }

  /** Drops all that was begun. To be called when the server seals. */
  drop(): void {
    this.#root?.progress.reset();
    this.#root = undefined;
    this.#dropRekey();
  }

  #attempt(): Attempt {
    return { nonce: uuid(), startedAt: this.#clock.now(), progress: new UnsealProgress() };
  }

  async #counted({ progress }: Attempt, share: Uint8Array): Promise<readonly Uint8Array[] | undefined> {
    const { t, shareBytes } = await this.#keeper.shape();
    if (share.length !== shareBytes) throw failure('seal.share_length', { expected: shareBytes });
    return progress.add(share, t);
  }

  #dropRekey(): void {
    const rekey = this.#rekey;
    this.#rekey = undefined;
    rekey?.progress.reset();
    rekey?.proof?.progress.reset();
    wipe(rekey?.drawn?.unsealKey);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** The token under the pad, as clients decode it: base64 without padding of the two XORed. */
export function encodedUnder(token: string, otp: string): string {
  const pad = Buffer.from(otp);
  const bytes = Buffer.from(token);
  // A token of another length would show its tail: cover it with a pad of random bytes that nobody has.
  if (bytes.length > pad.length) randomBytes(bytes.length - pad.length).copy(bytes, pad.length);
  return Buffer.from(bytes.map((byte, at) => byte ^ (pad[at] ?? 0)))
    .toString('base64')
    .replace(/=+$/, '');
}

const statusOf = (attempt: Attempt | undefined, required: number): RootStatus => ({
  nonce: attempt?.nonce ?? '',
  started: attempt !== undefined,
  progress: attempt?.progress.count ?? 0,
  required,
});

function named<A extends Attempt>(attempt: A | undefined, nonce: string, what: string): A {
  if (attempt === undefined) throw failure('ceremony.none', { what });
  if (attempt.nonce !== nonce) throw failure('ceremony.nonce', { what, nonce: attempt.nonce });
  return attempt;
}

function proving(rekey: Rekey | undefined): Rekey & { drawn: NewShares; proof: Attempt } {
  if (rekey?.drawn === undefined || rekey.proof === undefined)
    throw failure('ceremony.none', { what: VERIFY });
  return rekey as Rekey & { drawn: NewShares; proof: Attempt };
}
