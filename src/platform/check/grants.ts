/**
 * What the policies of a store's role let it do, judged by the server's own matcher. Where the files are not enough to know
 * (no policies, a role that names one that is not there, a rule whose path is filled in for each caller), nothing is said.
 */

import { isFailure } from '../../base/errors.ts';
import { parsePath } from '../../base/path.ts';
import type { Acl, AclRequest, Rule } from '../../server/auth/acl.ts';
import { compileAcl } from '../../server/auth/matcher.ts';
import type { TemplatePart } from '../../server/auth/template.ts';
import type { KnownPolicy } from './policies.ts';
import type { KnownRole } from './server.ts';
import type { Store, World } from './world.ts';

export interface Grant {
  /** Who holds it, for messages. */
  readonly whom: string;
  readonly policies: readonly KnownPolicy[];
  readonly acl: Acl;
  /** Whether these are the policies of the store, and not all that there are. */
  readonly certain: boolean;
}

export type Verdict =
  | 'unknown'
  /** The rule that grants it. */
  | { readonly granted: string }
  /** `decided`: the rule that did, or that there is none. `mend`: what to change, and where. */
  | { readonly decided: string; readonly mend: string };

type Capability = AclRequest['capability'];

export const roleOf = ({ server }: World, { vault }: Store): KnownRole | undefined =>
  server?.roles.find(({ mount, name }) => mount === mountOf(vault?.auth) && name === vault?.auth?.role);

export const mountOf = (auth: { readonly mount: string } | undefined): string | undefined =>
  auth?.mount.replace(/^\/+|\/+$/g, '');

/** Compiled once for each store: thousands of ExternalSecrets may read through one. */
const known = new WeakMap<World, Map<Store, Grant | undefined>>();

/** The policies that decide what a store may read; undefined where they are not known. */
export function grantOf(world: World, store: Store): Grant | undefined {
  const grants = known.get(world) ?? new Map<Store, Grant | undefined>();
  known.set(world, grants);
  if (!grants.has(store)) grants.set(store, compiled(world, store));
  return grants.get(store);
}

function compiled(world: World, store: Store): Grant | undefined {
  const held = heldBy(world, store);
  return held === undefined
    ? undefined
    : { ...held, acl: compileAcl(held.policies.map(({ policy }) => policy)) };
}

function heldBy(world: World, store: Store): Omit<Grant, 'acl'> | undefined {
  if (!world.policiesGiven) return undefined;
  const role = roleOf(world, store);
  if (role !== undefined) {
    const policies = role.policies
      .filter((name) => name !== 'default')
      .map((name) => world.policies.find(({ policy }) => policy.name === name));
    if (policies.some((policy) => policy === undefined)) return undefined;
    const names = policies.flatMap((one) => one?.policy.name ?? []).join(', ');
    return {
      whom: `the role "${role.name}" (${names === '' ? 'no policies' : names})`,
      policies: policies.filter((policy) => policy !== undefined),
      certain: true,
    };
  }
  // A role that is not there is told as such.
  if (world.server !== undefined && world.server.roles.length > 0) return undefined;
  return { whom: 'anybody by these policies', policies: world.policies, certain: false };
}

/** What a grant says to one request. The path has no leading slash; one for `list` ends in a slash. */
export function judge(grant: Grant, path: string, capability: Capability): Verdict {
  const decide = (at: string) => grant.acl.decide({ path: parsePath(at), capability, sudo: false });
  const decision = decide(path);
  if (decision.allowed)
    return { granted: decision.rule === 'root' ? 'the policy "root"' : ruleText(grant, decision.rule) };
  if (filledIn(grant, path)) return 'unknown';
  const rule = decision.rule === undefined ? undefined : ruleText(grant, decision.rule);
  // The commonest mistake: a rule for the path that people type, not the one that the API has.
  const typed = path.replace(/^([^/]+)\/(data|metadata)\//, '$1/');
  const near = typed === path ? undefined : decide(typed);
  if (rule === undefined && near?.allowed === true && near.rule !== 'root')
    return {
      decided: `no rule covers it; ${ruleText(grant, near.rule)} covers the path without "data/"`,
      mend: `Write path ${JSON.stringify(path)}: a versioned engine keeps its values below data/.`,
    };
  return {
    decided: rule === undefined ? 'no rule covers it' : `${rule} decides: ${decision.reason}`,
    mend: mendOf(grant, decision.rule, path, capability),
  };
}

function mendOf(grant: Grant, rule: Rule | undefined, path: string, capability: Capability): string {
  // Whatever else is granted there, a denial wins: another rule for the same path would change nothing.
  if (rule?.path === path && rule.capabilities.includes('deny'))
    return `Take "deny" out of ${ruleText(grant, rule)}, or read another path.`;
  const [first] = grant.policies;
  const policy =
    grant.certain && first !== undefined ? `the policy "${first.policy.name}"` : 'the policy of its role';
  return `Let ${policy} have: path ${JSON.stringify(path)} { capabilities = [${JSON.stringify(capability)}] }`;
}

/** Whether a path is one that the API can have; else why not. */
export function refusedPath(path: string): string | undefined {
  try {
    parsePath(path);
    return undefined;
  } catch (error) {
    return isFailure(error) ? error.message.replace(/^the path is not canonical: /, '') : 'it cannot be read';
  }
}

const ruleText = ({ policies }: Grant, rule: Rule): string => {
  const [name = ''] = rule.policies;
  const file = policies.find(({ policy }) => policy.name === name)?.file ?? name;
  return `path "${rule.path}" of the policy "${name}" (${file}:${rule.line})`;
};

/** Whether a rule whose path is filled in for each caller could cover a path. */
const filledIn = ({ policies }: Grant, path: string): boolean =>
  policies.some(({ policy }) =>
    policy.stanzas.some(({ template }) => template !== undefined && patternOf(template).test(path)),
  );

function patternOf(parts: readonly TemplatePart[]): RegExp {
  const text = parts
    .map((part) =>
      typeof part === 'string'
        ? part.replace(/[.?^${}()|[\]\\]/g, '\\$&').replace(/(^|\/)\+(?=\/|$)/g, '$1[^/]+')
        : '[^/]+',
    )
    .join('');
  return new RegExp(`^${text.replace(/\*$/, '.*').replace(/(?<!\.)\*/g, '\\*')}$`);
}

/** The roles that stores log in by, each once. */
export function rolesNamed(
  stores: readonly Store[],
): readonly { readonly mount: string; readonly role: string }[] {
  const all = stores.flatMap(({ vault }) => {
    const mount = mountOf(vault?.auth);
    return mount === undefined || vault?.auth === undefined ? [] : [{ mount, role: vault.auth.role }];
  });
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}
