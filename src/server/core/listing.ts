/**
 * Listings that come page by page. They go to the wire as they are read, so that a folder of any width costs one page of memory
 * and holds up nobody; where something has to be known of the whole before the first byte leaves, they are read first.
 */

import { utf8 } from '../../base/bytes.ts';
import type { RawReply, Reply } from '../../plugin/plugin.ts';
import { envelopeAround } from './envelope.ts';
import type { Envelope } from './request.ts';

type Names = Reply & { readonly more: AsyncIterable<readonly string[]> };

/** Whether the reply has more names than it holds. */
export const isPaged = (reply: Reply | undefined): reply is Names =>
  reply !== undefined && 'more' in reply && reply.more !== undefined;

/** The same reply with all of its names. */
export async function gathered(reply: Names): Promise<Reply> {
  const { more, ...rest } = reply;
  const keys = [...firstPage(reply)];
  for await (const page of more) {
    for (const name of page) keys.push(name);
    await turn();
  }
  return { ...rest, data: { keys } };
}

/** The answer as a stream of JSON: to the byte what the whole of it would be. */
export function streamed(reply: Names, envelope: Envelope): RawReply {
  const { before, after } = envelopeAround(envelope);
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    yield utf8(`${before}{"keys":[${joined(firstPage(reply))}`);
    for await (const page of reply.more) {
      yield utf8(`,${joined(page)}`);
      await turn();
    }
    yield utf8(`]}${after}`);
  }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: body() };
}

const firstPage = (reply: Names): readonly string[] =>
  'data' in reply ? (reply.data as { readonly keys: readonly string[] }).keys : [];

const joined = (names: readonly string[]): string => JSON.stringify(names).slice(1, -1);

/** A store that answers at once would else keep the one thread until the last page. */
const turn = (): Promise<void> => new Promise((resume) => setImmediate(resume));
