import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lasting } from '../../plugin/plugin.ts';
import { envelopeBody, envelopeText } from './envelope.ts';
import type { Envelope } from './request.ts';

const datas = [{ a: 1 }, { ü: 'é', '😀': null }, { data: { x: '1' }, metadata: { version: 3 } }];
/** As an engine keeps it beside its data, from one answer to the next, whatever mount each of them is of. */
const lasting = new Map(datas.map((data) => [data, new Lasting()]));

const envelope = fc.record({
  requestId: fc.uuid(),
  data: fc.constantFrom(...datas),
  mountType: fc.constantFrom('kv', 'other'),
  flat: fc.boolean(),
  ready: fc.boolean(),
  warnings: fc.constantFrom([], ['careful']),
  lease: fc.option(fc.constant({ id: 'a/b', durationMs: 5000, renewable: true }), { nil: undefined }),
});

test('an envelope goes out as the same text, however it was put together, and what comes before its kept bytes is ASCII', () => {
  fc.assert(
    fc.property(fc.array(envelope, { maxLength: 8 }), (all) => {
      for (const { ready, lease, ...rest } of all) {
        const plain: Envelope = { ...rest, ...(lease === undefined ? {} : { lease }) };
        const given: Envelope = ready ? { ...plain, lasting: lasting.get(rest.data) } : plain;
        const { head, tail } = envelopeBody(given);
        const text = head + (tail ?? '');
        expect(text).toBe(envelopeText(plain));
        if (tail !== undefined) expect(Buffer.byteLength(head)).toBe(head.length);
        expect(JSON.parse(text)).toMatchObject({ request_id: rest.requestId, data: rest.data });
      }
    }),
  );
});
