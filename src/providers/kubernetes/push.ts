/**
 * What a push makes of a Secret, and what its end takes away. Pure. Who pushed which entry is kept in an annotation, so
 * that nothing is overwritten or deleted that somebody else pushed; upstream keeps no such record.
 */

import { z } from 'zod';
import { base64, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { PushOptions, PushTarget, Value } from '../../provider/provider.ts';

/** JSON: property -> owner; "" stands for the whole Secret. */
const LEDGER = 'holdfast.dev/pushed-by';
/** What `kubectl apply` keeps: a copy of the source's values, which are not all to be pushed. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

type Texts = Readonly<Record<string, string>>;

const metadataSchema = z.strictObject({
  apiVersion: z.literal('kubernetes.external-secrets.io/v1alpha1'),
  kind: z.literal('PushSecretMetadata'),
  spec: z
    .strictObject({
      sourceMergePolicy: z.enum(['Merge', 'Replace']).default('Merge'),
      targetMergePolicy: z.enum(['Merge', 'Replace', 'Ignore']).default('Merge'),
      labels: z.record(z.string(), z.string()).default({}),
      annotations: z.record(z.string(), z.string()).default({}),
      remoteNamespace: z.string().optional(),
    })
    .prefault({}),
});
export type PushMetadata = z.output<typeof metadataSchema>['spec'];

/** `metadata` of a push, read strictly. @throws Failure provider.push */
export function pushMetadata(given: unknown, store: string, key: string): PushMetadata {
  if (given === undefined || given === null)
    return { sourceMergePolicy: 'Merge', targetMergePolicy: 'Merge', labels: {}, annotations: {} };
  const read = metadataSchema.safeParse(given);
  if (read.success) return read.data.spec;
  const [issue] = read.error.issues;
  const reason = `unable to parse metadata parameters: ${issue?.path.join('.')}: ${issue?.message}`;
  throw failure('provider.push', { store, path: key, reason });
}

/** Whether the target is there already, for pushes that write only what is new. */
export const isThere = (existing: KubeObject | undefined, { property = '' }: PushTarget): boolean =>
  existing !== undefined && (property === '' || Object.hasOwn(dataOf(existing), property));

/**
 * The Secret as it shall be, or undefined where it is so already.
 * @throws Failure provider.foreign, provider.push
 */
export function pushed(
  existing: KubeObject | undefined,
  at: { readonly store: string; readonly namespace: string; readonly target: PushTarget },
  value: Value,
  options: PushOptions,
  metadata: PushMetadata,
): KubeObject | undefined {
  const { key, property = '' } = at.target;
  const refuse = (reason: string): Error => failure('provider.push', { store: at.store, path: key, reason });
  const ledger = ledgerOf(existing);
  const others = property === '' ? Object.values(ledger) : [ledger[property] ?? ledger[''] ?? options.owner];
  const { owner, adopt = () => false } = options;
  if (others.some((other) => other !== owner && !adopt(other)))
    throw failure('provider.foreign', {
      store: at.store,
      path: property === '' ? key : `${key}[${property}]`,
      reason: 'another PushSecret pushed it',
    });
  if (property === '' && !('fields' in value))
    throw refuse('requires property in RemoteRef to push secret value if secret key is defined');
  const before = existing === undefined ? {} : dataOf(existing);
  const data: Texts =
    property === '' && 'fields' in value
      ? Object.fromEntries([...value.fields].map(([name, bytes]) => [name, base64(bytes)]))
      : { ...before, [property]: base64('bytes' in value ? value.bytes : utf8(value.json)) };
  const had = { labels: existing?.metadata.labels ?? {}, annotations: existing?.metadata.annotations ?? {} };
  const wanted = dressed(had, options.source ?? {}, metadata);
  const owners = property === '' ? { '': options.owner } : { ...ledger, [property]: options.owner };
  const annotations = { ...wanted.annotations, [LEDGER]: sorted(owners) };
  const same =
    existing !== undefined &&
    sorted(data) === sorted(before) &&
    sorted(wanted.labels) === sorted(had.labels) &&
    sorted(annotations) === sorted(had.annotations);
  if (same) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    ...existing,
    metadata: {
      ...existing?.metadata,
      name: key,
      namespace: at.namespace,
      labels: wanted.labels,
      annotations,
    },
    // The type of a Secret never changes, so only a new one takes the source's.
    type: existing?.['type'] ?? options.source?.type ?? 'Opaque',
    data,
  };
}

/** What is to be done so that an owner's value is gone: nothing, an update, or the whole Secret's end. */
export function withdrawn(
  existing: KubeObject | undefined,
  { property = '' }: PushTarget,
  owner: string,
): 'absent' | 'foreign' | 'whole' | KubeObject {
  if (existing === undefined) return 'absent';
  const data = dataOf(existing);
  const ledger = ledgerOf(existing);
  if (property === '') {
    const owners = Object.values(ledger);
    return ledger[''] === owner && owners.every((one) => one === owner) ? 'whole' : 'foreign';
  }
  if (!Object.hasOwn(data, property)) return 'absent';
  if ((ledger[property] ?? ledger['']) !== owner) return 'foreign';
  const { [property]: _, ...rest } = data;
  const { [property]: __, ...owners } = ledger;
  if (Object.keys(rest).length === 0) return 'whole';
  const annotations = { ...existing.metadata.annotations, [LEDGER]: sorted(owners) };
  return { ...existing, metadata: { ...existing.metadata, annotations }, data: rest };
}

/** Labels and annotations by the two policies: what the source gives, and how it meets what is there. */
function dressed(
  had: { readonly labels: Texts; readonly annotations: Texts },
  source: NonNullable<PushOptions['source']>,
  { sourceMergePolicy, targetMergePolicy, labels, annotations }: PushMetadata,
): { readonly labels: Texts; readonly annotations: Texts } {
  const merge = sourceMergePolicy === 'Merge';
  const { [LAST_APPLIED]: _, [LEDGER]: __, ...kept } = source.annotations ?? {};
  const given = {
    labels: merge ? { ...source.labels, ...labels } : labels,
    annotations: merge ? { ...kept, ...annotations } : annotations,
  };
  if (targetMergePolicy === 'Ignore') return had;
  if (targetMergePolicy === 'Replace') return given;
  return {
    labels: { ...had.labels, ...given.labels },
    annotations: { ...had.annotations, ...given.annotations },
  };
}

const dataOf = (secret: KubeObject): Texts => (secret['data'] ?? {}) as Texts;

/** Who pushed what; a record that cannot be read names an owner that nobody is, so nothing is taken for ours. */
function ledgerOf(existing: KubeObject | undefined): Texts {
  const text = existing?.metadata.annotations?.[LEDGER];
  if (text === undefined) return {};
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text));
  } catch {
    return { '': 'a record that cannot be read' };
  }
}

const sorted = (texts: Texts): string =>
  JSON.stringify(Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1))));
