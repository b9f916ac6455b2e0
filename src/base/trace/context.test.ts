import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTraceparent, parseTraceparent } from './context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  it.each([
    ['sampled', `00-${TRACE}-${SPAN}-01`, true],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, false],
    ['with flags that we do not know', `00-${TRACE}-${SPAN}-ff`, true],
    ['with the flag for random ids alone', `00-${TRACE}-${SPAN}-02`, false],
    ['of a later version', `cc-${TRACE}-${SPAN}-01`, true],
    ['of a later version that appends something', `cc-${TRACE}-${SPAN}-01-what-the-future-holds`, true],
  ])('is read: %s', (_, text, sampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
  });

  it.each([
    ['nothing', undefined],
    ['empty', ''],
    ['the forbidden version', `ff-${TRACE}-${SPAN}-01`],
    ['version 00 with something appended', `00-${TRACE}-${SPAN}-01-more`],
    ['a later version that appends without a dash', `cc-${TRACE}-${SPAN}-01.more`],
    ['capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['a header that was sent twice', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['a line more', `00-${TRACE}-${SPAN}-01\n`],
    ['more than anybody means', `cc-${TRACE}-${SPAN}-01-${'x'.repeat(600)}`],
  ])('is ignored: %s', (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  it('comes back as it was written, and whatever is sent never throws', () => {
    const digits = (length: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
    const some = (length: number) => digits(length).filter((text) => !/^0+$/.test(text));
    fc.assert(
      fc.property(some(32), some(16), fc.boolean(), fc.string(), (traceId, spanId, sampled, noise) => {
        const context = { traceId, spanId, sampled };
        expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
        const found = parseTraceparent(noise);
        if (found !== undefined) expect(found.traceId).toMatch(/^[0-9a-f]{32}$/);
      }),
    );
  });
});
