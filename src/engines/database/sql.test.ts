import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { type Dialect, fillStatement, splitStatements } from './sql.ts';
import { MYSQL } from './sql-mysql.ts';
import { POSTGRESQL } from './sql-postgresql.ts';

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
      '#',
      '`',
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

const DIALECTS = { PostgreSQL: POSTGRESQL, MySQL: MYSQL } as const;
const dialects = Object.entries<Dialect>(DIALECTS);

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
  ])('%j is cut where PostgreSQL would cut it', (text, expected) => {
    expect(splitStatements(POSTGRESQL, text)).toEqual(expected);
  });

  it.each([
    ['SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    ['-- only; a comment\n', []],
    ['# only; a comment', []],
    ['SELECT 5--1; x', ['SELECT 5--1', 'x']],
    ['SELECT 5 --1;x\n', ['SELECT 5 --1', 'x']],
    ['SELECT 5 --\t1;x\n;y', ['SELECT 5 --\t1;x', 'y']],
    ['a # x; \r y\n b; c', ['a # x; \r y\n b', 'c']],
    [`SELECT 'a\\';b'; x`, [`SELECT 'a\\';b'`, 'x']],
    [`SELECT "a\\";b"; x`, [`SELECT "a\\";b"`, 'x']],
    [`SELECT 'it''s; one'; x`, [`SELECT 'it''s; one'`, 'x']],
    ['GRANT a ON `b;\\`.*; x', ['GRANT a ON `b;\\`.*', 'x']],
    ['a /* x; /* y; */ z; */ b', ['a /* x; /* y; */ z', '*/ b']],
    [
      `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}';GRANT SELECT ON *.* TO '{{name}}'@'%';`,
      [`CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`, `GRANT SELECT ON *.* TO '{{name}}'@'%'`],
    ],
  ])('%j is cut where MySQL would cut it', (text, expected) => {
    expect(splitStatements(MYSQL, text)).toEqual(expected);
  });

  it.each([
    [POSTGRESQL, `SELECT 'a`],
    [POSTGRESQL, 'SELECT "a'],
    [POSTGRESQL, 'DO $$ a'],
    [POSTGRESQL, 'a /* b'],
    [POSTGRESQL, `E'a\\'`],
    [MYSQL, `SELECT 'a\\'`],
    [MYSQL, 'SELECT "a'],
    [MYSQL, 'SELECT `a'],
    [MYSQL, 'a /* b'],
  ])('what has no end is refused: %#', (dialect, text) => {
    expect(() => splitStatements(dialect, text)).toThrow(/cannot be used: .*does not end/);
  });

  it.each(['a /*! b */', 'a /*!50701 b */', 'a /*M! b */'])(
    'MySQL would run what is in %s, so that it is refused',
    (text) => {
      expect(() => splitStatements(MYSQL, text)).toThrow('comments that the server runs');
    },
  );

  it.each(dialects)('of %s are cut without a character lost, whatever they are', (_, dialect) => {
    let cut = 0;
    fc.assert(
      fc.property(pieces, (text) => {
        const all = orRefused(() => dialect.segments(text));
        if (all === undefined) return;
        cut++;
        expect(all.map((segment) => segment.text).join('')).toBe(text);
        // Once cut, a statement is one statement.
        for (const statement of splitStatements(dialect, text))
          expect(splitStatements(dialect, statement)).toEqual([statement]);
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
  ])('in %s are escaped for where they stand in PostgreSQL', (statement, expected) => {
    expect(fillStatement(POSTGRESQL, statement, { name: hostile })).toBe(expected);
  });

  it.each([
    [`'{{name}}'@'%'`, `'a\\"b\\'c\\\\d$$e;--f'@'%'`],
    [`"{{ name }}"`, `"a\\"b\\'c\\\\d$$e;--f"`],
    ['`{{name}}`', '`a"b\'c\\d$$e;--f`'],
    ['a # {{name}}', 'a # {{name}}'],
  ])('in %s are escaped for where they stand in MySQL', (statement, expected) => {
    expect(fillStatement(MYSQL, statement, { name: hostile })).toBe(expected);
  });

  it('that end a quoted name of MySQL are doubled', () => {
    expect(fillStatement(MYSQL, '`{{name}}`', { name: 'a`b' })).toBe('`a``b`');
  });

  it.each([
    ['DROP ROLE {{name}}', hostile, 'must stand in quotes'],
    ['DO $$ "{{name}}" $$', hostile, 'would end the body'],
    ['"{{name}}"', 'a\0b', 'a NUL'],
    ['"{{other}}"', 'x', 'no value for {{other}}'],
    ['"{{constructor}}"', 'x', 'no value'],
  ])('in %s are refused where no escape makes them safe', (statement, name, reason) => {
    expect(() => fillStatement(POSTGRESQL, statement, { name })).toThrow(reason);
  });

  it.each(dialects)('never add a statement of %s, nor end the quotes that they stand in', (_, dialect) => {
    const templates = [
      'x "{{name}}" y',
      `x '{{name}}' y`,
      `x E'{{name}}' y`,
      'x $b$ "{{name}}" $b$ y',
      'x `{{name}}` y',
      'x {{name}} y',
    ];
    let filled = 0;
    fc.assert(
      fc.property(fc.constantFrom(...templates), fc.oneof(pieces, fc.string()), (template, name) => {
        const text = orRefused(() => fillStatement(dialect, template, { name }));
        if (text === undefined) return;
        filled++;
        expect(splitStatements(dialect, text)).toHaveLength(1);
        expect(dialect.segments(text).map(({ kind }) => kind)).toEqual(
          dialect.segments(template).map(({ kind }) => kind),
        );
      }),
      { numRuns: 1000 },
    );
    expect(filled).toBeGreaterThan(300);
  });
});
