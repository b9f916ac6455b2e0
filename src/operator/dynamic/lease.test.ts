import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { courseOf } from '../../provider/course.ts';
import type { Issued, OwnLogin } from '../../provider/issuer.ts';
import {
  applied,
  begun,
  disown,
  ended,
  GRACE_MS,
  issued,
  type LeaseRecord,
  type Named,
  renewed,
  spent,
  without,
} from './lease.ts';
import { type Facts, nextStep } from './plan.ts';

const HOUR = 3_600_000;
const T = Date.UTC(2026, 5, 1);
const facts: Facts = { owner: 'uses', follows: true, process: 'me', resting: new Map() };
const bare: LeaseRecord = {
  owner: { kind: 'ExternalSecret', namespace: 'team', name: 'app', uid: 'u' },
  id: 'need',
  key: 'database/creds/app',
  store: 'SecretStore/vault',
  provider: 'vault',
  former: [],
};

const login = (id: string, ms: number | 'endless' = 2 * HOUR): OwnLogin & Named => ({
  id,
  handle: `token of ${id}`,
  life: { ms: ms === 'endless' ? undefined : ms, renewable: true },
});
const made = (
  seconds: number,
  more: Partial<Issued> & { renewable?: boolean; leaseId?: string } = {},
): Issued & { basis: string; path: string } => {
  const { renewable = true, leaseId = 'lease', ...rest } = more;
  return {
    basis: 'b',
    path: 'database/creds/app',
    value: { fields: new Map(), json: '{"username":"u","password":"p"}' },
    envelope: { leaseId, leaseSeconds: seconds, renewable },
    ...rest,
  };
};
const held = (
  seconds: number,
  more?: Parameters<typeof made>[1],
  by: OwnLogin & Named = login('one'),
): LeaseRecord => applied(issued(begun(bare, by, 'me', T), by, made(seconds, more), T).record, T);
const at = (record: LeaseRecord, now: number, more: Partial<Facts> = {}) =>
  nextStep(record, { ...facts, ...more }, now);
const currentOf = ({ current }: LeaseRecord) => {
  if (current === undefined) throw new Error('nothing is held');
  return current;
};

describe('a lease', () => {
  test('is renewed at two thirds of its life', () => {
    const record = held(3600);
    expect(at(record, T + 1)).toEqual({ do: 'wait', until: T + 2_400_000 });
    expect(at(record, T + 2_400_000)).toMatchObject({ do: 'renew' });
  });

  test('is renewed with its login, where that ends earlier', () => {
    const record = held(3600, {}, login('one', 1_200_000));
    expect(at(record, T + 800_000)).toMatchObject({ do: 'renew' });
  });

  test('that was renewed in full goes on from there', () => {
    const record = held(3600);
    const now = T + 2_400_000;
    const current = renewed(
      currentOf(record),
      { login: { ms: 2 * HOUR, renewable: true }, lease: { ms: HOUR, renewable: true } },
      now,
    );
    expect(at({ ...record, current }, now)).toEqual({ do: 'wait', until: now + 2_400_000 });
  });

  test('that has met its longest life is issued anew before its end', () => {
    const record = held(3600);
    const now = T + 2_400_000;
    const current = renewed(currentOf(record), { lease: { ms: 1_500_000, renewable: true } }, now);
    expect(courseOf(current)).toMatchObject({ reissueAt: now + 1_000_000, endsAt: now + 1_500_000 });
    expect(at({ ...record, current }, now + 1_000_000)).toMatchObject({ do: 'wake' });
  });

  test('of which a renewal says nothing of one part has that part not renewed again', () => {
    const record = held(3600, {}, login('one', HOUR));
    const now = T + 2_400_000;
    const current = renewed(currentOf(record), { lease: { ms: HOUR, renewable: true } }, now);
    expect(at({ ...record, current }, now)).toMatchObject({ do: 'wake' });
  });

  test('that cannot be renewed is issued anew at two thirds', () => {
    const record = held(3600, { renewable: false }, login('one', 'endless'));
    expect(at(record, T)).toEqual({ do: 'wait', until: T + 2_400_000 });
    expect(at(record, T + 2_400_000)).toMatchObject({ do: 'wake' });
  });

  test('whose renewal fails is left alone for a while, and issued anew at five sixths', () => {
    const record = held(3600);
    const resting = new Map([['one', T + 2_460_000]]);
    expect(at(record, T + 2_400_000, { resting })).toEqual({ do: 'wait', until: T + 2_460_000 });
    expect(at(record, T + 3_000_000)).toMatchObject({ do: 'wake' });
  });

  test('that nobody may renew any more is issued anew at once, whether it still works or not', () => {
    const record = held(3600);
    for (const over of [spent, ended])
      expect(at({ ...record, current: over(currentOf(record), T + 10) }, T + 10)).toMatchObject({
        do: 'wake',
      });
  });

  test('of an owner that is to be read once is renewed and not issued anew', () => {
    const record = held(3600);
    for (const late of [2_400_000, 3_000_000])
      expect(at(record, T + late, { follows: false })).toMatchObject({ do: 'renew' });
    expect(at({ ...record, current: spent(currentOf(record), T) }, T + HOUR, { follows: false })).toEqual({
      do: 'wait',
    });
  });

  test('without an end is left as it is', () => {
    expect(at(held(0, {}, login('one', 'endless')), T + 1000 * HOUR)).toEqual({ do: 'wait' });
  });
});

