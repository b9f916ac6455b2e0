import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Tally } from './tally.ts';

test('what is about is said to be, and when all are gone nothing is', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 4 }), { maxLength: 60 }), (texts) => {
      const tally = new Tally(16);
      const about: string[] = [];
      for (const [at, text] of texts.entries()) {
        tally.add(text);
        about.push(text);
        if (at % 3 === 2) tally.delete(about.splice(at % about.length, 1)[0] as string);
        for (const one of about) expect(tally.has(one)).toBe(true);
      }
      for (const one of about) tally.delete(one);
      for (const text of texts) expect(tally.has(text)).toBe(false);
    }),
  );
});

test('of few texts hardly any is taken for another', () => {
  const tally = new Tally(4096);
  for (let at = 0; at < 64; at++) tally.add(`meta/team-${at % 7}/service-${at}`);
  const taken = Array.from({ length: 4000 }, (_, at) => `meta/team-${at % 7}/other-${at}`).filter((one) =>
    tally.has(one),
  );
  expect(taken.length).toBeLessThan(200);
});
