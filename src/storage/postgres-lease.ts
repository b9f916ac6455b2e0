/**
 * Who leads a store in PostgreSQL: one row names the node, and until when. Time is the database's alone; the holder judges
 * its own lease by its monotonic clock, from before the question was sent, so that it never believes in it longer than the
 * database does. Each leadership has an epoch of its own, and every commit names it: a node that was overtaken without
 * noticing writes nothing.
 */

import type { Link, Row } from './postgres-link.ts';
import type { Tables } from './postgres-schema.ts';
import type { PostgresWriter } from './postgres-writer.ts';

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
}

/** Clocks of two machines run apart by no more than this share of a lease (NTP corrects by 500 ppm at most). */
const DRIFT = 0.01;

interface Lease {
  readonly id: string;
  readonly epoch: number;
  readonly ttlMs: number;
  /** On the monotonic clock. */
  until: number;
}

export class PostgresLease implements Leadership {
  readonly #link: Link;
  readonly #writer: PostgresWriter;
  readonly #monotonic: () => number;
  readonly #texts: ReturnType<typeof statements>;
  #lease: Lease | undefined;

  constructor(link: Link, tables: Tables, writer: PostgresWriter, monotonic: () => number) {
    this.#link = link;
    this.#writer = writer;
    this.#monotonic = monotonic;
    this.#texts = statements(tables);
  }

  async campaign({ id, address }: Omit<Leader, 'epoch'>, ttlMs: number): Promise<number | undefined> {
    if (this.#lease !== undefined && (await this.renew())) return this.#lease.epoch;
    const asked = this.#monotonic();
    const [row] = await this.#ask(this.#texts.campaign, [id, address, ttlMs]);
    if (row === undefined) return undefined;
    const epoch = Number(row['epoch']);
    this.#lease = { id, epoch, ttlMs, until: asked + ttlMs * (1 - DRIFT) };
    this.#writer.lead({
      epoch,
      turn: Number(row['turn']),
      head: Number(row['head']),
      since: Number(row['since']),
    });
    return epoch;
  }

  async renew(): Promise<boolean> {
    const lease = this.#lease;
    if (lease === undefined) return false;
    const asked = this.#monotonic();
    const [row] = await this.#ask(this.#texts.renew, [lease.epoch, lease.ttlMs]);
    if (this.#lease !== lease) return false;
    if (row === undefined) {
      this.#lease = undefined;
      return false;
    }
    lease.until = asked + lease.ttlMs * (1 - DRIFT);
    return true;
  }

  async resign(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    await this.#writer.stop();
    if (lease !== undefined) await this.#ask(this.#texts.resign, [lease.epoch]);
  }

  async leader(): Promise<Leader | undefined> {
    const [row] = await this.#ask(this.#texts.leader, []);
    if (row === undefined) return undefined;
    return {
      id: String(row['leader_id']),
      address: String(row['leader_address']),
      epoch: Number(row['epoch']),
    };
  }

  holds(): boolean {
    return this.#lease !== undefined && this.#monotonic() < this.#lease.until;
  }

  /** All of these may be run twice: who asks again is told what holds by then. */
  #ask(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#link.read({ text, values });
  }
}

const statements = ({ state }: Tables) => ({
  campaign: `
    UPDATE ${state} SET epoch = epoch + 1, turn = turn + 1, leader_id = $1, leader_address = $2,
      leader_until = clock_timestamp() + $3::float8 * interval '1 millisecond'
    WHERE leader_until IS NULL OR leader_until <= clock_timestamp() OR leader_id = $1
    RETURNING epoch, turn, head, since`,
  renew: `
    UPDATE ${state} SET leader_until = clock_timestamp() + $2::float8 * interval '1 millisecond'
    WHERE epoch = $1::bigint AND leader_id IS NOT NULL
    RETURNING 1`,
  // With a turn more, a batch of the past that is still on its way does nothing.
  resign: `
    UPDATE ${state} SET turn = turn + 1, leader_id = NULL, leader_address = NULL, leader_until = NULL
    WHERE epoch = $1::bigint`,
  leader: `
    SELECT leader_id, leader_address, epoch FROM ${state}
    WHERE leader_id IS NOT NULL AND leader_until > clock_timestamp()`,
});
