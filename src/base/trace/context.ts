/**
 * Where a span stands among others, as it travels between programs: the header `traceparent` of W3C Trace Context, which
 * CloudEvents take over as an extension attribute. It comes from strangers: what is malformed is ignored, never mended.
 */

export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all of them 0. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits, not all of them 0. */
  readonly spanId: string;
  /** Whether whoever began it records it. */
  readonly sampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** What a later version adds is not read, and no reason to look at a header of any length. */
const LONGEST = 512;
const SAMPLED = 1;

/** Reads a `traceparent` (Trace Context, section 3.2). @returns undefined where it is none that may be used */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > LONGEST) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = SHAPE.exec(text) ?? [];
  // Later versions only append: what version 00 has is where it was. ff is forbidden.
  if (version === '' || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** Writes a `traceparent` in version 00; flags that we do not know are not handed on, as the recommendation asks. */
export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
