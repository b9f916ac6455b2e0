/** What judges the histories of the faults beside this, judged itself: by histories made right, made wrong, and by trying all orders. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Asked,
  EMPTY,
  type Kept,
  lost,
  type Operation,
  type Outcome,
  type Register,
  settled,
  staleForTheirOwn,
  step,
} from '../../support/histories.ts';
import { check } from '../../support/histories-checker.ts';
import { judgeByPorcupine, porcupine } from '../../support/porcupine.ts';

const RUNS = 300;

/** An operation on the key `k`, from the moment `invoked` to `returned`. */
const op = (
  asked: Asked,
  [invoked, returned]: readonly [number, number],
  told?: readonly [version: number, value?: string | undefined],
  outcome: Outcome = 'done',
  client = 0,
): Operation => ({
  client,
  by: 'a test',
  key: 'k',
  asked,
  outcome,
  told: told === undefined ? undefined : { version: told[0], value: told[1] },
  invoked,
  returned,
});
const put = (value: string, at: readonly [number, number], version?: number): Operation =>
  op(
    { kind: 'put', value },
    at,
    version === undefined ? undefined : [version, value],
    version === undefined ? 'unknown' : 'done',
  );
const cas = (value: string, expected: number, at: readonly [number, number], outcome: Outcome = 'done') =>
  op({ kind: 'cas', value, expected }, at, outcome === 'done' ? [expected + 1, value] : undefined, outcome);
const read = (at: readonly [number, number], version: number, value?: string): Operation =>
  op({ kind: 'read' }, at, [version, value]);
const remove = (at: readonly [number, number], outcome: Outcome = 'done'): Operation =>
  op({ kind: 'delete' }, at, undefined, outcome);

/** What is kept of the key, from version 1 on; a value after `!` was deleted. */
const keptOf = (...values: readonly string[]): Kept =>
  new Map([
    [
      'k',
      new Map(
        values.map((text, index) => [
          index + 1,
          { value: text.replace('!', ''), deleted: text.startsWith('!') },
        ]),
      ),
    ],
  ]);

const GOOD: Readonly<Record<string, readonly Operation[]>> = {
  'a read during a write sees the old value, and another one the new': [
    put('a', [0, 1], 1),
    put('b', [2, 8], 2),
    read([3, 4], 1, 'a'),
    read([5, 6], 2, 'b'),
  ],
  'a write without an answer happens late, after another one': [
    put('a', [0, 1]),
    put('b', [2, 3], 1),
    read([4, 5], 2, 'a'),
  ],
  'a write without an answer never happens': [put('a', [0, 1]), put('b', [2, 3], 1), read([4, 5], 1, 'b')],
  'a cas is refused while a write is under way that it could have come after': [
    put('a', [0, 9], 1),
    cas('b', 0, [1, 2], 'mismatch'),
  ],
  'a deletion keeps the version and takes the value': [
    put('a', [0, 1], 1),
    remove([2, 3]),
    read([4, 5], 1),
    cas('b', 1, [6, 7]),
    read([8, 9], 2, 'b'),
  ],
  'of two deletions without an answer one is seen, between two writes': [
    put('a', [0, 1], 1),
    remove([1, 2], 'unknown'),
    remove([1, 2], 'unknown'),
    read([3, 4], 1, 'a'),
    read([5, 6], 1),
    put('b', [7, 8], 2),
    read([9, 10], 2, 'b'),
  ],
};

