import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { fillStatement, segments, splitStatements } from './sql.ts';

/** Texts that are made of what the lexer looks for, so that most of them reach its corners. */
const pieces = fc
  .array(
    fc.constantFrom(
      `'`,
      `''`,
      `"`,
      `$$`,
      `$a$`,
      `$1`,
      '--',
      '/*',
      '*/',
      ';',
      '\n',
      '\\',
      'E',
      'e',
      'x',
      ' ',
      '{{name}}',
      'é',
    ),
    { maxLength: 24 },
  )
  .map((all) => all.join(''));

const orRefused = <T>(work: () => T): T | undefined => {
  try {
    return work();
  } catch (error) {
    if (isFailure(error, 'database.statements')) return undefined;
    throw error;
  }
};

describe('statements', () => {
  it.each([
    ['SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    [' ;; \n; ', []],
    ['-- only; a comment\n', []],
    [`SELECT ';' ; SELECT ";"`, [`SELECT ';'`, `SELECT ";"`]],
    [`SELECT 'it''s; one';`, [`SELECT 'it''s; one'`]],
    [`SELECT E'\\';'; x`, [`SELECT E'\\';'`, 'x']],
    [`SELECT somE'\\'; x`, [`SELECT somE'\\'`, 'x']],
    ['DO $$ BEGIN a; b; END $$; c', ['DO $$ BEGIN a; b; END $$', 'c']],
    ['DO $f$ a; $$ b; $$ $f$; c', ['DO $f$ a; $$ b; $$ $f$', 'c']],
    ['a /* x; /* y; */ z; */ b; c', ['a /* x; /* y; */ z; */ b', 'c']],
    ['a -- x; y\n b; c', ['a -- x; y\n b', 'c']],
    ['a$b$; c', ['a$b$', 'c']],
    ['SELECT $1; b', ['SELECT $1', 'b']],
  ])('%j is cut where the database would cut it', (text, expected) => {
    expect(splitStatements(text)).toEqual(expected);
  });

  it.each([`SELECT 'a`, 'SELECT "a', 'DO $$ a', 'a /* b', `E'a\\'`])(
    '%j has no end and is refused',
    (text) => {
      expect(() => splitStatements(text)).toThrow(/cannot be used: .*does not end/);
    },
  );

  it('are cut without a character lost, whatever they are', () => {
    let cut = 0;
    fc.assert(
      fc.property(pieces, (text) => {
        const all = orRefused(() => segments(text));
        if (all === undefined) return;
        cut++;
        expect(all.map((segment) => segment.text).join('')).toBe(text);
        // Once cut, a statement is one statement.
        for (const statement of splitStatements(text))
          expect(splitStatements(statement)).toEqual([statement]);
      }),
      { numRuns: 500 },
    );
    expect(cut).toBeGreaterThan(50);
  });
});

describe('values', () => {
  const hostile = `a"b'c\\d$$e;--f`;

  it.each([
    ['"{{name}}"', `"a""b'c\\d$$e;--f"`],
    [`'{{name}}'`, `'a"b''c\\d$$e;--f'`],
    [`E'{{ name }}'`, `E'a"b''c\\\\d$$e;--f'`],
    ['DO $x$ "{{name}}" $x$', `DO $x$ "a""b'c\\d$$e;--f" $x$`],
    ['a -- {{name}}', 'a -- {{name}}'],
  ])('in %s are escaped for where they stand', (statement, expected) => {
    expect(fillStatement(statement, { name: hostile })).toBe(expected);
  });

  it.each([
    ['DROP ROLE {{name}}', hostile, 'must stand in quotes'],
    ['DO $$ "{{name}}" $$', hostile, 'would end the body'],
    ['"{{name}}"', 'a\0b', 'a NUL'],
    ['"{{other}}"', 'x', 'no value for {{other}}'],
    ['"{{constructor}}"', 'x', 'no value'],
  ])('in %s are refused where no escape makes them safe', (statement, name, reason) => {
    expect(() => fillStatement(statement, { name })).toThrow(reason);
  });

  it('never add a statement, nor end the quotes that they stand in', () => {
    const templates = [
      'x "{{name}}" y',
      `x '{{name}}' y`,
      `x E'{{name}}' y`,
      'x $b$ "{{name}}" $b$ y',
      'x {{name}} y',
    ];
    let filled = 0;
    fc.assert(
      fc.property(fc.constantFrom(...templates), fc.oneof(pieces, fc.string()), (template, name) => {
        const text = orRefused(() => fillStatement(template, { name }));
        if (text === undefined) return;
        filled++;
        expect(splitStatements(text)).toHaveLength(1);
        expect(segments(text).map(({ kind }) => kind)).toEqual(segments(template).map(({ kind }) => kind));
      }),
      { numRuns: 1000 },
    );
    expect(filled).toBeGreaterThan(300);
  });
});
