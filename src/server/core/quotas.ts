/**
 * Rate limits: how many requests one address may send to a path, a mount, or the whole server in an interval. The most
 * specific quota that covers a path decides alone. Counting is in memory and bounded; what is configured is stored.
 */

import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { decode, encode } from '../auth/records.ts';

export interface RateQuota {
  readonly name: string;
  /** "" is everything; "secret/" a mount, "secret/data/app" what lies in it; a last "*" takes all that begins so. */
  readonly path: string;
  /** Requests in an interval. */
  readonly rate: number;
  readonly intervalMs: Milliseconds;
  /** How long an address that went over it is kept out altogether; 0: until the interval lets it in again. */
  readonly blockMs: Milliseconds;
}

export interface QuotaConfig {
  /** Paths that no quota holds up; a last "*" takes all that begin so. */
  readonly exempt: readonly string[];
  readonly headers: boolean;
  readonly auditRefused: boolean;
}

/** What must answer however many ask, as upstream has it. */
export const EXEMPT: readonly string[] = [
  'sys/generate-recovery-token/attempt',
  'sys/generate-recovery-token/update',
  'sys/generate-root/attempt',
  'sys/generate-root/update',
  'sys/health',
  'sys/seal-status',
  'sys/unseal',
];

const FOLDER = 'quota/rate-limit/';
const CONFIG = 'quota/config';
/** Addresses that are counted at a time; the one that was quiet for longest is forgotten first. */
const BUCKETS = 100_000;

interface Bucket {
  left: number;
  at: number;
  blockedUntil: number;
}

export class Quotas {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #quotas = new Map<string, RateQuota>();
  readonly #buckets = new Map<string, Bucket>();
  #config: QuotaConfig = { exempt: EXEMPT, headers: false, auditRefused: false };

  private constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  static async open(storage: Storage, clock: Clock): Promise<Quotas> {
    const quotas = new Quotas(storage, clock);
    for await (const { key, value } of storage.scan(FOLDER, new AbortController().signal)) {
      const quota = decode<RateQuota>(key, value);
      quotas.#quotas.set(quota.name, quota);
    }
    const config = await storage.get(CONFIG);
    if (config !== undefined) quotas.#config = decode<QuotaConfig>(CONFIG, config.value);
    return quotas;
  }

  get config(): QuotaConfig {
    return this.#config;
  }

  async configure(config: QuotaConfig): Promise<void> {
    await this.#storage.commit([{ key: CONFIG, value: encode(config) }]);
    this.#config = config;
  }

  /** Whether anything has to be counted. */
  get any(): boolean {
    return this.#quotas.size > 0;
  }

  list(): string[] {
    return [...this.#quotas.keys()].sort();
  }

  get(name: string): RateQuota | undefined {
    return this.#quotas.get(name);
  }

  /** @throws Failure request.invalid where another quota covers exactly the same path */
  async set(quota: RateQuota): Promise<void> {
    for (const other of this.#quotas.values())
      if (other.name !== quota.name && other.path === quota.path)
        throw failure('request.invalid', {
          reason: `quota rule with similar properties exists under the name "${other.name}"`,
        });
    await this.#storage.commit([{ key: FOLDER + quota.name, value: encode(quota) }]);
    this.#quotas.set(quota.name, quota);
    this.#forget(quota.name);
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: FOLDER + name, delete: true }]);
    this.#quotas.delete(name);
    this.#forget(name);
  }

  /**
   * Counts one request.
   * @throws Failure quota.exceeded, which says when to come back where the headers are switched on
   */
  take(path: string, address: string): void {
    if (this.#quotas.size === 0 || this.#config.exempt.some((pattern) => covers(pattern, path))) return;
    const quota = mostSpecific(this.#quotas.values(), path);
    if (quota === undefined) return;
    const now = this.#clock.monotonic();
    const bucket = this.#bucket(`${quota.name}\n${address}`, quota, now);
    const refill = ((now - bucket.at) / quota.intervalMs) * quota.rate;
    bucket.left = Math.min(quota.rate, bucket.left + refill);
    bucket.at = now;
    const isBlocked = now < bucket.blockedUntil;
    // Sums of fractions fall short of the whole by their last digit.
    if (!isBlocked && bucket.left >= 1 - 1e-9) {
      bucket.left -= 1;
      return;
    }
    if (!isBlocked && quota.blockMs > 0) bucket.blockedUntil = now + quota.blockMs;
    const waitMs =
      bucket.blockedUntil > now
        ? bucket.blockedUntil - now
        : ((1 - bucket.left) / quota.rate) * quota.intervalMs;
    throw failure(
      'quota.exceeded',
      { path },
      this.#config.headers ? { retryAfterMs: Math.max(1, waitMs) } : {},
    );
  }

  #bucket(key: string, quota: RateQuota, now: number): Bucket {
    const known = this.#buckets.get(key);
    const bucket = known ?? { left: quota.rate, at: now, blockedUntil: 0 };
    // Put last again: the first in the map is the one that was quiet for longest.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > BUCKETS) {
      const quiet = this.#buckets.keys().next().value;
      if (quiet !== undefined) this.#buckets.delete(quiet);
    }
    return bucket;
  }

  #forget(name: string): void {
    for (const key of this.#buckets.keys()) if (key.startsWith(`${name}\n`)) this.#buckets.delete(key);
  }
}

/** Pure: the quota whose path says most about the request's. */
export function mostSpecific(quotas: Iterable<RateQuota>, path: string): RateQuota | undefined {
  let best: RateQuota | undefined;
  for (const quota of quotas) {
    if (!applies(quota.path, path)) continue;
    if (best === undefined || rank(quota.path) > rank(best.path)) best = quota;
  }
  return best;
}

/** An exact path says more than a prefix of the same length. */
const rank = (path: string): number => path.length * 2 + (path.endsWith('*') || path.endsWith('/') ? 0 : 1);

function applies(of: string, path: string): boolean {
  if (of === '') return true;
  if (of.endsWith('/')) return path.startsWith(of);
  return covers(of, path) || path === `${of}/`;
}

const covers = (pattern: string, path: string): boolean =>
  pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
