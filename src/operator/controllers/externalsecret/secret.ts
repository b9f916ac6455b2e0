/**
 * The Secret that an ExternalSecret asks for, made from what is there, what the store said, and the template. Pure.
 * Sources: external-secrets v2.9, `applyTemplate` and `externalsecret_controller_secret`, as its users see them.
 */

import { base64, compareBytes } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import type { KubeObject, Meta, OwnerReference } from '../../../kube/kube.ts';
import type { ExternalSecretSpec } from '../../api/externalsecret.ts';
import { GROUP } from '../../api/resources.ts';
import { createdBy, dataHash, sha3 } from '../../hash.ts';
import { creationPolicy, type Env, namespaceOf, type Observed, targetName } from './observed.ts';
import { renderTemplate } from './rules/template.ts';

export const LABEL_MANAGED = 'reconcile.external-secrets.io/managed';
export const MANAGED = 'true';
export const LABEL_CREATED_BY = 'reconcile.external-secrets.io/created-by';
export const ANNOTATION_HASH = 'reconcile.external-secrets.io/data-hash';

/** Not ours to copy: both make another tool believe that it applied the Secret, and it then fights us over it. */
const NEVER_COPIED = ['kubectl.kubernetes.io/last-applied-configuration', 'argocd.argoproj.io/tracking-id'];

const MANAGER = 'externalsecrets.external-secrets.io/';
/** The most that Kubernetes users expect of a manager's name; upstream hashes what is longer. */
const LONGEST_MANAGER = 63;

type Texts = Readonly<Record<string, string>>;
export type Data = ReadonlyMap<string, Uint8Array>;

/** The field manager that writes this ExternalSecret's Secret; upstream's own, so its ownership passes to us as it is. */
export function fieldManager(name: string): string {
  const plain = `${MANAGER}${name}`;
  return plain.length > LONGEST_MANAGER ? `${MANAGER}sha3/${sha3(name)}` : plain;
}

/** Whether a field manager is one of ExternalSecrets: ours or upstream's. */
export const isOurManager = (name: string): boolean => name.startsWith(MANAGER);

/** The bytes of a Secret's data, in byte order of the keys. */
export function dataOf(secret: KubeObject): Map<string, Uint8Array> {
  const data = (secret['data'] ?? {}) as Texts;
  return new Map(
    Object.keys(data)
      .sort(compareBytes)
      .map((key) => [key, Buffer.from(data[key] ?? '', 'base64')]),
  );
}

/** Who controls an object. */
export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find((owner) => owner.controller === true);

export const isExternalSecret = (owner: OwnerReference): boolean =>
  owner.kind === 'ExternalSecret' && owner.apiVersion.split('/')[0] === GROUP;

/**
 * The Secret as it should be. Throws nothing but failures of templates.
 * @throws Failure template.*, operator.source_*
 */
export function desiredSecret(
  observed: Observed,
  spec: ExternalSecretSpec,
  provided: Data,
  env: Env,
): KubeObject {
  const { object, target } = observed;
  const template = spec.target?.template;
  const frozen = spec.target?.immutable === true && target !== undefined;
  const foreign = keepsForeign(spec);
  const before = target === undefined ? new Map<string, Uint8Array>() : dataOf(target);
  const mine = ownedFields(target, object.metadata.name);

  const kept = new Map(foreign ? [...before].filter(([key]) => !mine.data.has(key)) : []);
  const rendered =
    template === undefined
      ? {
          data: provided,
          labels: copied(object.metadata.labels),
          annotations: copied(object.metadata.annotations),
        }
      : renderTemplate(template, provided, observed.sources, env);
  // An immutable Secret gets its data once; afterwards only its metadata follows.
  const data = frozen ? before : new Map([...kept, ...rendered.data]);

  const owner = creationPolicy(spec) === 'Owner';
  const labels: Record<string, string> = {
    ...without(target?.metadata.labels, mine.labels),
    ...rendered.labels,
    [LABEL_MANAGED]: MANAGED,
  };
  delete labels[LABEL_CREATED_BY];
  if (owner) labels[LABEL_CREATED_BY] = createdBy(namespaceOf(object), object.metadata.name);
  const annotations = {
    ...without(target?.metadata.annotations, mine.annotations),
    ...rendered.annotations,
    [ANNOTATION_HASH]: dataHash(data),
  };
  const references = ownerReferences(target, object, owner);
  const finalizers = union(target?.metadata.finalizers, template?.metadata?.finalizers);
  const metadata: Meta = {
    ...bare(target?.metadata),
    name: targetName(object, spec),
    namespace: namespaceOf(object),
    labels,
    annotations,
    ...(references.length === 0 ? {} : { ownerReferences: references }),
    ...(finalizers.length === 0 ? {} : { finalizers }),
  };
  return {
    ...target,
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    type: (frozen ? undefined : template?.type) || (target?.['type'] as string | undefined) || 'Opaque',
    data: Object.fromEntries([...data].map(([key, bytes]) => [key, base64(bytes)])),
    ...(spec.target?.immutable === true ? { immutable: true } : {}),
  };
}

