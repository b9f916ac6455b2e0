/** Bytes of a stream, taken in pieces of a chosen length; what is held is what was asked for and one chunk. */

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #short: () => Error;
  #chunks: Buffer[] = [];
  #held = 0;

  /** @param short what is thrown where the stream ends before what was asked for */
  constructor(source: AsyncIterable<Uint8Array>, short: () => Error) {
    this.#source = source[Symbol.asyncIterator]();
    this.#short = short;
  }

  /** The next `length` bytes, in memory of their own. */
  async take(length: number): Promise<Buffer> {
    while (this.#held < length) if (!(await this.#more())) throw this.#short();
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const taken = Buffer.from((all ?? Buffer.alloc(0)).subarray(0, length));
    const rest = (all ?? Buffer.alloc(0)).subarray(length);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    return taken;
  }

  /** Whether nothing is left. */
  async ended(): Promise<boolean> {
    while (this.#held === 0) if (!(await this.#more())) return true;
    return false;
  }

  /** Lets go of the stream, read to its end or not. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#chunks.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength));
    this.#held += next.value.length;
    return true;
  }
}
