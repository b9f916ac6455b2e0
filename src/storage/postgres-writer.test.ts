import { describe, expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { pending } from './keys.ts';
import { Shared } from './postgres.ts';
import { changesOf } from './postgres-feed.ts';
import { type Link, Lost, type Statement } from './postgres-link.ts';
import { tablesOf } from './postgres-schema.ts';
import { type Member, PostgresWriter, plan } from './postgres-writer.ts';
import type { Check, Write } from './storage.ts';

const put = (key: string, value = key): Write => ({ key, value: utf8(value) });
const drop = (key: string): Write => ({ key, delete: true });
const member = (writes: readonly Write[], checks: readonly Check[] = []): Member => ({
  ...pending(writes, checks),
  resolve: () => {},
  reject: () => {},
});

describe('the plan of a batch', () => {
  test('gives each member with writes a revision of its own, and keeps the last write of each key', () => {
    const made = plan(
      [member([put('a', '1'), put('b')]), member([]), member([put('a', '2'), drop('b')])],
      new Map(),
      7,
    );
    expect(made.accepted.map(({ revision }) => revision)).toEqual([8, 8, 9]);
    expect([...made.writes.values()]).toEqual([
      { ...put('a', '2'), revision: 9 },
      { ...drop('b'), revision: 9 },
    ]);
    expect(made.head).toBe(9);
  });

  test('tests a member against the members before it, and a member that fails leaves nothing to those after it', () => {
    const made = plan(
      [
        member([put('a')], [{ key: 'a', revision: 3 }]),
        member([put('a'), put('c')], [{ key: 'a', revision: 3 }]),
        member([drop('a')], [{ key: 'a', revision: 11 }]),
        member(
          [put('d')],
          [
            { key: 'a', revision: 0 },
            { key: 'c', revision: 0 },
          ],
        ),
      ],
      new Map([['a', 3]]),
      10,
    );
    expect(made.rejected.map(({ key }) => key)).toEqual(['a']);
    expect(made.accepted.map(({ revision }) => revision)).toEqual([11, 12, 13]);
    expect([...made.writes.keys()]).toEqual(['a', 'd']);
  });

  test('leaves what is over the size of a batch to the next one', () => {
    const large = member([{ key: 'a', value: new Uint8Array(9 * 1024 * 1024) }]);
    expect(plan([large, member([put('b')])], new Map(), 0)).toMatchObject({ taken: 1, head: 1 });
  });
});

test('the changes of a batch are told per revision, in order', () => {
  expect(changesOf([4, 4, 6], ['a', 'b', 'a'])).toEqual([
    { revision: 4, keys: ['a', 'b'] },
    { revision: 6, keys: ['a'] },
  ]);
});

test('who asks while an answer is under way gets the next one, shared with all who ask meanwhile', async () => {
  const answers: ((value: number) => void)[] = [];
  const shared = new Shared(() => new Promise<number>((resolve) => answers.push(resolve)));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const first = [shared.read(), shared.read()];
  await settle();
  const second = [shared.read(), shared.read()];
  await settle();
  expect(answers).toHaveLength(1);
  answers[0]?.(1);
  await settle();
  expect(answers).toHaveLength(2);
  answers[1]?.(2);
  expect(await Promise.all([...first, ...second])).toEqual([1, 1, 2, 2]);
});

/** A database that answers as it is told: what a statement's name leads to. */
function scripted(
  answer: (name: string, statement: Statement) => Promise<readonly Record<string, unknown>[]>,
) {
  const asked: string[] = [];
  const ask = (statement: Statement) => {
    asked.push(statement.name ?? '');
    return answer(statement.name ?? '', statement);
  };
  const never = async (): Promise<never> => {
    throw new Error('not asked for');
  };
  const link: Link = {
    read: ask,
    write: ask,
    session: never,
    transaction: never,
    listen: never,
    cut: () => {},
    close: async () => {},
  };
  let now = 0;
  const writer = new PostgresWriter(link, tablesOf('t'), {
    keptChanges: 8,
    settleMs: 1,
    now: () => now++,
    wake: () => {},
  });
  writer.lead({ epoch: 3, turn: 5, head: 9, since: 0 });
  return { writer, asked };
}

describe('the revisions that a commit is checked against', () => {
  const kept = { epoch: '3', turn: '6', place: 1, revision: '10' };

  test('are not asked for where the last batch wrote just those, and are for any other', async () => {
    const { writer, asked } = scripted(async (name) => (name === 'holdfast_revisions' ? [kept] : [{}]));
    await writer.commit([put('a')], []);
    expect(await writer.commit([put('a')], [{ key: 'a', revision: 10 }])).toBe(11);
    expect(asked).toEqual(['holdfast_commit', 'holdfast_commit']);
    asked.length = 0;
    await expect(writer.commit([put('a')], [{ key: 'a', revision: 12 }])).rejects.toThrow();
    expect(asked[0]).toBe('holdfast_revisions');
  });

  test('are asked for again once the row may have gone on without this writer', async () => {
    let taken = false;
    const { writer, asked } = scripted(async (name) => {
      if (name === 'holdfast_turn') return [{ turn: '8', head: '12', since: '0', batch: null }];
      if (name === 'holdfast_revisions') return [{ ...kept, turn: '8', revision: '12' }];
      return taken && asked.length === 1 ? [] : [{}];
    });
    await writer.commit([put('a')], []);
    asked.length = 0;
    taken = true;
    const late = writer.commit([put('a')], [{ key: 'a', revision: 10 }]);
    await expect(late).rejects.toMatchObject({ code: 'storage.conflict' });
    expect(asked).toEqual(['holdfast_commit', 'holdfast_turn', 'holdfast_revisions']);
  });
});

describe('a commit whose connection is lost', () => {
  test('before it was sent fails at once: nothing was kept', async () => {
    const { writer, asked } = scripted(async () => {
      throw new Lost(false, new Error('refused'));
    });
    await expect(writer.commit([put('a')], [])).rejects.toMatchObject({ code: 'storage.write' });
    expect(asked).toEqual(['holdfast_commit']);
  });

  test('is unknown, and says so, while nobody can be asked; the next one takes the turn first', async () => {
    let down = true;
    const { writer, asked } = scripted(async (name) => {
      if (down) throw new Lost(true, new Error('cut'));
      return name === 'holdfast_turn' ? [{ turn: '8', head: '9', since: '0', batch: null }] : [{}];
    });
    await expect(writer.commit([put('a')], [])).rejects.toMatchObject({ code: 'storage.unknown' });
    down = false;
    asked.length = 0;
    expect(await writer.commit([put('a')], [])).toBe(10);
    expect(asked).toEqual(['holdfast_turn', 'holdfast_commit']);
  });

  test.each([
    ['was kept before another epoch began is acknowledged', { since: '0', kept: true }, 10],
    ['was not kept before another epoch began is fenced', { since: '0', kept: false }, 'storage.fenced'],
    ['may have been trimmed since is unknown', { since: '12', kept: false }, 'storage.unknown'],
  ])('and that %s', async (_, outcome, wanted) => {
    const { writer } = scripted(async (name) => {
      if (name === 'holdfast_commit') throw new Lost(true, new Error('cut'));
      return name === 'holdfast_outcome' ? [outcome] : [];
    });
    const answer = await writer
      .commit([put('a')], [])
      .catch((error: unknown) => (error as { code: string }).code);
    expect(answer).toBe(wanted);
    await expect(writer.commit([put('b')], [])).rejects.toMatchObject({ code: 'storage.fenced' });
  });
});

test('a statement that the database refuses kept nothing, and the next commit goes on from where it stood', async () => {
  let full = true;
  const { writer } = scripted(async () => {
    if (full) throw failure('storage.database', { reason: 'its disk is full' });
    return [{}];
  });
  await expect(writer.commit([put('a')], [])).rejects.toMatchObject({ code: 'storage.write' });
  full = false;
  expect(await writer.commit([put('a')], [])).toBe(10);
});
