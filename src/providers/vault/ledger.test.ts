import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Ledger, ledgerOf, mayDelete, mayPush, pushedBy, withdrawn, withLedger } from './ledger.ts';

const EMPTY: Ledger = { isManaged: false, owners: new Map() };
const owners = ['aaaa-1', 'bbbb-2', 'cccc-3'] as const;

describe('who pushed what of a secret of Vault', () => {
  test('survives the way through custom metadata, whatever was pushed and whatever else is written there', () => {
    const pushes = fc.array(fc.tuple(fc.string(), fc.constantFrom(...owners)), { maxLength: 300 });
    const others = fc.dictionary(
      fc
        .string()
        .filter((key) => key !== 'managed-by' && key !== '__proto__' && !key.startsWith('holdfast.dev/')),
      fc.string(),
    );
    fc.assert(
      fc.property(pushes, others, (all, custom) => {
        const ledger = all.reduce((last, [property, owner]) => pushedBy(last, property, owner), EMPTY);
        const kept = withLedger(custom, ledger);
        expect(ledgerOf(kept)).toEqual(all.length === 0 ? EMPTY : ledger);
        expect(kept).toMatchObject(custom);
        for (const [key, value] of Object.entries(kept)) {
          if (Object.hasOwn(custom, key)) continue;
          expect(Buffer.byteLength(key)).toBeLessThanOrEqual(128);
          expect(Buffer.byteLength(value)).toBeLessThanOrEqual(512);
        }
      }),
    );
  });

  test('two thousand properties fit into what a server takes', () => {
    let ledger = EMPTY;
    for (let at = 0; at < 2000; at++) ledger = pushedBy(ledger, `property ${at}`, owners[0]);
    expect(Object.keys(withLedger({}, ledger)).length).toBeLessThanOrEqual(64);
  });

  test('the last who pushed a property owns it, the whole owns all, and nobody else may push or delete', () => {
    const one = pushedBy(EMPTY, 'a', owners[0]);
    expect(mayPush(one, 'a', { owner: owners[1] })).toBe('another PushSecret pushed it');
    expect(mayPush(one, '', { owner: owners[1] })).toBe('another PushSecret pushed it');
    expect(mayPush(one, 'b', { owner: owners[1] })).toBeUndefined();
    expect([mayDelete(one, 'a', owners[0]), mayDelete(one, 'a', owners[1])]).toEqual([true, false]);
    expect([mayDelete(one, 'b', owners[0]), mayDelete(one, '', owners[0])]).toEqual([false, false]);
    const whole = pushedBy(one, '', owners[1]);
    expect(mayPush(whole, 'a', { owner: owners[0] })).toBe('another PushSecret pushed it');
    expect(mayDelete(whole, 'a', owners[1])).toBe(true);
    expect(mayDelete(withdrawn(one, 'a'), 'a', owners[0])).toBe(false);
  });

  test('what upstream pushed is taken over, what nobody pushed only where the push may adopt it', () => {
    expect(
      mayPush(ledgerOf({ 'managed-by': 'external-secrets' }), 'a', { owner: owners[0] }),
    ).toBeUndefined();
    expect(mayPush(ledgerOf({}), 'a', { owner: owners[0] })).toBe('secret not managed by external-secrets');
    expect(
      mayPush(ledgerOf({}), 'a', { owner: owners[0], adopt: (found) => found === undefined }),
    ).toBeUndefined();
  });
});
