/**
 * Why an ExternalSecret is as it is: the chain from its manifest over store, login, rights and keys to the Secret, each link
 * judged by what a check judges by, and the first that fails with its mend. Pure.
 */

import { type Code, codes } from '../../base/codes.ts';
import type { Failure } from '../../base/errors.ts';
import { failure } from '../../base/errors.ts';
import { bagOf } from '../../base/shape.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { Condition } from '../../operator/api/externalsecret.ts';
import { conditionOf } from '../../operator/conditions.ts';
import { storesOf } from '../../operator/controllers/externalsecret/observed.ts';
import { sightOf } from '../../operator/controllers/secretstore/sight.ts';
import { RULES } from '../check/check.ts';
import { type Finding, inOrder } from '../check/finding.ts';
import { grantOf, judge, refusedPath } from '../check/grants.ts';
import { type Lookup, lookupsOf } from '../check/keys.ts';
import type { Surroundings, View, World } from '../check/world.ts';
import { type Gathered, worldFor } from './gather.ts';

/** `unseen`: it depends on what could not be looked at. */
export type LinkState = 'ok' | 'failed' | 'unseen';

export interface Link {
  readonly link: string;
  readonly state: LinkState;
  readonly says: string;
  readonly code?: string;
  readonly mend?: string;
}

export interface Explained {
  readonly title: string;
  /** The Ready condition as it stands: "True SecretSynced: secret synced". */
  readonly ready: string;
  readonly links: readonly Link[];
  /** The first link that fails of itself. */
  readonly failing: Link | undefined;
  readonly untold: readonly string[];
}

export function explain(surroundings: Surroundings, gathered: Gathered): Explained {
  const { object, stores, others, server } = gathered;
  const world = worldFor(surroundings, object, [...stores, ...others], server);
  const findings = inOrder(RULES.flatMap((rule) => [...rule(world)])).filter(
    (finding) => finding.class !== 'upstream-only',
  );
  const view = world.views.find(({ item }) => item.kind === 'ExternalSecret');
  const judged = [
    manifest(view, findings, object),
    ...(view === undefined
      ? []
      : [
          ...storeLinks(view, findings, gathered),
          ...logins(world, view, findings, gathered),
          ...keys(world, view, findings),
          template(view, findings),
        ]),
    target(view, gathered, findings),
  ].filter((link) => link !== undefined);
  const ready = conditionOf(object);
  const links = withCondition(judged, ready);
  const { namespace = '', name } = object.metadata;
  return {
    title: `ExternalSecret ${namespace}/${name}`,
    ready:
      ready === undefined
        ? 'the operator has not said anything of it yet'
        : `Ready=${ready.status} ${ready.reason ?? ''}: ${ready.message ?? ''}`,
    links,
    failing: failingOf(links),
    untold: server.untold,
  };
}

/**
 * Where nothing that was looked at says why there is no Secret, the condition does: stores are asked by the operator alone, and
 * what they answered stands there.
 */
function withCondition(links: readonly Link[], ready: Condition | undefined): readonly Link[] {
  const explained = links.some(
    ({ link, state, code }) => state === 'failed' && (code !== undefined || !link.startsWith('Secret ')),
  );
  if (explained || ready?.status !== 'False') return links;
  const [, says = '', code = ''] = /^(.*?) \[([a-z_]+\.[a-z_0-9]+)\](?:;|$)/s.exec(ready.message ?? '') ?? [];
  if (!isCode(code)) return links;
  const link = /^(template\.|operator\.source_)/.test(code) ? 'template' : 'sync';
  const mend = mendFor(code);
  const told: Link = { link, state: 'failed', says, code, ...(mend === undefined ? {} : { mend }) };
  const rest = links.filter((one) => one.link !== link);
  return [...rest.slice(0, -1), told, ...rest.slice(-1)];
}

const isCode = (text: string): text is Code => Object.hasOwn(codes, text);

/** What the table says of a code; nothing where that names what only the failure itself knew. */
function mendFor(code: Code): string | undefined {
  const { hint }: { message: string; hint?: string } = codes[code];
  return hint === undefined || hint.includes('{') ? undefined : hint;
}

