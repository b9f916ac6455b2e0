/**
 * The store for several nodes: tables in a PostgreSQL, of which one node at a time is the writer. A commit that resolved
 * was flushed by the database; who leads is a lease on the database's clock, and each commit proves its epoch. Reads ask
 * the database each time, on any node. The database is as untrusted as any other medium: it sees what the barrier sealed.
 */

import { failure } from '../base/errors.ts';
import { canKeep, childOf, pastFolder } from './keys.ts';
import type { Leadership } from './leadership.ts';
import { byteaArray } from './postgres-arrays.ts';
import { PostgresFeed } from './postgres-feed.ts';
import { PostgresLease } from './postgres-lease.ts';
import { connect, type Link, type Row, type Session } from './postgres-link.ts';
import { migrate, TABLE_NAME, type Tables, tablesOf } from './postgres-schema.ts';
import type { PostgresTarget } from './postgres-target.ts';
import { PostgresWriter } from './postgres-writer.ts';
import type { Backend, Change, Check, Entry, Page, Write } from './storage.ts';

export interface PostgresOptions {
  readonly target: PostgresTarget;
  /** What the table of the entries is called; the other tables begin with it. */
  readonly table?: string;
  /** Connections for reads at most. */
  readonly maxParallel?: number;
  /** How long one statement may take, in milliseconds. */
  readonly statementTimeoutMs?: number;
  /** How long the outcome of a commit is looked for after its connection was lost, in milliseconds. */
  readonly settleMs?: number;
  /** How often who follows the feed looks, whether woken or not, in milliseconds. */
  readonly pollMs?: number;
  /** How many revisions the feed keeps at least. */
  readonly keptChanges?: number;
}

/** A commit needs the lead: without it, it fails with storage.fenced. */
export interface PostgresBackend extends Backend {
  readonly leadership: Leadership;
  /** Whether the database flushes what it acknowledges: `fsync` and `full_page_writes` are on. */
  durable(): Promise<boolean>;
}

export const DEFAULT_TABLE = 'holdfast_store';
export const DEFAULT_PARALLEL = 16;

const STATEMENT_TIMEOUT_MS = 30_000;
const SETTLE_MS = 5000;
const POLL_MS = 1000;
/** How long the question for the head may take: reads wait for it. */
const HEAD_MS = 1000;
const KEPT_CHANGES = 8192;
/** How many children one statement returns. */
const LIST_PAGE = 1000;
/** How many bytes of a scan are asked for at once, and how many entries. */
const SCAN_BYTES = 1024 * 1024;
const SCAN_ENTRIES = { first: 16, most: 512 };
/** No UTF-8 has this byte: every key is before it. */
const PAST_ALL = Buffer.from([0xff]);

