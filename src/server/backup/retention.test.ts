import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCron } from '../../base/cron.ts';
import { type Backup, choose, nextTry, prunePlan, retryDelay } from './retention.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 5, 15, 12);
const backup = (name: string, ageDays: number, facts: Partial<Backup> = {}): Backup => ({
  ...{ name, createdAt: NOW - ageDays * DAY, size: 1, verified: 'yes', ours: true },
  ...facts,
});
const names = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name);

describe('what a prune removes', () => {
  const keepMs = 30 * DAY;
  test('is what is older than backups are kept', () => {
    const plan = prunePlan([backup('a', 40), backup('b', 31), backup('c', 29)], NOW, keepMs);
    expect(names(plan.remove)).toEqual(['a', 'b']);
    expect(plan.spared).toEqual([]);
  });

  test('is never the last verified one, and what is newer and unverified does not stand in for it', () => {
    const plan = prunePlan(
      [
        backup('good', 50),
        backup('older', 60),
        backup('bad', 40, { verified: 'no' }),
        backup('new', 1, { verified: 'no' }),
      ],
      NOW,
      keepMs,
    );
    expect(names(plan.remove)).toEqual(['older', 'bad']);
    expect(plan.spared.map(({ backup: { name }, reason }) => [name, reason])).toEqual([
      ['good', 'last verified'],
    ]);
  });

  test('is nothing that another server made, and nothing that claims to be verified saves what is not', () => {
    const all = [
      backup('theirs', 90, { ours: false, verified: 'claimed' }),
      backup('mine', 80, { verified: 'no' }),
      backup('kept', 70),
    ];
    const plan = prunePlan(all, NOW, keepMs);
    expect(names(plan.remove)).toEqual(['mine']);
    expect(plan.spared.map(({ reason }) => reason)).toEqual(['foreign', 'last verified']);
  });

  test('leaves a verified backup of ours wherever there was one, whatever is pruned and how often', () => {
    const any = fc.record({
      name: fc.uuid(),
      createdAt: fc.integer({ min: NOW - 400 * DAY, max: NOW }),
      size: fc.nat(),
      verified: fc.constantFrom('yes', 'claimed', 'no'),
      ours: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(any), fc.integer({ min: 0, max: 500 }), (all, days) => {
        const good = (list: readonly Backup[]) =>
          list.some(({ ours, verified }) => ours && verified === 'yes');
        const { remove } = prunePlan(all as Backup[], NOW + days * DAY, 30 * DAY);
        const left = (all as Backup[]).filter((one) => !remove.includes(one));
        expect(good(left)).toBe(good(all as Backup[]));
        expect(remove.every(({ ours }) => ours)).toBe(true);
      }),
    );
  });
});

describe('which backup is restored', () => {
  const all = [
    backup('old', 3),
    backup('middle', 2),
    backup('bad', 1, { verified: 'no' }),
    backup('new', 0.5),
  ];
  test.each<[string, { name?: string; at?: number }, string | undefined]>([
    ['the newest verified one', {}, 'new'],
    ['the newest verified one at or before a time', { at: NOW - DAY }, 'middle'],
    ['the one of that very moment', { at: NOW - 2 * DAY }, 'middle'],
    ['none where all are later', { at: NOW - 10 * DAY }, undefined],
    ['an unverified one by its name alone', { name: 'bad' }, 'bad'],
    ['none by a name that there is not', { name: 'other' }, undefined],
  ])('%s', (_what, wish, name) => {
    expect(choose(all, wish)?.name).toBe(name);
  });
});

describe('when the next one is due', () => {
  const cron = parseCron('0 3 * * *');
  if (cron === undefined) throw new Error('no schedule');
  const today3 = Date.UTC(2026, 5, 15, 3);
  test.each<[string, { verifiedAt?: number; retryAt?: number }, number]>([
    [
      'at the next time of the schedule, once that of today was made',
      { verifiedAt: today3 + 60_000 },
      today3 + DAY,
    ],
    ['at once, where that of today was missed', { verifiedAt: today3 - 1 }, NOW],
    ['at once, where there never was one', {}, NOW],
    ['when it is tried again, where it failed', { retryAt: NOW + 5 }, NOW + 5],
  ])('%s', (_what, course, due) => {
    expect(nextTry(cron, NOW, { verifiedAt: undefined, retryAt: undefined, ...course })).toBe(due);
  });

  test('the waits grow from half a minute to half an hour and no further', () => {
    const most = () => 1;
    expect(retryDelay(1, most)).toBe(30_000);
    expect(retryDelay(3, most)).toBe(120_000);
    expect(retryDelay(50, most)).toBe(30 * 60_000);
    expect(retryDelay(1, () => 0)).toBe(15_000);
  });
});
