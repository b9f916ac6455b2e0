/**
 * A server that issues accounts, and processes of an operator that can die between any two effects, for tests. An account
 * works as long as its lease and its login do, by the clock of the test.
 */

import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { Kube } from '../../kube/kube.ts';
import type { Issuance, Lessor } from '../../provider/issuer.ts';
import { parseObjectValue } from '../../provider/property.ts';
import type { Provider, ProviderType } from '../../provider/provider.ts';
import { createOperator } from '../operator.ts';
import type { OperatorOptions } from '../options.ts';
import { createRendering } from '../rendering.ts';
import type { FakeKube } from '../testing/kube.ts';

interface Login {
  readonly id: string;
  endsAt: number;
  revoked: boolean;
}

interface Account {
  readonly name: string;
  readonly lease: string;
  readonly login: Login;
  readonly lastAt: number;
  readonly renewable: boolean;
  endsAt: number;
  revoked: boolean;
}

const GIVEN = 'given';
const HOUR = 3_600_000;
const LOGIN_MS = 2 * HOUR;
const LEASE_MS = HOUR;

export class IssuingServer {
  readonly stored = new Map<string, string>();
  readonly logins: Login[] = [];
  readonly accounts: Account[] = [];
  down = false;
  /** It lets nobody in any more; who is in may stay. */
  closed = false;
  /** Renewals never reach beyond this, counted from issue. */
  longestMs = 24 * HOUR;
  renewals = 0;
  /** It makes no logins: all is issued under one token that somebody gave, and taken back by its lease. */
  given = false;
  /** Of leases that are issued from now on. */
  lease = { ms: LEASE_MS, renewable: true };
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  works = (account: Account): boolean => {
    const now = this.#clock.now();
    const { login } = account;
    return !account.revoked && now < account.endsAt && !login.revoked && now < login.endsAt;
  };

  working(): string[] {
    return this.accounts.filter(this.works).map(({ name }) => name);
  }

  reached(): void {
    if (this.down) throw failure('api.unreachable', { address: 'fake', reason: 'refused' });
  }