const BAD: Readonly<Record<string, readonly Operation[]>> = {
  'a stale read: older than a write that was answered before it was asked': [
    put('a', [0, 1], 1),
    put('b', [2, 3], 2),
    read([4, 5], 1, 'a'),
  ],
  'two reads, one after the other, go back in time while a write is under way': [
    put('a', [0, 1], 1),
    put('b', [2, 9], 2),
    read([3, 4], 2, 'b'),
    read([5, 6], 1, 'a'),
  ],
  'a lost write: the next one makes the same version': [
    put('a', [0, 1], 1),
    put('b', [2, 3], 2),
    put('c', [4, 5], 2),
  ],
  'two leaders: both take a cas over the same version': [
    put('a', [0, 1], 1),
    cas('b', 1, [2, 5]),
    cas('c', 1, [3, 6]),
  ],
  'a cas is refused though nothing was written since': [put('a', [0, 1], 1), cas('b', 1, [2, 3], 'mismatch')],
  'a write that was refused by the node is seen': [put('a', [0, 1], 1), read([2, 3], 2, 'b')],
  'a value that is seen before anybody asked for its write': [read([0, 1], 1, 'a'), put('a', [2, 3], 1)],
  'a write happened twice: the version rose by two for one': [put('a', [0, 1], 1), put('b', [2, 3], 3)],
  'a deleted value comes back': [put('a', [0, 1], 1), remove([2, 3]), read([4, 5], 1, 'a')],
  'a write without an answer comes and goes again': [
    put('a', [0, 1], 1),
    put('b', [2, 3]),
    read([4, 5], 2, 'b'),
    read([6, 7], 1, 'a'),
  ],
};

describe('our checker', () => {
  test.each(Object.entries(GOOD))('takes a history in which %s', (_, history) => {
    expect(check(history)).toMatchObject({ wrong: [], undecided: [] });
  });
  test.each(Object.entries(BAD))('finds %s', (_, history) => {
    const { wrong, undecided } = check(history);
    expect({ count: wrong.length, undecided }).toEqual({ count: 1, undecided: [] });
    expect(wrong[0]).toMatch(/^k: while it holds version \d+ = \w+, none of these can come next/);
  });

  test('says the same as trying all orders, on any small history', () => {
    let right = 0;
    fc.assert(
      fc.property(smallHistory, (history) => {
        const wanted = hasOrder(history, EMPTY);
        if (wanted) right++;
        expect(check(history).wrong.length === 0).toBe(wanted);
      }),
      { numRuns: 10 * RUNS },
    );
    // Were all of them of one kind, the comparison would tell little.
    expect(right).toBeGreaterThan(RUNS);
    expect(right).toBeLessThan(9 * RUNS);
  });

  test('takes every history of a register that does one thing at a time, whatever nobody was told', () => {
    fc.assert(
      fc.property(made, ({ history }) => {
        expect(check(history)).toMatchObject({ wrong: [], undecided: [] });
      }),
      { numRuns: RUNS },
    );
  });

  test('finds a stale read and a lost write wherever they are planted in such a history', () => {
    let planted = 0;
    fc.assert(
      fc.property(made, fc.nat(), ({ history }, seed) => {
        for (const plant of [plantStaleRead, plantLostWrite]) {
          const wrong = plant(history, seed);
          if (wrong === undefined) continue;
          planted++;
          expect(check(wrong).wrong).toHaveLength(1);
        }
      }),
      { numRuns: RUNS },
    );
    expect(planted).toBeGreaterThan(RUNS);
  });

  test('gives a search up that is too large, and says which, instead of calling the history right', () => {
    expect(check(BAD['a deleted value comes back'] ?? [], 1)).toMatchObject({ wrong: [], undecided: ['k'] });
  });

  test('settles what nobody was told by what is kept, and still finds an effect that came and went', () => {
    const history = [put('a', [0, 1], 1), put('b', [2, 3]), put('c', [2, 3]), put('d', [4, 5], 3)];
    const kept = keptOf('a', 'c', 'd');
    const known = settled(history, kept);
    expect(known.map(({ outcome, told }) => [outcome, told?.version])).toEqual([
      ['done', 1],
      ['nothing', undefined],
      ['unknown', 2],
      ['done', 3],
    ]);
    expect(check(known).wrong).toEqual([]);
    expect(check([...known, read([2.5, 3], 2, 'b')]).wrong).toHaveLength(1);
  });

  test('lets as many deletions happen that nobody was told of as there are deleted versions', () => {
    const silent = [remove([1, 2], 'unknown'), remove([1, 2], 'unknown'), remove([1, 2], 'unknown')];
    const count = (kept: Kept): number =>
      settled([put('a', [0, 1], 1), ...silent], kept).filter(({ outcome }) => outcome === 'unknown').length;
    expect([keptOf('a'), keptOf('!a'), keptOf('!a', '!b'), new Map()].map(count)).toEqual([0, 1, 2, 0]);
  });
});

