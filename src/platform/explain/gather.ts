/**
 * What a cluster and a Vault server say of one ExternalSecret: read, and nothing changed. Values of secrets are never asked
 * for: of the target and of what is stored the names of the keys are enough.
 */

import { asFailure, isFailure } from '../../base/errors.ts';
import { bagOf, isBag } from '../../base/shape.ts';
import type { VaultClient } from '../../client/client.ts';
import { orAbsent } from '../../client/kv.ts';
import { readPolicy } from '../../client/sys.ts';
import type { Kube, KubeObject, Resource } from '../../kube/kube.ts';
import {
  CLUSTER_SECRET_STORES,
  CONFIG_MAPS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
} from '../../operator/api/resources.ts';
import { sourcesOf } from '../../operator/controllers/externalsecret/observed.ts';
import { rolesNamed } from '../check/grants.ts';
import { type Lookup, lookupsOf } from '../check/keys.ts';
import { type KnownRole, type KnownServer, readServer } from '../check/server.ts';
import { type Surroundings, type World, worldOf } from '../check/world.ts';

export interface Gathered {
  readonly object: KubeObject;
  /** Every store that could be listed. */
  readonly stores: readonly KubeObject[];
  /** The namespace, ConfigMaps and Secrets that templates read; of Secrets the keys alone. */
  readonly others: readonly KubeObject[];
  /** Undefined: it could not be looked at. */
  readonly target:
    | { readonly keys: readonly string[]; readonly owners: readonly string[] }
    | 'absent'
    | undefined;
  readonly server: ServerFacts;
}

export interface ServerFacts {
  readonly roles: KnownServer | undefined;
  readonly absentRoles: readonly { readonly mount: string; readonly role: string }[];
  readonly policies: readonly { readonly name: string; readonly text: string }[];
  readonly absentPolicies: readonly string[];
  readonly paths: ReadonlyMap<string, ReadonlySet<string> | undefined> | undefined;
  /** What the server would not tell, and why. */
  readonly untold: readonly string[];
}

export interface Asking extends Surroundings {
  readonly kube: Kube;
  /** Undefined: nobody has a token for it. */
  readonly vault: VaultClient | undefined;
}

/** Undefined: there is no such ExternalSecret. @throws Failure kube.* where the cluster does not answer */
export async function gather(asking: Asking, namespace: string, name: string): Promise<Gathered | undefined> {
  const { kube } = asking;
  const object = await kube.get({ resource: EXTERNAL_SECRETS, namespace, name });
  if (object === undefined) return undefined;
  const [own, cluster, space] = await Promise.all([
    listed(kube, SECRET_STORES),
    listed(kube, CLUSTER_SECRET_STORES),
    optional(kube.get({ resource: NAMESPACES, name: namespace })),
  ]);
  const stores = [...own, ...cluster];
  const world = worldFor(asking, object, stores);
  const [view] = world.views;
  const sources = view === undefined ? [] : sourcesOf(view.spec);
  const read = await Promise.all(
    sources.map(({ kind, name: source }) =>
      optional(kube.get({ resource: kind === 'Secret' ? SECRETS : CONFIG_MAPS, namespace, name: source })),
    ),
  );
  const others = [space, ...read].filter((one) => one !== undefined).map(keysAlone);
  return {
    object,
    stores,
    others,
    target: await targetOf(kube, namespace, view?.target ?? name),
    server: await factsOf(asking, world),
  };
}

/** The objects of a cluster as a check takes them. */
export const worldFor = (
  { providers, locate }: Surroundings,
  object: KubeObject,
  others: readonly KubeObject[],
  server: Partial<ServerFacts> = {},
): World =>
  worldOf({
    providers,
    locate,
    namespace: object.metadata.namespace ?? 'default',
    files: [
      ...[object, ...others].map((one) => ({ name: `${one.kind}.yaml`, text: JSON.stringify(written(one)) })),
      ...(server.policies ?? []).map(({ name, text }) => ({ name: `${name}.hcl`, text })),
    ],
    ...(server.roles === undefined ? {} : { server: server.roles }),
    ...(server.paths === undefined ? {} : { paths: server.paths }),
  });

/** What somebody wrote: neither what the cluster keeps beside it nor what the operator says of it. */
const written = ({ apiVersion, kind, metadata, ...rest }: KubeObject): object => ({
  ...rest,
  apiVersion,
  kind,
  metadata: {
    name: metadata.name,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
    ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
  },
  status: undefined,
});

const listed = async (kube: Kube, resource: Resource): Promise<readonly KubeObject[]> => {
  const { items = [] } = (await optional(kube.list({ resource }))) ?? {};
  return items.map((item) => ({
    ...item,
    apiVersion: `${resource.group}/${resource.version}`,
    kind: resource.kind,
  }));
};

/** Undefined where the caller may not see it, too. @throws Failure where the cluster does not answer */
async function optional<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (['denied', 'missing'].includes(asFailure(error).kind)) return undefined;
    throw error;
  }
}

