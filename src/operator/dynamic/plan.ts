/** What is to be done about one issued credential at a given time: one step after the other, in the order of urgency. */

import { courseOf } from '../../provider/course.ts';
import {
  disown,
  type Former,
  formerOf,
  GRACE_MS,
  type Holding,
  isDue,
  type LeaseRecord,
  type Named,
  without,
} from './lease.ts';

/** What the cluster says of the owner. */
export interface Facts {
  /** `unused`: its owner stands, and names it no more. */
  readonly owner: 'uses' | 'unused' | 'gone';
  /** Whether its owner takes a new one when this ends: not where it is to be read once. */
  readonly follows: boolean;
  /** Who asks: what another process began may still be under way. */
  readonly process: string;
  /** Logins that a request failed under, and until when they are left alone. */
  readonly resting: ReadonlyMap<string, number>;
}

export type Step =
  /** The record changes, and nothing else does. */
  | { readonly do: 'keep'; readonly record: LeaseRecord }
  | { readonly do: 'revoke'; readonly former: Former }
  | { readonly do: 'renew'; readonly holding: Holding & { readonly by: Named } }
  /** The owner is to ask for a new one; look again at `until`. */
  | { readonly do: 'wake'; readonly until: number }
  /** Nothing is left of it. */
  | { readonly do: 'forget' }
  | { readonly do: 'wait'; readonly until?: number };

/** A process that began to issue and was not heard of since is dead: requests time out before. */
const UNDERWAY_MS = 60_000;
/** Between two calls for a new credential that does not come. */
const WAKE_MS = 30_000;
/** A login that could not be taken back is forgotten this long after it ended by itself. */
const FORGET_MS = 3_600_000;
/** What to do now, one step at a time, in the order of urgency. */
export function nextStep(record: LeaseRecord, facts: Facts, now: number, graceMs = GRACE_MS): Step {
  const { current, pending, former } = record;
  const use = useOf(record, facts, now, graceMs);
  if (use !== undefined) return use;
  if (pending !== undefined && (pending.process === facts.process || now >= pending.at + UNDERWAY_MS))
    return { do: 'keep', record: disown(record, now) };
  const course = current === undefined ? {} : courseOf(current);
  const rests = ({ id }: Named): number => facts.resting.get(id) ?? 0;
  const renewAt =
    current?.by === undefined || course.renewAt === undefined
      ? undefined
      : Math.max(course.renewAt, rests(current.by));
  const heard = facts.owner === 'uses' && facts.follows && current !== undefined;
  const wanted = heard && isDue(current, now);
  if (current?.by !== undefined && renewAt !== undefined && renewAt <= now && !wanted)
    return { do: 'renew', holding: { ...current, by: current.by } };
  const due = former.find((one) => dueOf(one, rests(one)) <= now);
  if (due !== undefined)
    return facts.resting.has(due.id) && (due.endsAt ?? Infinity) + FORGET_MS <= now
      ? { do: 'keep', record: without(record, due) }
      : { do: 'revoke', former: due };
  if (current === undefined && pending === undefined && former.length === 0) return { do: 'forget' };
  const others = [
    pending === undefined ? undefined : pending.at + UNDERWAY_MS,
    record.retiredAt === undefined ? undefined : record.retiredAt + graceMs,
    ...former.map((one) => dueOf(one, rests(one))),
  ];
  // Whoever stored that the Secret holds it died before: what it replaced still waits for that.
  const unseen = heard && current.appliedAt === undefined && now >= current.issuedAt + UNDERWAY_MS;
  if (wanted || unseen)
    return { do: 'wake', until: soonest(now, [...others, now + WAKE_MS]) ?? now + WAKE_MS };
  const until = soonest(now, [
    ...others,
    renewAt,
    ...(heard ? [course.reissueAt, current.appliedAt ?? current.issuedAt + UNDERWAY_MS] : []),
  ]);
  return { do: 'wait', ...(until === undefined ? {} : { until }) };
}

/** When a login is to be taken back: when it is time, or when it ends by itself. */
const dueOf = ({ from, endsAt }: Former, rests: number): number =>
  Math.max(Math.min(from ?? Infinity, endsAt ?? Infinity), rests);

/** The next of these times; what is past has been looked at. */
function soonest(now: number, times: readonly (number | undefined)[]): number | undefined {
  const least = Math.min(...times.filter((time) => time !== undefined).filter((time) => time > now));
  return Number.isFinite(least) ? least : undefined;
}

/** A credential that its owner no longer names works a while longer; that of an owner that is gone ends at once. */
function useOf(record: LeaseRecord, { owner }: Facts, now: number, graceMs: number): Step | undefined {
  const { retiredAt, current, pending } = record;
  if (owner === 'uses') {
    if (retiredAt === undefined) return undefined;
    const { retiredAt: _, ...used } = record;
    return { do: 'keep', record: used };
  }
  if (owner === 'unused' && retiredAt === undefined)
    return { do: 'keep', record: { ...record, retiredAt: now } };
  if (owner === 'unused' && now < (retiredAt ?? now) + graceMs) return undefined;
  const waiting = record.former.some(({ from }) => from === undefined || from > now);
  if (current === undefined && pending === undefined && !waiting) return undefined;
  const left = disown(record, now);
  const { current: _, ...rest } = left;
  return {
    do: 'keep',
    record: {
      ...rest,
      former: [...left.former, ...(current === undefined ? [] : formerOf(current))].map((one) => ({
        ...one,
        from: Math.min(one.from ?? now, now),
      })),
    },
  };
}