describe('what is seen without a search', () => {
  test('a client that reads less than it wrote or read is found, by whichever node', () => {
    expect(
      staleForTheirOwn(BAD['a stale read: older than a write that was answered before it was asked'] ?? []),
    ).toHaveLength(1);
    const another = { ...read([4, 5], 1, 'a'), client: 1 };
    expect(staleForTheirOwn([put('a', [0, 1], 1), put('b', [2, 3], 2), another])).toEqual([]);
    expect(staleForTheirOwn([read([0, 1], 2, 'b'), read([2, 3], 1, 'a')])[0]).toMatch(
      /^client 0 by a test reads k at 2\.0\.\.3\.0 ms: version 1 = a, after client 0 by a test reads k/,
    );
  });

  test('an acknowledged write that is not kept, or kept with another value, is found', () => {
    const history = [put('a', [0, 1], 1), cas('b', 1, [2, 3]), put('u', [4, 5])];
    expect(lost(history, keptOf('a', 'b'))).toEqual([]);
    expect(lost(history, keptOf('a'))[0]).toMatch(
      /writes b over version 1 of k .* there is no such version$/,
    );
    expect(lost(history, keptOf('a', 'c'))[0]).toMatch(/at the end it holds c$/);
    expect(lost(history, keptOf('a', '!b'))[0]).toMatch(/at the end it is deleted, which nobody asked for$/);
    expect(lost([...history, remove([6, 7])], keptOf('a', '!b'))).toEqual([]);
    expect(lost(history, new Map())).toHaveLength(2);
  });
});

const absent = await porcupine();
if (typeof absent === 'string') console.warn(`SKIPPED: Porcupine, because ${absent}`);

describe.skipIf(typeof absent === 'string')('Porcupine', () => {
  test('says the same of the known histories, and of made ones', async () => {
    const named = Object.entries({ ...GOOD, ...BAD }).map(([name, history]) =>
      history.map((one) => ({ ...one, key: name })),
    );
    const judged = await judgeByPorcupine(named.flat());
    expect([...judged.wrong].sort()).toEqual(Object.keys(BAD).sort());
    expect(judged).toMatchObject({ keys: named.length, undecided: [] });
    const samples = fc.sample(made, 60).flatMap(({ history }, index) => {
      const key = (name: string) => (one: Operation) => ({ ...one, key: `${name} ${index}` });
      return [
        ...history.map(key('right')),
        ...(plantStaleRead(history, index) ?? []).map(key('stale')),
        ...(plantLostWrite(history, index) ?? []).map(key('lost')),
      ];
    });
    const again = await judgeByPorcupine(samples);
    const names = new Set(samples.map(({ key }) => key));
    expect([...again.wrong].sort()).toEqual([...names].filter((name) => !name.startsWith('right')).sort());
    expect(again.undecided).toEqual([]);
  });
});

/** Whether some order explains the history, by trying them all. What nobody was told of may be left out. */
function hasOrder(left: readonly Operation[], state: Register): boolean {
  if (left.every(({ outcome }) => outcome === 'unknown')) return true;
  return left.some((next, index) => {
    const others = left.filter((_, at) => at !== index);
    if (others.some(({ outcome, returned }) => outcome !== 'unknown' && returned < next.invoked))
      return false;
    const after = step(state, next);
    return after !== undefined && hasOrder(others, after);
  });
}

const anyAsked: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Asked>({ kind: 'read' }) },
  { weight: 3, arbitrary: fc.constantFrom('a', 'b').map((value) => ({ kind: 'put' as const, value })) },
  {
    weight: 2,
    arbitrary: fc
      .record({ value: fc.constantFrom('a', 'b'), expected: fc.nat(2) })
      .map((given) => ({ kind: 'cas' as const, ...given })),
  },
  { weight: 1, arbitrary: fc.constant<Asked>({ kind: 'delete' }) },
);

