/**
 * Secrets without versions, each one JSON object kept as text under its own path: what version 1 of the KV engine and the
 * cubbyhole have in common. The body is the secret, so it is read as bytes: no member of it may be taken for a parameter.
 */

import { z } from 'zod';
import { textOf, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { type Ordered, RawJson } from '../base/json.ts';
import { integer, rawJson } from '../base/schema.ts';
import { folderReply } from '../plugin/listing.ts';
import { type Call, type LeaseInfo, operation, type Reply, type Route } from '../plugin/plugin.ts';
import type { Storage } from '../storage/storage.ts';
import { folderOf, path, readable, writable } from './keyspace.ts';
import { parseValue, valueText } from './value.ts';

export interface PlainOptions {
  /** Where the secrets of this caller lie. */
  storage(call: Call): Storage;
  /** What the answer says of how long the value may be kept. */
  lease?(value: Ordered): LeaseInfo;
  exists?: NonNullable<Route['exists']>;
  changed?(act: 'write' | 'delete', path: string, revision: number): void;
}

const answer = rawJson();
const keys = z.object({ keys: z.array(z.string()) });
const nothing = z.object({});
const folder = z.object({ path, after: z.string().optional(), limit: integer().optional() });

/** The one route of such an engine: every path names a secret or a folder. */
export function plainRoute({ storage, lease, exists, changed }: PlainOptions): Route {
  return {
    path: '*path',
    ...(exists === undefined ? {} : { exists }),
    operations: {
      read: operation({
        summary: 'Read a secret.',
        input: z.object({ path }),
        output: answer,
        effect: 'none',
        async run({ path: given }, call): Promise<Reply<RawJson>> {
          const key = readable(given);
          const entry = key === undefined ? undefined : await storage(call).get(key);
          if (entry === undefined) return {};
          const text = textOf(entry.value);
          if (text === undefined) throw failure('storage.corrupt', { key: given });
          const data = new RawJson(text);
          return lease === undefined ? { data } : { data, lease: lease(parseValue(data)) };
        },
      }),

      list: operation({
        summary: 'List the names in a folder; folders end in "/".',
        input: folder,
        output: keys,
        effect: 'none',
        async run({ path: given, ...asked }, call) {
          const kept = storage(call);
          return folderReply((page) => kept.list(folderOf(given), page), asked);
        },
      }),

      write: operation({
        summary: 'Write a secret, replacing what was there.',
        input: z.object({ path, body: z.instanceof(Uint8Array).optional() }),
        output: nothing,
        effect: 'write',
        body: 'bytes',
        async run({ path: given, body }, call): Promise<Reply<Record<string, never>>> {
          const key = writable(given);
          const value = utf8(valueText(parseBody(body)));
          const revision = await storage(call).commit([{ key, value }]);
          changed?.('write', key, revision);
          return {};
        },
      }),

      delete: operation({
        summary: 'Delete a secret.',
        input: z.object({ path }),
        output: nothing,
        effect: 'write',
        async run({ path: given }, call): Promise<Reply<Record<string, never>>> {
          const key = writable(given);
          if ((await storage(call).get(key)) === undefined) return {};
          const revision = await storage(call).commit([{ key, delete: true }]);
          changed?.('delete', key, revision);
          return {};
        },
      }),
    },
  };
}

function parseBody(body: Uint8Array | undefined): Ordered {
  const text = textOf(body ?? new Uint8Array());
  if (text === undefined) throw failure('json.malformed', { reason: 'it is not UTF-8' });
  if (text.trim() === '') throw failure('kv.missing_fields');
  const value = parseValue(new RawJson(text.trim()));
  if (value.members.size === 0) throw failure('kv.missing_fields');
  return value;
}
