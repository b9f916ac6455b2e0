/**
 * The one writer of a store in PostgreSQL. Waiting commits share a statement, which is a transaction of its own: it takes
 * the state row by epoch and turn, and only then touches anything. A newer epoch means that another node leads; the turn
 * goes up with each batch and whenever an outcome has to be found out, so that a batch which arrives late, on a
 * connection that was given up, finds its turn taken and does nothing.
 */

import { randomUUID } from 'node:crypto';
import { type Failure, failure, isFailure } from '../base/errors.ts';
import { sleep } from '../base/retry.ts';
import { GroupCommit } from './group.ts';
import { canKeep, type Pending, pending } from './keys.ts';
import { byteaArray, int8Array } from './postgres-arrays.ts';
import { type Link, Lost, type Row } from './postgres-link.ts';
import type { Tables } from './postgres-schema.ts';
import { conflict } from './prefixed.ts';
import type { Check, Write } from './storage.ts';

/** Where the writer stands: what the state row says while nobody else has touched it. */
export interface Standing {
  readonly epoch: number;
  readonly turn: number;
  readonly head: number;
  readonly since: number;
}

export interface Member extends Pending {
  readonly resolve: (revision: number) => void;
  readonly reject: (reason: unknown) => void;
}

/** What one batch does, decided before anything is sent. */
export interface Plan {
  /** How many members of the batch it deals with. */
  readonly taken: number;
  readonly accepted: readonly { readonly member: Member; readonly revision: number }[];
  readonly rejected: readonly { readonly member: Member; readonly key: string }[];
  /** The last write of each key. */
  readonly writes: ReadonlyMap<string, Write & { readonly revision: number }>;
  readonly head: number;
}

export interface WriterOptions {
  /** How many revisions of changes are kept at least. */
  readonly keptChanges: number;
  /** How long the outcome of a batch is looked for after its connection was lost, in milliseconds. */
  readonly settleMs: number;
  readonly now: () => number;
  /** Told after each batch that was kept. */
  readonly wake: () => void;
}

/** How many bytes of writes share a transaction at most, so that one batch does not hold up all others. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** A change whose names take more is not told: who follows the feed begins anew, as for one that is no longer kept. */
const TOLD_BYTES = 4 * 1024 * 1024;
const RETRY_MS = 100;
/** A batch whose turn was taken looks where it stands and tries again; more often than this something else is wrong. */
const TRIES = 3;

/**
 * Tests each member against the store and the members before it.
 * @param stored revisions of the keys that are checked; a key that is not in it is absent
 */
export function plan(batch: readonly Member[], stored: ReadonlyMap<string, number>, head: number): Plan {
  const writes = new Map<string, Write & { readonly revision: number }>();
  const accepted: { member: Member; revision: number }[] = [];
  const rejected: { member: Member; key: string }[] = [];
  const revisionOf = (key: string): number => {
    const write = writes.get(key);
    if (write === undefined) return stored.get(key) ?? 0;
    return 'value' in write ? write.revision : 0;
  };
  let revision = head;
  let bytes = 0;
  let taken = 0;
  for (const member of batch) {
    if (bytes > BATCH_BYTES) break;
    taken++;
    const broken = member.checks.find((check) => revisionOf(check.key) !== check.revision);
    if (broken !== undefined) {
      rejected.push({ member, key: broken.key });
      continue;
    }
    if (member.writes.size > 0) revision++;
    for (const write of member.writes.values()) {
      writes.set(write.key, { ...write, revision });
      bytes += write.key.length + ('value' in write ? write.value.length : 0);
    }
    accepted.push({ member, revision });
  }
  return { taken, accepted, rejected, writes, head: revision };
}

export class PostgresWriter {
  readonly #link: Link;
  readonly #options: WriterOptions;
  readonly #texts: ReturnType<typeof statements>;
  readonly #queue = new GroupCommit<Member>((batch) => this.#write(batch));
  /** Absent: this node does not lead. */
  #standing: Standing | undefined;
  /** Whether the state row may have gone on without this writer having been told. */
  #unsure = false;
  /** What the last batch left behind, for as long as the state row stands where that batch put it. */
  #left: { readonly standing: Standing; readonly revisions: ReadonlyMap<string, number> } | undefined;

  constructor(link: Link, tables: Tables, options: WriterOptions) {
    this.#link = link;
    this.#options = options;
    this.#texts = statements(tables);
  }

  /** From now on commits go under this epoch. */
  lead(standing: Standing): void {
    this.#standing = standing;
    this.#unsure = false;
  }

  /** The epoch that commits go under, if there is one. */
  get epoch(): number | undefined {
    return this.#standing?.epoch;
  }

