/** What of the work is this replica's. */

export interface Share {
  /** Whether this key is ours to work on, now. */
  owns(key: string): boolean;
  /** Has the listener called whenever keys may have become ours. */
  onGain(listener: () => void): void;
}

/** One replica alone: everything. */
export const ALL: Share = { owns: () => true, onGain: () => {} };
