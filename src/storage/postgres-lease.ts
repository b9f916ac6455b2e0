/**
 * Who leads a store in PostgreSQL: one row names the node, and until when. Time is the database's alone; the holder judges
 * its own lease by its monotonic clock, from before the question was sent, so that it never believes in it longer than the
 * database does. Each leadership has an epoch of its own, and every commit names it: a node that was overtaken without
 * noticing writes nothing.
 */

import type { Leader, Leadership } from './leadership.ts';
import type { Link, Row } from './postgres-link.ts';
import type { Tables } from './postgres-schema.ts';
import type { PostgresWriter } from './postgres-writer.ts';

/** Clocks of two machines run apart by no more than this share of a lease (NTP corrects by 500 ppm at most). */
const DRIFT = 0.01;
/** How long a question about the lead may take: one that hangs must not use up the lease that it is about. */
const ASK_MS = 1000;

interface Lease {
  readonly id: string;
  readonly epoch: number;
  readonly ttlMs: number;
  /** On the monotonic clock. */
  until: number;
  /** On the wall clock: the monotonic one stands still while a machine sleeps, and other nodes do not. */
  untilWall: number;
}

export class PostgresLease implements Leadership {
  readonly #link: Link;
  readonly #writer: PostgresWriter;
  readonly #monotonic: () => number;
  readonly #now: () => number;
  readonly #texts: ReturnType<typeof statements>;
  #lease: Lease | undefined;

  constructor(link: Link, tables: Tables, writer: PostgresWriter, monotonic: () => number, now = Date.now) {
    this.#now = now;
    this.#link = link;
    this.#writer = writer;
    this.#monotonic = monotonic;
    this.#texts = statements(tables);
  }

  async campaign({ id, address }: Omit<Leader, 'epoch'>, ttlMs: number): Promise<number | undefined> {
    if (this.#lease !== undefined && (await this.renew())) return this.#lease.epoch;
    // A batch of an earlier lead that still looks for its outcome would unseat the writer of the new one.
    await this.#writer.idle();
    const asked = this.#asked();
    const [row] = await this.#ask(this.#texts.campaign, [id, address, ttlMs]);
    if (row === undefined) return undefined;
    const epoch = Number(row['epoch']);
    this.#lease = { id, epoch, ttlMs, ...asked(ttlMs) };
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
    const asked = this.#asked();
    const [row] = await this.#ask(this.#texts.renew, [lease.epoch, lease.ttlMs]);
    if (this.#lease !== lease) return false;
    if (row === undefined) {
      this.#lease = undefined;
      return false;
    }
    Object.assign(lease, asked(lease.ttlMs));
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
    const lease = this.#lease;
    return lease !== undefined && this.#monotonic() < lease.until && this.#now() < lease.untilWall;
  }

  cut(): void {
    this.#link.cut();
  }

  /** Remembers when a lease is asked for, and gives its end by both clocks. */
  #asked(): (ttlMs: number) => Pick<Lease, 'until' | 'untilWall'> {
    const [monotonic, wall] = [this.#monotonic(), this.#now()];
    return (ttlMs) => ({
      until: monotonic + ttlMs * (1 - DRIFT),
      untilWall: wall + ttlMs * (1 - DRIFT),
    });
  }

  /** All of these may be run twice: who asks again is told what holds by then. */
  #ask(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#link.read({ text, values, withinMs: ASK_MS });
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
