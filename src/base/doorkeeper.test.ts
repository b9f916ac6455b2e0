import { expect, test } from 'vitest';
import { Doorkeeper } from './doorkeeper.ts';

const names = (count: number, from = 0): string[] =>
  Array.from(
    { length: count },
    (_, i) => `secret/data/team-${Math.floor((from + i) / 100)}/service-${(from + i) % 100}`,
  );

test('what came before is known, and hardly anything that did not', () => {
  const doorkeeper = new Doorkeeper(16_384);
  const first = names(4000).filter((name) => doorkeeper.knows(name)).length;
  expect(first).toBeLessThan(10);
  const again = names(4000).filter((name) => doorkeeper.knows(name)).length;
  // Two texts at one place keep each other out.
  expect(again).toBeGreaterThan(3000);
});

test('what came once among very many is forgotten', () => {
  const doorkeeper = new Doorkeeper(1024);
  for (const name of [...names(1000), ...names(50_000, 1000)]) doorkeeper.knows(name);
  expect(names(1000).filter((name) => doorkeeper.knows(name)).length).toBeLessThan(50);
});

test('texts of any length are told apart by their ends', () => {
  const doorkeeper = new Doorkeeper(1024);
  for (const text of ['', 'a', 'b', 'ab', `${'x'.repeat(3000)}a`, `${'x'.repeat(3000)}b`, 'é', '\ud800']) {
    expect(doorkeeper.knows(text)).toBe(false);
    expect(doorkeeper.knows(text)).toBe(true);
  }
});
