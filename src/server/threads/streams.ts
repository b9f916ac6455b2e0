/**
 * Streams of bytes between two threads: pieces under a number, a few on their way at a time, so that a slow reader holds up its
 * own stream and fills no memory. Either side may end it.
 */

export type StreamMessage =
  | { readonly kind: 'piece'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly id: number; readonly broken: boolean }
  /** The reader took a piece. */
  | { readonly kind: 'taken'; readonly id: number }
  /** The reader wants no more. */
  | { readonly kind: 'stop'; readonly id: number };

const KINDS: ReadonlySet<string> = new Set<StreamMessage['kind']>(['piece', 'end', 'taken', 'stop']);

const isOfStream = (message: { readonly kind: string }): message is StreamMessage => KINDS.has(message.kind);

/** Pieces that may be on their way unread. */
const WINDOW = 16;

interface Sending {
  left: number;
  stopped: boolean;
  wake: () => void;
}

class Receiving {
  readonly pieces: Uint8Array[] = [];
  ended: 'open' | 'whole' | 'broken' = 'open';
  wake: () => void = () => {};
}

export class Streams {
  readonly #post: (message: StreamMessage) => void;
  readonly #sending = new Map<number, Sending>();
  readonly #receiving = new Map<number, Receiving>();

  constructor(post: (message: StreamMessage) => void) {
    this.#post = post;
  }

  /** Sends all of the source; resolves when it is sent or the other side wants no more. */
  async send(id: number, source: AsyncIterable<Uint8Array>): Promise<void> {
    const state: Sending = { left: WINDOW, stopped: false, wake: () => {} };
    this.#sending.set(id, state);
    let broken = false;
    try {
      for await (const bytes of source) {
        while (state.left === 0 && !state.stopped)
          await new Promise<void>((resolve) => {
            state.wake = resolve;
          });
        if (state.stopped) break;
        state.left--;
        // Its own copy: a view of a pool would take along what lies beside it.
        this.#post({ kind: 'piece', id, bytes: new Uint8Array(bytes) });
      }
    } catch {
      broken = true;
    } finally {
      this.#sending.delete(id);
      if (!state.stopped) this.#post({ kind: 'end', id, broken });
    }
  }

  /** What the other side sends under the number. To be called before anything of it can have come. */
  receive(id: number): AsyncIterable<Uint8Array> {
    const state = new Receiving();
    this.#receiving.set(id, state);
    return this.#read(id, state);
  }

  async *#read(id: number, state: Receiving): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const bytes = state.pieces.shift();
        if (bytes !== undefined) {
          this.#post({ kind: 'taken', id });
          yield bytes;
        } else if (state.ended === 'whole') return;
        else if (state.ended === 'broken') throw new Error('the stream was cut off');
        else
          await new Promise<void>((resolve) => {
            state.wake = resolve;
          });
      }
    } finally {
      this.#receiving.delete(id);
      if (state.ended === 'open') this.#post({ kind: 'stop', id });
    }
  }

  /** @returns whether the message was of a stream */
  take(message: StreamMessage | { readonly kind: string }): boolean {
    if (!isOfStream(message)) return false;
    const sending = this.#sending.get(message.id);
    const receiving = this.#receiving.get(message.id);
    switch (message.kind) {
      case 'piece':
        receiving?.pieces.push(message.bytes);
        receiving?.wake();
        return true;
      case 'end':
        if (receiving !== undefined) receiving.ended = message.broken ? 'broken' : 'whole';
        receiving?.wake();
        return true;
      case 'taken':
        if (sending !== undefined) sending.left++;
        sending?.wake();
        return true;
      case 'stop':
        if (sending !== undefined) sending.stopped = true;
        sending?.wake();
        return true;
    }
  }

  /** The other side is gone. */
  close(): void {
    for (const state of this.#sending.values()) {
      state.stopped = true;
      state.wake();
    }
    for (const state of this.#receiving.values()) {
      state.ended = 'broken';
      state.wake();
    }
  }
}
