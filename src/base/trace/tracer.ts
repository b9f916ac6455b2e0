/**
 * Spans: what was done, from when to when, and what caused it. A span that is not recorded still has a place in its trace,
 * so that those who are told of it decide alike. An attribute is never a value of a secret, nor a path below a mount.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { TraceContext } from './context.ts';
import type { Sampler } from './sampler.ts';

/** `server` answers somebody, `client` asks somebody, `consumer` does what somebody told of earlier. */
export type SpanKind = 'server' | 'client' | 'consumer';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A span that has ended. */
export interface EndedSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly context: TraceContext;
  readonly parent: TraceContext | undefined;
  /** What else caused it. */
  readonly links: readonly TraceContext[];
  /** Milliseconds since the epoch, with fractions. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  readonly failed: boolean;
}

export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  /** A span of this process, or where one of another stands; absent: a trace begins. */
  readonly parent?: Span | TraceContext | undefined;
  readonly links?: readonly TraceContext[];
  readonly attributes?: Attributes;
}

/** Of one trace in this process: by one clock that never jumps, so that no child begins before its parent. */
interface Anchor {
  readonly wall: number;
  readonly monotonic: number;
}

export class Span {
  readonly context: TraceContext;
  readonly anchor: Anchor;
  readonly #begun: Omit<EndedSpan, 'endedAt' | 'attributes' | 'failed'>;
  readonly #attributes: Record<string, string | number | boolean>;
  readonly #clock: Clock;
  readonly #ended: (span: EndedSpan) => void;
  #isEnded = false;

  /** Made by `Tracer.start`. */
  constructor(start: SpanStart, context: TraceContext, clock: Clock, ended: (span: EndedSpan) => void) {
    const { name, kind, parent, links = [], attributes = {} } = start;
    this.context = context;
    this.anchor =
      parent instanceof Span ? parent.anchor : { wall: clock.now(), monotonic: clock.monotonic() };
    this.#clock = clock;
    this.#ended = ended;
    this.#attributes = { ...attributes };
    this.#begun = {
      name,
      kind,
      context,
      parent: parent instanceof Span ? parent.context : parent,
      links,
      startedAt: this.#now(),
    };
  }

  set(name: string, value: string | number | boolean): void {
    this.#attributes[name] = value;
  }

  /** Ends it, once. @param failed it is nobody's fault but ours or of whom we asked */
  end(failed = false): void {
    if (this.#isEnded || !this.context.sampled) return;
    this.#isEnded = true;
    this.#ended({ ...this.#begun, endedAt: this.#now(), attributes: this.#attributes, failed });
  }

  #now(): number {
    return this.anchor.wall + (this.#clock.monotonic() - this.anchor.monotonic);
  }
}

export interface TracerOptions {
  readonly clock: Clock;
  readonly sampler: Sampler;
  /** Takes each recorded span when it ends. Must not throw, nor wait. */
  ended(span: EndedSpan): void;
  /** `bytes` random bytes in hexadecimal; absent: the system's. */
  readonly random?: (bytes: number) => string;
}

export class Tracer {
  readonly #options: TracerOptions;
  readonly #random: (bytes: number) => string;
  readonly #current = new AsyncLocalStorage<Span>();

  constructor(options: TracerOptions) {
    this.#options = options;
    this.#random = options.random ?? ((bytes) => randomBytes(bytes).toString('hex'));
  }

  start(given: SpanStart): Span {
    const { clock, sampler, ended } = this.#options;
    const parent = given.parent instanceof Span ? given.parent.context : given.parent;
    const traceId = parent?.traceId ?? this.#random(16);
    const context = { traceId, spanId: this.#random(8), sampled: sampler(traceId, parent) };
    return new Span(given, context, clock, ended);
  }

  /** Does `work` inside a span: `current` gives it there, over every wait. Does not end it. */
  within<T>(span: Span, work: () => T): T {
    return this.#current.run(span, work);
  }

  /** The span inside which this is done. */
  current(): Span | undefined {
    return this.#current.getStore();
  }
}
