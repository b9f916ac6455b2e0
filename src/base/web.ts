/** One request over HTTP and its answer, as every way out of the program takes and gives them. Types alone. */

/** No redirect is followed, and the answer is bounded in size and time. */
export interface WebRequest {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; replaces the system's trust. */
  readonly ca?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WebAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** The header Date, where the other side sent one: who signs requests learns from it how wrong this clock is. */
  readonly date?: string;
  /** The header WWW-Authenticate, where the other side sent one: what it wants to be shown, and by whom. */
  readonly challenge?: string;
  /** The header Retry-After, where the other side sent one. */
  readonly retryAfter?: string;
}

/** @throws Failure dial.* where no answer came */
export type Dial = (request: WebRequest) => Promise<WebAnswer>;
