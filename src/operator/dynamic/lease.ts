/**
 * The record of one issued credential, and how it changes. A record goes in and the changed one comes out; nothing here
 * reads, writes or looks at a clock. All times are milliseconds since 1970.
 *
 * The order that a record goes through is what makes a crash harmless: `begun` is stored before anything is issued, so
 * whatever a login issued stands under a handle that is known, and `disown` hands that login to be taken back.
 */

import type { Json } from '../../base/json.ts';
import { courseOf, renewedTrack, type Track, trackOf } from '../../provider/course.ts';
import type { Envelope, Issued, Life, OwnLogin } from '../../provider/issuer.ts';

/** Whose credential it is, and how it was come by. */
export interface Subject {
  readonly owner: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
  /** What of its owner it is for: the id of a need. */
  readonly id: string;
  /** As people wrote it, for reports. */
  readonly key: string;
  /** "SecretStore/vault" */
  readonly store: string;
  /** The type of the provider, whose lessor keeps it. */
  readonly provider: string;
}

/** A login for one credential, told apart by a name that is no secret. */
export interface Named {
  readonly id: string;
  readonly handle: Json;
}

/** A credential in use. */
export interface Holding {
  /** That of the login that issued it. */
  readonly id: string;
  /** Undefined where nothing hangs on a login: a certificate without a lease. */
  readonly by?: Named;
  /** What it was issued by: where this changes, a new one is issued. */
  readonly basis: string;
  readonly path: string;
  /** The data as one JSON object. */
  readonly value: string;
  /** As it was at issue: were it to follow renewals, each would restart what mounts the Secret. */
  readonly envelope: Envelope;
  readonly issuedAt: number;
  readonly lease?: Track;
  readonly login?: Track;
  readonly notAfter?: number;
  /** It is not renewed any more, since this time. */
  readonly spentAt?: number;
  /** Why none came in its place, though it was due. */
  readonly trouble?: string;
  /** When the Secret first held it. */
  readonly appliedAt?: number;
}

/** A login that is to be taken back, and what is known of what it issued. */
export interface Former extends Named {
  readonly leaseId?: string;
  /** From when on; undefined: not before the Secret holds what came after it. */
  readonly from?: number;
  /** When it is gone by itself. */
  readonly endsAt?: number;
}

export interface LeaseRecord extends Subject {
  readonly current?: Holding;
  /** A login that may have issued something that nobody knows of. */
  readonly pending?: Named & { readonly at: number; readonly process: string; readonly endsAt?: number };
  readonly former: readonly Former[];
  /** Since when its owner has no use for it. */
  readonly retiredAt?: number;
}

/** How long what was replaced still works: pods take a while to see a new Secret. */
export const GRACE_MS = 300_000;

/** Whether a credential can be given out: it was issued by what is asked now, and it has not come to its end. */
export const isGood = (holding: Holding | undefined, basis: string, now: number): holding is Holding =>
  holding !== undefined && holding.basis === basis && now < (courseOf(holding).endsAt ?? Infinity);

/** Whether it is time for a new one. */
export const isDue = (holding: Holding, now: number): boolean =>
  (courseOf(holding).reissueAt ?? Infinity) <= now;

/** A login was made; to be stored before it is used. One that was begun before and left behind is taken back. */
export function begun(
  record: LeaseRecord,
  { id, handle, life }: OwnLogin & Named,
  process: string,
  now: number,
): LeaseRecord {
  const endsAt = life.ms === undefined ? {} : { endsAt: now + life.ms };
  return { ...disown(record, now), pending: { id, handle, at: now, process, ...endsAt } };
}

/** The login that was begun goes to be taken back; what another process may still be at gets the time to notice. */
export function disown(record: LeaseRecord, now: number): LeaseRecord {
  const { pending, ...rest } = record;
  if (pending === undefined) return record;
  const { id, handle, endsAt } = pending;
  const left: Former = { id, handle, from: now, ...(endsAt === undefined ? {} : { endsAt }) };
  return { ...rest, former: [...rest.former, left] };
}

/**
 * What the login that was begun has issued takes the place of what was there.
 * @returns the record, and whether the credential is kept: what has neither a lease nor an end is read anew each time
 */
export function issued(
  record: LeaseRecord,
  login: OwnLogin & Named,
  made: Issued & { readonly basis: string; readonly path: string },
  now: number,
): { readonly record: LeaseRecord; readonly kept: boolean } {
  const { envelope, notAfter } = made;
  const leased = envelope.leaseId !== '';
  if (!leased && notAfter === undefined) return { record: disown(record, now), kept: false };
  const { pending: _, current: before, ...rest } = leased ? record : disown(record, now);
  const current: Holding = {
    ...(leased
      ? {
          by: { id: login.id, handle: login.handle },
          login: trackOf(login.life, now),
          lease: trackOf(
            {
              ms: envelope.leaseSeconds > 0 ? envelope.leaseSeconds * 1000 : undefined,
              renewable: envelope.renewable,
            },
            now,
          ),
        }
      : {}),
    id: login.id,
    basis: made.basis,
    path: made.path,
    value: made.value.json,
    envelope,
    issuedAt: now,
    ...(notAfter === undefined ? {} : { notAfter }),
  };
  const former = [...rest.former, ...(before === undefined ? [] : formerOf(before))];
  return { record: { ...rest, current, former }, kept: true };
}

/** Its login, to be taken back. */
export function formerOf(holding: Holding): readonly Former[] {
  const { by, envelope } = holding;
  const { endsAt } = courseOf(holding);
  if (by === undefined) return [];
  return [{ ...by, leaseId: envelope.leaseId, ...(endsAt === undefined ? {} : { endsAt }) }];
}

/** The Secret holds the credential: what it replaced ends after a grace. */
export function applied(record: LeaseRecord, now: number, graceMs = GRACE_MS): LeaseRecord {
  const { current } = record;
  if (current === undefined || current.appliedAt !== undefined) return record;
  return {
    ...record,
    current: { ...current, appliedAt: now },
    former: record.former.map((one) => ({ ...one, from: one.from ?? now + graceMs })),
  };
}

/** It was renewed. */
export const renewed = (
  { lease, login, ...rest }: Holding,
  given: { readonly login?: Life; readonly lease?: Life },
  now: number,
): Holding => ({
  ...rest,
  ...(lease === undefined ? {} : { lease: renewedTrack(lease, given.lease, now) }),
  ...(login === undefined ? {} : { login: renewedTrack(login, given.login, now) }),
});

/** It cannot be renewed any more: a new one is due now, while this one may still work. */
export const spent = (holding: Holding, now: number): Holding => ({ ...holding, spentAt: now });

/** It is known to work no more. */
export const ended = (holding: Holding, now: number): Holding => ({
  ...holding,
  spentAt: now,
  lease: { from: Math.min(holding.lease?.from ?? now, now), endsAt: now, renewable: false },
});

export const without = (record: LeaseRecord, gone: Former): LeaseRecord => ({
  ...record,
  former: record.former.filter((one) => one !== gone),
});

/** A new one was due, and there is none. */
export function troubled(record: LeaseRecord, why: string): LeaseRecord {
  const { current } = record;
  return current === undefined || current.trouble === why
    ? record
    : { ...record, current: { ...current, trouble: why } };
}
