/** What guards the root key: a key that people hold in shares, or a service that keeps one for us. */
export interface Seal {
  readonly type: string;
  wrap(key: Uint8Array): Promise<Uint8Array>;
  /** The key that was wrapped, or undefined where this seal did not wrap it or it was changed. */
  unwrap(blob: Uint8Array): Promise<Uint8Array | undefined>;
}

/**
 * A seal that needs nobody: the server opens with it at each start, and people hold recovery keys, which open nothing.
 * Whoever may use its key and read the store can read everything.
 */
export interface AutoSeal extends Seal {
  /** What people have to know of this seal as long as it is used, in words that anybody may read. */
  readonly caution?: string;
  /**
   * Makes the key where there is none and it is this seal's to make: asked for once, before a store is put under it for the
   * first time. At no other time: a key that was lost must not be replaced by one that opens nothing.
   */
  prepare?(): Promise<void>;
  /** Which of its keys wrapped the blob: another text once the key was rotated. Not secret. */
  generation(blob: Uint8Array): string;
  /** Ends requests under way and all that it does by itself; what is asked of it later fails. */
  close(): void;
}

/** The seals of the configuration file. */
export interface Seals {
  /** Absent: key shares, which people hold. */
  readonly active?: AutoSeal;
  /** The one with `disabled = "true"`, which the store is to be moved away from. */
  readonly retired?: AutoSeal;
}

/** The type of the seal whose key people hold. */
export const SHAMIR = 'shamir';
