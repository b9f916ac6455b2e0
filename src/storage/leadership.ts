/**
 * Who leads a store that several nodes can reach. A lead is a lease with an epoch: it ends by itself where nobody renews it, and
 * each commit proves its epoch, so that a node which was overtaken without noticing writes nothing.
 */

export interface Leader {
  /** Of one life of one process. */
  readonly id: string;
  /** Where clients and other nodes reach it. */
  readonly address: string;
  readonly epoch: number;
}

/** An ability of its own: a store that one process alone can open has no use for it. */
export interface Leadership {
  /**
   * Takes the lead for `ttlMs`, where nobody has it any more. Who leads already keeps the epoch and has the lease renewed.
   * @returns the new epoch, above all before it; undefined when another node leads
   * @throws Failure storage.database
   */
  campaign(node: Omit<Leader, 'epoch'>, ttlMs: number): Promise<number | undefined>;
  /**
   * Puts the end of the lease off, for the same time again. Late is not lost: while nobody else took the lead, it is kept.
   * @returns false when another epoch has begun: this node leads no more, and must drop what it holds in caches
   * @throws Failure storage.database
   */
  renew(): Promise<boolean>;
  /** Gives the lead up once the commits under way have their outcome. Nothing happens to who does not lead. */
  resign(): Promise<void>;
  /** Who leads, by the clock of the database. @throws Failure storage.database */
  leader(): Promise<Leader | undefined>;
  /** Whether the lease surely stands: only then may an answer come from a cache. */
  holds(): boolean;
  /** Gives up the connections that may hang on a medium that no longer answers; what waits on them fails now. */
  cut?(): void;
}