  /** Takes on nothing more under the present epoch; what is under way gets its true outcome first. */
  async stop(): Promise<void> {
    await this.#queue.idle();
    this.#standing = undefined;
  }

  commit(writes: readonly Write[], checks: readonly Check[]): Promise<number> {
    return new Promise((resolve, reject) => {
      // No spread: each member would have a shape of its own.
      const asked = pending(writes, checks);
      this.#queue.add({ writes: asked.writes, checks: asked.checks, resolve, reject });
    });
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async #write(batch: readonly Member[]): Promise<number> {
    let mine = batch;
    try {
      for (let tries = TRIES; tries > 0; tries--) {
        const standing = await this.#known();
        const stored = await this.#stored(batch, standing);
        if (stored === undefined) {
          this.#unsure = true;
          continue;
        }
        const made = plan(batch, stored, standing.head);
        mine = batch.slice(0, made.taken);
        if (made.writes.size > 0 && !(await this.#keep(made, standing))) continue;
        for (const { member, key } of made.rejected) member.reject(conflict(key));
        for (const { member, revision } of made.accepted) member.resolve(revision);
        if (made.writes.size > 0) this.#options.wake();
        return made.taken;
      }
      throw failure('storage.write');
    } catch (error) {
      const reason = asWriteFailure(error);
      for (const member of mine) member.reject(reason);
    }
    return mine.length;
  }

  /** Where this writer stands for certain. @throws Failure storage.fenced, Lost */
  async #known(): Promise<Standing> {
    const standing = this.#standing;
    if (standing === undefined) throw failure('storage.fenced');
    if (!this.#unsure) return standing;
    const [row] = await this.#link.write({ ...this.#texts.turn, values: [standing.epoch] });
    if (row === undefined) throw this.#deposed();
    return this.#stand(row, standing.epoch);
  }

  #stand(row: Row, epoch: number): Standing {
    const { turn, head, since } = row;
    const standing = { epoch, turn: Number(turn), head: Number(head), since: Number(since) };
    this.#standing = standing;
    this.#unsure = false;
    return standing;
  }

  #deposed(): Failure {
    this.#standing = undefined;
    return failure('storage.fenced');
  }

  /**
   * The revisions of all keys that the batch checks, in one read that also tells whether they are those of this turn;
   * nothing where nothing has to be read; undefined when the row has gone on. What the last batch wrote itself is not asked
   * for again: the commit takes place at this turn or not at all.
   * @throws Failure storage.fenced
   */
  async #stored(
    batch: readonly Member[],
    standing: Standing,
  ): Promise<ReadonlyMap<string, number> | undefined> {
    const checks = batch.flatMap((member) => member.checks);
    const checked = new Set(checks.map(({ key }) => key));
    const idle = batch.some((member) => member.writes.size === 0);
    if (checked.size === 0 && !idle) return new Map();
    const left = this.#left?.standing === standing ? this.#left.revisions : undefined;
    // Only where all hold: who is refused is refused for what the store itself says.
    if (!idle && left !== undefined && checks.every(({ key, revision }) => left.get(key) === revision))
      return left;
    const { epoch, turn } = standing;
    const keys = [...checked].filter(canKeep);
    const rows = await this.#link.read({
      ...this.#texts.revisions,
      values: [byteaArray(keys.map((key) => Buffer.from(key)))],
    });
    const [first] = rows;
    if (Number(first?.['epoch']) !== epoch) throw this.#deposed();
    if (Number(first?.['turn']) !== turn) return undefined;
    return new Map(
      rows.flatMap(({ place, revision }) =>
        typeof place === 'number' ? [[keys[place - 1] ?? '', Number(revision)] as const] : [],
      ),
    );
  }

  /** Whether the plan was kept; false when it has to be made anew, nothing of it having been kept. @throws Lost, Failure */
  async #keep(made: Plan, standing: Standing): Promise<boolean> {
    const id = randomUUID();
    const since = trimmedTo(standing.since, made.head, this.#options.keptChanges);
    try {
      const [row] = await this.#link.write({
        ...this.#texts.commit,
        values: valuesOf(made, standing, id, since),
      });
      if (row === undefined) {
        this.#unsure = true;
        return false;
      }
    } catch (error) {
      if (!(error instanceof Lost) || !error.sent) throw error;
      return this.#settle(id, standing);
    }
    const next = { ...standing, turn: standing.turn + 1, head: made.head, since };
    this.#standing = next;
    this.#left = { standing: next, revisions: revisionsOf(made) };
    return true;
  }

  /**
   * Whether the batch of a lost connection was kept. Taking the turn waits for the transaction, where it still runs, and
   * keeps it from beginning, where it has not begun; what the row then says stays true.
   * @throws Failure storage.unknown
   */
  async #settle(id: string, { epoch, head }: Standing): Promise<boolean> {
    this.#unsure = true;
    const until = this.#options.now() + this.#options.settleMs;
    for (;;) {
      try {
        const [row] = await this.#link.write({ ...this.#texts.turn, values: [epoch] });
        if (row !== undefined) {
          this.#stand(row, epoch);
          return row['batch'] === id;
        }
        // Another epoch has begun, so that the batch is there by now or never will be.
        const [told] = await this.#link.read({ ...this.#texts.outcome, values: [id] });
        if (told?.['kept'] === true) return true;
        this.#deposed();
        throw failure(Number(told?.['since']) > head ? 'storage.unknown' : 'storage.fenced');
      } catch (error) {
        if (isFailure(error, 'storage.fenced') || isFailure(error, 'storage.unknown')) throw error;
        if (this.#options.now() >= until) throw failure('storage.unknown', {}, { cause: error });
      }
      await sleep(RETRY_MS);
    }
  }
}

