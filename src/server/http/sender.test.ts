import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { senderOf } from './sender.ts';

/** A message as Node hands it over. */
function message(socket: object, raw: readonly string[]): IncomingMessage {
  const headers: Record<string, string> = {};
  for (let at = 0; at < raw.length; at += 2) headers[(raw[at] ?? '').toLowerCase()] ??= raw[at + 1] ?? '';
  return { socket, rawHeaders: [...raw], headers } as unknown as IncomingMessage;
}

const HOST = ['Host', 'vault.example'];
const ask = (socket: object, ...raw: string[]) => senderOf(message(socket, [...HOST, ...raw]), {});

describe('who sends a request', () => {
  test('is known by one object, from the second request with the same headers on', () => {
    const socket = {};
    const first = ask(socket, 'X-Vault-Token', 'hvs.one');
    expect(first).toMatchObject({ token: 'hvs.one', repeats: false });
    const second = ask(socket, 'X-Vault-Token', 'hvs.one');
    expect(second).toBe(first);
    expect(second.repeats).toBe(true);
  });

  test.each([
    ['another token', ['X-Vault-Token', 'hvs.two']],
    ['another token of another length', ['X-Vault-Token', 'hvs.three']],
    ['a token that goes on', ['X-Vault-Token', 'hvs.one.']],
    ['no token', []],
    ['an empty token', ['X-Vault-Token', '']],
    ['the same as a bearer', ['Authorization', 'Bearer hvs.one']],
    ['one header more', ['X-Vault-Token', 'hvs.one', 'X-Vault-Wrap-TTL', '60']],
    ['the name in another case', ['x-vault-token', 'hvs.one']],
    ['another name', ['X-Vault-Tokem', 'hvs.one']],
  ])('is another one with %s', (_, raw) => {
    const socket = {};
    const first = ask(socket, 'X-Vault-Token', 'hvs.one');
    ask(socket, 'X-Vault-Token', 'hvs.one');
    const other = ask(socket, ...raw);
    expect(other).not.toBe(first);
    expect(other.repeats).toBe(false);
    // What came in between is forgotten: each connection keeps one.
    expect(ask(socket, 'X-Vault-Token', 'hvs.one')).not.toBe(first);
  });

  test('is never known from another connection', () => {
    const first = ask({}, 'X-Vault-Token', 'hvs.one');
    const other = ask({}, 'X-Vault-Token', 'hvs.one');
    expect(other).not.toBe(first);
    expect(other.repeats).toBe(false);
  });

  test('is not remembered with headers without measure', () => {
    const socket = {};
    const many = ['X-Vault-Token', 'hvs.one', 'X-Long', 'x'.repeat(5000)];
    ask(socket, ...many);
    expect(ask(socket, ...many).repeats).toBe(false);
    // Nor does it take the place of who was there before.
    const first = ask(socket, 'X-Vault-Token', 'hvs.one');
    expect(ask(socket, ...many)).not.toBe(first);
    expect(ask(socket, 'X-Vault-Token', 'hvs.one')).toBe(first);
  });

  test('is refused as often as it comes from a page of another origin', () => {
    const socket = {};
    const once = ask(socket, 'Origin', 'https://evil.example');
    expect(once.refused).toMatchObject({ code: 'request.foreign_origin' });
    expect(ask(socket, 'Origin', 'https://evil.example').refused).toBe(once.refused);
    expect(ask(socket, 'Origin', 'https://vault.example').refused).toBeUndefined();
  });

  test('is on a connection of many callers what it is on one of its own', () => {
    const name = fc.constantFrom('X-Vault-Token', 'authorization', 'User-Agent', 'Origin');
    const value = fc.constantFrom(
      'a',
      'b',
      'ab',
      'Bearer a',
      'Bearer b',
      'https://vault.example',
      'https://x.example',
    );
    const raws = fc.array(fc.array(fc.tuple(name, value), { maxLength: 3 }), { maxLength: 12 });
    fc.assert(
      fc.property(raws, (all) => {
        const socket = {};
        for (const one of all) {
          const { repeats: _, ...known } = ask(socket, ...one.flat());
          const { repeats: __, ...alone } = ask({}, ...one.flat());
          expect(known).toEqual(alone);
        }
      }),
    );
  });
});
