/** What the server has: versions, groups and resources, in the aggregated form that kubectl asks for and in the plain one. */

import type { Kind, KindVersion } from './kinds.ts';
import type { KindSet } from './kindset.ts';
import { fields, type Obj, type Value } from './objects.ts';
import { reviews } from './reviews.ts';

/** The Kubernetes that is spoken here. */
export const VERSION = fields({
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.4+holdfast',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'holdfast/embedded',
});

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

interface Entry {
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly below: readonly { name: string; kind: string; group: string; version: string; verbs: string[] }[];
}

function entries(kinds: KindSet, group: string, version: string): Entry[] {
  const found: Entry[] = [];
  for (const kind of kinds.all) {
    const served = kind.versions.find((one) => one.name === version && one.served);
    if (kind.group === group && served !== undefined) found.push(entry(kind, served));
  }
  for (const review of reviews) {
    if (review.group !== group || version !== 'v1') continue;
    const { plural, kind, namespaced } = review;
    found.push({
      plural,
      singular: kind.toLowerCase(),
      kind,
      namespaced,
      verbs: ['create'],
      shortNames: [],
      categories: [],
      below: [],
    });
  }
  return found.sort((a, b) => (a.plural < b.plural ? -1 : 1));
}

function entry(kind: Kind, version: KindVersion): Entry {
  const own = { kind: kind.kind, group: kind.group, version: version.name };
  return {
    plural: kind.plural,
    singular: kind.singular,
    kind: kind.kind,
    namespaced: kind.namespaced,
    verbs: VERBS,
    shortNames: kind.shortNames,
    categories: kind.categories,
    below: [
      ...(version.scale === undefined
        ? []
        : [
            {
              name: 'scale',
              kind: 'Scale',
              group: 'autoscaling',
              version: 'v1',
              verbs: ['get', 'patch', 'update'],
            },
          ]),
      ...(version.status ? [{ name: 'status', ...own, verbs: ['get', 'patch', 'update'] }] : []),
      ...(kind.group === '' && kind.kind === 'ServiceAccount'
        ? [
            {
              name: 'token',
              kind: 'TokenRequest',
              group: 'authentication.k8s.io',
              version: 'v1',
              verbs: ['create'],
            },
          ]
        : []),
    ],
  };
}

/** All groups beside the core one. */
export function groupsOf(kinds: KindSet): string[] {
  return [...new Set([...kinds.groups(), ...reviews.map((review) => review.group)])].sort();
}

export function versionsOf(kinds: KindSet, group: string): string[] {
  const versions = kinds.versionsOf(group);
  return versions.length === 0 && reviews.some((review) => review.group === group) ? ['v1'] : versions;
}

/** `APIGroupDiscoveryList` of apidiscovery.k8s.io, for `/api` or `/apis`. */
export function aggregated(kinds: KindSet, groups: readonly string[], apiVersion: string): Obj {
  return fields({
    kind: 'APIGroupDiscoveryList',
    apiVersion,
    metadata: fields({}),
    items: groups.map((group) =>
      fields({
        metadata: fields({ name: group === '' ? undefined : group, creationTimestamp: null }),
        versions: versionsOf(kinds, group).map((version) =>
          fields({
            version,
            freshness: 'Current',
            resources: entries(kinds, group, version).map((one) => described(one, group, version)),
          }),
        ),
      }),
    ),
  });
}

function described(one: Entry, group: string, version: string): Value {
  return fields({
    resource: one.plural,
    responseKind: fields({ group, version, kind: one.kind }),
    scope: one.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: one.singular,
    verbs: one.verbs,
    shortNames: one.shortNames.length === 0 ? undefined : [...one.shortNames],
    categories: one.categories.length === 0 ? undefined : [...one.categories],
    subresources:
      one.below.length === 0
        ? undefined
        : one.below.map((below) =>
            fields({
              subresource: below.name,
              responseKind: fields({ group: below.group, version: below.version, kind: below.kind }),
              verbs: below.verbs,
            }),
          ),
  });
}

/** `APIResourceList` of one version. Undefined where there is no such version. */
export function resourceList(kinds: KindSet, group: string, version: string): Obj | undefined {
  if (!versionsOf(kinds, group).includes(version)) return undefined;
  return fields({
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: entries(kinds, group, version).flatMap((one) => [
      fields({
        name: one.plural,
        singularName: one.singular,
        namespaced: one.namespaced,
        kind: one.kind,
        verbs: one.verbs,
        shortNames: one.shortNames.length === 0 ? undefined : [...one.shortNames],
        categories: one.categories.length === 0 ? undefined : [...one.categories],
      }),
      ...one.below.map((below) =>
        fields({
          name: `${one.plural}/${below.name}`,
          singularName: '',
          namespaced: one.namespaced,
          group: below.group,
          version: below.version,
          kind: below.kind,
          verbs: below.verbs,
        }),
      ),
    ]),
  });
}

/** `APIGroup` of one group. */
export function groupOf(kinds: KindSet, group: string): Obj {
  const versions = versionsOf(kinds, group).map((version) =>
    fields({ groupVersion: `${group}/${version}`, version }),
  );
  return fields({ kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] });
}

export function groupList(kinds: KindSet): Obj {
  const groups = groupsOf(kinds).map((group) => {
    const { name, versions, preferredVersion } = groupOf(kinds, group);
    return fields({ name, versions, preferredVersion });
  });
  return fields({ kind: 'APIGroupList', apiVersion: 'v1', groups });
}