/** Whether keys that are not ours stay. */
const keepsForeign = (spec: ExternalSecretSpec): boolean =>
  ['Merge', 'CreateOrMerge'].includes(creationPolicy(spec));

/**
 * Refuses what would lose something: a change of an immutable Secret, and values that all came back empty where there
 * were some. "A source that is down or empty never blanks a Secret."
 * @throws Failure operator.immutable, operator.blank
 */
export function guardChange(target: KubeObject | undefined, desired: KubeObject): void {
  if (target === undefined) return;
  const name = desired.metadata.name;
  const changed =
    !sameTexts(target['data'] as Texts | undefined, desired['data'] as Texts | undefined) ||
    target['type'] !== desired['type'];
  if (target['immutable'] === true && changed) throw failure('operator.immutable', { name });
  const before = dataOf(target);
  const after = dataOf(desired);
  const blanked = [...before].filter(([key, bytes]) => bytes.length > 0 && after.get(key)?.length === 0);
  if (blanked.length > 0 && [...after.values()].every((bytes) => bytes.length === 0)) {
    throw failure('operator.blank', { name });
  }
}

const SERVER_SET = ['managedFields', 'creationTimestamp', 'generation'] as const;

/** Whether writing `desired` over `target` would change anything. */
export function sameSecret(target: KubeObject, desired: KubeObject): boolean {
  const face = (secret: KubeObject): string =>
    canonical({
      type: secret['type'],
      immutable: secret['immutable'] === true,
      data: secret['data'] ?? {},
      metadata: Object.fromEntries(
        Object.entries(secret.metadata).filter(
          ([key, value]) =>
            !SERVER_SET.some((name) => name === key) && (!Array.isArray(value) || value.length > 0),
        ),
      ),
    });
  return face(target) === face(desired);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  return `{${Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
    .join(',')}}`;
}

const sameTexts = (a: Texts | undefined, b: Texts | undefined): boolean =>
  canonical(a ?? {}) === canonical(b ?? {});

interface Fields {
  readonly data: ReadonlySet<string>;
  readonly labels: ReadonlySet<string>;
  readonly annotations: ReadonlySet<string>;
}

/**
 * What this ExternalSecret wrote earlier, by the Secret's managedFields. Upstream looks up its labels by another length of
 * name than it writes them with, so they stay for ever on names of 28 to 63 characters; here both spellings count.
 */
function ownedFields(target: KubeObject | undefined, name: string): Fields {
  const managers = new Set([`${MANAGER}${name}`, `${MANAGER}sha3/${sha3(name)}`]);
  const own = (target?.metadata.managedFields ?? []).filter(
    (entry) => managers.has(entry.manager) && (entry.subresource ?? '') === '',
  );
  const under = (...path: readonly string[]): ReadonlySet<string> =>
    new Set(
      own.flatMap((entry) => {
        let node: unknown = entry.fieldsV1;
        for (const step of path) node = (node as Record<string, unknown> | undefined)?.[step];
        return Object.keys((node ?? {}) as object)
          .filter((key) => key.startsWith('f:'))
          .map((key) => key.slice(2));
      }),
    );
  return {
    data: under('f:data'),
    labels: under('f:metadata', 'f:labels'),
    annotations: under('f:metadata', 'f:annotations'),
  };
}

function ownerReferences(
  target: KubeObject | undefined,
  object: KubeObject,
  owner: boolean,
): OwnerReference[] {
  const others = (target?.metadata.ownerReferences ?? []).filter((ref) => ref.uid !== object.metadata.uid);
  if (!owner) return others;
  return [
    ...others,
    {
      apiVersion: `${GROUP}/v1`,
      kind: 'ExternalSecret',
      name: object.metadata.name,
      uid: object.metadata.uid ?? '',
      controller: true,
      blockOwnerDeletion: true,
    },
  ];
}

const without = (texts: Texts | undefined, dropped: ReadonlySet<string>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts ?? {}).filter(([key]) => !dropped.has(key)));

const copied = (texts: Texts | undefined): Texts => without(texts, new Set(NEVER_COPIED));

const union = (a: readonly string[] | undefined, b: readonly string[] | undefined): readonly string[] => [
  ...new Set([...(a ?? []), ...(b ?? [])]),
];

function bare(metadata: Meta | undefined): Partial<Meta> {
  const {
    ownerReferences: _owners,
    finalizers: _finalizers,
    managedFields: _managed,
    ...rest
  } = metadata ?? {
    name: '',
  };
  return rest;
}
