import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Present } from './present.ts';

test('holds what came and did not go, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 9 })), (steps) => {
      const present = new Present<{ place: number; readonly name: number }>();
      const model = new Map<number, { place: number; readonly name: number }>();
      for (const name of steps) {
        const here = model.get(name);
        if (here === undefined) {
          const one = { name, place: 0 };
          model.set(name, one);
          present.add(one);
        } else {
          model.delete(name);
          present.remove(here);
        }
        expect(new Set(present.all())).toEqual(new Set(model.values()));
      }
    }),
  );
});
