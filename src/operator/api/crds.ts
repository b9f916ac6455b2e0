/** The CustomResourceDefinitions of our kinds, made of their schemas; `deploy/crds` holds the same as text. */

import { stringify } from 'yaml';
import { z } from 'zod';
import type { KubeObject, Resource } from '../../kube/kube.ts';
import {
  clusterExternalSecretSpec,
  clusterExternalSecretStatus,
  clusterPushSecretSpec,
  clusterPushSecretStatus,
} from './clusterkinds.ts';
import { databaseSecretSpec, databaseSecretStatus } from './databasesecret.ts';
import { externalSecretSpec, externalSecretStatus } from './externalsecret.ts';
import {
  CLUSTER_GENERATORS,
  clusterGeneratorSpec,
  GENERATOR_KINDS,
  GENERATOR_STATES,
  generatorStateSpec,
  generatorStateStatus,
} from './generators/kinds.ts';
import { pushSecretSpec, pushSecretStatus } from './pushsecret.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  CLUSTER_SECRET_STORES,
  DATABASE_SECRETS,
  EXTERNAL_SECRETS,
  PUSH_SECRETS,
  SECRET_STORES,
} from './resources.ts';
import { storeSpec, storeStatus } from './store.ts';
import { structural } from './subset.ts';
import { SYNC_REPORTS, syncReportSpec, syncReportStatus } from './syncreport.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
}

interface Definition {
  readonly resource: Resource;
  /** Versions that are served beside the resource's own, which is the one that is stored. */
  readonly alsoServed?: readonly string[];
  readonly shortName?: string;
  /** Beside `external-secrets`, by which `kubectl get` finds all. */
  readonly category?: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status?: z.ZodType;
  /** Upstream's GeneratorState has its status in the object itself. */
  readonly withoutSubresource?: true;
  readonly columns: readonly Column[];
  readonly selectable: readonly string[];
}

