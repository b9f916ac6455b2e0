/**
 * What is known of one versioned secret beside its values, and every rule that changes it. Pure: time comes in, a new
 * record goes out, nothing is read or written here. After OpenBao's KV version 2.
 */

import { failure } from '../../base/errors.ts';

/** Versions kept where neither the key nor the mount says. */
const DEFAULT_MAX_VERSIONS = 10;

/** Times are milliseconds since the epoch. */
export interface Version {
  readonly created: number;
  /** When it is, or will be, soft-deleted. */
  readonly deletion?: number;
  readonly destroyed?: true;
}

export interface Secret {
  /** Names the folder of its values; made anew when a deleted key is written again, so that no old value comes back. */
  readonly id: string;
  /** 0: only metadata was written so far. */
  readonly current: number;
  /** 0 until versions begin to be trimmed. */
  readonly oldest: number;
  readonly created: number;
  readonly updated: number;
  /** 0: as the mount says. */
  readonly maxVersions: number;
  readonly casRequired: boolean;
  /** Milliseconds; 0: as the mount says; negative: never. */
  readonly deleteAfter: number;
  readonly custom: Readonly<Record<string, string>> | null;
  readonly versions: Readonly<Record<number, Version>>;
}

export interface Config {
  readonly maxVersions: number;
  readonly casRequired: boolean;
  readonly deleteAfter: number;
}

export const DEFAULT_CONFIG: Config = { maxVersions: 0, casRequired: false, deleteAfter: 0 };

export const newSecret = (id: string, now: number): Secret => ({
  id,
  current: 0,
  oldest: 0,
  created: now,
  updated: now,
  maxVersions: 0,
  casRequired: false,
  deleteAfter: 0,
  custom: null,
  versions: {},
});

/**
 * Whether a write may go on, given the `cas` that came with it.
 * @throws Failure kv.cas_required, kv.cas_mismatch
 */
export function checkAndSet(secret: Secret | undefined, config: Config, cas: number | undefined): void {
  if (cas === undefined) {
    if (config.casRequired || secret?.casRequired === true) throw failure('kv.cas_required');
    return;
  }
  if (cas !== (secret?.current ?? 0)) throw failure('kv.cas_mismatch');
}

/** The secret with one version more, and the numbers of the versions whose values are to go. */
export function addVersion(
  secret: Secret,
  config: Config,
  now: number,
): { readonly secret: Secret; readonly trimmed: readonly number[] } {
  const current = secret.current + 1;
  const deletion = deletionOf(secret, config, now);
  const versions: Record<number, Version> = {
    ...secret.versions,
    [current]: deletion === undefined ? { created: now } : { created: now, deletion },
  };
  const limit = Math.max(secret.maxVersions, config.maxVersions) || DEFAULT_MAX_VERSIONS;
  const oldest = current - secret.oldest >= limit ? current - limit + 1 : secret.oldest;
  const trimmed = numbers(versions).filter((number) => number < oldest);
  for (const number of trimmed) delete versions[number];
  return { secret: { ...secret, current, oldest, updated: now, versions }, trimmed };
}

/** When a version written now is to be soft-deleted: the shorter of the two spans wins, a negative one says never. */
function deletionOf(secret: Secret, config: Config, now: number): number | undefined {
  const spans = [secret.deleteAfter, config.deleteAfter];
  if (spans.some((span) => span < 0)) return undefined;
  const positive = spans.filter((span) => span > 0);
  return positive.length === 0 ? undefined : now + Math.min(...positive);
}

const isDeleted = (version: Version, now: number): boolean =>
  version.deletion !== undefined && version.deletion <= now;

export const isReadable = (version: Version | undefined, now: number): version is Version =>
  version !== undefined && version.destroyed !== true && !isDeleted(version, now);

/** Each of these gives the secret as it then is and the numbers it touched, which may be none. */
type Changed = { readonly secret: Secret; readonly touched: readonly number[] };

export function softDelete(secret: Secret, which: readonly number[], now: number): Changed {
  return change(secret, which, now, (version) =>
    isReadable(version, now) ? { ...version, deletion: now } : version,
  );
}

export function undelete(secret: Secret, which: readonly number[], now: number): Changed {
  return change(secret, which, now, (version) => {
    if (version.destroyed === true || version.deletion === undefined) return version;
    return { created: version.created };
  });
}

export function destroy(secret: Secret, which: readonly number[], now: number): Changed {
  return change(secret, which, now, (version) =>
    version.destroyed === true ? version : { ...version, destroyed: true },
  );
}

function change(
  secret: Secret,
  which: readonly number[],
  now: number,
  rule: (version: Version) => Version,
): Changed {
  const versions: Record<number, Version> = { ...secret.versions };
  const touched: number[] = [];
  for (const number of new Set(which)) {
    const before = versions[number];
    if (before === undefined) continue;
    const after = rule(before);
    if (after === before) continue;
    versions[number] = after;
    touched.push(number);
  }
  return { secret: touched.length === 0 ? secret : { ...secret, versions, updated: now }, touched };
}

/** The numbers of the versions that are known, rising. */
const numbers = (versions: Readonly<Record<number, Version>>): number[] => Object.keys(versions).map(Number);
