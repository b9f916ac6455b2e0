/** Roles and policies: whether stores log in, what they may then do, and what policies grant that does nothing or too much. */

import { failure } from '../../../base/errors.ts';
import { globMatches } from '../../../base/glob.ts';
import { bagOf, listOf } from '../../../base/shape.ts';
import type { Stanza } from '../../../server/auth/policy.ts';
import type { Finding } from '../finding.ts';
import { type Grant, grantOf, judge, mountOf, refusedPath, roleOf, type Verdict } from '../grants.ts';
import { lookupsOf } from '../keys.ts';
import type { KnownRole } from '../server.ts';
import { found, type Path, placed, type Store, type World } from '../world.ts';
import { near1 } from './kinds.ts';
import { meant } from './stores.ts';

const LOGIN: Path = ['spec', 'provider', 'vault', 'auth', 'kubernetes'];

/** Whether the role of each store is there, and lets its account in. */
export function* logins(world: World): Iterable<Finding> {
  const roles = world.server?.roles ?? [];
  for (const store of world.stores) {
    const auth = store.vault?.auth;
    const mount = mountOf(auth);
    const ofMount = roles.filter((role) => role.mount === mount);
    if (auth === undefined || mount === undefined || ofMount.length === 0) continue;
    const role = roleOf(world, store);
    if (role === undefined) {
      const near = near1(
        auth.role,
        ofMount.map(({ name }) => name),
      );
      yield found(
        'error',
        store.item,
        [...LOGIN, 'role'],
        failure('check.role_missing', { role: auth.role, mount, near }),
      );
      continue;
    }
    yield* bound(store, role, auth);
  }
}

function* bound(
  { item, namespace }: Store,
  role: KnownRole,
  auth: NonNullable<NonNullable<Store['vault']>['auth']>,
): Iterable<Finding> {
  const from = namespace ?? auth.accountNamespace;
  const at = { role: role.name, mount: role.mount };
  // A reference that is refused is told as such.
  const stated = bagOf(bagOf(itemAt(item.object, LOGIN))['serviceAccountRef'])['namespace'];
  const refused =
    namespace !== undefined && typeof stated === 'string' && stated !== '' && stated !== namespace;
  const inNamespace = from === undefined || role.bySelector || covers(role.namespaces, from);
  if (!refused && (!covers(role.accounts, auth.account) || !inNamespace)) {
    const account = placed(from, auth.account);
    const bound = `${role.accounts.join(', ')} in ${role.namespaces.join(', ') || 'namespaces by their labels'}`;
    yield found('error', item, [...LOGIN, 'role'], failure('check.role_unbound', { ...at, account, bound }));
  }
  const { audience } = role;
  if (audience === undefined || auth.audiences.includes(audience)) return;
  // Where a store names none, we ask for "vault" after the cluster's own; external-secrets does not.
  const ours = auth.audiences.length === 0 && audience === 'vault';
  const given = auth.audiences.length === 0 ? 'none' : auth.audiences.map((one) => `"${one}"`).join(', ');
  yield found(
    ours ? 'upstream-only' : 'error',
    item,
    [...LOGIN, 'serviceAccountRef'],
    failure('check.role_audience', { ...at, audience, given }),
  );
}

const itemAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((at, step) => bagOf(at)[String(step)], value);

const covers = (names: readonly string[], name: string): boolean =>
  names.some((one) => globMatches(one, name));

/** Whether the policies that roles name are there. */
export function* policies({ server, policies, policiesGiven, misread }: World): Iterable<Finding> {
  if (!policiesGiven) return;
  const refused = misread.map(({ object }) => object);
  const names = policies.map(({ policy }) => policy.name);
  for (const { name: role, policies: named, file, line } of server?.roles ?? []) {
    for (const policy of named) {
      if (['default', 'root', ...names].includes(policy) || refused.includes(`policy ${policy}`)) continue;
      const near = near1(policy, names);
      yield { class: 'error', file, line, failure: failure('check.policy_missing', { role, policy, near }) };
    }
  }
}

/** Whether what is read, listed and pushed is granted. Once for each path of an object, at its first key. */
export function* granted(world: World): Iterable<Finding> {
  for (const view of world.views) {
    const seen = new Set<string>();
    for (const { store, path, at, engine, ref } of lookupsOf(world, view)) {
      const grant = grantOf(world, store);
      const wanted = engine?.path ?? (ref.metadataPolicy === 'Fetch' ? metadataOf(path, store) : path);
      const capability = engine?.parameters === true ? 'update' : 'read';
      if (grant === undefined || seen.has(wanted) || refusedPath(wanted) !== undefined) continue;
      seen.add(wanted);
      // What has to be written and is not is told as such.
      if (engine?.certificate === true && !engine.parameters) continue;
      // A policy that lets a secret of that name be read was written for one.
      if (engine !== undefined && isGranted(judge(grant, path, 'read'))) continue;
      yield* refusal(view.item, at, grant, wanted, capability);
    }
    for (const [index, { find, sourceRef }] of view.spec.dataFrom.entries()) {
      const store = meant(world, storeRefOf(view.spec.secretStoreRef, sourceRef?.storeRef), view.namespace);
      const grant = store?.vault === undefined ? undefined : grantOf(world, store);
      if (find === undefined || store?.vault === undefined || grant === undefined) continue;
      const folder = world.locate.list(find.path?.replace(/\/+$/, '') ?? '', store.vault.vault);
      if (refusedPath(folder) === undefined)
        yield* refusal(view.item, [...view.path, 'dataFrom', index, 'find'], grant, folder, 'list');
    }
  }
  yield* pushes(world);
}

