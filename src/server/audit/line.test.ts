import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lasting } from '../../plugin/plugin.ts';
import type { AuditedExchange } from './audit.ts';
import { Hasher } from './hash.ts';
import { Layout, type LineOptions } from './line.ts';
import { Sheet } from './sheet.ts';

const PLAIN: LineOptions = { logRaw: false, hmacAccessor: true, elideListResponses: false };
const DEVICES: readonly (readonly [string, LineOptions])[] = [
  ['salt of one', PLAIN],
  ['salt of another', PLAIN],
  ['salt of a third', { ...PLAIN, logRaw: true }],
];
const CLEAR = [undefined, { request: [], response: ['data'] }, { request: [], response: ['metadata'] }];
const request = { id: 'x', operation: 'read', path: 'secret/data/a', remote: { address: '', port: 0 } };
const data = { data: { password: 'hunter2' }, metadata: { note: 'n', version: 1 } };

test('what is written of an answer that stays is the same each time, for each device and what it may not hash', () => {
  const ask = fc.record({ device: fc.nat(DEVICES.length - 1), clear: fc.nat(CLEAR.length - 1) });
  fc.assert(
    fc.property(fc.array(ask, { maxLength: 20 }), (asked) => {
      const layouts = DEVICES.map(([salt, options]) => new Layout(new Hasher(salt), options));
      const lasting = new Lasting();
      for (const { device, clear } of asked) {
        const [salt, options] = DEVICES[device] as (typeof DEVICES)[number];
        const written = (layout: Layout | undefined, kept: Lasting | undefined): string => {
          const sheet = new Sheet();
          const exchange = { request, response: { data, lasting: kept }, clear: CLEAR[clear] };
          layout?.put(sheet, 'response', exchange, 0);
          return sheet.toString();
        };
        const line = written(layouts[device], lasting);
        expect(line).toBe(written(new Layout(new Hasher(salt), options), undefined));
        expect(line.includes('hunter2')).toBe(options.logRaw || clear === 1);
      }
    }),
  );
});

describe('what is kept for the next line', () => {
  const mounts = ['secret/', 'kv/'].map((point) => ({
    point,
    type: 'kv',
    accessor: `kv_${point}`,
    class: 'secret' as const,
  }));
  const auths = ['one', 'other'].map((displayName) => ({ displayName, accessor: `a-${displayName}` }));
  const remotes = [1, 2].map((port) => ({ address: '127.0.0.1', port }));
  const headers = [[], ['user-agent']].map((clear) => ({ values: { 'user-agent': ['curl'] }, clear }));
  const oneOf = <T>(all: readonly T[]) => fc.constantFrom(...all);
  const perhaps = <T>(all: readonly T[]) => fc.option(oneOf(all), { nil: undefined });
  const exchanges: fc.Arbitrary<AuditedExchange> = fc.record({
    auth: perhaps(auths),
    request: fc.record({
      id: oneOf(['id-1', 'id-2']),
      operation: oneOf(['read', 'list']),
      path: oneOf(['secret/data/a', 'kv/ä', `kv/${'long/'.repeat(20)}`]),
      mount: perhaps(mounts),
      clientToken: perhaps(['token-1', 'token-2']),
      data: perhaps([{ password: 'hunter2' }]),
      remote: oneOf(remotes),
      wrapTtlMs: perhaps([60_000]),
      headers: perhaps(headers),
    }),
    response: perhaps([{ data }, { data, warnings: ['w'] }, {}]),
    error: perhaps(['permission denied']),
  });

  test('is of the same caller, mount and connection: a line is as one that nothing was kept for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(exchanges, oneOf(['request', 'response', 'both'] as const), fc.nat(3))),
        (all) => {
          const layout = new Layout(new Hasher('salt'), PLAIN);
          for (const [exchange, lines, at] of all) {
            const [sheet, fresh] = [new Sheet(), new Sheet()];
            layout.put(sheet, lines, exchange, at);
            new Layout(new Hasher('salt'), PLAIN).put(fresh, lines, exchange, at);
            expect(sheet.toString()).toBe(fresh.toString());
            for (const line of sheet.toString().trimEnd().split('\n'))
              expect(JSON.parse(line)).toMatchObject({
                request: {
                  id: exchange.request.id,
                  path: exchange.request.path,
                  remote_port: exchange.request.remote.port,
                },
              });
          }
        },
      ),
    );
  });
});
