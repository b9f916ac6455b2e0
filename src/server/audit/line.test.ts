import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lasting } from '../../plugin/plugin.ts';
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
const request = { id: 'x', operation: 'read', path: 'secret/data/a', remoteAddress: '', remotePort: 0 };
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