const storeRefOf = (
  common: { readonly kind: string; readonly name?: string | undefined } | undefined,
  own: { readonly kind: string; readonly name?: string | undefined } | undefined,
): { readonly kind: string; readonly name: string } | undefined => {
  const ref = own?.name === undefined ? common : own;
  return ref?.name === undefined ? undefined : { kind: ref.kind, name: ref.name };
};

const metadataOf = (path: string, { vault }: Store): string => {
  const mount = vault?.vault.path?.replace(/^\/+|\/+$/g, '');
  return mount === undefined
    ? path.replace(/\/data\//, '/metadata/')
    : path.replace(`${mount}/data/`, `${mount}/metadata/`);
};

const isGranted = (verdict: Verdict): boolean => verdict !== 'unknown' && 'granted' in verdict;

function* refusal(
  item: Store['item'],
  at: Path,
  grant: Grant,
  path: string,
  capability: 'read' | 'list' | 'create' | 'update',
): Iterable<Finding> {
  const verdict = judge(grant, path, capability);
  if (verdict === 'unknown' || 'granted' in verdict) return;
  yield found(
    grant.certain ? 'error' : 'warning',
    item,
    at,
    failure('check.not_granted', { capability, path, whom: grant.whom, ...verdict }),
  );
}

/** A push reads what is there, and creates or changes it. */
function* pushes(world: World): Iterable<Finding> {
  for (const { item, store, key, at } of pushesOf(world)) {
    const grant = grantOf(world, store);
    const path = world.locate.read(key, store.vault?.vault ?? { version: 'v2' });
    if (grant === undefined || refusedPath(path) !== undefined) continue;
    for (const capability of ['read', 'create', 'update'] as const)
      yield* refusal(item, at, grant, path, capability);
  }
}

interface Push {
  readonly item: Store['item'];
  readonly store: Store;
  readonly key: string;
  readonly at: Path;
}

/** What PushSecrets write into Vault stores. */
function pushesOf(world: World): readonly Push[] {
  return world.items
    .filter(({ group, kind }) => group === 'external-secrets.io' && kind === 'PushSecret')
    .flatMap((item) => {
      const spec = bagOf(item.object['spec']);
      const stores = listOf(spec['secretStoreRefs'])
        .map((ref) => {
          const { name, kind } = bagOf(ref);
          if (typeof name !== 'string') return undefined;
          const of = kind === 'ClusterSecretStore' ? kind : 'SecretStore';
          return meant(world, { kind: of, name }, item.namespace);
        })
        .filter((store) => store?.vault !== undefined);
      return listOf(spec['data']).flatMap((entry, index) => {
        const key = bagOf(bagOf(bagOf(entry)['match'])['remoteRef'])['remoteKey'];
        if (typeof key !== 'string') return [];
        const at = ['spec', 'data', index, 'match', 'remoteRef', 'remoteKey'];
        return stores.flatMap((store) => (store === undefined ? [] : [{ item, store, key, at }]));
      });
    });
}

/** Names are listed below metadata/: `list` below data/ grants nothing. */
export function* listing(world: World): Iterable<Finding> {
  const mounts = versionedMounts(world);
  for (const { policy, file } of world.policies) {
    for (const { path, capabilities, line } of policy.stanzas) {
      const mount = mounts.find((one) => path.startsWith(`${one}/data/`));
      if (mount === undefined || !capabilities.includes('list')) continue;
      const metadata = path.replace(`${mount}/data/`, `${mount}/metadata/`);
      const wrong = failure('check.list_on_data', { policy: policy.name, path, metadata });
      yield { class: 'warning', file, line, failure: wrong, object: `policy ${policy.name}` };
    }
  }
}

/** Engines that are known to keep versions: by the list of mounts, or by a store that reads them as such. */
function versionedMounts({ server, stores }: World): readonly string[] {
  const said = [...(server?.mounts ?? [])].flatMap(([mount, type]) => (type === 'kv-v2' ? [mount] : []));
  const read = stores.flatMap(({ vault }) =>
    vault?.vault.version === 'v2' && vault.vault.path !== undefined
      ? [vault.vault.path.replace(/^\/+|\/+$/g, '')]
      : [],
  );
  return [...new Set([...said, ...read])];
}

const WRITES = ['create', 'update', 'patch', 'delete'] as const;

/** Whoever may only read cannot be made to write: policies of stores through which nothing is pushed grant no writing. */
export function* excess(world: World): Iterable<Finding> {
  const mounts = versionedMounts(world);
  const pushing = new Set(pushesOf(world).map(({ store }) => roleOf(world, store)));
  const roles = world.stores.flatMap((store) => roleOf(world, store) ?? []);
  const writers = world.items.some(({ kind }) => kind === 'ClusterPushSecret');
  for (const { policy, file } of world.policies) {
    const holders = roles.filter(({ policies }) => policies.includes(policy.name));
    if (writers || holders.length === 0 || holders.some((role) => pushing.has(role))) continue;
    for (const { path, line, ...stanza } of policy.stanzas) {
      const granted = writesOf(stanza);
      if (granted.length === 0 || !mounts.some((mount) => path.startsWith(`${mount}/`))) continue;
      const capabilities = granted.join(', ');
      const wrong = failure('check.excess_write', { policy: policy.name, path, capabilities });
      yield { class: 'warning', file, line, failure: wrong, object: `policy ${policy.name}` };
    }
  }
}

const writesOf = ({ capabilities }: Pick<Stanza, 'capabilities'>): readonly string[] =>
  capabilities.filter((one) => (WRITES as readonly string[]).includes(one)).sort();
