/**
 * Spans as OTLP has them in JSON (opentelemetry-proto, ExportTraceServiceRequest): ids in hexadecimal, enumerations as numbers,
 * 64-bit integers as text. Pure.
 */

import type { TraceContext } from './context.ts';
import type { Attributes, EndedSpan, SpanKind } from './tracer.ts';

/** Span.SpanKind */
const KINDS: Readonly<Record<SpanKind, number>> = { server: 2, client: 3, consumer: 5 };
/** Status.StatusCode */
const STATUS_ERROR = 2;
/** SpanFlags: the lower 8 bits are those of Trace Context. */
const FLAG_SAMPLED = 1;

export interface Scope {
  readonly name: string;
  readonly version: string;
}

/** The body of one export. @param resource what runs here, by OpenTelemetry's names ("service.name") */
export const exportRequest = (spans: readonly EndedSpan[], resource: Attributes, scope: Scope): string =>
  JSON.stringify({
    resourceSpans: [
      { resource: { attributes: keyValues(resource) }, scopeSpans: [{ scope, spans: spans.map(spanOf) }] },
    ],
  });

const spanOf = ({
  name,
  kind,
  context,
  parent,
  links,
  startedAt,
  endedAt,
  attributes,
  failed,
}: EndedSpan) => ({
  ...linkOf(context),
  ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
  name,
  kind: KINDS[kind],
  startTimeUnixNano: nanoseconds(startedAt),
  endTimeUnixNano: nanoseconds(endedAt),
  attributes: keyValues(attributes),
  links: links.map(linkOf),
  status: failed ? { code: STATUS_ERROR } : {},
});

const linkOf = ({ traceId, spanId, sampled }: TraceContext) => ({
  traceId,
  spanId,
  flags: sampled ? FLAG_SAMPLED : 0,
});

/** A double does not hold nanoseconds since the epoch: whole milliseconds and the rest go apart. */
function nanoseconds(ms: number): string {
  const whole = Math.floor(ms);
  return String(BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6)));
}

const keyValues = (attributes: Attributes) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
