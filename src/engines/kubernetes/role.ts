/** A role: in which namespaces tokens are made, and of which accounts. */

import { goDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { compileTemplate, type Make } from '../nametemplate.ts';
import { readRules, readSelector } from './documents.ts';

export type { PolicyRule } from './documents.ts';

/** Milliseconds; empty texts and 0 mean: not set. */
export interface Role {
  readonly namespaces: readonly string[];
  /** YAML or JSON, as it was given. */
  readonly namespaceSelector: string;
  readonly maxTtlMs: number;
  readonly defaultTtlMs: number;
  readonly audiences: readonly string[];
  readonly serviceAccount: string;
  readonly roleName: string;
  readonly roleType: 'Role' | 'ClusterRole';
  /** YAML or JSON, as it was given. */
  readonly rules: string;
  readonly nameTemplate: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export const NO_ROLE: Role = {
  namespaces: [],
  namespaceSelector: '',
  maxTtlMs: 0,
  defaultTtlMs: 0,
  audiences: [],
  serviceAccount: '',
  roleName: '',
  roleType: 'Role',
  rules: '',
  nameTemplate: '',
  labels: {},
  annotations: {},
};

/** As upstream has it. */
const NAME_TEMPLATE =
  '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (unix_time) (random 24) | truncate 62 | lowercase }}';
const NAME = /^\w(?:[\w.-]{0,126}\w)?$/;
/** RFC 1123, as Kubernetes takes it for accounts. */
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
/** Names of roles are segments of a path, no more. */
const SEGMENT = /^(?!\.\.?$)[^/%\p{C}\p{Z}]{1,253}$/u;
const META_KEY =
  /^(?:(?=.{1,253}\/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?$/;
const DAY_MS = 86_400_000;

export const isNamespace = (name: string): boolean => NAMESPACE.test(name);

/** @throws Failure serviceaccounts.role */
export function checkedName(name: string): string {
  if (!NAME.test(name)) throw refused('a role is named with letters, digits, "_", "-" and "."');
  return name;
}

/** @throws Failure serviceaccounts.role, serviceaccounts.template, serviceaccounts.selector, serviceaccounts.rules */
export function checkRole(role: Role): void {
  if (role.namespaces.length === 0 && role.namespaceSelector === '')
    throw refused(
      'one (at least) of allowed_kubernetes_namespaces or allowed_kubernetes_namespace_selector must be set',
    );
  if ([role.serviceAccount, role.roleName, role.rules].filter((mode) => mode !== '').length !== 1)
    throw refused(
      'one (and only one) of service_account_name, kubernetes_role_name or generated_role_rules must be set',
    );
  if (role.defaultTtlMs < 0 || role.maxTtlMs < 0) throw refused('a TTL cannot be negative');
  if (role.maxTtlMs > 0 && role.defaultTtlMs > role.maxTtlMs)
    throw refused(
      `token_default_ttl ${goDuration(role.defaultTtlMs)} cannot be greater than token_max_ttl ${goDuration(role.maxTtlMs)}`,
    );
  const stray = role.namespaces.find((name) => name !== '*' && !isNamespace(name));
  if (stray !== undefined) throw refused('allowed_kubernetes_namespaces holds what names no namespace');
  if (role.serviceAccount !== '' && !SUBDOMAIN.test(role.serviceAccount))
    throw refused('service_account_name is no name of a service account');
  if (role.roleName !== '' && !SEGMENT.test(role.roleName))
    throw refused('kubernetes_role_name is no name of a role');
  checkMeta(role);
  if (role.namespaceSelector !== '') readSelector(role.namespaceSelector);
  if (role.rules !== '') readRules(role.rules);
  checkTemplate(role);
}

function checkMeta({ labels, annotations }: Role): void {
  const isLabel = ([key, value]: [string, string]): boolean => META_KEY.test(key) && LABEL_VALUE.test(value);
  if (!Object.entries(labels).every(isLabel))
    throw refused('extra_labels holds what Kubernetes takes for no label');
  if (!Object.keys(annotations).every((key) => META_KEY.test(key)))
    throw refused('extra_annotations holds what Kubernetes takes for no annotation');
}

/** What was made under a name is deleted by that name: two credentials, or somebody else's object, must not share it. */
function checkTemplate(role: Role): void {
  const make = nameMaker(role);
  const facts = { displayName: 'token', roleName: 'role' };
  if (make({ ...facts, now: DAY_MS }) === make({ ...facts, now: 2 * DAY_MS }))
    throw failure('serviceaccounts.template', {
      reason: 'it makes the same name each time; use random, uuid or unix_time in it',
    });
}

/** Makes the names of what is generated for a role. @throws Failure serviceaccounts.template, here or from the maker */
export function nameMaker(role: Role): Make {
  const refuse = (reason: string) => failure('serviceaccounts.template', { reason });
  const make = compileTemplate(role.nameTemplate || NAME_TEMPLATE, refuse);
  return ({ displayName, roleName, now }) => {
    const name = make({ displayName: plain(displayName), roleName: plain(roleName), now });
    if (!SUBDOMAIN.test(name)) throw refuse('it makes a name that Kubernetes does not take');
    return name;
  };
}

/** Who asks may be called by an address or a path elsewhere. */
const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9-]/g, '-');

const refused = (reason: string) => failure('serviceaccounts.role', { reason });
