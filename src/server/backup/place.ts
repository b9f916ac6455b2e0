/**
 * Where backups lie: a directory or a bucket, flat, under names of ours. It is as untrusted as any medium: it may lose, cut
 * and change what it was given, and what it gives back is proven by whoever reads it.
 */

export interface Kept {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

/** Every method fails with backup.place, which says what of the place is wrong. */
export interface Place {
  /** For people: "/var/backups/holdfast", "s3://bucket/prefix/"; never a secret. */
  readonly shown: string;
  list(signal: AbortSignal): Promise<readonly Kept[]>;
  /** Puts a file there under its name, whole, in place of one that it has: not at all where the source or the place fails. */
  write(name: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** @throws Failure backup.absent */
  read(name: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** One that is not there is as good as removed. */
  remove(name: string): Promise<void>;
  /** Takes away what writes left behind that were cut off before `before` (milliseconds since the epoch). */
  tidy(before: number): Promise<void>;
  close(): void;
}

/** The pieces of a stream; what fails in the middle is told as what fails at the beginning. */
export async function* told(
  stream: AsyncIterable<Uint8Array>,
  wrong: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* stream;
  } catch (error) {
    throw wrong(error);
  }
}