/**
 * Opens the store, and makes or upgrades its tables. It leads only after `leadership.campaign`.
 * @throws Failure storage.database
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresBackend> {
  const table = options.table ?? DEFAULT_TABLE;
  if (!TABLE_NAME.test(table))
    throw failure('storage.database', { reason: 'a table may be called by letters, digits and _ only' });
  const link = await connect(options.target, {
    maxParallel: options.maxParallel ?? DEFAULT_PARALLEL,
    statementTimeoutMs: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
  });
  const tables = tablesOf(table);
  try {
    await migrate(link, tables, options.table !== undefined);
  } catch (error) {
    await link.close();
    throw error;
  }
  return new Postgres(link, tables, options);
}

class Postgres implements PostgresBackend {
  readonly name = 'postgresql';
  readonly leadership: Leadership;
  readonly #link: Link;
  readonly #texts: ReturnType<typeof statements>;
  readonly #writer: PostgresWriter;
  readonly #feed: PostgresFeed;
  readonly #head: Shared<number>;
  #lastHead = 0;
  readonly #scans = new Set<Session>();
  #closed = false;

  constructor(link: Link, tables: Tables, options: PostgresOptions) {
    const monotonic = (): number => performance.now();
    this.#link = link;
    this.#texts = statements(tables);
    this.#feed = new PostgresFeed(link, tables, { pollMs: options.pollMs ?? POLL_MS });
    this.#writer = new PostgresWriter(link, tables, {
      keptChanges: options.keptChanges ?? KEPT_CHANGES,
      settleMs: options.settleMs ?? SETTLE_MS,
      now: monotonic,
      wake: () => this.#feed.wake(),
    });
    this.leadership = new PostgresLease(link, tables, this.#writer, monotonic);
    this.#head = new Shared(async () => {
      const [row] = await link.read({ ...this.#texts.head, withinMs: HEAD_MS });
      const head = Number(row?.['head']);
      // Who asks for the head waits for the feed to come so far: a notification may be late, or never come.
      if (head > this.#lastHead) this.#feed.wake();
      this.#lastHead = head;
      return head;
    });
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertOpen();
    if (!canKeep(key)) return undefined;
    const [row] = await this.#link.read({ ...this.#texts.get, values: [Buffer.from(key)] });
    return row && { key, ...entryOf(row) };
  }

  async getMany(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    this.#assertOpen();
    const known = keys.filter(canKeep);
    if (known.length === 0) return new Map();
    const rows = await this.#link.read({
      ...this.#texts.getMany,
      values: [byteaArray(known.map((key) => Buffer.from(key)))],
    });
    return new Map(
      rows.map((row) => {
        const key = known[Number(row['place']) - 1] ?? '';
        return [key, { key, ...entryOf(row) }];
      }),
    );
  }

  async list(prefix: string, { after, limit = Number.POSITIVE_INFINITY }: Page = {}): Promise<string[]> {
    this.#assertOpen();
    const children: string[] = [];
    if (!canKeep(prefix)) return children;
    const from = Buffer.from(prefix);
    const end = endOf(prefix);
    let start = after === undefined ? from : startAfter(prefix, after);
    while (children.length < limit) {
      const size = Math.min(limit - children.length, LIST_PAGE);
      const rows = await this.#link.read({ ...this.#texts.list, values: [from, start, end, size] });
      for (const { child } of rows) children.push(bytesOf(child).toString());
      const last = children.at(-1);
      if (rows.length < size || last === undefined) break;
      start = startAfter(prefix, last);
    }
    return children;
  }

  async *scan(prefix: string, signal: AbortSignal): AsyncGenerator<Entry, void, void> {
    signal.throwIfAborted();
    this.#assertOpen();
    if (!canKeep(prefix)) return;
    const session = await this.#link.session('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    this.#scans.add(session);
    try {
      await session.query(this.#texts.declare, [Buffer.from(prefix), endOf(prefix)]);
      let size = SCAN_ENTRIES.first;
      for (;;) {
        signal.throwIfAborted();
        this.#assertOpen();
        const entries = (await session.query(`FETCH ${size} FROM scan`)).map((row) => ({
          key: bytesOf(row['key']).toString(),
          ...entryOf(row),
        }));
        for (const entry of entries) {
          signal.throwIfAborted();
          this.#assertOpen();
          yield entry;
        }
        signal.throwIfAborted();
        this.#assertOpen();
        if (entries.length < size) return;
        size = nextFetch(entries);
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#assertOpen();
      throw error;
    } finally {
      this.#scans.delete(session);
      await session.end();
    }
  }

  async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    this.#assertOpen();
    return this.#writer.commit(writes, checks);
  }

  async head(): Promise<number> {
    this.#assertOpen();
    return this.#head.read();
  }

  changes(after: number, signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.follow(after, signal, () => (this.#closed ? failure('storage.closed') : undefined));
  }

  async durable(): Promise<boolean> {
    const [row] = await this.#link.read({
      text: `SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS flushes`,
    });
    return row?.['flushes'] === true;
  }

  /** Waits for the commits that were asked for, gives up the lead, and ends the connections. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#feed.close();
    await this.#writer.idle();
    // Where the database is gone, the lease ends by itself.
    await this.leadership.resign().catch(() => {});
    await Promise.all([...this.#scans].map((session) => session.end()));
    await this.#link.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw failure('storage.closed');
  }
}

/**
 * A read that many wait for at once is made once. Who comes while one is under way gets the next: an answer must not be
 * older than its question.
 */
