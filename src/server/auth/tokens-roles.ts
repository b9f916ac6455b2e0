/**
 * Token roles: what somebody may make tokens of, beyond what they hold themselves. Who may use a role is decided by policy
 * on auth/token/create/<role>; what it gives is decided here, by pure functions over the role.
 */

import type { Milliseconds } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { globMatches } from '../../base/glob.ts';
import type { Storage } from '../../storage/storage.ts';
import { encode, load } from './records.ts';

export interface TokenRole {
  readonly allowed: readonly string[];
  readonly allowedGlobs: readonly string[];
  readonly disallowed: readonly string[];
  readonly disallowedGlobs: readonly string[];
  readonly orphan: boolean;
  readonly renewable: boolean;
  readonly pathSuffix: string;
  readonly allowedAliases: readonly string[];
  readonly boundCidrs: readonly string[];
  readonly explicitMaxTtlMs: Milliseconds;
  readonly periodMs: Milliseconds;
  readonly uses: number;
  readonly noDefaultPolicy: boolean;
  readonly type: 'default-service' | 'default-batch' | 'service' | 'batch';
}

export const NO_TOKEN_ROLE: TokenRole = {
  allowed: [],
  allowedGlobs: [],
  disallowed: [],
  disallowedGlobs: [],
  orphan: false,
  renewable: true,
  pathSuffix: '',
  allowedAliases: [],
  boundCidrs: [],
  explicitMaxTtlMs: 0,
  periodMs: 0,
  uses: 0,
  noDefaultPolicy: false,
  type: 'default-service',
};

const FOLDER = 'token/role/';

/** Below the storage that the tokens lie in. Names hold no "/". */
export class TokenRoles {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async get(name: string): Promise<TokenRole | undefined> {
    return (await load<TokenRole>(this.#storage, FOLDER + name))?.value;
  }

  list(): Promise<string[]> {
    return this.#storage.list(FOLDER);
  }

  /** Writes what `change` makes of the role as it is; nobody's change is lost. @throws what `change` throws */
  async change(name: string, change: (before: TokenRole) => TokenRole): Promise<void> {
    for (;;) {
      const found = await load<TokenRole>(this.#storage, FOLDER + name);
      const value = encode(change(found?.value ?? NO_TOKEN_ROLE));
      try {
        await this.#storage.commit(
          [{ key: FOLDER + name, value }],
          [{ key: FOLDER + name, revision: found?.revision ?? 0 }],
        );
        return;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: FOLDER + name, delete: true }]);
  }
}

/** Whether a role itself says which policies its tokens may have; else they are bounded by those of the caller. */
export const choosesPolicies = (role: TokenRole): boolean =>
  [role.allowed, role.allowedGlobs, role.disallowed, role.disallowedGlobs].some((names) => names.length > 0);

/**
 * The policies of a token made under a role that chooses them.
 * @param asked canonical names; none: those of the role, else of the parent
 * @throws Failure request.invalid, in the words of upstream
 */
export function policiesUnder(
  role: TokenRole,
  asked: readonly string[],
  parent: readonly string[],
  noDefault: boolean,
): string[] {
  const isDisallowed = (name: string): boolean =>
    role.disallowed.includes(name) || role.disallowedGlobs.some((glob) => globMatches(glob, name));
  const addsDefault = !noDefault && !role.noDefaultPolicy && !isDisallowed('default');
  const completed = (names: readonly string[]): string[] =>
    sanitized(addsDefault && !names.includes('root') ? [...names, 'default'] : names);

  const isBounded = role.allowed.length > 0 || role.allowedGlobs.length > 0;
  let names: string[];
  if (asked.length > 0) {
    names = completed(asked);
    const own = completed(role.allowed);
    const fits = (name: string): boolean =>
      own.includes(name) || role.allowedGlobs.some((glob) => globMatches(glob, name));
    if (isBounded && !names.every(fits))
      throw refused(
        `token policies (${quoted(names)}) must be subset of the role's allowed policies (${quoted(own)}) or glob policies (${quoted(role.allowedGlobs)})`,
      );
  } else names = completed(isBounded ? role.allowed : parent);

  const bad = names.find(isDisallowed);
  if (bad !== undefined) throw refused(`token policy "${bad}" is disallowed by this role`);
  return names;
}

/** The lesser of two spans, where 0 is none. */
export const lesser = (a: Milliseconds, b: Milliseconds): Milliseconds =>
  a === 0 ? b : b === 0 ? a : Math.min(a, b);

/** @throws Failure request.invalid where the fields do not go together */
export function checkTokenRole(role: TokenRole): void {
  if (role.pathSuffix !== '' && !/^\w[\w-]+\w$/.test(role.pathSuffix))
    throw refused('given role path suffix contains invalid characters; must match "\\w[\\w-]+\\w"');
  if (role.explicitMaxTtlMs < 0) throw refused("'token_explicit_max_ttl' cannot be negative");
  if (role.periodMs < 0) throw refused("'token_period' cannot be negative");
  if (role.uses < 0) throw refused("'token_num_uses' cannot be negative");
  if (role.type !== 'batch') return;
  const cannot = (what: string) =>
    refused(`'token_type' cannot be 'batch' when role is set to generate ${what}`);
  if (!role.orphan) throw cannot('non-orphan tokens');
  if (role.periodMs !== 0) throw cannot('periodic tokens');
  if (role.renewable) throw cannot('renewable tokens');
  if (role.explicitMaxTtlMs !== 0) throw cannot('tokens with an explicit max TTL');
  if (role.uses !== 0) throw cannot('tokens with limited use count');
}

const sanitized = (names: readonly string[]): string[] =>
  names.includes('root') ? ['root'] : [...new Set(names)].sort();
const quoted = (names: readonly string[]): string =>
  `[${names.map((name) => JSON.stringify(name)).join(' ')}]`;
const refused = (reason: string) => failure('request.invalid', { reason });