const READY = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;
const AGE: Column = { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' };

const BETA: readonly string[] = ['v1beta1'];

const STORE_COLUMNS: readonly Column[] = [
  AGE,
  { name: 'Status', type: 'string', jsonPath: READY('reason') },
  { name: 'Capabilities', type: 'string', jsonPath: '.status.capabilities' },
  { name: 'Ready', type: 'string', jsonPath: READY('status') },
];

const definitions: readonly Definition[] = [
  {
    resource: EXTERNAL_SECRETS,
    alsoServed: BETA,
    shortName: 'es',
    description: 'ExternalSecret reads secrets of an external store into a Secret.',
    spec: externalSecretSpec,
    status: externalSecretStatus,
    columns: [
      { name: 'StoreType', type: 'string', jsonPath: '.spec.secretStoreRef.kind' },
      { name: 'Store', type: 'string', jsonPath: '.spec.secretStoreRef.name' },
      { name: 'Refresh Interval', type: 'string', jsonPath: '.spec.refreshInterval' },
      { name: 'Status', type: 'string', jsonPath: READY('reason') },
      { name: 'Ready', type: 'string', jsonPath: READY('status') },
      { name: 'Last Sync', type: 'date', jsonPath: '.status.refreshTime' },
    ],
    selectable: [
      '.spec.secretStoreRef.name',
      '.spec.secretStoreRef.kind',
      '.spec.target.name',
      '.spec.refreshInterval',
    ],
  },
  {
    resource: PUSH_SECRETS,
    shortName: 'ps',
    description: 'PushSecret writes values of a Secret, or of a generator, to external stores.',
    spec: pushSecretSpec,
    status: pushSecretStatus,
    columns: [
      AGE,
      { name: 'Status', type: 'string', jsonPath: READY('reason') },
      { name: 'Last Sync', type: 'date', jsonPath: '.status.refreshTime' },
    ],
    selectable: [],
  },
  {
    resource: CLUSTER_EXTERNAL_SECRETS,
    alsoServed: BETA,
    shortName: 'ces',
    description: 'ClusterExternalSecret makes an ExternalSecret in each of the namespaces that it selects.',
    spec: clusterExternalSecretSpec,
    status: clusterExternalSecretStatus,
    columns: [
      { name: 'Store', type: 'string', jsonPath: '.spec.externalSecretSpec.secretStoreRef.name' },
      { name: 'Refresh Interval', type: 'string', jsonPath: '.spec.refreshTime' },
      { name: 'Ready', type: 'string', jsonPath: READY('status') },
    ],
    selectable: [],
  },
  {
    resource: CLUSTER_PUSH_SECRETS,
    description: 'ClusterPushSecret makes a PushSecret in each of the namespaces that it selects.',
    spec: clusterPushSecretSpec,
    status: clusterPushSecretStatus,
    columns: [AGE, { name: 'Status', type: 'string', jsonPath: READY('reason') }],
    selectable: [],
  },
  {
    resource: SECRET_STORES,
    alsoServed: BETA,
    shortName: 'ss',
    description: 'SecretStore is an external store that the ExternalSecrets of its namespace read from.',
    spec: storeSpec,
    status: storeStatus,
    columns: STORE_COLUMNS,
    selectable: [],
  },
  {
    resource: CLUSTER_SECRET_STORES,
    alsoServed: BETA,
    shortName: 'css',
    description: 'ClusterSecretStore is an external store that ExternalSecrets of many namespaces read from.',
    spec: storeSpec,
    status: storeStatus,
    columns: STORE_COLUMNS,
    selectable: [],
  },
];

const reports: readonly Definition[] = [
  {
    resource: SYNC_REPORTS,
    shortName: 'sr',
    description: 'SyncReport says what the operator knows of an ExternalSecret beside its conditions.',
    spec: syncReportSpec,
    status: syncReportStatus,
    withoutSubresource: true,
    columns: [
      { name: 'Expires', type: 'string', jsonPath: '.status.expireTime' },
      { name: 'Lease', type: 'string', jsonPath: '.status.leases[*].leaseId' },
      { ...AGE, name: 'Age' },
    ],
    selectable: [],
  },
];

const GENERATOR: Pick<Definition, 'category' | 'columns' | 'selectable'> = {
  category: 'external-secrets-generators',
  columns: [],
  selectable: [],
};

const databaseSecret: Definition = {
  resource: DATABASE_SECRETS,
  shortName: 'dbs',
  description: 'DatabaseSecret has a database engine of a Vault store make credentials into a Secret.',
  spec: databaseSecretSpec,
  status: databaseSecretStatus,
  columns: [
    { name: 'Backend', type: 'string', jsonPath: '.spec.backend' },
    { name: 'Role', type: 'string', jsonPath: '.spec.vaultRole' },
    { name: 'Status', type: 'string', jsonPath: READY('reason') },
    { name: 'Ready', type: 'string', jsonPath: READY('status') },
  ],
  selectable: [],
};

const generators: readonly Definition[] = [
  databaseSecret,
  ...GENERATOR_KINDS.map(({ resource, description, spec }) => ({
    ...GENERATOR,
    resource,
    description,
    spec,
  })),
  {
    ...GENERATOR,
    resource: CLUSTER_GENERATORS,
    description: 'ClusterGenerator is a generator that the ExternalSecrets of all namespaces may name.',
    spec: clusterGeneratorSpec,
  },
  {
    ...GENERATOR,
    resource: GENERATOR_STATES,
    shortName: 'gs',
    description: 'GeneratorState is what a generator made and somebody has to take away again.',
    spec: generatorStateSpec,
    status: generatorStateStatus,
    withoutSubresource: true,
    columns: [
      { name: 'GC Deadline', type: 'string', jsonPath: '.spec.garbageCollectionDeadline' },
      { ...AGE, name: 'Age' },
    ],
  },
];

const all: readonly Definition[] = [...definitions, ...generators, ...reports];

/** A kind of ours as whoever reads manifests has to know it. */
export interface KnownKind {
  readonly resource: Resource;
  /** Every version that it is served in; the stored one first. */
  readonly versions: readonly string[];
  readonly spec: z.ZodType;
}

/** The kinds that CustomResourceDefinitions are made of. */
export const knownKinds = (): readonly KnownKind[] =>
  all.map(({ resource, alsoServed = [], spec }) => ({
    resource,
    versions: [resource.version, ...alsoServed],
    spec,
  }));

/** Every CustomResourceDefinition of the operator: one version stored, others served as the same superset, no conversion. */
export const crds = (): readonly KubeObject[] => all.map(crd);

function crd(definition: Definition): KubeObject {
  const { resource, shortName, category } = definition;
  const singular = resource.kind.toLowerCase();
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${resource.plural}.${resource.group}`,
      labels: { 'external-secrets.io/component': 'controller' },
    },
    spec: {
      group: resource.group,
      names: {
        categories: ['external-secrets', ...(category === undefined ? [] : [category])],
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        ...(shortName === undefined ? {} : { shortNames: [shortName] }),
        singular,
      },
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      conversion: { strategy: 'None' },
      versions: [
        version(definition, resource.version, true),
        ...(definition.alsoServed ?? []).map((name) => version(definition, name, false)),
      ],
    },
  };
}

function version(definition: Definition, name: string, storage: boolean): object {
  return {
    name,
    served: true,
    storage,
    ...(definition.columns.length === 0 ? {} : { additionalPrinterColumns: definition.columns }),
    ...(definition.selectable.length === 0
      ? {}
      : { selectableFields: definition.selectable.map((jsonPath) => ({ jsonPath })) }),
    schema: {
      openAPIV3Schema: {
        description: definition.description,
        ...structural(
          z.object({
            apiVersion: z.string().optional(),
            kind: z.string().optional(),
            spec: definition.spec.optional(),
            ...(definition.status === undefined ? {} : { status: definition.status.optional() }),
          }),
        ),
      },
    },
    ...(definition.withoutSubresource === true ? {} : { subresources: { status: {} } }),
  };
}

/** The files of `deploy/crds`: name -> YAML text. */
export function crdYaml(): ReadonlyMap<string, string> {
  return new Map(
    crds().map((object) => [
      `${object.metadata.name}.yaml`,
      `# Generated from src/operator/api by npm run generate.\n${stringify(object, { aliasDuplicateObjects: false, lineWidth: 110 })}`,
    ]),
  );
}
