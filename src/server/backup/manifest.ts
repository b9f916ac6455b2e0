/**
 * What is known of a backup without opening it: a small file beside it, `NAME.json`. Nothing in it is secret. The server seals
 * a sum of it, so that it trusts what it wrote itself, and nobody who writes to the place can have an archive pass for verified
 * or for one of this server's to be pruned.
 */

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { base64, fromBase64, sha256, textOf, utf8, view } from '../../base/bytes.ts';
import type { Barrier } from '../barrier/barrier.ts';

const PURPOSE = 'backup manifest';
/** No manifest is larger, in bytes. */
export const MANIFEST_LIMIT = 16 * 1024;

const Facts = z.object({
  format: z.literal(1),
  name: z.string().max(200),
  /** RFC 3339. */
  created: z.iso.datetime(),
  revision: z.int().nonnegative(),
  entries: z.int().nonnegative(),
  /** Of the file. */
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  cluster_id: z.string().max(100),
  version: z.string().max(100),
  /** RFC 3339; empty where it was not, or did not hold. */
  verified: z.union([z.literal(''), z.iso.datetime()]),
});
export type Manifest = z.output<typeof Facts>;
const Kept = z.object({ manifest: Facts, proof: z.string() });

/** What a manifest is worth: this server wrote it, another one did or it was changed, or there is none that can be read. */
export type Authorship = 'ours' | 'foreign' | 'none';

export interface ReadManifest {
  readonly manifest: Manifest | undefined;
  readonly authorship: Authorship;
}

const MANIFEST = '.json';
const NAME = /^(.+)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{8}\.hfbackup$/;

/** What the manifest of an archive is called. */
export const manifestName = (archive: string): string => `${archive}${MANIFEST}`;

/** A name for a new archive, which no other has. @param at milliseconds since the epoch */
export function archiveName(target: string, at: number): string {
  const time = `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  return `${target}-${time}-${randomBytes(4).toString('hex')}.hfbackup`;
}

/** Of which target an archive of this name is, and when it was made, to the second; undefined for what is none. */
export function readName(name: string): { readonly target: string; readonly at: number } | undefined {
  const [, target, year, month, day, hour, minute, second] = NAME.exec(name) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return target === undefined || Number.isNaN(at) ? undefined : { target, at };
}

/** @throws Failure server.sealed */
export function encodeManifest(barrier: Barrier, manifest: Manifest): Uint8Array {
  const proof = base64(barrier.sealFor(PURPOSE, sumOf(manifest)));
  return utf8(`${JSON.stringify({ manifest, proof }, undefined, 2)}\n`);
}

/** @param barrier absent where nobody can tell whose it is */
export function decodeManifest(barrier: Barrier | undefined, bytes: Uint8Array): ReadManifest {
  const kept = parsed(bytes);
  if (kept === undefined) return { manifest: undefined, authorship: 'none' };
  const proof = fromBase64(kept.proof);
  const opened = proof && barrier?.openFor(PURPOSE, proof);
  const isOurs = opened !== undefined && view(opened).equals(sumOf(kept.manifest));
  return { manifest: kept.manifest, authorship: isOurs ? 'ours' : 'foreign' };
}

function parsed(bytes: Uint8Array): z.output<typeof Kept> | undefined {
  try {
    return Kept.safeParse(JSON.parse(textOf(bytes) ?? '')).data;
  } catch {
    return undefined;
  }
}

/** Its members always in one order, whatever order the file has. */
const sumOf = (manifest: Manifest): Buffer =>
  sha256(JSON.stringify(Object.keys(Facts.shape).map((key) => manifest[key as keyof Manifest])));
