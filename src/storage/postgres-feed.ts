/**
 * What changed in a store that several nodes may write: read from its table, a page at a time. NOTIFY only wakes who
 * waits; a notification that never comes costs the time until the next look, and nothing else.
 */

import { isFailure } from '../base/errors.ts';
import { type Link, Lost } from './postgres-link.ts';
import type { Tables } from './postgres-schema.ts';
import { type Change, Gone } from './storage.ts';

export interface FeedOptions {
  /** How often the table is looked at by who waits, in milliseconds, whether it was woken or not. */
  readonly pollMs: number;
}

/** How many batches are read at once. */
const PAGE = 64;

export class PostgresFeed {
  readonly #link: Link;
  readonly #tables: Tables;
  readonly #pollMs: number;
  readonly #text: string;
  readonly #waiting = new Set<() => void>();
  /** Counts what may have brought something new, so that a wake between a look and the wait is not missed. */
  #wakes = 0;
  #listening: Promise<{ close(): void } | undefined> | undefined;
  #nextListen = 0;

  constructor(link: Link, tables: Tables, { pollMs }: FeedOptions) {
    this.#link = link;
    this.#tables = tables;
    this.#pollMs = pollMs;
    const { state, changes } = tables;
    this.#text = `
      SELECT s.head, s.since, c.last, c.revisions, c.keys
      FROM ${state} s LEFT JOIN LATERAL (
        SELECT last, revisions, keys FROM ${changes} WHERE last > $1::bigint ORDER BY last LIMIT ${PAGE}
      ) c ON true
      ORDER BY c.last`;
  }

  /** Has everybody who waits look at the table. */
  wake(): void {
    this.#wakes++;
    for (const resume of [...this.#waiting]) resume();
  }

  /** @param ended gives the reason once the store is closed */
  async *follow(
    after: number,
    signal: AbortSignal,
    ended: () => Error | undefined,
  ): AsyncGenerator<Change, void, void> {
    let seen = after;
    for (;;) {
      signal.throwIfAborted();
      throwIf(ended());
      const wakes = this.#wakes;
      this.#listen(ended);
      const page = await this.#page(seen, ended);
      signal.throwIfAborted();
      for (const change of page) {
        if (change.revision <= seen) continue;
        throwIf(ended());
        seen = change.revision;
        yield change;
        signal.throwIfAborted();
      }
      if (page.length === 0) await this.#more(wakes, signal);
    }
  }

  /** Lets go of the connection, and wakes who waits. */
  close(): void {
    void this.#listening?.then((listening) => listening?.close());
    this.wake();
  }

  async #page(seen: number, ended: () => Error | undefined): Promise<Change[]> {
    const rows = await this.#link
      .read({ name: 'holdfast_changes', text: this.#text, values: [seen] })
      .catch((error: unknown) => {
        const end = ended();
        if (end !== undefined) throw end;
        // A database that is started anew loses nobody who follows: the next look goes on where this one stood.
        if (isFailure(error, 'storage.database')) return undefined;
        throw error;
      });
    if (rows === undefined) return [];
    const head = Number(rows[0]?.['head']);
    const since = Number(rows[0]?.['since']);
    if (!(seen >= since && seen <= head)) throw new Gone(`revision ${seen} is not kept`);
    return rows.flatMap(({ last, revisions, keys }) => {
      if (last === null) return [];
      if (!Array.isArray(revisions) || !Array.isArray(keys))
        throw new Gone(`the change before revision ${String(last)} is too large to tell`);
      return changesOf(revisions.map(Number), keys.map(textOf));
    });
  }

  /** Listens while somebody follows; where that fails the looks have to do, and it is tried again with one of them. */
  #listen(ended: () => Error | undefined): void {
    if (this.#listening !== undefined || performance.now() < this.#nextListen) return;
    this.#nextListen = performance.now() + this.#pollMs;
    this.#listening = this.#link
      .listen(
        this.#tables.channel,
        () => this.wake(),
        () => {
          this.#listening = undefined;
          this.wake();
        },
      )
      .then((listening) => {
        if (ended() !== undefined) listening.close();
        // What was told before the connection listened.
        this.wake();
        return listening;
      })
      .catch((error: unknown) => {
        this.#listening = undefined;
        if (!(error instanceof Lost)) this.#nextListen = performance.now() + 10 * this.#pollMs;
        return undefined;
      });
  }

  #more(wakes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#wakes !== wakes) return resolve();
      const resume = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      const timer = setTimeout(resume, this.#pollMs);
      timer.unref();
      this.#waiting.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }
}

/** One change per revision, from a batch's pairs of revision and key. */
export function changesOf(revisions: readonly number[], keys: readonly string[]): Change[] {
  const changes = new Map<number, string[]>();
  for (const [index, revision] of revisions.entries()) {
    const key = keys[index] ?? '';
    const found = changes.get(revision);
    if (found === undefined) changes.set(revision, [key]);
    else found.push(key);
  }
  return [...changes].map(([revision, names]) => ({ revision, keys: names }));
}

const textOf = (key: unknown): string => (Buffer.isBuffer(key) ? key.toString() : '');

function throwIf(error: Error | undefined): void {
  if (error !== undefined) throw error;
}
