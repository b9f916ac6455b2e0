/** The key of an archive where the store that made it is gone: by the unseal keys of its day, or by the service of its seal. */

import { textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { combineShares } from '../../crypto/shamir.ts';
import { wipe } from '../../crypto/wipe.ts';
import { unlockByRoot } from '../barrier/rootlock.ts';
import { decodeRecord } from '../seal/record.ts';
import { byPeople, byService } from '../seal/rootkey.ts';
import { type AutoSeal, SHAMIR } from '../seal/seal.ts';
import type { ArchiveHeader } from './archive.ts';
import { KEY_PURPOSE } from './verify.ts';

/** What can be had to open an archive of another store. */
export interface Means {
  /** Unseal keys; wiped. */
  readonly shares: readonly Uint8Array[];
  /** The seal of the configuration. */
  readonly seal?: AutoSeal | undefined;
}

/** What opens an archive: shares, as many as it says, or a service. @throws Failure backup.broken */
export function sealOf(name: string, { seal }: ArchiveHeader): { readonly type: string; readonly t: number } {
  const record = decodeRecord(textOf(seal.config) ?? '');
  if (record === undefined) throw failure('backup.broken', { name, reason: 'its seal cannot be read' });
  return record;
}

/**
 * The root key of the day of the archive, the caller's to wipe.
 * @throws Failure backup.keys; seal.* from a service
 */
export async function rootKeyOf(
  name: string,
  header: ArchiveHeader,
  { shares, seal }: Means,
): Promise<Uint8Array> {
  const { type, t } = sealOf(name, header);
  if (type !== SHAMIR) {
    if (seal?.type !== type)
      throw failure('backup.broken', {
        name,
        reason: `its keys are under a seal "${type}", which this server is not configured with`,
      });
    return byService(seal, header.seal.wrapped);
  }
  const key = shares.length < t ? undefined : await combineShares(shares.slice(0, t));
  wipe(...shares);
  if (key === undefined) throw failure('backup.keys', { name, t });
  try {
    const record = { type, t, n: t };
    return await byPeople(undefined, { record, wrapped: header.seal.wrapped }, key);
  } catch (error) {
    throw isFailure(error, 'seal.wrong_shares') ? failure('backup.keys', { name, t }) : error;
  } finally {
    wipe(key);
  }
}

/** The key of the frames, the caller's to wipe. @throws Failure backup.broken */
export function keyByRoot(name: string, header: ArchiveHeader, rootKey: Uint8Array): Uint8Array {
  const key = unlockByRoot(rootKey, KEY_PURPOSE, header.key.root);
  if (key !== undefined) return key;
  throw failure('backup.broken', { name, reason: 'its header was changed' });
}
