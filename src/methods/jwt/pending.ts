/**
 * Logins that were begun and not completed. They live in memory, for ten minutes, each found by its state alone, and there
 * are never more than a bounded number: anybody may begin one, so the oldest goes when there are too many.
 */

import { base64url, hex, sha256 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Grant } from '../../plugin/plugin.ts';
import type { Jws } from '../jws.ts';

export interface Pending {
  readonly roleName: string;
  readonly redirectUri: string;
  /** What the ID token must repeat. */
  readonly nonce: string;
  /** RFC 7636; empty where no code is asked for. */
  readonly verifier: string;
  /** What whoever began the login must repeat to complete it; empty where they sent none. */
  readonly clientNonce: string;
  /** Of the configuration it was begun under. */
  readonly revision: number;
  /** Milliseconds. */
  readonly begunAt: number;
  /** Who began it, for the page that asks. */
  readonly requester: string;
  /** What the provider posted, which is fetched with the state alone. */
  readonly posted?: { readonly code: string; readonly idToken: Jws | undefined };
  /** What the login came to, for who polls. */
  readonly granted?: Grant;
}

/** What a login came to: what is answered, and what is left of it for who asks again. */
export interface Judged<T> {
  readonly reply: T;
  readonly left?: Pending;
}

interface Waiting {
  readonly until: number;
  login: Pending;
  /** Somebody brought what completes it, and that is being judged. */
  held: boolean;
}

const LIFE_MS = 10 * 60_000;
const MOST = 10_000;

export class PendingLogins {
  readonly #clock: Clock;
  readonly #random: (bytes: number) => Uint8Array;
  /** By a hash of the state, in the order they were begun. */
  readonly #logins = new Map<string, Waiting>();

  constructor(given: { readonly clock: Clock; random(bytes: number): Uint8Array }) {
    this.#clock = given.clock;
    this.#random = given.random;
  }

  get size(): number {
    return this.#logins.size;
  }

  /** Keeps a login and gives the state that it is found by. */
  begin(login: Omit<Pending, 'begunAt'>): string {
    const now = this.#clock.monotonic();
    for (const [key, { until }] of this.#logins) {
      if (until > now && this.#logins.size < MOST) break;
      this.#logins.delete(key);
    }
    const state = this.secret();
    this.#logins.set(keyOf(state), {
      until: now + LIFE_MS,
      login: { ...login, begunAt: this.#clock.now() },
      held: false,
    });
    return state;
  }

  find(state: string): Pending | undefined {
    return this.#living(state)?.login;
  }

  /** The login, which is then no longer there: of two who bring the same state, one gets it. */
  take(state: string): Pending | undefined {
    const login = this.find(state);
    this.#logins.delete(keyOf(state));
    return login;
  }

  /**
   * Has `judge` say what becomes of a login by what was brought to complete it, and what is left of it; nothing where it is over.
   * Of two who bring the same state, one gets it, and the other undefined. Meanwhile it is still found, as one that is not
   * completed: who polls must not hear that there is none.
   */
  async complete<T>(state: string, judge: (login: Pending) => Promise<Judged<T>>): Promise<T | undefined> {
    const found = this.#living(state);
    if (found === undefined || found.held || found.login.granted !== undefined) return undefined;
    found.held = true;
    let left: Pending | undefined;
    try {
      const judged = await judge(found.login);
      left = judged.left;
      return judged.reply;
    } finally {
      found.held = false;
      if (left === undefined) this.#logins.delete(keyOf(state));
      else found.login = left;
    }
  }

  #living(state: string): Waiting | undefined {
    const key = keyOf(state);
    const found = this.#logins.get(key);
    if (found === undefined || found.until > this.#clock.monotonic()) return found;
    this.#logins.delete(key);
    return undefined;
  }

  /** 256 bits that a URL takes: a state, a nonce, a verifier. */
  secret(): string {
    return base64url(this.#random(32));
  }
}

const keyOf = (state: string): string => hex(sha256(state));
