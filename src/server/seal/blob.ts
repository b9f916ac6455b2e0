/**
 * What a store keeps of its root key under a service: the bytes that the service made, and which of its keys made them. It
 * lies in the store in plain, where anybody may have written it: it is read strictly, and believed in nothing that the
 * service does not prove.
 */

import { z } from 'zod';
import { base64, fromBase64, textOf, utf8 } from '../../base/bytes.ts';

export interface Wrapped {
  /** The service's own name of the key, without its version. */
  readonly key: string;
  /** Which version of it; empty where the service does not tell. */
  readonly version: string;
  readonly data: Uint8Array;
}

const FORMAT = 1;
const text = z.string().max(1024);
const form = z.strictObject({
  holdfast_seal: z.literal(FORMAT),
  type: text.min(1),
  key: text.min(1),
  version: text,
  wrapped: z.string().min(1).max(16_384),
});

/** @param type of the seal, so that one kind never takes what another wrapped for its own */
export const encodeWrapped = (type: string, { key, version, data }: Wrapped): Uint8Array =>
  utf8(JSON.stringify({ holdfast_seal: FORMAT, type, key, version, wrapped: base64(data) }));

/** Undefined where it is none of this type. */
export function decodeWrapped(type: string, blob: Uint8Array): Wrapped | undefined {
  let read: unknown;
  try {
    read = JSON.parse(textOf(blob) ?? '');
  } catch {
    return undefined;
  }
  const { success, data } = form.safeParse(read);
  if (!success || data.type !== type) return undefined;
  const bytes = fromBase64(data.wrapped);
  return bytes && { key: data.key, version: data.version, data: bytes };
}
