/** What judges who wrote to the database, judged itself. */

import { describe, expect, test } from 'vitest';
import { judgeEpochs, type Turn } from '../../support/nodes-epochs.ts';

const A = '127.0.0.11';
const B = '127.0.0.12';

/** Changes of the row as a leader makes them; each gives the row after it, from the row before. */
const start: Turn = {
  at: 0,
  epoch: { before: 1, after: 1 },
  turn: { before: 1, after: 1 },
  head: { before: 1, after: 1 },
  leader: 'a',
  from: A,
};
const next = (
  last: Turn,
  from: string,
  change: Partial<Record<'epoch' | 'turn' | 'head', number>>,
  leader?: string,
): Turn => ({
  at: last.at + 1,
  epoch: { before: last.epoch.after, after: last.epoch.after + (change.epoch ?? 0) },
  turn: { before: last.turn.after, after: last.turn.after + (change.turn ?? 0) },
  head: { before: last.head.after, after: last.head.after + (change.head ?? 0) },
  leader: leader === '' ? undefined : (leader ?? last.leader),
  from,
});
const commit = (last: Turn, from: string): Turn => next(last, from, { turn: 1, head: 1 });
const campaign = (last: Turn, from: string): Turn => next(last, from, { epoch: 1, turn: 1 }, from);
const renewal = (last: Turn, from: string): Turn => next(last, from, {});
const resignation = (last: Turn, from: string): Turn => next(last, from, { turn: 1 }, '');

/** All of them, each made from the one before. */
const row = (...makers: readonly ((last: Turn) => Turn)[]): Turn[] => {
  const turns = [start];
  for (const make of makers) turns.push(make(turns.at(-1) ?? start));
  return turns;
};
const by = (make: (last: Turn, from: string) => Turn, from: string) => (last: Turn) => make(last, from);

describe('the changes of the row that names the leader', () => {
  test('are right where nodes lead one after the other, by resignation or by the end of a lease', () => {
    const turns = row(
      by(commit, A),
      by(renewal, A),
      by(resignation, A),
      by(campaign, B),
      by(commit, B),
      by(campaign, A),
      by(commit, A),
    );
    expect(judgeEpochs(turns)).toMatchObject({
      commits: 3,
      begun: [
        { epoch: 2, from: B },
        { epoch: 3, from: A },
      ],
      wrong: [],
    });
  });

  test.each<[string, readonly Turn[], RegExp]>([
    [
      'another node writes under the epoch of a leader',
      row(by(commit, A), by(commit, B)),
      /the epoch is of 127\.0\.0\.11$/,
    ],
    [
      'a node writes after it gave the lead up',
      row(by(resignation, A), by(commit, A)),
      /a commit while nobody leads$/,
    ],
    [
      'an epoch comes back',
      row(by(campaign, B), (last) => next(last, B, { epoch: -1, turn: 1 })),
      /an epoch after 2/,
    ],
    ['revisions go back', row((last) => next(last, A, { turn: 1, head: -1 })), /revisions go back$/],
    ['a commit takes no turn', row((last) => next(last, A, { head: 1 })), /a commit that takes no turn$/],
    [
      'a commit begins an epoch',
      row((last) => next(last, B, { epoch: 1, turn: 1, head: 1 }, 'b')),
      /a commit that begins an epoch$/,
    ],
    [
      'a change was not noted',
      [...row(by(commit, A)), commit(commit(commit(start, A), A), A)],
      /the row was another before it than after the change before$/,
    ],
  ])('are wrong where %s', (_, turns, says) => {
    expect(judgeEpochs(turns).wrong.join('\n')).toMatch(says);
  });
});