describe('a certificate', () => {
  test('is issued anew at half its life, and nothing hangs on its login', () => {
    const record = held(0, { leaseId: '', notAfter: T + 30 * 24 * HOUR });
    expect(currentOf(record).by).toBeUndefined();
    expect(at(record, T)).toMatchObject({ do: 'revoke', former: { id: 'one' } });
    const settled = { ...record, former: [] };
    expect(at(settled, T)).toEqual({ do: 'wait', until: T + 15 * 24 * HOUR });
    expect(at(settled, T + 15 * 24 * HOUR)).toMatchObject({ do: 'wake' });
  });

  test('with a lease keeps its login, as that would take the certificate along', () => {
    const record = held(30 * 24 * 3600, { notAfter: T + 30 * 24 * HOUR, renewable: false });
    expect(currentOf(record).by?.id).toBe('one');
    expect(courseOf(currentOf(record))).toMatchObject({
      renewAt: T + (4 * HOUR) / 3,
      endsAt: T + 2 * HOUR,
    });
  });
});

describe('what was replaced', () => {
  const replaced = (): LeaseRecord => {
    const next = login('two');
    return issued(begun(held(3600), next, 'me', T + 10), next, made(3600), T + 10).record;
  };

  test('works until the Secret holds what came after it, and a grace longer', () => {
    const record = replaced();
    // Its owner is asked, as whoever stored that the Secret holds it may have died before.
    expect(at(record, T + GRACE_MS + 20)).toMatchObject({ do: 'wake' });
    const told = applied(record, T + 20);
    expect(at(told, T + 20 + GRACE_MS - 1)).toMatchObject({ do: 'wait', until: T + 20 + GRACE_MS });
    expect(at(told, T + 20 + GRACE_MS)).toMatchObject({
      do: 'revoke',
      former: { id: 'one', leaseId: 'lease' },
    });
  });

  test('is taken back when it ends by itself, so that its login does not outlive it', () => {
    expect(at(replaced(), T + HOUR)).toMatchObject({ do: 'revoke', former: { id: 'one' } });
  });

  test('does not stop renewals where it cannot be taken back', () => {
    const told = applied(replaced(), T + 20);
    const resting = new Map([['one', T + 2 * HOUR]]);
    expect(at(told, T + 2_400_010, { resting })).toMatchObject({
      do: 'renew',
      holding: { by: { id: 'two' } },
    });
  });

  test('is forgotten long after it ended by itself', () => {
    const record = { ...bare, former: [{ id: 'one', handle: 'h', from: T, endsAt: T + 1 }] };
    expect(at(record, T + 2 * HOUR)).toMatchObject({ do: 'revoke' });
    const gone = at(record, T + 2 * HOUR, { resting: new Map([['one', T]]) });
    expect(gone).toMatchObject({ do: 'keep', record: { former: [] } });
  });
});

