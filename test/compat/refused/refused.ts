/** What a row of the table says, and how it is held against the server. */

import { describe, expect, it } from 'vitest';
import type { Made, World } from './world.ts';

type Given = Made;
type From<T> = T | ((made: Given) => T);

/** Why the server says no. */
export type Class = 'denied' | 'malformed' | 'oversized' | 'replayed';

export interface Row {
  /** What is sent, in words. */
  readonly name: string;
  readonly class: Class;
  readonly method?: string;
  /** Below /v1/, or whole where it begins with a slash. */
  readonly path: From<string>;
  /** Whose token; absent: root's. */
  readonly as?: 'root' | 'limited' | 'nobody' | 'revoked' | 'batch' | 'elsewhere' | ((made: Given) => string);
  readonly headers?: From<readonly string[]>;
  /** Text goes as it is, anything else as JSON. */
  readonly body?: From<unknown>;
  readonly status: number;
  /** `errors`, joined by "; "; for ACME the type of the problem. */
  readonly says: From<string> | RegExp;
  /** Answers with what RFC 8555 says a problem is, instead of errors. */
  readonly problem?: true;
  /** The members of the answer beside `errors`: a batch tells what became of each item. */
  readonly beside?: readonly string[];
  /** What has to happen before, as root; what it gives can be named in the row. */
  before?(world: World): Promise<Record<string, string> | undefined>;
  /** Why something is stored all the same; absent: not one bit may change. */
  readonly changes?: string;
}

/** Runs the rows of a table against the world. */
export function refuses(area: string, rows: readonly Row[], world: () => World): void {
  describe(area, () => {
    it.each(rows.map((row) => [row.class, row.name, row] as const))('%s: %s', async (_class, _name, row) => {
      const w = world();
      const made: Given = { ...w.made, ...(await row.before?.(w)) };
      const before = await w.stored();
      const mark = w.logged().length;
      const reply = await w.send({
        method: row.method ?? 'POST',
        path: from(row.path, made),
        ...(row.as === 'nobody' ? {} : { token: tokenOf(row, made) }),
        headers: from(row.headers ?? [], made),
        body: from(row.body, made),
      });
      const text = Buffer.from(reply.body, 'latin1').toString();
      const told = JSON.parse(text === '' ? '{}' : text) as { errors?: string[]; type?: string };
      const says = row.problem ? String(told.type) : (told.errors ?? ['no errors']).join('; ');
      const wanted = row.says instanceof RegExp ? expect.stringMatching(row.says) : from(row.says, made);
      expect({ status: reply.status, says }, text.slice(0, 500)).toEqual({
        status: row.status,
        says: wanted,
      });
      expect(reply.answers).toBe(1);
      if (row.problem) expect(reply.head).toMatch(/\r\ncontent-type: application\/problem\+json/i);
      else expect(Object.keys(told).sort()).toEqual([...(row.beside ?? []), 'errors'].sort());
      expect(w.leaks(`${reply.head}\n${text}\n${w.logged().slice(mark)}`)).toEqual([]);
      const after = await w.stored();
      if (row.changes === undefined) expect(after, 'what is stored').toBe(before);
      else expect(after, row.changes).not.toBe(before);
    });
  });
}

function tokenOf(row: Row, made: Given): string {
  const as = row.as ?? 'root';
  return typeof as === 'function' ? as(made) : (made[as] ?? '');
}

const from = <T>(given: From<T>, made: Given): T =>
  typeof given === 'function' ? (given as (made: Given) => T)(made) : given;