export class Shared<T> {
  readonly #ask: () => Promise<T>;
  #running: Promise<unknown> | undefined;
  #next: Promise<T> | undefined;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  read(): Promise<T> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  async #after(running: Promise<unknown> | undefined): Promise<T> {
    await running?.catch(() => {});
    const mine = this.#ask();
    this.#running = mine;
    this.#next = undefined;
    return mine;
  }
}

/** How many entries to ask for next, so that it comes to SCAN_BYTES. */
function nextFetch(entries: readonly Entry[]): number {
  const bytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const average = Math.max(bytes / entries.length, 1);
  return Math.max(1, Math.min(Math.floor(SCAN_BYTES / average), SCAN_ENTRIES.most));
}

/** The first key that cannot begin with `prefix` any more. */
const endOf = (prefix: string): Buffer => (prefix === '' ? PAST_ALL : pastPrefix(Buffer.from(prefix)));

/** The last byte of UTF-8 is never 0xff, so that one more is always there. */
function pastPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

/** The least key that may hold a child after `after`, inclusive. */
function startAfter(prefix: string, after: string): Buffer {
  if (after.includes('/')) return Buffer.from(prefix + pastFolder(childOf(after)));
  return Buffer.from(`${prefix}${after}\0`);
}

const bytesOf = (value: unknown): Buffer => (Buffer.isBuffer(value) ? value : Buffer.alloc(0));

const entryOf = (row: Row): { value: Uint8Array; revision: number } => ({
  value: bytesOf(row['value']),
  revision: Number(row['revision']),
});

/** "/", "0" which follows it, and NUL, which makes of a key the next one. */
const SLASH = `'\\x2f'::bytea`;
const PAST_SLASH = `'\\x30'::bytea`;
const NUL = `'\\x00'::bytea`;

/** A key's child of $1, and where the search for the next child begins: past a whole folder, however much it holds. */
const step = (from: string): string => `
  SELECT
    CASE slash WHEN 0 THEN rest ELSE substring(rest FOR slash) END AS child,
    CASE slash WHEN 0 THEN found || ${NUL} ELSE $1::bytea || substring(rest FOR slash - 1) || ${PAST_SLASH} END AS next
  FROM ${from},
    LATERAL (SELECT substring(found FROM length($1::bytea) + 1)) AS r (rest),
    LATERAL (SELECT position(${SLASH} IN rest)) AS p (slash)`;

const statements = ({ entries, state }: Tables) => ({
  get: { name: 'holdfast_get', text: `SELECT revision, value FROM ${entries} WHERE key = $1` },
  getMany: {
    name: 'holdfast_get_many',
    text: `
      SELECT k.place::int AS place, e.revision, e.value
      FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, place) JOIN ${entries} e ON e.key = k.key`,
  },
  head: { name: 'holdfast_head', text: `SELECT head FROM ${state}` },
  list: {
    name: 'holdfast_list',
    text: `
      WITH RECURSIVE children (child, next) AS (
        (${step(`(SELECT key FROM ${entries} WHERE key >= $2::bytea AND key < $3::bytea ORDER BY key LIMIT 1) AS f (found)`)})
        UNION ALL
        ${step(
          `children, LATERAL (SELECT key FROM ${entries} WHERE key >= children.next AND key < $3::bytea ORDER BY key LIMIT 1) AS f (found)`,
        )}
      )
      SELECT child FROM children LIMIT $4::int`,
  },
  declare: `
    DECLARE scan NO SCROLL CURSOR FOR
    SELECT key, revision, value FROM ${entries} WHERE key >= $1 AND key < $2 ORDER BY key`,
});
