import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Nonces } from './nonces.ts';

test('a nonce is good once, in whatever order they come, while it is in the window: a model agrees', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('issue' as const), fc.nat(40)), { maxLength: 200 }), (acts) => {
      const window = 16;
      const nonces = new Nonces(randomBytes(32), window);
      const issued: string[] = [];
      const used = new Set<number>();
      for (const act of acts) {
        if (act === 'issue') issued.push(nonces.issue());
        else if (act < issued.length) {
          const isGood = !used.has(act) && act >= issued.length - window;
          expect(nonces.redeem(issued[act] ?? '')).toBe(isGood);
          used.add(act);
        }
      }
      expect(new Set(issued).size).toBe(issued.length);
    }),
  );
});

test('what this process did not make is never good, however close it comes', () => {
  const [ours, theirs] = [new Nonces(randomBytes(32)), new Nonces(randomBytes(32))];
  const nonce = ours.issue();
  expect(ours.redeem(theirs.issue())).toBe(false);
  const bytes = Buffer.from(nonce, 'base64url');
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ change;
      expect(ours.redeem(changed.toString('base64url'))).toBe(false);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(ours.redeem(text)).toBe(false);
    }),
  );
  for (const spelling of [`${nonce}=`, ` ${nonce}`, `${nonce}\n`, `${nonce}A`])
    expect(ours.redeem(spelling)).toBe(false);
  expect(ours.redeem(nonce)).toBe(true);
});
