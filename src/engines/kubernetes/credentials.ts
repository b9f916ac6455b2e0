/**
 * Tokens under a lease. The lease is durable before any object is made and says which objects there will be, so that it takes
 * them away whether they were made, half made or never. A token ends with its lease; it is not renewable.
 */

import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { goDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { type Json, parseJson } from '../../base/json.ts';
import { type Bag, bagOf } from '../../base/shape.ts';
import type { Call, LeaseHandler, LeaseInfo, Mount } from '../../plugin/plugin.ts';
import type { Making } from '../making.ts';
import type { Answer, Cluster } from './cluster.ts';
import { readRules, readSelector, selects } from './documents.ts';
import {
  folderOf,
  kindsFor,
  label,
  manifestOf,
  type Owner,
  ownerOf,
  type Planned,
  tokenPath,
} from './objects.ts';
import { isNamespace, nameMaker, type Role } from './role.ts';

export interface Asked {
  /** Empty: the one namespace of the role. */
  readonly namespace: string;
  readonly clusterWide: boolean;
  /** Milliseconds; 0: the role's. */
  readonly ttlMs: number;
  /** Empty: the role's. */
  readonly audiences: readonly string[];
}

export interface Issued {
  readonly account: string;
  readonly namespace: string;
  readonly token: string;
  readonly lease: LeaseInfo;
  readonly warnings: readonly string[];
}

/** What a lease remembers. `id` is that of this credential alone. */
interface State extends Planned {
  readonly id: string;
}

/** API servers refuse tokens that live shorter. */
const SHORTEST_S = 600;
/** API servers give a request up after a minute (--request-timeout). */
const SETTLING_MS = 70_000;

export class Credentials {
  readonly leases: LeaseHandler;
  readonly #mount: Mount;
  readonly #cluster: Cluster;
  readonly #making: Making;

  constructor(mount: Mount, cluster: Cluster, making: Making) {
    this.#mount = mount;
    this.#cluster = cluster;
    this.#making = making;
    this.leases = {
      renew: async () => {
        throw failure('token.not_renewable');
      },
      revoke: (state) => this.#takeAway(state as unknown as State),
    };
  }

  /** Makes what the role says, and a token. @throws Failure serviceaccounts.*, dial.* */
  async issue(roleName: string, role: Role, asked: Asked, call: Call): Promise<Issued> {
    const namespace = await this.#namespaceOf(role, asked.namespace);
    if (asked.clusterWide && role.roleType === 'Role')
      throw refused('a ClusterRoleBinding cannot ref a Role');
    const { ttlMs, warnings } = lifeOf(role, asked.ttlMs, this.#mount.ttl());
    const displayName = call.caller?.displayName ?? '';
    const state: State = {
      id: hex(this.#mount.random(16)),
      name: role.serviceAccount || nameMaker(role)({ displayName, roleName, now: this.#mount.clock.now() }),
      namespace,
      kinds: kindsFor(role, asked.clusterWide),
    };
    return this.#making.run(state.id, async () => {
      const times = { ttlMs, maxTtlMs: ttlMs, renewable: false };
      const lease = await call.reserve('token', state as unknown as Json, times);
      const life = Math.floor(lease.durationMs / 1000);
      if (life < SHORTEST_S)
        throw refused(
          `a ttl of ${goDuration(lease.durationMs)} is too short: Kubernetes makes no token for less than 10m`,
        );
      await this.#make(state, role);
      const token = await this.#token(
        state,
        life,
        asked.audiences.length > 0 ? asked.audiences : role.audiences,
      );
      const lasts = (claimsLife(token) ?? life) * 1000;
      return {
        account: state.name,
        namespace,
        token,
        // What the cluster cut short is told as short as it is; its objects go when the lease does.
        lease: { ...lease, durationMs: Math.min(lease.durationMs, lasts) },
        warnings: [...warnings, ...mismatch(lasts, life * 1000)],
      };
    });
  }

  /** @throws Failure serviceaccounts.request */
  async #namespaceOf(role: Role, asked: string): Promise<string> {
    const [only = ''] = role.namespaces;
    const single = role.namespaceSelector === '' && role.namespaces.length === 1 && only !== '*';
    if (asked === '') {
      if (single) return only;
      throw refused(
        "error verifying namespace: 'kubernetes_namespace' is required unless the Vault role has a single namespace specified",
      );
    }
    // It becomes a part of URLs.
    const named = isNamespace(asked);
    if (named && (role.namespaces.includes('*') || role.namespaces.includes(asked))) return asked;
    if (named && role.namespaceSelector !== '') {
      const answer = await this.#cluster.ask('GET', `/api/v1/namespaces/${asked}`);
      if (!answer.done && answer.status !== 404)
        throw failure('serviceaccounts.failed', {
          what: `error verifying namespace: cannot read namespace ${asked}`,
          reason: answer.reason,
        });
      if (answer.done && selects(readSelector(role.namespaceSelector), labelsOf(answer.body))) return asked;
    }
    throw refused(
      `kubernetes_namespace '${asked.replace(/[^\w.-]/g, '?').slice(0, 63)}' is not present in role's allowed_kubernetes_namespaces or does not match role's label selector allowed_kubernetes_namespace_selector`,
    );
  }

  async #make(state: State, role: Role): Promise<void> {
    const rules = role.rules === '' ? [] : readRules(role.rules);
    let owner: Owner | undefined;
    for (const [at, kind] of state.kinds.entries()) {
      const manifest = manifestOf(kind, state, role, rules, owner);
      const answer = await this.#create(state, at, folderOf(kind, state.namespace), manifest);
      const uid = answer.done ? bagOf(answer.body['metadata'])['uid'] : undefined;
      if (typeof uid !== 'string')
        throw failure('serviceaccounts.failed', {
          what: `failed to create ${label(kind, state)}`,
          reason: answer.done ? 'the answer holds no uid' : answer.reason,
        });
      owner ??= ownerOf(kind, state, uid);
    }
  }

  /** Has an object made, the `at`th of its credential, and writes down what a failure means for the lease. */
  async #create(state: State, at: number, folder: string, manifest: object): Promise<Answer> {
    const halted = (value: Halted): Promise<unknown> =>
      this.#mount.storage.commit([{ key: haltedKey(state), value: utf8(JSON.stringify(value)) }]);
    const unsure = { made: at + 1, unsureUntil: this.#mount.clock.now() + SETTLING_MS };
    let answer: Answer;
    try {
      answer = await this.#cluster.ask('POST', folder, manifest);
    } catch (error) {
      await halted(unsure);
      throw error;
    }
    if (!answer.done) await halted(answer.status >= 500 ? unsure : { made: at });
    return answer;
  }

  /** @param life in seconds */
  async #token({ namespace, name }: State, life: number, audiences: readonly string[]): Promise<string> {
    const answer = await this.#cluster.ask('POST', tokenPath(namespace, name), {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: life, ...(audiences.length === 0 ? {} : { audiences }) },
    });
    const token = answer.done ? bagOf(answer.body['status'])['token'] : undefined;
    if (typeof token === 'string' && token !== '') return token;
    throw failure('serviceaccounts.failed', {
      what: `failed to create a service account token for ${namespace}/${name}`,
      reason: answer.done ? 'the answer holds no token' : answer.reason,
    });
  }

  /** Deletes what the lease covers, by name; what is not there is done. */
  async #takeAway(state: State): Promise<void> {
    await this.#making.ended(state.id);
    const { storage, clock } = this.#mount;
    const entry = await storage.get(haltedKey(state));
    const halted = entry && (JSON.parse(textOf(entry.value) ?? '') as Halted);
    const made = state.kinds.slice(0, halted?.made);
    const left: string[] = [];
    // The owner first: were this the last that is heard of us, the cluster would collect the rest.
    for (const kind of made) {
      const path = `${folderOf(kind, state.namespace)}/${state.name}`;
      const answer = await this.#cluster.ask('DELETE', path);
      if (answer.done) continue;
      if (answer.status !== 404) left.push(`${label(kind, state)}: ${answer.reason}`);
      else if (kind === made.at(-1) && clock.now() < (halted?.unsureUntil ?? 0))
        left.push(`${label(kind, state)}: it may still be made`);
    }
    if (left.length > 0)
      throw failure('serviceaccounts.failed', { what: 'failed to delete', reason: left.join('; ') });
    if (entry !== undefined) await storage.commit([{ key: haltedKey(state), delete: true }]);
  }
}

