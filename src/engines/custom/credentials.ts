/**
 * Credentials under leases. The lease is durable before the source is asked, and holds the key under which the source is
 * asked: a credential whose answer never came is taken away by that key.
 */

import { hex } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Call, LeaseHandler, LeaseInfo, Mount } from '../../plugin/plugin.ts';
import type { Shelf } from '../../plugin/shelf.ts';
import type { Making } from '../making.ts';
import { readFields } from './answer.ts';
import { type Role, usernameMaker } from './role.ts';
import { LONGEST_MS, type Source } from './source.ts';
import { type Facts, isExpected, type Step } from './step.ts';
import { readTemplate, render } from './template.ts';

/** What a lease remembers; the steps are those of the role as it was, for when there is no such role any more. */
interface State {
  readonly key: string;
  readonly role: string;
  readonly username: string;
  readonly renew?: Step;
  readonly revoke: Step;
  /** When the source was asked, in milliseconds since the epoch. */
  readonly at: number;
}

export interface Issued {
  readonly data: Readonly<Record<string, string>>;
  readonly lease: LeaseInfo;
}

/** A request that nobody waits for any more can still be carried out: for this long "there is none" is no last word. */
const SETTLING_MS = 2 * LONGEST_MS;
const UNKNOWN = 404;
const GONE = 410;

export class Credentials {
  readonly leases: LeaseHandler;
  readonly #mount: Mount;
  readonly #source: Source;
  readonly #roles: Shelf<Role>;
  readonly #making: Making;

  constructor(mount: Mount, source: Source, roles: Shelf<Role>, making: Making) {
    this.#mount = mount;
    this.#source = source;
    this.#roles = roles;
    this.#making = making;
    this.leases = {
      renew: (state, ttlMs) => this.#renew(state as unknown as State, ttlMs),
      revoke: (state) => this.#revoke(state as unknown as State),
    };
  }

  /** Has the source make a credential. @throws Failure custom.*, dial.* */
  async issue(roleName: string, role: Role, call: Call): Promise<Issued> {
    const now = this.#mount.clock.now();
    const limits = this.#mount.ttl();
    const maxTtlMs = Math.min(role.maxTtlMs || limits.maxMs, limits.maxMs);
    const ttlMs = Math.min(role.defaultTtlMs || limits.defaultMs, maxTtlMs);
    const displayName = call.caller?.displayName ?? '';
    const state: State = {
      key: hex(this.#mount.random(16)),
      role: roleName,
      username: usernameMaker(role)({ displayName, roleName, now }),
      ...(role.renew === undefined ? {} : { renew: role.renew }),
      revoke: role.revoke,
      at: now,
    };
    // Asked for even where no template names it: a policy that is missing must not show at one request and hide at another.
    const password = await this.#mount.password(role.passwordPolicy || undefined);
    // What could not be sent is told before a lease is written, which nobody could end either.
    const known = { ...factsOf(state), password };
    await this.#source.rehearse([role.create, role.revoke], { ...known, ...times(now, ttlMs) });
    return this.#making.run(state.key, async () => {
      const renewable = role.renew !== undefined;
      const lease = await call.reserve('creds', state as unknown as Json, { ttlMs, maxTtlMs, renewable });
      // Counted from after the lease was written: a source that ends it by itself must not do so before its lease.
      const facts = { ...known, ...times(this.#mount.clock.now(), lease.durationMs) };
      const answer = await this.#source.send(role.create, facts, state.key);
      if (!isExpected(role.create, answer.status)) throw refused('make a credential', answer.status);
      return { data: { ...fieldsOf(role, facts), ...readFields(answer.body, role.response) }, lease };
    });
  }

  async #renew(state: State, ttlMs: number): Promise<number> {
    const role = await this.#roles.get(state.role);
    const step = role === undefined ? state.renew : role.renew;
    if (step === undefined) throw failure('token.not_renewable');
    const asked = ttlMs > 0 ? ttlMs : role?.defaultTtlMs || this.#mount.ttl().defaultMs;
    const facts = { ...factsOf(state), ...times(this.#mount.clock.now(), asked) };
    const { status } = await this.#source.send(step, facts, state.key);
    if (!isExpected(step, status)) throw refused('prolong a credential', status);
    return asked;
  }

  async #revoke(state: State): Promise<void> {
    await this.#making.ended(state.key);
    const step = (await this.#roles.get(state.role))?.revoke ?? state.revoke;
    const { status } = await this.#source.send(step, factsOf(state), state.key);
    if (isExpected(step, status) || status === GONE) return;
    if (status !== UNKNOWN) throw refused('take a credential away', status);
    if (this.#mount.clock.now() < state.at + SETTLING_MS) throw failure('custom.settling');
  }
}

const factsOf = ({ key, role, username }: State): Facts => ({ key, role, username });

/** When a credential ends, as places: whole seconds from now, and a time (RFC 3339) in UTC. */
const times = (now: number, lifeMs: number): Facts => ({
  ttl: String(Math.ceil(lifeMs / 1000)),
  expires_at: new Date(now + lifeMs).toISOString(),
});

const fieldsOf = ({ fields }: Role, facts: Facts): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, text]) => [
      name,
      render(readTemplate(text) ?? { parts: [] }, (place) => facts[place] ?? '', 'plain'),
    ]),
  );

const refused = (what: string, status: number) => failure('custom.failed', { what, status });
