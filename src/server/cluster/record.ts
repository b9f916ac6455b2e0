/** What the nodes of a cluster tell each other through the store, behind the barrier: who leads, and by what they know each other. */

import { z } from 'zod';
import { textOf, utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { parseJson, stringify } from '../../base/json.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import type { Storage } from '../../storage/storage.ts';
import { IDENTITY_KEY, LEADER_KEY } from '../follow/changed.ts';

const advert = z.object({
  id: z.string(),
  epoch: z.number(),
  apiAddress: z.string(),
  clusterAddress: z.string(),
  hostname: z.string(),
  version: z.string(),
  /** Milliseconds since the epoch, by the clock of the leader. */
  since: z.number(),
});
/** Nobody looks at its end: it goes with the store. */
const LIFETIME_MS = 50 * 365 * 86_400_000;

/** The leader, as it told of itself when it took the lead. */
export type Advert = z.infer<typeof advert>;

const identity = z.object({ certificate: z.string(), key: z.string() });
/** The one key pair that all nodes of a cluster know each other by: who has it could open the store. PEM. */
export type ClusterIdentity = z.infer<typeof identity>;

async function read<T>(storage: Storage, key: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const entry = await storage.get(key);
  const text = entry && textOf(entry.value);
  return text === undefined ? undefined : schema.parse(parseJson(text));
}

export const readAdvert = (storage: Storage): Promise<Advert | undefined> =>
  read(storage, LEADER_KEY, advert);

export const readIdentity = (storage: Storage): Promise<ClusterIdentity | undefined> =>
  read(storage, IDENTITY_KEY, identity);

/** Tells all nodes who leads from now on. */
export async function announce(storage: Storage, told: Advert): Promise<void> {
  await storage.commit([{ key: LEADER_KEY, value: utf8(stringify(told)) }]);
}

/** The identity of the cluster, made by whoever leads it first. */
export async function ensureIdentity(storage: Storage, now: number): Promise<ClusterIdentity> {
  const found = await readIdentity(storage);
  if (found !== undefined) return found;
  // The authority is forgotten at once: nodes compare the certificate itself, and no other will ever do.
  const authority = await createAuthority('holdfast cluster', now);
  const made = await issueCertificate(authority, {
    names: ['holdfast-cluster'],
    ips: [],
    client: true,
    lifetime: LIFETIME_MS,
    now,
  });
  try {
    await storage.commit(
      [{ key: IDENTITY_KEY, value: utf8(stringify(made)) }],
      [{ key: IDENTITY_KEY, revision: 0 }],
    );
    return made;
  } catch (error) {
    if (!isFailure(error, 'storage.conflict')) throw error;
    return (await readIdentity(storage)) ?? made;
  }
}