  login(id: string): Login {
    const known = this.logins.find((login) => login.id === id);
    if (known === undefined || known.revoked || this.#clock.now() >= known.endsAt)
      throw failure('api.denied', { request: 'fake', errors: 'permission denied' });
    return known;
  }

  open(): string {
    this.reached();
    if (this.closed) throw failure('api.denied', { request: 'login', errors: 'permission denied' });
    const id = this.given ? GIVEN : `login-${this.logins.length + 1}`;
    if (this.given && this.logins.length > 0) return id;
    this.logins.push({ id, endsAt: this.given ? Infinity : this.#clock.now() + LOGIN_MS, revoked: false });
    return id;
  }

  issue(id: string): Account {
    this.reached();
    const now = this.#clock.now();
    const number = this.accounts.length + 1;
    const account: Account = {
      name: `user-${number}`,
      lease: `db/creds/app/${number}`,
      login: this.login(id),
      lastAt: now + this.longestMs,
      renewable: this.lease.renewable,
      endsAt: now + this.lease.ms,
      revoked: false,
    };
    this.accounts.push(account);
    return account;
  }

  /** @returns how long the lease lives from now; undefined where the login alone was renewed */
  renew(id: string, lease: string | undefined): number | undefined {
    this.reached();
    const now = this.#clock.now();
    const login = this.login(id);
    if (lease === undefined) {
      login.endsAt = now + LOGIN_MS;
      return undefined;
    }
    const account = this.accounts.find((one) => one.lease === lease && this.works(one));
    if (account === undefined || !account.renewable)
      throw failure('api.invalid', { request: 'fake', errors: 'lease not found, or not renewable' });
    this.renewals++;
    if (id !== GIVEN) login.endsAt = now + LOGIN_MS;
    account.endsAt = Math.min(now + LEASE_MS, account.lastAt);
    return account.endsAt - now;
  }

  revoke(id: string, lease: string | undefined): void {
    const login = this.logins.find((one) => one.id === id);
    if (login !== undefined && id !== GIVEN) login.revoked = true;
    const account = this.accounts.find((one) => one.lease === lease);
    if (account !== undefined) account.revoked = true;
  }
}

/** An effect happened, or is about to: throws to die here. */
export type Gate = (effect: string, when: 'before' | 'after') => void;

/** The provider "fake", which reads `stored` and issues what lies under "db/". */
export function issuingProvider(server: IssuingServer, gate: Gate = () => {}): ProviderType {
  const through = <T>(effect: string, run: () => T): T => {
    gate(effect, 'before');
    const result = run();
    gate(effect, 'after');
    return result;
  };
  const lessor: Lessor = {
    renew: async (handle, lease) => {
      const ms = through('renew', () => server.renew(String(handle), lease?.id));
      return {
        ...(handle === GIVEN ? {} : { login: { ms: LOGIN_MS, renewable: true } }),
        ...(ms === undefined ? {} : { lease: { ms, renewable: true } }),
      };
    },
    stands: async (_, leaseId) => {
      server.reached();
      return server.accounts.some((account) => account.lease === leaseId && server.works(account));
    },
    revoke: async (handle, leaseId) => {
      server.reached();
      through('revoke', () => server.revoke(String(handle), leaseId));
    },
  };
  const issuance: Issuance = {
    path: 'db/creds/app',
    sole: false,
    open: async () => ({
      handle: through('login', () => server.open()),
      life: server.given ? { ms: undefined, renewable: false } : { ms: LOGIN_MS, renewable: true },
    }),
    issue: async ({ handle }) => {
      const { ms, renewable } = server.lease;
      const { name, lease } = through('issue', () => server.issue(String(handle)));
      const json = JSON.stringify({ username: name, password: `password of ${name}` });
      const value = parseObjectValue(json);
      if (value === undefined || !('json' in value)) throw new Error('no object');
      return { value, envelope: { leaseId: lease, leaseSeconds: ms / 1000, renewable } };
    },
  };
  const provider: Provider = {
    async get({ key }) {
      server.reached();
      const json = server.stored.get(key);
      const value = json === undefined ? undefined : parseObjectValue(json);
      return value === undefined ? undefined : { value };
    },
    async validate() {
      server.reached();
      return 'ready';
    },
    close: async () => {},
    async issuance({ key }) {
      server.reached();
      return key.startsWith('db/') ? issuance : undefined;
    },
  };
  return {
    name: 'fake',
    spec: z.unknown(),
    connect: async () => provider,
    lessor,
  };
}

/** One process of the operator. After it died, nothing of it reaches anything. */
export interface Process {
  readonly effects: readonly string[];
  readonly dead: boolean;
  stop(): Promise<void>;
}

/** @param kill the process dies at this effect, counted from 1, before or after it */
export function startProcess(
  world: { readonly kube: FakeKube; readonly server: IssuingServer; readonly clock: Clock },
  kill?: { readonly at: number; readonly when: 'before' | 'after' },
  options: Partial<OperatorOptions> = {},
): Process {
  const effects: string[] = [];
  let dead = false;
  const gate: Gate = (effect, when) => {
    if (dead) throw failure('kube.unreachable', { address: 'fake', reason: 'this process is dead' });
    if (when === 'before') effects.push(effect);
    if (kill !== undefined && effects.length === kill.at && kill.when === when) {
      dead = true;
      throw failure('kube.unreachable', { address: 'fake', reason: 'this process died' });
    }
  };
  const { kube, server, clock } = world;
  const write =
    <A extends readonly unknown[], R>(verb: string, run: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      const { resource } = given[0] as { readonly resource: { readonly kind: string } };
      const effect = `${verb} ${resource.kind}`;
      // Events and tokens are no matter of life.
      const counts = resource.kind !== 'Event' && resource.kind !== 'ServiceAccount';
      if (counts) gate(effect, 'before');
      const result = await run(...given);
      if (counts) gate(effect, 'after');
      return result;
    };
  const gated: Kube = {
    get: (name, signal) => {
      if (dead) return Promise.reject(failure('kube.unreachable', { address: 'fake', reason: 'dead' }));
      void signal;
      return kube.get(name);
    },
    list: (given) => kube.list(given),
    watch: (given, signal) => kube.watch(given, signal),
    create: write('create', kube.create.bind(kube)),
    update: write('update', kube.update.bind(kube)),
    patch: write('patch', kube.patch.bind(kube)),
    apply: () => kube.apply(),
    delete: write('delete', kube.delete.bind(kube)),
  };
  const operator = createOperator({
    kube: gated,
    providers: [issuingProvider(server, gate)],
    clock,
    log: silentLog,
    random: () => 0.5,
    resolve: (host, port) => ({ host, port }),
    envOf: createRendering({ seed: new Uint8Array(32) }),
    ...options,
  });
  const stopping = new AbortController();
  const running = operator.start(stopping.signal);
  return {
    effects,
    get dead() {
      return dead;
    },
    async stop() {
      dead = true;
      stopping.abort();
      await running;
    },
  };
}
