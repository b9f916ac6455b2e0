/** A stream cut anew into parts of one length; the last one may be shorter. One part is held at a time. */
export async function* inParts(
  source: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Buffer, void, void> {
  let part = Buffer.allocUnsafe(bytes);
  let filled = 0;
  for await (const piece of source)
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(bytes - filled, piece.length - at);
      part.set(piece.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < bytes) continue;
      yield part;
      // The one that was given may still be on its way.
      part = Buffer.allocUnsafe(bytes);
      filled = 0;
    }
  if (filled > 0) yield part.subarray(0, filled);
}