/** A failure that a caller knows: nothing was kept, but where it says that it is unknown. */
function asWriteFailure(error: unknown): Failure {
  if (isFailure(error) && error.code !== 'storage.database') return error;
  return failure('storage.write', {}, { cause: error });
}

/** The revisions that a plan leaves its keys with; 0 where it dropped one. */
const revisionsOf = ({ writes }: Plan): ReadonlyMap<string, number> =>
  new Map([...writes.values()].map((write) => [write.key, 'value' in write ? write.revision : 0]));

/** Changes up to this revision go; in halves, so that not each batch deletes. */
const trimmedTo = (since: number, head: number, kept: number): number =>
  head - since > 2 * kept ? head - kept : since;

function valuesOf(made: Plan, { epoch, turn }: Standing, id: string, since: number): unknown[] {
  const puts: { key: Buffer; revision: number; value: Uint8Array }[] = [];
  const drops: Buffer[] = [];
  for (const write of made.writes.values()) {
    const key = Buffer.from(write.key);
    if ('value' in write) puts.push({ key, revision: write.revision, value: write.value });
    else drops.push(key);
  }
  const told = made.accepted.flatMap(({ member, revision }) =>
    [...member.writes.keys()].map((key) => ({ key: Buffer.from(key), revision })),
  );
  const small = told.reduce((sum, { key }) => sum + key.length, 0) <= TOLD_BYTES;
  return [
    epoch,
    turn,
    made.head,
    id,
    since,
    byteaArray(puts.map(({ key }) => key)),
    int8Array(puts.map(({ revision }) => revision)),
    byteaArray(puts.map(({ value }) => value)),
    byteaArray(drops),
    small ? int8Array(told.map(({ revision }) => revision)) : null,
    small ? byteaArray(told.map(({ key }) => key)) : null,
  ];
}

const statements = ({ entries, state, changes, channel }: Tables) => ({
  commit: {
    name: 'holdfast_commit',
    text: `
      WITH led AS (
        UPDATE ${state} SET turn = turn + 1, head = $3::bigint, batch = $4::uuid, since = $5::bigint
        WHERE epoch = $1::bigint AND turn = $2::bigint
        RETURNING 1
      ), put AS (
        INSERT INTO ${entries} (key, revision, value)
        SELECT w.key, w.revision, w.value
        FROM led, unnest($6::bytea[], $7::bigint[], $8::bytea[]) AS w (key, revision, value)
        ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value
      ), dropped AS (
        DELETE FROM ${entries} USING led WHERE key = ANY ($9::bytea[])
      ), told AS (
        INSERT INTO ${changes} (last, batch, revisions, keys)
        SELECT $3::bigint, $4::uuid, $10::bigint[], $11::bytea[] FROM led
      ), trimmed AS (
        DELETE FROM ${changes} USING led WHERE last <= $5::bigint
      )
      SELECT pg_notify('${channel}', '') FROM led`,
  },
  turn: {
    name: 'holdfast_turn',
    text: `UPDATE ${state} SET turn = turn + 1 WHERE epoch = $1::bigint RETURNING turn, head, since, batch`,
  },
  outcome: {
    name: 'holdfast_outcome',
    text: `SELECT since, EXISTS (SELECT FROM ${changes} WHERE batch = $1::uuid) AS kept FROM ${state}`,
  },
  revisions: {
    name: 'holdfast_revisions',
    text: `
      SELECT s.epoch, s.turn, k.place::int AS place, e.revision
      FROM ${state} s LEFT JOIN (
        unnest($1::bytea[]) WITH ORDINALITY AS k (key, place) JOIN ${entries} e ON e.key = k.key
      ) ON true`,
  },
});
