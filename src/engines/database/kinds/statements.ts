/** What databases that are told in SQL have in common: statements with placeholders, and what is done where there are none. */

import { failure } from '../../../base/errors.ts';
import type { Query } from '../driver.ts';
import { type Dialect, fillStatement, splitStatements } from '../sql.ts';
import { unpacked } from '../texts.ts';
import type { DatabaseKind, Purpose, Values } from './kind.ts';

/** @param usual what is done where a role or a connection says nothing of its own */
export function inSql(
  dialect: Dialect,
  usual: Partial<Record<Purpose, string>>,
): Pick<DatabaseKind, 'check' | 'perform' | 'probe'> {
  return {
    check(purpose, written) {
      const texts = unpacked(written);
      if (purpose === 'creation' && texts.length === 0)
        throw failure('database.role', { reason: 'creation_statements are required' });
      for (const text of texts) splitStatements(dialect, text);
    },
    async perform(query, purpose, written, values) {
      const texts = unpacked(written);
      const fallback = usual[purpose];
      if (texts.length > 0) await run(dialect, query, texts, values);
      else if (fallback !== undefined) await run(dialect, query, [fallback], values);
      else if (purpose === 'creation')
        throw failure('database.role', { reason: 'empty creation statements' });
    },
    async probe(query) {
      await query('SELECT 1');
    },
  };
}

async function run(dialect: Dialect, query: Query, texts: readonly string[], values: Values): Promise<void> {
  for (const text of texts)
    for (const statement of splitStatements(dialect, text))
      await query(fillStatement(dialect, statement, values));
}
