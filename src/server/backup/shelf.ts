/** The backups of one target, as its place has them: archives, and the manifest beside each. */

import { isFailure } from '../../base/errors.ts';
import type { Barrier } from '../barrier/barrier.ts';
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_LIMIT,
  type Manifest,
  manifestName,
  readName,
} from './manifest.ts';
import type { Kept, Place } from './place.ts';
import type { Backup } from './retention.ts';

export interface Shelved extends Backup {
  readonly manifest: Manifest | undefined;
}

/** How many manifests are asked for at once. */
const AT_ONCE = 8;

/**
 * All backups of the target, the oldest first.
 * @param barrier tells what this server wrote; absent where there is none
 * @throws Failure backup.place
 */
export async function shelved(
  place: Place,
  target: string,
  barrier: Barrier | undefined,
  signal: AbortSignal,
): Promise<readonly Shelved[]> {
  const kept = (await place.list(signal)).filter(({ name }) => readName(name)?.target === target);
  const found: Shelved[] = [];
  for (let at = 0; at < kept.length; at += AT_ONCE)
    found.push(
      ...(await Promise.all(kept.slice(at, at + AT_ONCE).map((one) => told(place, one, barrier, signal)))),
    );
  return found.sort((a, b) => a.createdAt - b.createdAt);
}

async function told(
  place: Place,
  { name, size }: Kept,
  barrier: Barrier | undefined,
  signal: AbortSignal,
): Promise<Shelved> {
  const bytes = await small(place, manifestName(name), signal);
  const { manifest, authorship } =
    bytes === undefined
      ? { manifest: undefined, authorship: 'none' as const }
      : decodeManifest(barrier, bytes);
  // A manifest that was put beside another archive says nothing about it.
  const own = manifest?.name === name ? manifest : undefined;
  // A file of another length was cut since it was verified.
  const isVerified = own !== undefined && own.verified !== '' && own.bytes === size;
  return {
    name,
    size,
    createdAt: own === undefined ? (readName(name)?.at ?? 0) : Date.parse(own.created),
    verified: !isVerified ? 'no' : authorship === 'ours' ? 'yes' : 'claimed',
    ours: own !== undefined && authorship === 'ours',
    manifest: own,
  };
}

/** A small file, or undefined where there is none or it is no small one. */
async function small(place: Place, name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of await place.read(name, signal)) {
      size += piece.length;
      if (size > MANIFEST_LIMIT) return undefined;
      pieces.push(piece);
    }
  } catch (error) {
    if (isFailure(error, 'backup.absent')) return undefined;
    throw error;
  }
  return Buffer.concat(pieces);
}

/** @throws Failure backup.place, server.sealed */
export const putManifest = (
  place: Place,
  barrier: Barrier,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> => place.write(manifestName(manifest.name), once(encodeManifest(barrier, manifest)), signal);

/** The archive goes first: what a crash leaves is a manifest without one, which nobody takes for a backup. */
export async function discard(place: Place, name: string): Promise<void> {
  await place.remove(name);
  await place.remove(manifestName(name));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
