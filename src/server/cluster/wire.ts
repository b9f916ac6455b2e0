/**
 * How one node hands a request to another: what its own edge read, as a header, and the body behind it as it came. The path was
 * parsed once, where the client sent it, and the other node takes the value.
 */

import { z } from 'zod';
import { base64url, fromBase64, textOf, utf8 } from '../../base/bytes.ts';
import { type Json, parseJson, stringify } from '../../base/json.ts';
import type { Request } from '../core/request.ts';

export const HEAD = 'x-holdfast-head';
/** Told by a node that does not lead: nothing was done. */
export const MISDIRECTED = 421;
/** Room for all headers of a client, its path and its query, in base64url. */
export const HEAD_BYTES = 256 * 1024;
export const ROUTES = {
  request: '/v1/cluster/request',
  commit: '/v1/cluster/commit',
  hello: '/v1/cluster/hello',
  rootKey: '/v1/cluster/root-key',
} as const;

const head = z.object({
  verb: z.enum(['read', 'list', 'write', 'patch', 'delete']),
  path: z.object({ text: z.string(), segments: z.array(z.string()), folder: z.boolean() }),
  opaque: z.boolean().exactOptional(),
  headersOnly: z.boolean().exactOptional(),
  data: z
    .custom<Readonly<Record<string, Json>>>((value) => typeof value === 'object' && value !== null)
    .exactOptional(),
  form: z.boolean().exactOptional(),
  token: z.string().exactOptional(),
  wrapTtlMs: z.number().exactOptional(),
  help: z.boolean().exactOptional(),
  headers: z.record(z.string(), z.string()),
  remote: z.object({ address: z.string(), port: z.number() }),
  peerCertificate: z.string().exactOptional(),
  openMetrics: z.boolean().exactOptional(),
  streamed: z.boolean().exactOptional(),
});

/** The request without its body, as the text of a header. */
export function encodeHead(request: Request): string {
  const { signal: _, body: __, stream, peerCertificate, headers, ...rest } = request;
  return base64url(
    utf8(
      stringify({
        ...rest,
        headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => typeof value === 'string')),
        ...(stream === undefined ? {} : { streamed: true }),
        ...(peerCertificate === undefined ? {} : { peerCertificate: base64url(peerCertificate) }),
      }),
    ),
  );
}

/** @returns undefined for what no node of ours sends */
export function decodeHead(
  text: string,
  signal: AbortSignal,
): { readonly request: Request; readonly streamed: boolean } | undefined {
  const bytes = Buffer.from(text, 'base64url');
  const json = textOf(bytes);
  let value: unknown;
  try {
    value = parseJson(json ?? '');
  } catch {
    return undefined;
  }
  const read = head.safeParse(value);
  if (!read.success) return undefined;
  const { streamed, peerCertificate, ...rest } = read.data;
  const certificate = peerCertificate === undefined ? undefined : Buffer.from(peerCertificate, 'base64url');
  return {
    streamed: streamed === true,
    request: {
      ...(rest as Omit<Request, 'signal' | 'peerCertificate'>),
      ...(certificate === undefined ? {} : { peerCertificate: certificate }),
      signal,
    },
  };
}

const writes = z.array(z.object({ key: z.string(), value: z.base64().exactOptional() }));

/** Writes that a node asks the leader to keep in its name. */
export function encodeWrites(all: readonly ({ key: string } & { value?: Uint8Array })[]): Uint8Array {
  return utf8(
    stringify(
      all.map(({ key, value }) =>
        value === undefined ? { key } : { key, value: Buffer.from(value).toString('base64') },
      ),
    ),
  );
}

export function decodeWrites(
  bytes: Uint8Array,
): readonly ({ key: string; value: Uint8Array } | { key: string; delete: true })[] | undefined {
  try {
    const read = writes.parse(parseJson(textOf(bytes) ?? ''));
    return read.map(({ key, value }) =>
      value === undefined
        ? { key, delete: true as const }
        : { key, value: fromBase64(value) ?? new Uint8Array(0) },
    );
  } catch {
    return undefined;
  }
}

const greeting = z.object({
  id: z.string(),
  hostname: z.string(),
  apiAddress: z.string(),
  clusterAddress: z.string(),
  version: z.string(),
});
/** What a standby tells the leader of itself, now and then. */
export type Greeting = z.infer<typeof greeting>;

export const encodeGreeting = (told: Greeting): Uint8Array => utf8(stringify(told));
export function decodeGreeting(bytes: Uint8Array): Greeting | undefined {
  try {
    return greeting.parse(parseJson(textOf(bytes) ?? ''));
  } catch {
    return undefined;
  }
}
