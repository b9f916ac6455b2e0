/**
 * A device at the other end of a connection. The connection itself is handed in: which addresses may be reached is judged
 * where the server's file is known. What the system took of a line may still be lost on the way; the chain then shows the gap.
 */

import type { Clock } from '../../base/clock.ts';
import type { AuditSink } from './audit.ts';

export type LinkTarget =
  | { readonly network: 'tcp' | 'udp'; readonly host: string; readonly port: number }
  | { readonly network: 'unix'; readonly path: string };

/** A connection. */
export interface AuditLink {
  /** Whether the other end is known to be gone. */
  readonly gone: boolean;
  /** Resolves when the system took the bytes. Over UDP each call is one datagram. */
  send(bytes: Uint8Array): Promise<void>;
  /** Ends at once; what is being sent fails. */
  close(): void;
}

/** @throws Failure dial.refused, dial.unreachable, audit.bad_option; gives up when `signal` is aborted */
export type OpenLink = (target: LinkTarget, signal: AbortSignal) => Promise<AuditLink>;

export interface LinkSinkOptions {
  readonly name: string;
  readonly target: LinkTarget;
  /** For connecting and sending together. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly openLink: OpenLink;
  /** Puts one line, which ends in a line feed, into what is sent. Absent: it goes as it is. */
  readonly frame?: (line: Uint8Array) => Uint8Array;
}

/** Connects with the first line, and again where the connection broke: it never fails to open. */
export function openLinkSink(options: LinkSinkOptions): AuditSink {
  const { name, target, timeoutMs, clock, openLink } = options;
  let link: AuditLink | undefined;
  const drop = (): void => {
    link?.close();
    link = undefined;
  };
  const send = async (lines: Uint8Array, signal: AbortSignal): Promise<void> => {
    if (link?.gone) drop();
    if (link === undefined) {
      const made = await openLink(target, signal);
      if (signal.aborted) {
        made.close();
        return;
      }
      link = made;
    }
    for (const message of messagesOf(lines, options)) await link.send(message);
  };
  return {
    name,
    redials: true,
    async append(lines) {
      const late = new AbortController();
      let stop = (): void => undefined;
      const limit = new Promise<never>((_, reject) => {
        stop = clock.after(timeoutMs, () => {
          late.abort();
          reject(new Error(`nothing was taken within ${timeoutMs} ms`));
        });
      });
      const sent = send(lines, late.signal);
      try {
        await Promise.race([sent, limit]);
      } catch (error) {
        sent.catch(() => undefined);
        drop();
        throw error;
      } finally {
        stop();
      }
    },
    async reopen() {
      drop();
    },
    async close() {
      drop();
    },
  };
}

/** What is sent in one piece: over UDP a line, else all of them. */
function messagesOf(lines: Uint8Array, { target, frame }: LinkSinkOptions): readonly Uint8Array[] {
  if (target.network !== 'udp' && frame === undefined) return [lines];
  const framed = [...linesIn(lines)].map((line) => frame?.(line) ?? line);
  return target.network === 'udp' ? framed : [Buffer.concat(framed)];
}

const LINE_FEED = 10;

function* linesIn(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(LINE_FEED, start) + 1 || bytes.length;
    yield bytes.subarray(start, end);
    start = end;
  }
}