/** Of few operations, few values and few moments, so that about as many have an order as have none. */
const smallHistory: fc.Arbitrary<readonly Operation[]> = fc.array(
  fc
    .record({
      asked: anyAsked,
      invoked: fc.nat(6),
      lasts: fc.nat(4),
      version: fc.nat(2),
      seen: fc.constantFrom('a', 'b', undefined),
      outcome: fc.constantFrom<Outcome>('done', 'done', 'mismatch', 'unknown'),
    })
    .map(({ asked, invoked, lasts, version, seen, outcome: given }) => {
      const outcome = given === 'mismatch' && asked.kind !== 'cas' ? 'done' : given;
      const told = toldOf(asked, outcome, version, seen);
      return op(asked, [invoked, invoked + lasts], told, outcome);
    })
    .filter(({ asked, outcome }) => asked.kind !== 'read' || outcome === 'done'),
  { minLength: 1, maxLength: 5 },
);

function toldOf(
  asked: Asked,
  outcome: Outcome,
  version: number,
  seen: string | undefined,
): readonly [version: number, value?: string | undefined] | undefined {
  if (outcome !== 'done' || asked.kind === 'delete') return undefined;
  if (asked.kind === 'cas') return [asked.expected + 1, asked.value];
  if (asked.kind === 'put') return [version + 1, asked.value];
  return version === 0 || seen === undefined ? [version] : [version, seen];
}

/** A history of a register that does one thing at a time, each at a moment within its interval; values are never used twice. */
const made: fc.Arbitrary<{ readonly history: readonly Operation[] }> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('read', 'read', 'put', 'put', 'cas', 'delete'),
      off: fc.nat(1),
      before: fc.nat(40),
      after: fc.nat(40),
      silent: fc.constantFrom(false, false, false, 'happens', 'never'),
    }),
    { minLength: 5, maxLength: 60 },
  )
  .map((plans) => {
    let state: Register = EMPTY;
    const history = plans.map(({ kind, off, before, after, silent }, index): Operation => {
      const at = index * 10;
      const value = `v${index}`;
      const asked: Asked =
        kind === 'cas'
          ? { kind, value, expected: Math.max(state.version - off, 0) }
          : kind === 'put'
            ? { kind, value }
            : { kind: kind === 'read' ? 'read' : 'delete' };
      const meets = asked.kind !== 'cas' || asked.expected === state.version;
      const writes = asked.kind === 'put' || asked.kind === 'cas';
      if (silent !== 'never' && meets && writes) state = { version: state.version + 1, value };
      if (silent !== 'never' && asked.kind === 'delete') state = { version: state.version, value: undefined };
      const outcome: Outcome =
        silent !== false ? (asked.kind === 'read' ? 'nothing' : 'unknown') : meets ? 'done' : 'mismatch';
      const told = outcome === 'done' && asked.kind !== 'delete' ? state : undefined;
      return {
        client: index,
        by: 'a test',
        key: 'k',
        asked,
        outcome,
        told,
        invoked: at - before,
        returned: at + after,
      };
    });
    return { history };
  });

/** A read that sees a version whose successor had been answered before the read was asked; undefined where there is no place. */
function plantStaleRead(history: readonly Operation[], seed: number): readonly Operation[] | undefined {
  const writes = history.filter(({ asked, told }) => asked.kind !== 'read' && told !== undefined);
  const places = writes.filter(({ told }) =>
    writes.some((other) => other.told?.version === (told?.version ?? 0) - 1),
  );
  const after = places[seed % places.length];
  const seen = writes.find(({ told }) => told?.version === (after?.told?.version ?? 0) - 1)?.told;
  if (after === undefined || seen === undefined) return undefined;
  return [...history, read([after.returned + 1, after.returned + 2], seen.version, seen.value)];
}

/** The write of some version is forgotten and another one makes it again. */
function plantLostWrite(history: readonly Operation[], seed: number): readonly Operation[] | undefined {
  const writes = history.filter(({ asked, told }) => asked.kind === 'put' && told !== undefined);
  const victim = writes[seed % writes.length];
  if (victim?.told === undefined) return undefined;
  const { version } = victim.told;
  return [...history, put('planted', [victim.returned + 1, victim.returned + 2], version)];
}