const keysAlone = (object: KubeObject): KubeObject =>
  object.kind === 'Secret'
    ? { ...object, data: Object.fromEntries(Object.keys(bagOf(object['data'])).map((key) => [key, ''])) }
    : object;

async function targetOf(kube: Kube, namespace: string, name: string): Promise<Gathered['target']> {
  let secret: KubeObject | undefined;
  try {
    secret = await kube.get({ resource: SECRETS, namespace, name });
  } catch (error) {
    if (asFailure(error).kind === 'denied') return undefined;
    throw error;
  }
  if (secret === undefined) return 'absent';
  return {
    keys: Object.keys(bagOf(secret['data'])),
    owners: (secret.metadata.ownerReferences ?? []).map(({ kind, name: owner }) => `${kind} ${owner}`),
  };
}

/** Roles, their policies, and the keys of what is read, as far as the token lets them be seen. */
async function factsOf({ vault }: Pick<Asking, 'vault'>, world: World): Promise<ServerFacts> {
  const none = { roles: undefined, absentRoles: [], policies: [], absentPolicies: [], paths: undefined };
  if (vault === undefined)
    return { ...none, untold: ['the server was not asked: set VAULT_ADDR and VAULT_TOKEN, or log in'] };
  const untold: string[] = [];
  const ask = async <T>(what: string, asked: Promise<T>): Promise<T | 'untold'> => {
    try {
      return await asked;
    } catch (error) {
      untold.push(`${what}: ${asFailure(error).message}`);
      return 'untold';
    }
  };
  const [view] = world.views;
  const lookups = view === undefined ? [] : lookupsOf(world, view);
  const absentRoles: { mount: string; role: string }[] = [];
  const roles: KnownRole[] = [];
  for (const { mount, role } of rolesNamed(lookups.map(({ store }) => store))) {
    const path = `auth/${mount}/role/${role}`;
    const data = await ask(path, orAbsent(vault.request('GET', path)));
    if (data === 'untold') continue;
    if (data === undefined) absentRoles.push({ mount, role });
    else roles.push(...rolesOf(mount, role, bagOf(data.envelope?.data)));
  }
  const mounts = lookups.length === 0 ? undefined : await ask('sys/mounts', mountsOf(vault));
  const policies: { name: string; text: string }[] = [];
  const absentPolicies: string[] = [];
  const names = new Set(roles.flatMap((role) => role.policies).filter((name) => name !== 'default'));
  for (const name of names) {
    const text = await ask(`the policy ${name}`, readPolicy(vault, name));
    if (text === undefined) absentPolicies.push(name);
    else if (text !== 'untold') policies.push({ name, text });
  }
  const paths = new Map<string, ReadonlySet<string> | undefined>();
  for (const lookup of lookups) {
    if (lookup.engine !== undefined) continue;
    const keys = await keysOf(vault, lookup, ask);
    if (keys !== 'absent') paths.set(lookup.typed, keys);
  }
  return {
    roles:
      roles.length === 0 && !(mounts instanceof Map)
        ? undefined
        : { roles, mounts: mounts instanceof Map ? mounts : undefined },
    absentRoles,
    policies,
    absentPolicies,
    paths,
    untold,
  };
}

/** All secret engines of the server, with the types that a check knows: "kv-v2". @throws Failure api.* */
async function mountsOf(vault: VaultClient): Promise<Map<string, string>> {
  const { envelope } = await vault.request('GET', 'sys/mounts');
  return new Map(
    Object.entries(bagOf(envelope?.data)).map(([path, mount]) => {
      const { type, options } = bagOf(mount);
      const said = String(type);
      const version = bagOf(options)['version'] === '2' ? 'v2' : 'v1';
      return [path.replace(/\/+$/, ''), said === 'kv' || said === 'generic' ? `kv-${version}` : said];
    }),
  );
}

/** A role as a check knows it; what the server says of it has the same fields. */
const rolesOf = (mount: string, role: string, data: object): readonly KnownRole[] =>
  readServer(`auth/${mount}`, JSON.stringify({ auth: { [mount]: { [role]: data } } })).roles;

/** The keys at a path without their values. Undefined: they are not to be seen. */
async function keysOf(
  vault: VaultClient,
  { path, typed, store }: Lookup,
  ask: <T>(what: string, asked: Promise<T>) => Promise<T | 'untold'>,
): Promise<ReadonlySet<string> | undefined | 'absent'> {
  // The first version of the engine tells no keys without their values.
  if (store.vault?.vault.version !== 'v2') return undefined;
  const asked = path.replace(/\/data(?=\/)/, '/subkeys');
  const answer = await ask(
    `the keys at ${typed}`,
    absentAsWell(vault.request('GET', asked, { query: { depth: 1 } })),
  );
  if (answer === 'untold') return undefined;
  if (answer === undefined) return 'absent';
  const subkeys = bagOf(answer.envelope?.data)['subkeys'];
  return isBag(subkeys) ? new Set(Object.keys(subkeys)) : 'absent';
}

/** A deleted version is one that is not there, and its answer has data beside the 404. */
async function absentAsWell<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isFailure(error, 'api.missing')) return undefined;
    throw error;
  }
}