/** Where the making of a credential ended that did not succeed. */
interface Halted {
  /** What the cluster refused to make is not there, or is somebody else's: the lease covers only so many objects. */
  readonly made: number;
  /** A request that nobody waits for any more can still be carried out: until then the last of them may yet appear. */
  readonly unsureUntil?: number;
}

const haltedKey = ({ id }: State): string => `halted/${id}`;

/** How long the token shall live, and what is said where that is less than was asked for. Milliseconds. */
function lifeOf(
  role: Role,
  askedMs: number,
  mount: { readonly defaultMs: number; readonly maxMs: number },
): { readonly ttlMs: number; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  let ttlMs = askedMs > 0 ? askedMs : role.defaultTtlMs > 0 ? role.defaultTtlMs : mount.defaultMs;
  const cap = (limitMs: number, whose: string): void => {
    if (ttlMs <= limitMs) return;
    warnings.push(
      `ttl of ${goDuration(ttlMs)} is greater than ${whose} ${goDuration(limitMs)}; capping accordingly`,
    );
    ttlMs = limitMs;
  };
  if (role.maxTtlMs > 0) cap(role.maxTtlMs, "the role's token_max_ttl of");
  cap(mount.maxMs, "Vault's max lease ttl");
  return { ttlMs, warnings };
}

/** What the cluster made of the life that was asked for. */
function mismatch(lastsMs: number, leaseMs: number): string[] {
  if (lastsMs === leaseMs) return [];
  const told = `the created Kubernetes service account token TTL ${goDuration(lastsMs)} is`;
  return lastsMs > leaseMs
    ? [`${told} greater than the Vault lease TTL ${goDuration(leaseMs)}`]
    : [`${told} less than the Vault lease TTL ${goDuration(leaseMs)}; capping the lease TTL accordingly`];
}

/** How long a token says that it lives, in seconds; undefined where it does not say. */
function claimsLife(token: string): number | undefined {
  try {
    const claims = bagOf(parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')));
    const { exp, iat } = claims;
    return typeof exp === 'number' && typeof iat === 'number' && exp > iat ? exp - iat : undefined;
  } catch {
    return undefined;
  }
}

function labelsOf(namespace: Bag): ReadonlyMap<string, string> {
  const labels = Object.entries(bagOf(bagOf(namespace['metadata'])['labels']));
  return new Map(labels.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

const refused = (reason: string) => failure('serviceaccounts.request', { reason });