describe('a login that was begun', () => {
  test('and left behind by this process is taken back', () => {
    expect(at(begun(bare, login('one'), 'me', T), T)).toMatchObject({
      do: 'keep',
      record: { former: [{ id: 'one', from: T }] },
    });
  });

  test('by another process may still be under way, for a minute', () => {
    const record = begun(bare, login('one'), 'other', T);
    expect(at(record, T)).toEqual({ do: 'wait', until: T + 60_000 });
    expect(at(record, T + 60_000)).toMatchObject({ do: 'keep' });
  });

  test('is taken back when another one is begun', () => {
    const record = begun(begun(bare, login('one'), 'other', T), login('two'), 'me', T + 1);
    expect(record).toMatchObject({ pending: { id: 'two' }, former: [{ id: 'one', from: T + 1 }] });
  });

  test('for what is read anew each time is given back at once, and nothing is left', () => {
    const by = login('one');
    const { record, kept } = issued(begun(bare, by, 'me', T), by, made(0, { leaseId: '' }), T);
    expect(kept).toBe(false);
    expect(at(record, T)).toMatchObject({ do: 'revoke', former: { id: 'one' } });
    expect(at({ ...record, former: [] }, T)).toEqual({ do: 'forget' });
  });
});

describe('an owner', () => {
  test('that is gone ends all at once', () => {
    const step = at(held(3600), T + 5, { owner: 'gone' });
    expect(step).toMatchObject({ do: 'keep', record: { former: [{ id: 'one', from: T + 5 }] } });
  });

  test('that names a key no more keeps its credential for a grace, and gets it back if it changes its mind', () => {
    const retired = at(held(3600), T + 5, { owner: 'unused' });
    if (retired.do !== 'keep') throw new Error(retired.do);
    expect(retired.record).toMatchObject({ retiredAt: T + 5, current: { by: { id: 'one' } } });
    expect(at(retired.record, T + 6, { owner: 'unused' })).toMatchObject({
      do: 'wait',
      until: T + 5 + GRACE_MS,
    });
    expect(at(retired.record, T + 5 + GRACE_MS, { owner: 'unused' })).toMatchObject({
      do: 'keep',
      record: { former: [{ id: 'one' }] },
    });
    expect(at(retired.record, T + 6)).toMatchObject({
      do: 'keep',
      record: { current: { by: { id: 'one' } } },
    });
  });
});

test('whatever happens in whatever order, each login is in use, or known and on its way to be taken back', () => {
  const move = fc.oneof(
    fc.constantFrom(
      'begin',
      'issue',
      'apply',
      'renewFull',
      'renewLess',
      'spend',
      'crash',
      'unused',
      'gone' as const,
    ),
    fc.nat({ max: 90 }),
  );
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      let record = bare;
      let now = T;
      let logins = 0;
      let process = 'me';
      let owner: Facts['owner'] = 'uses';
      const open = new Set<string>();
      let under: (OwnLogin & Named) | undefined;
      /** Does all that is due, as the keeper does. */
      const work = (): void => {
        for (let steps = 0; ; steps++) {
          if (steps > 50) throw new Error('it never comes to rest');
          const step = nextStep(record, { ...facts, owner, process }, now);
          if (step.do === 'wait' || step.do === 'wake') {
            if (step.until !== undefined) expect(step.until).toBeGreaterThan(now);
            return;
          }
          if (step.do === 'forget') {
            expect(record.former).toEqual([]);
            return;
          }
          if (step.do === 'keep') record = step.record;
          if (step.do === 'revoke') {
            open.delete(step.former.id);
            record = without(record, step.former);
          }
          if (step.do === 'renew')
            record = {
              ...record,
              current: renewed(step.holding, { lease: { ms: HOUR, renewable: true } }, now),
            };
        }
      };
      for (const move of moves) {
        if (typeof move === 'number') now += move * 60_000;
        else if (move === 'begin' && owner === 'uses') {
          under = login(`login ${++logins}`);
          open.add(under.id);
          record = begun(record, under, process, now);
        } else if (move === 'issue' && under !== undefined && record.pending?.id === under.id) {
          record = issued(record, under, made(3600), now).record;
          under = undefined;
        } else if (move === 'apply') record = applied(record, now);
        else if (move === 'renewLess' && record.current !== undefined)
          record = {
            ...record,
            current: renewed(record.current, { lease: { ms: 600_000, renewable: true } }, now),
          };
        else if (move === 'spend' && record.current !== undefined)
          record = { ...record, current: spent(record.current, now) };
        else if (move === 'crash') {
          process = `process ${logins}`;
          under = undefined;
        } else if (move === 'gone') owner = 'gone';
        else if (move === 'unused' && owner !== 'gone') owner = owner === 'unused' ? 'uses' : 'unused';
        if (under === undefined) work();
        const known = [record.pending, record.current?.by, ...record.former].flatMap((one) => one?.id ?? []);
        for (const id of open) expect(known).toContain(id);
      }
      owner = 'gone';
      record = disown(record, now);
      now += HOUR;
      work();
      expect([...open]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