/** The first that fails of itself: a store that is not ready has a reason, often that of its login, and a Secret all of them. */
function failingOf(links: readonly Link[]): Link | undefined {
  const wrong = links.filter(({ state }) => state === 'failed');
  const causes = wrong.filter(({ link }) => !link.startsWith('Secret '));
  return causes.find(({ code }) => code !== 'operator.store_not_ready') ?? causes[0] ?? wrong[0];
}

function failed(link: string, { code, message, hint }: Failure): Link {
  // A store that is not ready says why, by a code of its own before that.
  const [, cause = ''] =
    code === 'operator.store_not_ready' ? (/\[([a-z_.0-9]+)\]$/.exec(message) ?? []) : [];
  const mend = (isCode(cause) ? mendFor(cause) : undefined) ?? hint;
  return { link, state: 'failed', says: message, code, ...(mend === undefined ? {} : { mend }) };
}

/** The first finding of a code about an object, as a link. */
function first(link: string, findings: readonly Finding[], codes: RegExp, about?: string): Link | undefined {
  const hit = findings.find(
    ({ class: cls, failure: { code }, object }) =>
      cls === 'error' && codes.test(code) && (about === undefined || object === about),
  );
  return hit === undefined ? undefined : failed(link, hit.failure);
}

const titleOf = ({ kind, metadata: { namespace, name } }: KubeObject): string =>
  `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;

function manifest(view: View | undefined, findings: readonly Finding[], object: KubeObject): Link {
  const codes = /^(check\.(unknown_|invalid_field|bad_)|operator\.spec_invalid)/;
  const wrong = first('manifest', findings, codes, titleOf(object));
  if (wrong !== undefined) return wrong;
  const { data = [], dataFrom = [], refreshInterval = '' } = view?.spec ?? {};
  const count = data.length + dataFrom.length;
  const says = `it reads ${count} ${count === 1 ? 'entry' : 'entries'}, every ${refreshInterval}`;
  return { link: 'manifest', state: 'ok', says };
}

/** The stores that it names: whether they are there, let it in, and are ready. */
function storeLinks(view: View, findings: readonly Finding[], { stores, others, object }: Gathered): Link[] {
  const namespace = object.metadata.namespace ?? '';
  const space = others.find(({ kind }) => kind === 'Namespace');
  return storesOf(view.spec).map((ref) => {
    const link = `store ${ref.name}`;
    const named = stores.filter(({ metadata }) => metadata.name === ref.name);
    const store = named.find(
      ({ kind, metadata }) =>
        kind === ref.kind && (kind === 'ClusterSecretStore' || metadata.namespace === namespace),
    );
    const other = named.some(
      ({ kind, metadata }) =>
        kind !== ref.kind && (kind === 'ClusterSecretStore' || metadata.namespace === namespace),
    );
    const wrong =
      store === undefined
        ? first(link, findings, /^check\.store_elsewhere/)
        : first(
            link,
            findings,
            /^(operator\.(provider_|unknown_provider|ref_namespace)|check\.((unknown|invalid)_field|mount_missing|kv_version))/,
            titleOf(store),
          );
    if (wrong !== undefined) return wrong;
    const labels = space?.metadata.labels ?? {};
    const { provider: of, controller } = bagOf(store?.['spec']);
    // Whichever operator looks after it: that one is asked about, and named where it has a class.
    const cls = typeof controller === 'string' && controller !== '' ? controller : undefined;
    const sight = sightOf(ref, store, { name: namespace, labels }, cls ?? 'default', other);
    if ('refused' in sight) return failed(link, sight.refused);
    const provider = Object.keys(bagOf(of)).join(', ');
    const whose = cls === undefined ? '' : `, of the operator of class "${cls}"`;
    return { link, state: 'ok', says: `${ref.kind}, ${provider}, ready${whose}` };
  });
}

/** How each Vault store logs in. */
function logins(world: World, view: View, findings: readonly Finding[], { server }: Gathered): Link[] {
  const stores = new Set(lookupsOf(world, view).map(({ store }) => store));
  return [...stores].flatMap((store): Link[] => {
    const auth = store.vault?.auth;
    if (auth === undefined) return [];
    const link = `login ${store.name}`;
    const mount = auth.mount.replace(/^\/+|\/+$/g, '');
    if (server.absentRoles.some((one) => one.mount === mount && one.role === auth.role))
      return [failed(link, failure('check.role_missing', { role: auth.role, mount, near: '' }))];
    const namespace = store.namespace ?? auth.accountNamespace ?? view.namespace;
    const account = `${namespace ?? ''}/${auth.account}`;
    const role = server.roles?.roles.find((one) => one.mount === mount && one.name === auth.role);
    const about = `${store.kind} ${store.namespace === undefined ? store.name : `${store.namespace}/${store.name}`}`;
    const wrong = first(link, findings, /^check\.role_/, about);
    if (wrong !== undefined) return [wrong];
    const policy = role?.policies.find((one) => server.absentPolicies.includes(one));
    if (policy !== undefined)
      return [failed(link, failure('check.policy_missing', { role: auth.role, policy, near: '' }))];
    const says = `${account} by the role "${auth.role}" of auth/${mount}`;
    return role === undefined
      ? [{ link, state: 'unseen', says }]
      : [{ link, state: 'ok', says: `${says}; policies ${role.policies.join(', ') || 'none'}` }];
  });
}

/** Each path that is read: the rule that lets it, and whether it and its keys are there. */
function keys(world: World, view: View, findings: readonly Finding[]): Link[] {
  const byPath = new Map<string, Lookup[]>();
  for (const lookup of lookupsOf(world, view)) {
    const path = lookup.engine?.path ?? lookup.path;
    byPath.set(path, [...(byPath.get(path) ?? []), lookup]);
  }
  return [...byPath].map(([path, lookups]) => keyLink(world, path, lookups, findings));
}

function keyLink(world: World, path: string, lookups: readonly Lookup[], findings: readonly Finding[]): Link {
  const [lookup] = lookups;
  const link = `key ${lookup?.ref.key ?? path}`;
  const reason = refusedPath(path);
  if (reason !== undefined)
    return failed(link, failure('check.path_invalid', { key: path.slice(0, 120), reason }));
  const names = [path, lookup?.typed ?? path];
  const wrong = findings.find(
    ({ class: cls, failure: { code, message } }) =>
      cls === 'error' &&
      /^check\.(not_granted|path_missing|property_missing|engine_parameters)/.test(code) &&
      names.some(
        (name) => message.includes(`${name} `) || message.endsWith(name) || message.includes(`${name};`),
      ),
  );
  if (wrong !== undefined) return failed(link, wrong.failure);
  const grant = lookup === undefined ? undefined : grantOf(world, lookup.store);
  const capability = lookup?.engine?.parameters === true ? 'update' : 'read';
  const verdict = grant?.certain === true ? judge(grant, path, capability) : 'unknown';
  const there = lookup?.engine === undefined ? world.paths?.get(lookup?.typed ?? '') : undefined;
  const stored =
    lookup?.engine !== undefined ? '; an engine issues it' : there === undefined ? '' : '; it is there';
  if (verdict === 'unknown' || !('granted' in verdict))
    return { link, state: 'unseen', says: `${path}${stored}` };
  return { link, state: 'ok', says: `${path}: ${capability} is granted by ${verdict.granted}${stored}` };
}

function template(view: View, findings: readonly Finding[]): Link | undefined {
  if (view.spec.target?.template === undefined) return undefined;
  const codes = /^(template\.parse|check\.(template_key|type_keys)|operator\.source_key)/;
  return (
    first('template', findings, codes) ?? {
      link: 'template',
      state: 'ok',
      says: 'it can be read, and its keys are given',
    }
  );
}

function target(
  view: View | undefined,
  { target: secret, object }: Gathered,
  findings: readonly Finding[],
): Link {
  const link = `Secret ${view?.target ?? object.metadata.name}`;
  const shared = first(link, findings, /^check\.shared_target/);
  if (shared !== undefined) return shared;
  if (secret === undefined) return { link, state: 'unseen', says: 'you may not see it' };
  const creation = view?.spec.target?.creationPolicy || 'Owner';
  if (secret === 'absent') {
    const awaited =
      creation === 'Merge'
        ? 'it is not there, and creationPolicy is Merge: somebody else has to make it'
        : 'it is not there';
    return { link, state: creation === 'None' ? 'ok' : 'failed', says: awaited };
  }
  const owner = secret.owners.find((one) => one !== `ExternalSecret ${object.metadata.name}`);
  if (owner !== undefined && creation === 'Owner')
    return failed(link, failure('operator.owned', { name: view?.target ?? '', owner }));
  return { link, state: 'ok', says: `it is there, with ${secret.keys.join(', ') || 'no keys'}` };
}
