import { type Code, codes, type Kind } from './codes.ts';

export type { Code, Kind };

type Names<Message extends string> = Message extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;
type TextOf<C extends Code> = (typeof codes)[C] extends { hint: infer H extends string }
  ? `${(typeof codes)[C]['message']}${H}`
  : (typeof codes)[C]['message'];

/** The values that the message and the hint of a code name, in braces. */
export type Params<C extends Code> = { readonly [K in Names<TextOf<C>>]: string | number };

/** What a failure may carry beside its message: data for the answer's body, and the status a protocol insists on. */
export interface Extra {
  readonly cause?: unknown;
  readonly data?: unknown;
  readonly retryAfterMs?: number;
}

/**
 * The one error of the product: a code of the table, filled in. Its message is safe to show to whoever asked; the
 * cause is for the log alone. A parser's error must never become a cause or a parameter: it quotes its input.
 */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: Code;
  readonly kind: Kind;
  readonly hint: string | undefined;
  readonly data: unknown;
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, params: Readonly<Record<string, string | number>> = {}, extra: Extra = {}) {
    const row: { kind: Kind; message: string; hint?: string } = codes[code];
    super(fill(row.message, params), extra.cause === undefined ? undefined : { cause: extra.cause });
    this.code = code;
    this.kind = row.kind;
    this.hint = row.hint === undefined ? undefined : fill(row.hint, params);
    this.data = extra.data;
    this.retryAfterMs = extra.retryAfterMs;
  }
}

/** Makes a failure of `code`; the compiler asks for exactly the parameters its texts name. */
export function failure<C extends Code>(
  code: C,
  ...[params, extra]: Names<TextOf<C>> extends never
    ? [params?: Record<never, never>, extra?: Extra]
    : [params: Params<C>, extra?: Extra]
): Failure {
  return new Failure(code, params as Readonly<Record<string, string | number>> | undefined, extra);
}

/** Whether `error` is a failure, and of this code where one is given. */
export function isFailure(error: unknown, code?: Code): error is Failure {
  return error instanceof Failure && (code === undefined || error.code === code);
}

/** The failure to show for anything thrown: itself, or `base.internal` with the thrown thing as its cause. */
export function asFailure(error: unknown): Failure {
  return error instanceof Failure ? error : new Failure('base.internal', {}, { cause: error });
}

function fill(text: string, params: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in params ? String(params[name]) : whole));
}
